"""nginx in front of each kind of server, from the files of ``conf/nginx/`` where there is one."""

from __future__ import annotations

from dataclasses import dataclass

from tests.e2e.nginx import LISTEN, Front, Site

HTTP_PROXY = """\
upstream fcgikit {{
    server unix:/run/fcgikit/app.sock;
    {keepalive}
}}
server {{
    listen 80;
    location / {{
        proxy_pass http://fcgikit;
        proxy_http_version 1.1;
        proxy_set_header Connection {connection};
    }}
}}
"""


@dataclass(frozen=True)
class HttpFront:
    """nginx in front of an HTTP server."""

    kept: bool
    params: str = "distribution"

    def site(self, port: int, address: str) -> str:
        text = HTTP_PROXY.format(
            keepalive="keepalive 16;" if self.kept else "",
            connection='""' if self.kept else "close",
        )
        text = text.replace(LISTEN, f"listen 127.0.0.1:{port};")
        return text.replace("unix:/run/fcgikit/app.sock", address)


def front(protocol: str, kept: bool) -> Site:
    """nginx's side with kept or one-shot connections; only HTTP and FastCGI can be kept."""
    if protocol == "http":
        return HttpFront(kept)
    if protocol == "fastcgi":
        return Front(f"fastcgi-{'keepalive' if kept else 'unix'}.conf", "unix")
    return Front(f"{protocol}.conf", "unix")
