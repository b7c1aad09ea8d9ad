"""A request by hand, for tests of how a server is started rather than of what it says."""

from __future__ import annotations

import socket


def scgi_request(address: tuple[str, int] | str, path: str = "/", body: bytes = b"") -> bytes:
    """All that the server at this TCP or Unix address answers to one SCGI request."""
    fields = {
        "CONTENT_LENGTH": str(len(body)),
        "SCGI": "1",
        "REQUEST_METHOD": "POST" if body else "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
    }
    header = "".join(f"{name}\0{value}\0" for name, value in fields.items()).encode()
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as client:
        client.connect(address)
        client.sendall(b"%d:%s,%s" % (len(header), header, body))
        answer = b""
        while data := client.recv(65536):
            answer += data
    return answer
