"""A tour of what travels between a browser and a WSGI application: make demo

Plain WSGI, no framework. Three stops: the environ, an upload, a streamed answer.
"""

from __future__ import annotations

import hashlib
import html
import time
from collections.abc import Callable, Iterable, Iterator
from wsgiref.types import StartResponse, WSGIEnvironment

import multipart

PAGE_HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} · fcgikit</title>
<link rel="icon" href="data:,">
<style>
:root {{
  color-scheme: light dark;
  --ink: light-dark(#1d2430, #e6e9ef); --soft: light-dark(#5c6675, #9aa4b2);
  --page: light-dark(#f5f6f8, #14171c); --card: light-dark(#fff, #1c2027);
  --line: light-dark(#e1e5ea, #2d333d); --accent: light-dark(#0b6e63, #4fc3b3);
}}
* {{ box-sizing: border-box }}
body {{ margin: 0; font: 1rem/1.6 system-ui, sans-serif; color: var(--ink);
  background: var(--page) }}
header, main {{ max-width: 60rem; margin: 0 auto; padding: 0 1.5rem }}
header {{ display: flex; flex-wrap: wrap; align-items: baseline; gap: .3rem 1.6rem;
  padding-top: 2rem }}
header a {{ color: var(--soft); text-decoration: none; padding-bottom: .15rem }}
header a:hover, header a[aria-current] {{ color: var(--accent) }}
header a[aria-current] {{ border-bottom: 2px solid }}
header a:first-child {{ font-weight: 700; font-size: 1.2rem; color: var(--ink); border: 0 }}
h1 {{ font-size: 2rem; line-height: 1.2; margin: 2.5rem 0 .5rem; letter-spacing: -.02em }}
p {{ max-width: 42rem }}
.lead {{ color: var(--soft); margin-top: 0 }}
.card {{ display: block; background: var(--card); border: 1px solid var(--line);
  border-radius: .7rem; padding: 1.2rem 1.4rem; margin: 1.5rem 0; color: inherit;
  text-decoration: none }}
a.card:hover {{ border-color: var(--accent) }}
h2 {{ font-size: 1.05rem; margin: 2.2rem 0 -.8rem }}
.card h2 {{ margin: 0 0 .2rem; color: var(--accent) }}
.card p {{ margin: 0; color: var(--soft) }}
.stops {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(15rem, 1fr)); gap: 1rem }}
.stops .card {{ margin: 0 }}
.journey {{ display: flex; flex-wrap: wrap; align-items: center; gap: .6rem; margin: 2rem 0;
  padding: 0; list-style: none; font-size: .95rem }}
.journey li {{ background: var(--card); border: 1px solid var(--line); border-radius: 2rem;
  padding: .35rem 1rem }}
.journey li.wire {{ background: none; border: 0; padding: 0; color: var(--soft) }}
table {{ border-collapse: collapse; width: 100%; font: .85rem/1.5 ui-monospace, monospace }}
th, td {{ text-align: left; vertical-align: top; padding: .3rem 1rem .3rem 0;
  border-top: 1px solid var(--line); overflow-wrap: anywhere }}
tr:first-child > * {{ border-top: 0 }}
th {{ width: 17rem; font-weight: 500; color: var(--soft) }}
td:empty::after {{ content: "empty"; color: var(--soft); opacity: .6; font-style: italic }}
@media (max-width: 40rem) {{ th, td {{ display: block; width: auto; padding-right: 0 }}
  td {{ border: 0; padding-top: 0 }} }}
input[type=file] {{ display: block; width: 100%; margin: 0 0 1rem; padding: 1.6rem 1rem;
  border: 2px dashed var(--line); border-radius: .5rem; color: var(--soft); font: inherit }}
button, ::file-selector-button {{ font: inherit; padding: .4rem 1.2rem; border-radius: .5rem;
  border: 1px solid var(--accent); background: none; color: var(--accent); cursor: pointer }}
button {{ font-weight: 600; background: var(--accent); color: var(--card) }}
::file-selector-button {{ margin-right: 1rem }}
.pieces {{ display: grid; gap: .35rem; font: .85rem/1.5 ui-monospace, monospace }}
.pieces div {{ display: flex; align-items: center; gap: 1rem; color: var(--soft) }}
.pieces div::before {{ content: ""; height: .8rem; width: calc(var(--at) * 65%);
  background: var(--accent); border-radius: .4rem }}
</style>
</head>
<body>
<header>{navigation}</header>
<main>
<h1>{title}</h1>
"""
PAGE_FOOT = "</main>\n</body>\n</html>\n"

STOPS = {"/": "fcgikit tour", "/environ": "Environ", "/upload": "Upload", "/stream": "Stream"}

CHUNK = 64 * 1024
PIECES = 20


def page_head(environ: WSGIEnvironment, title: str) -> str:
    """Everything before a page's own content. Links keep working under any mount point."""
    here, base = environ["PATH_INFO"], environ["SCRIPT_NAME"]
    navigation = "\n".join(
        f'<a href="{text(base + path)}"{" aria-current=page" * (path == here)}>{name}</a>'
        for path, name in STOPS.items()
    )
    return PAGE_HEAD.format(title=html.escape(title), navigation=navigation)


def text(value: object) -> str:
    """Any value of the environ as HTML: its strings are bytes in disguise (PEP 3333)."""
    if isinstance(value, str):
        return html.escape(value.encode("latin-1").decode("utf-8", "backslashreplace"))
    return html.escape(repr(value))


def rows(pairs: Iterable[tuple[str, object]]) -> str:
    cells = "".join(f"<tr><th>{html.escape(n)}</th><td>{text(v)}</td></tr>\n" for n, v in pairs)
    return f'<div class="card"><table>\n{cells}</table></div>\n'


def respond(
    start_response: StartResponse, page: str, status: str = "200 OK", *headers: tuple[str, str]
) -> Iterable[bytes]:
    body = page.encode()
    start_response(
        status,
        [
            ("Content-Type", "text/html; charset=utf-8"),
            ("Content-Length", str(len(body))),
            *headers,
        ],
    )
    return [body]


def home(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """The way a request takes, and what there is to see."""
    base = text(environ["SCRIPT_NAME"])
    front_end = text(environ.get("SERVER_SOFTWARE", "front end"))
    page = f"""{page_head(environ, "A request, from end to end")}
<p class="lead">You are looking at a plain WSGI application. This page has come like this:</p>
<ol class="journey">
<li>your browser</li><li class="wire">HTTP →</li>
<li>{front_end}</li><li class="wire">FastCGI, SCGI or uwsgi →</li>
<li>fcgikit worker</li><li class="wire">WSGI →</li><li>this application</li>
</ol>
<div class="stops">
<a class="card" href="{base}/environ"><h2>Environ</h2>
<p>Everything the application is told about your request.</p></a>
<a class="card" href="{base}/upload"><h2>Upload</h2>
<p>Send a file of any size; it is hashed as it arrives.</p></a>
<a class="card" href="{base}/stream"><h2>Stream</h2>
<p>An answer that comes piece by piece while it is being made.</p></a>
</div>
"""
    return respond(start_response, page + PAGE_FOOT)


def show_environ(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """The environ, the request first, then its headers, then what the server adds."""
    pairs = sorted(environ.items())
    headers = [pair for pair in pairs if pair[0].startswith("HTTP_")]
    server = [pair for pair in pairs if "." in pair[0]]
    request = [pair for pair in pairs if pair not in headers and pair not in server]
    page = (
        page_head(environ, "Environ")
        + '<p class="lead">Everything this application is told about your request.</p>\n'
        + "<h2>What the front end says</h2>\n"
        + rows(request)
        + "<h2>The headers your browser sent</h2>\n"
        + rows(headers)
        + "<h2>What the server adds</h2>\n"
        + rows(server)
    )
    return respond(start_response, page + PAGE_FOOT)


def upload(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """A form; and, once it is sent, what has arrived."""
    page = page_head(environ, "Upload") + (
        '<p class="lead">The file is never held in memory: '
        "it is read in small pieces while it is still being sent.</p>\n"
    )
    if environ["REQUEST_METHOD"] == "POST":
        began = time.monotonic()
        try:
            for name, size, digest in received_files(environ):
                seconds = time.monotonic() - began
                page += rows(
                    [
                        ("name", name),
                        ("size", f"{size:,} bytes in {seconds:.2f} s"),
                        ("SHA-256", digest),
                    ]
                )
        except multipart.MultipartError as error:
            problem = f"<p>That was no form with a file: {html.escape(str(error))}</p>\n"
            return respond(start_response, page + problem + PAGE_FOOT, "400 Bad Request")
    page += """<form class="card" method="post" enctype="multipart/form-data">
<input type="file" name="file" required multiple aria-label="Files to send">
<button>Send</button>
</form>
"""
    return respond(start_response, page + PAGE_FOOT)


def received_files(environ: WSGIEnvironment) -> Iterator[tuple[str, int, str]]:
    """Name, size and SHA-256 of each uploaded file, read as a stream."""
    _, options = multipart.parse_options_header(environ.get("CONTENT_TYPE", ""))
    parser = multipart.PushMultipartParser(options.get("boundary", ""))
    with parser:
        while not parser.closed:
            for event in parser.parse(environ["wsgi.input"].read(CHUNK)):
                if isinstance(event, multipart.MultipartSegment):
                    segment, size, digest = event, 0, hashlib.sha256()
                elif event:
                    size += len(event)
                    digest.update(event)
                else:
                    name = (segment.filename or segment.name).encode().decode("latin-1")
                    yield name, size, digest.hexdigest()


def stream(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
    """A page that is sent while it is made; each ``yield`` is on its way at once."""
    start_response(
        "200 OK",
        # The second header asks nginx not to collect the answer first.
        [("Content-Type", "text/html; charset=utf-8"), ("X-Accel-Buffering", "no")],
    )
    yield (
        page_head(environ, "Stream")
        + f'<p class="lead">{PIECES} pieces, a quarter of a second apart. '
        "The application is still at work while you see the first.</p>\n"
        '<div class="card pieces">\n'
    ).encode()
    began = time.monotonic()
    for number in range(1, PIECES + 1):
        time.sleep(0.25)
        seconds = time.monotonic() - began
        yield f'<div style="--at: {number / PIECES}">{seconds:.2f} s</div>\n'.encode()
    yield f"</div>\n{PAGE_FOOT}".encode()


def not_found(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    page = page_head(environ, "Not found") + '<p class="lead">The tour has no such stop.</p>\n'
    return respond(start_response, page + PAGE_FOOT, "404 Not Found")


ROUTES: dict[str, Callable[[WSGIEnvironment, StartResponse], Iterable[bytes]]] = {
    "": home,
    "/": home,
    "/environ": show_environ,
    "/upload": upload,
    "/stream": stream,
}


def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """The application: one function per path."""
    route = ROUTES.get(environ["PATH_INFO"], not_found)
    return route(environ, start_response)
