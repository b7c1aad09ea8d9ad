"""Runs a WSGI application for one request. PEP 3333.

In comes an :class:`~fcgikit.gateways.interface.Exchange`; out go a ``Response``, its
``ResponseBody`` pieces and ``EndOfResponse``. An answer that is known as a whole is one
``Response``, which the server can put on the wire with one system call.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeAlias

from ..config import Config
from ..errors import BodyTooLarge, ClientDisconnected, ConfigError, RequestError
from ..events import AUTHORIZER, FILTER, EndOfResponse, Request, Response, ResponseBody, Role
from .context import RequestContext
from .diagnostics import ErrorStream, printable, request_name
from .environ import content_length, last_modified, make_environ
from .files import FileWrapper
from .heads import REASONS, check_headers, statuses
from .input import NO_BODY, close_body, open_body, open_filter
from .interface import Exchange, Gateway
from .roles import Application, Authorizer, Filter

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

_log = logging.getLogger("fcgikit.error")

_ExcInfo: TypeAlias = (
    tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
)


def make_gateways(
    apps: Sequence[Application], config: Config, **how: bool
) -> dict[Role, Gateway]:
    """A gateway for each of *apps*, by the role that it plays; *how* is for :class:`WSGIGateway`.

    Raises ``ConfigError`` when two play the same, or there is none.
    """
    if not apps:
        raise ConfigError("no application is given")
    gateways: dict[Role, Gateway] = {}
    for app in apps:
        role = Role.RESPONDER
        if isinstance(app, (Authorizer, Filter)):
            role, app = app.role, app.wsgi
        if role in gateways:
            raise ConfigError(f"two applications are given for the role {role.name.lower()}")
        gateways[role] = WSGIGateway(app, config, **how)
    return gateways


class WSGIGateway:
    """Answers exchanges with *app*; several threads may call it at the same time.

    *multithread*, *multiprocess* and *run_once* tell the application how it is being run.
    """

    def __init__(
        self,
        app: WSGIApplication,
        config: Config,
        *,
        multithread: bool,
        multiprocess: bool,
        run_once: bool = False,
    ) -> None:
        self._app = app
        self._mount = config.script_name
        self._max_body_size = config.max_body_size
        self._max_diagnostics_size = config.max_diagnostics_size
        self._max_head_size = config.max_head_size
        self._constants: dict[str, Any] = {
            "wsgi.version": (1, 0),
            "wsgi.multithread": multithread,
            "wsgi.multiprocess": multiprocess,
            "wsgi.run_once": run_once,
            "wsgi.input_terminated": True,
            "wsgi.file_wrapper": FileWrapper,
        }

    def __call__(self, exchange: Exchange) -> None:
        """Run the application and answer to the end; whatever it raises stays here."""
        request = exchange.request
        environ: dict[str, Any] = request.params
        errors = ErrorStream(exchange, self._max_diagnostics_size)
        answer = _Answer(exchange, request, errors, self._max_head_size)
        body = data = None
        try:
            length = content_length(environ)
            if length is not None and length > self._max_body_size:
                raise BodyTooLarge(
                    f"the request body of {length} bytes exceeds {self._max_body_size}"
                    " (setting: max_body_size)"
                )
            make_environ(environ, self._mount, request.role)
            environ.update(self._constants)
            if request.role is FILTER:
                data_length = content_length(environ, "FCGI_DATA_LENGTH")
                body, data = open_filter(exchange, length, data_length, last_modified(environ))
                environ["fcgikit.data"] = data
            elif request.body or not request.complete:
                body = open_body(exchange, length)
            environ["wsgi.input"] = body or NO_BODY
            environ["wsgi.errors"] = errors
            environ["fcgikit.request"] = answer

            blocks = self._app(environ, answer.start_response)
            try:
                if not isinstance(blocks, FileWrapper) or not answer.send_file(blocks):
                    answer.send_blocks(blocks)
            finally:
                if hasattr(blocks, "close"):
                    blocks.close()
        except BaseException as error:  # even SystemExit: no application stops the server
            answer.fail(error)
            errors.end()
        finally:
            if errors.pending:  # written after the end
                errors.flush()
            answer.run_after()
            # Whoever keeps an environ or a file of it keeps nothing of the connection alive.
            if "fcgikit.request" in environ:
                del environ["fcgikit.request"]
            if body is not None:
                close_body(body)
            if data is not None:
                close_body(data)


class _Answer(RequestContext):
    """What the application answers to one request, on its way out.

    It is the application's context, too, since both last as long: one object less for each request.
    """

    __slots__ = ("_bodiless", "_ended", "_errors", "_head_sent", "_headers", "_length",
                 "_max_head_size", "_overrun", "_reason", "_released", "_request", "_sent",
                 "_status")  # fmt: skip

    def __init__(
        self, exchange: Exchange, request: Request, errors: ErrorStream, max_head_size: int
    ) -> None:
        self._exchange = exchange
        self._after = None
        self._request = request
        self._errors = errors
        self._max_head_size = max_head_size
        self._bodiless = request.params.get("REQUEST_METHOD") == "HEAD"
        self._status = 0  # start_response has not been called
        self._length: int | None = None
        self._sent = 0
        self._head_sent = False
        self._ended = False
        self._overrun = False
        self._released = False

    def start_response(
        self,
        status: str,
        headers: Iterable[Any],
        exc_info: _ExcInfo | None = None,
    ) -> Callable[[bytes], object]:
        """PEP 3333. Raises ``ValueError`` or ``TypeError`` for what must not go on the wire."""
        if exc_info:
            try:
                if self._head_sent and exc_info[1] is not None:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None  # a traceback here would make a reference cycle
        elif self._status:
            raise RuntimeError("start_response was called again, and without exc_info")
        code, reason = statuses[status]
        self._headers, self._length = check_headers(headers, self._max_head_size)
        self._status, self._reason = code, reason
        return self.write

    def write(self, data: Any) -> None:
        """PEP 3333's imperative way to send a body; *data* has been sent when it returns."""
        self._send_block(data, False)

    def send_blocks(self, blocks: Iterable[Any]) -> None:
        """Send each block before asking for the next, then the end."""
        alone = hasattr(blocks, "__len__") and len(blocks) == 1  # type: ignore[arg-type]
        for block in blocks:
            if not self._send_block(block, alone):
                break
        if not self._ended:
            self._finish()

    def send_file(self, wrapper: FileWrapper) -> bool:
        """Let the kernel send the file, if it is one; else return false."""
        rest = wrapper.rest_of_file()
        if rest is None or not self._status or self._head_sent:
            return False
        fileno, offset, count = rest
        if self._length is None:
            self._length = count
            self._headers.append(("Content-Length", str(count)))
        self._send_head(b"", False)
        if not self._ended:
            self._sent = self._exchange.send_file(fileno, offset, min(count, self._length))
            self._finish()
        return True

    def finish(self) -> None:
        """See :class:`~fcgikit.gateways.context.RequestContext`."""
        if not self._released:
            self._finish()
            self._released = True
            self._exchange.release()

    def fail(self, error: BaseException) -> None:
        """Report *error*; answer with an error page, or let the front end see the cut."""
        self._errors.flush()
        status = 500
        if isinstance(error, ClientDisconnected):
            _log.debug("%s: %s", self._name(), printable(str(error)))
            return
        if isinstance(error, RequestError):
            status = error.status
            _log.warning("%s: %s", self._name(), printable(str(error)))
        else:
            report = f"{self._name()}\n{''.join(traceback.format_exception(error))}".rstrip()
            _log.error("%s", printable(report))
            self._errors.report(report)
        try:
            if not self._head_sent:
                self._send_page(status)
            elif not self._ended:
                self._truncate()
        except Exception as lost:
            level = logging.DEBUG if isinstance(lost, ClientDisconnected) else logging.ERROR
            _log.log(level, "%s: not answered: %s", self._name(), printable(repr(lost)))

    def _send_block(self, block: Any, alone: bool) -> bool:
        """Send a piece of the body, *alone* if it is all of it; whether more could follow."""
        if not isinstance(block, bytes):
            raise TypeError(f"body blocks must be bytes, not {type(block).__name__}")
        if not block:
            return True
        if not self._head_sent:
            self._send_head(block, alone)
            return not self._bodiless
        if self._ended:
            if not self._bodiless and not self._released:
                self._report_overrun()
            return self._released
        if self._length is not None:
            left = self._length - self._sent
            if len(block) > left:
                block = block[:left]
                self._report_overrun()
            self._sent += len(block)
        if block:
            self._exchange.send(ResponseBody(self._request.request_id, block))
        return not self._overrun

    def _send_head(self, body: bytes, complete: bool) -> None:
        """Send the head and the body's first block, which may be all of it."""
        status = self._status
        if not status:
            raise RuntimeError("the application has not called start_response")
        headers = self._headers
        length = self._length
        size = len(body)
        if self._bodiless or status == 204 or status == 304:
            if status == 204:  # RFC 9110 section 8.6
                headers = [header for header in headers if header[0].lower() != "content-length"]
            elif status != 304 and complete and body and length is None:
                headers.append(("Content-Length", str(size)))
            self._bodiless = complete = True
            body = b""
        elif length is None:
            # What an authorizer says about its empty answer, Apache says about the page itself.
            if complete and self._request.role is not AUTHORIZER:
                headers.append(("Content-Length", str(size)))
        else:
            complete = size >= length
            if size > length:
                body = body[:length]
                self._report_overrun()
            self._sent = size
        if complete:
            self._errors.end()
        self._head_sent = True
        self._ended = complete
        self._exchange.send(
            Response(self._request.request_id, status, self._reason, headers, body, complete)
        )

    def _finish(self) -> None:
        """The application has no more to say."""
        if not self._head_sent:
            self._send_head(b"", True)
        if self._ended:
            return
        if self._length is not None and self._sent < self._length:
            _log.error(
                "%s: the body ended after %d bytes of Content-Length %d",
                self._name(), self._sent, self._length,
            )  # fmt: skip
            self._truncate()
        else:
            self._errors.end()
            self._ended = True
            self._exchange.send(EndOfResponse(self._request.request_id))

    def _truncate(self) -> None:
        self._errors.end()
        self._ended = True
        self._exchange.truncate()

    def _send_page(self, status: int) -> None:
        """An error page of ours. It says nothing of the application's: no path, no message."""
        reason = REASONS.get(status, "Error")
        page = f"{status} {reason}\n".encode()
        headers = [("Content-Type", "text/plain"), ("Content-Length", str(len(page)))]
        body = b"" if self._bodiless else page
        self._errors.end()
        self._head_sent = self._ended = True
        self._exchange.send(Response(self._request.request_id, status, reason, headers, body, True))

    def _report_overrun(self) -> None:
        if not self._overrun:
            self._overrun = True
            _log.error("%s: the body is longer than its Content-Length; cut", self._name())

    def _name(self) -> str:
        return request_name(self._request.params)
