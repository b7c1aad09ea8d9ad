"""SCRIPT_NAME and PATH_INFO: what the front ends sent, and what is right for WSGI."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fcgikit.config import DEFAULT
from fcgikit.errors import RequestRefused
from fcgikit.events import Request, Side
from fcgikit.gateways.paths import locate, request_path
from fcgikit.protocols import PROTOCOLS

GOLDEN = Path(__file__).parent.parent / "golden"

LOCATIONS = {
    "apache-authnzfcgi-authenticator.fcgi": ("", "/az/file.txt"),
    "apache-fcgid-accesschecker.fcgi": ("", "/seca/file.txt"),
    "apache-fcgid-authenticator.fcgi": ("", "/sec/file.txt"),
    "apache-fcgid-authorizer.fcgi": ("", "/sec/file.txt"),
    "apache-fcgid-get.fcgi": ("/rec.fcgi", "/foo/bar"),
    "apache-fcgid-odd-headers.fcgi": ("/rec.fcgi", "/h"),
    "apache-fcgid-rewrite.fcgi": ("/rec.fcgi", "/foo/bar"),
    "apache-fcgid-scriptalias.fcgi": ("/fcgid", "/foo bar/\xc3\xa9"),
    "apache-proxyfcgi-encoded.fcgi": ("/pf", "/d?q/e;f+g"),
    "apache-proxyfcgi-generic.fcgi": ("/pfgen", "/hello"),
    "apache-proxyfcgi-get-84k-params.fcgi": ("/pf", "/x"),
    "apache-proxyfcgi-get.fcgi": ("/pf", "/hello/x"),
    "apache-proxyfcgi-https-get.fcgi": ("/pf", "/h2"),
    "apache-proxyfcgi-match.fcgi": ("", "/match/index.php/foo"),
    "apache-proxyfcgi-odd-headers.fcgi": ("/pf", "/h"),
    "apache-proxyfcgi-pathinfo-unescape.fcgi": ("/pe", "/a b/c"),
    "apache-proxyfcgi-reuse.fcgi": ("/pfreuse", "/x0"),
    "apache-proxyfcgi-setenvif.fcgi": ("/mnt", "/forced"),
    "apache-proxyfcgi-sethandler.fcgi": ("/a.phx", "/foo/bar"),
    "apache-proxyscgi-get.scgi": ("/ps", "/a"),
    "apache-proxyuwsgi-get.uwsgi": ("/pu", "/a b"),
    "caddy-forward-auth.fcgi": ("", "/authz"),
    "caddy-get-84k-params.fcgi": ("", "/h"),
    "caddy-get-encoded.fcgi": ("", "/a/b c\xc3\xa9/../d?q;e+f"),
    "caddy-get-handle-path.fcgi": ("", "/foo/bar"),
    "caddy-get-split.fcgi": ("/split/app.py", "/foo/bar"),
    "caddy-get.fcgi": ("", "/hello/x"),
    "caddy-odd-headers.fcgi": ("", "/h"),
    "caddy-phpfastcgi-get-pathinfo.fcgi": ("/i.php", "/foo/bar"),
    "haproxy-get-encoded.fcgi": ("", "/a/b c\xc3\xa9/../d?q;e+f"),
    "haproxy-get-pathinfo.fcgi": ("/pi", "/foo/bar"),
    "haproxy-get-values.fcgi": ("", "/gv/hello"),
    "haproxy-get.fcgi": ("", "/hello/x"),
    "haproxy-getvalues-mpxs-3req.fcgi": ("", "/gvmp/1"),
    "haproxy-getvalues-mpxs0.fcgi": ("", "/gvmp/1"),
    "haproxy-https-h2-get.fcgi": ("", "/k0/h2"),
    "haproxy-keepconn-3req.fcgi": ("", "/reuse/1"),
    "haproxy-mpxs-3req.fcgi": ("", "/mp/1"),
    "haproxy-odd-headers.fcgi": ("", "/h"),
    "haproxy-server-timeout-abort.fcgi": ("", "/tomp/x"),
    "lighttpd-authorizer-get.fcgi": ("", "/sec/file.txt"),
    "lighttpd-get-encoded.fcgi": ("/fc", "/a/d?q;e+f"),
    "lighttpd-get-fix-root.fcgi": ("/fix", "/hello"),
    "lighttpd-get-php-pathinfo.fcgi": ("/i.php", "/foo/bar"),
    "lighttpd-get-root-fixroot.fcgi": ("", "/hello/x"),
    "lighttpd-get-root-fixroot.scgi": ("", "/a/b"),
    "lighttpd-get-root-nofix.fcgi": ("/hello", "/x"),  # wrong and not detectable: needs a mount
    "lighttpd-get.fcgi": ("/fc", "/hello/x"),
    "lighttpd-get.scgi": ("/sc", "/a"),
    "lighttpd-get.uwsgi": ("/uw", "/a"),
    "lighttpd-odd-headers.fcgi": ("/fc", "/h"),
    "nginx-get-debian-params.fcgi": ("", "/hello"),
    "nginx-get-debian-params.scgi": ("", "/scgi/a"),
    "nginx-get-debian-params.uwsgi": ("", "/uwsgi/a"),
    "nginx-get-encoded.fcgi": ("", "/up/a/d?q"),
    "nginx-get-long-lengths.fcgi": ("", "/up/" + 300 * "p"),
    "nginx-get-mount.fcgi": ("/mount", "/foo/bar"),
    "nginx-get-odd-headers.fcgi": ("", "/up/h"),
    "nginx-get-odd.scgi": ("", "/scgiup/a/\xc3\xa9/b"),
    "nginx-get-php-pathinfo.fcgi": ("/x/index.php", "/foo/bar"),
    "nginx-get-utf8.fcgi": ("", "/up/caf\xc3\xa9/x"),
    "nginx-get.fcgi": ("", "/up/hello"),
    "nginx-get.scgi": ("", "/scgiup/a"),
    "nginx-get.uwsgi": ("", "/uwsgiup/a/\xc3\xa9/b"),
    "nginx-https-h2-get.fcgi": ("", "/h2"),
    "nginx-keepconn-4req.fcgi": ("", "/ka/x0"),
}
"""Of each recorded stream that begins with a GET."""


SUFFIXES = {".fcgi": "fastcgi", ".scgi": "scgi", ".uwsgi": "uwsgi"}


def streams() -> list[Path]:
    return [file for file in sorted(GOLDEN.iterdir()) if file.suffix in SUFFIXES]


def first_params(file: Path) -> dict[str, str]:
    connection = PROTOCOLS[SUFFIXES[file.suffix]](Side.APP, DEFAULT)
    events = connection.receive_data(file.read_bytes())
    return next(event.params for event in events if isinstance(event, Request))


@pytest.mark.parametrize("file", streams(), ids=lambda file: file.name)
def test_every_front_end_as_recorded(file: Path) -> None:
    params = first_params(file)
    if params["REQUEST_METHOD"] == "GET":
        assert locate(params) == LOCATIONS[file.name]


@pytest.mark.parametrize("file", streams(), ids=lambda file: file.name)
def test_a_mount_point_at_the_root_makes_the_whole_path_path_info(file: Path) -> None:
    params = first_params(file)
    script_name, path_info = locate(params, "")
    assert script_name == ""
    whole = "".join(locate(params))
    assert path_info in (whole, request_path(params))


@pytest.mark.parametrize(
    ("file", "mount", "location"),
    [
        ("caddy-get-handle-path.fcgi", "/mount", ("/mount", "/foo/bar")),  # the prefix is hidden
        ("apache-fcgid-rewrite.fcgi", "/rw", ("/rw", "/foo/bar")),  # the script is hidden
        ("lighttpd-get-root-nofix.fcgi", "", ("", "/hello/x")),
        ("lighttpd-get.fcgi", "/fc", ("/fc", "/hello/x")),
        ("nginx-get.fcgi", "/up", ("/up", "/hello")),
        ("nginx-get.fcgi", "/up/hello", ("/up/hello", "")),
        ("nginx-get.uwsgi", "/uwsgiup", ("/uwsgiup", "/a/\xc3\xa9/b")),
        ("nginx-get-mount.fcgi", "/mount/foo", ("/mount/foo", "/bar")),
        ("apache-proxyfcgi-encoded.fcgi", "/pf", ("/pf", "/d?q/e;f+g")),
    ],
)
def test_mounted(file: str, mount: str, location: tuple[str, str]) -> None:
    assert locate(first_params(GOLDEN / file), mount) == location


@pytest.mark.parametrize(
    "params",
    [
        {"SCRIPT_NAME": "/appendix", "PATH_INFO": "/x", "REQUEST_URI": "/appendix/x"},
        {"SCRIPT_NAME": "/ap", "REQUEST_URI": "/ap"},
        {"SCRIPT_NAME": "/", "REQUEST_URI": "/"},
        {"SCRIPT_NAME": "/APP/x", "REQUEST_URI": "/APP/x"},
        {"PATH_INFO": "endix", "REQUEST_URI": "/append"},
        {},
    ],
)
def test_outside_the_mount_point(params: dict[str, str]) -> None:
    with pytest.raises(RequestRefused) as refusal:
        locate(params, "/app")
    assert refusal.value.status == 404


@pytest.mark.parametrize(
    ("params", "location"),
    [
        pytest.param(
            {"SCRIPT_NAME": "/app/a b", "PATH_INFO": "/a%20b", "REQUEST_URI": "/app/a%20b",
             "SCRIPT_FILENAME": "proxy:fcgi://127.0.0.1:9000/a%20b"},
            ("/app", "/a b"), id="Apache proxy-fcgi-pathinfo=1",
        ),
        pytest.param(
            {"SCRIPT_NAME": "/x", "PATH_INFO": "/x", "REQUEST_URI": "/x/x",
             "SCRIPT_FILENAME": "proxy:fcgi://127.0.0.1:9000/x"},
            ("/x", "/x"), id="Apache unescape, a path that repeats the mount point",
        ),
        pytest.param(
            {"SCRIPT_NAME": "/u/", "PATH_INFO": "/", "REQUEST_URI": "/u/",
             "SCRIPT_FILENAME": "proxy:uwsgi://127.0.0.1:9000/"},
            ("/u", "/"), id="mod_proxy_uwsgi, the mount point itself",
        ),
        pytest.param(
            {"SCRIPT_NAME": "/app/x", "SCRIPT_FILENAME": "proxy:fcgi://localhost/x?q=1"},
            ("/app", "/x"), id="Apache, Unix socket, query in SCRIPT_FILENAME",
        ),
        pytest.param(
            {"SCRIPT_NAME": "/app/", "SCRIPT_FILENAME": "proxy:fcgi://localhost/"},
            ("/app", "/"), id="Apache, the mount point with its slash",
        ),
        pytest.param(
            {"SCRIPT_NAME": "/app", "SCRIPT_FILENAME": "proxy:fcgi://localhost"},
            ("", "/app"), id="Apache, no path behind the authority",
        ),
        pytest.param(
            {"SCRIPT_NAME": "/rec.fcgi", "SCRIPT_FILENAME": "/srv/www/rec.fcgi",
             "SERVER_SOFTWARE": "Apache/2.4"},
            ("/rec.fcgi", ""), id="mod_fcgid, the script itself",
        ),
        pytest.param(
            {"SCRIPT_NAME": "/fc", "SCRIPT_FILENAME": "/srv/www/fc",
             "SERVER_SOFTWARE": "lighttpd/1.4.69"},
            ("/fc", ""), id="lighttpd, the prefix itself",
        ),
        pytest.param(
            {"SCRIPT_NAME": "/", "SCRIPT_FILENAME": "/srv/www/",
             "SERVER_SOFTWARE": "lighttpd/1.4.69"},
            ("", "/"), id="lighttpd, the root",
        ),
        pytest.param(
            {"SCRIPT_NAME": "/a%b", "PATH_INFO": "/a%b", "REQUEST_URI": "/a%25b?x"},
            ("", "/a%b"), id="IIS",
        ),
        pytest.param(
            {"SCRIPT_NAME": "/a/b", "PATH_INFO": "", "REQUEST_URI": "/a/b?x"},
            ("", "/a/b"), id="nginx, fastcgi_path_info without a split",
        ),
        pytest.param(
            {"SCRIPT_NAME": "/index.php", "PATH_INFO": "", "REQUEST_URI": "/index.php",
             "SCRIPT_FILENAME": "/srv/www/index.php"},
            ("/index.php", ""), id="nginx PHP snippet",
        ),
        pytest.param(
            {"REQUEST_URI": "/a%2Fb%2520c%C3%A9?d%20e"}, ("", "/a/b%20c\xc3\xa9"),
            id="only REQUEST_URI: decoded once",
        ),
        pytest.param(
            {"REQUEST_URI": "http://other.example:8080/abs%20?x=1"}, ("", "/abs "),
            id="absolute form",
        ),
        pytest.param({"REQUEST_URI": "http://other.example?x=/"}, ("", "/"), id="no path at all"),
        pytest.param({"REQUEST_URI": "/http://x/y"}, ("", "/http://x/y"), id="an URL as a path"),
        pytest.param({"REQUEST_URI": "*"}, ("", "/*"), id="OPTIONS *"),
        pytest.param({"DOCUMENT_URI": "/d%20", "REQUEST_URI": "/e"}, ("", "/d%20"),
                     id="DOCUMENT_URI is decoded already"),
        pytest.param({"SCRIPT_NAME": "/", "PATH_INFO": "/x"}, ("", "/x"), id="slash alone"),
        pytest.param({"SCRIPT_NAME": "/a/", "PATH_INFO": "b"}, ("/a", "/b"), id="slash belongs"),
        pytest.param({"SCRIPT_NAME": "a", "PATH_INFO": "b"}, ("/a", "/b"), id="no slashes"),
        pytest.param({"SCRIPT_NAME": "", "PATH_INFO": ""}, ("", ""), id="as sent"),
    ],
)  # fmt: skip
def test_what_is_repaired(params: dict[str, str], location: tuple[str, str]) -> None:
    assert locate(params) == location


def test_what_is_repaired_is_repaired_under_a_mount_point_too() -> None:
    params = {
        "SCRIPT_NAME": "/app/a b",
        "PATH_INFO": "/a%20b",
        "REQUEST_URI": "/app/a%20b",
        "SCRIPT_FILENAME": "proxy:fcgi://127.0.0.1:9000/a%20b",
    }
    assert locate(params, "/app") == ("/app", "/a b")


# Characters whose case folding changes their length, a newline and what split rules look at.
hostile = st.one_of(
    st.sampled_from(["/", "/", "%", "%2", "%0a", "%00", "\n", "?", ".php", "a", "A", "/app", "//"]),
    st.sampled_from(["\u0130", "\u212a", "e\u0301"]).map(lambda c: c.encode().decode("latin-1")),
    st.characters(max_codepoint=255),
)
paths = st.lists(hostile, max_size=8).map("".join)
slashed = paths.map(lambda path: "/" + path)


@given(st.fixed_dictionaries({}, optional={
    "SCRIPT_NAME": paths,
    "PATH_INFO": paths,
    "DOCUMENT_URI": paths,
    "REQUEST_URI": paths.map(lambda path: quote(path, encoding="latin-1")) | paths,
    "SCRIPT_FILENAME": paths | paths.map(lambda path: "proxy:fcgi://host" + path),
    "SERVER_SOFTWARE": st.sampled_from(["nginx/1", "Apache/2", "lighttpd/1", "HAProxy 2"]),
}), st.sampled_from([None, "", "/app", "/app/a"]))  # fmt: skip
def test_the_location_is_well_formed(params: dict[str, str], mount: str | None) -> None:
    try:
        script_name, path_info = locate(params, mount)
    except RequestRefused:
        assert mount is not None
        return
    assert script_name[:1] in ("", "/")
    assert path_info[:1] in ("", "/")
    assert script_name[-1:] != "/"
    if mount is not None:
        assert script_name == mount


@given(slashed, slashed)
def test_the_whole_path_is_preserved(script_name: str, path_info: str) -> None:
    script_name = script_name.rstrip("/")
    as_sent = {"SCRIPT_NAME": script_name, "PATH_INFO": path_info}
    assert locate(as_sent) == (script_name, path_info)
    assert locate({"SCRIPT_NAME": script_name + path_info}) == ("", script_name + path_info)
    for mount in ("", script_name):
        assert locate(as_sent, mount) == (mount, (script_name + path_info)[len(mount) :])


@given(slashed)
def test_request_uri_is_decoded_exactly_once(path: str) -> None:
    assert locate({"REQUEST_URI": quote(path, encoding="latin-1")}) == ("", path)


@given(slashed, slashed)
def test_apache_proxy_splits_where_its_back_end_path_begins(prefix: str, path: str) -> None:
    params = {
        "SCRIPT_NAME": prefix.rstrip("/") + path,
        "SCRIPT_FILENAME": "proxy:fcgi://127.0.0.1:9000" + quote(path, encoding="latin-1"),
    }
    assert locate(params) == (prefix.rstrip("/"), path)
