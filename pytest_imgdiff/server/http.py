"""The HTTP side: few threads, and no patience with clients that keep them waiting.

Werkzeug's own server, which comes with Flask, with what a local tool needs beside it. Its open questions (a body sent
in chunks without end, https://github.com/pallets/werkzeug/issues/3051; a thread for every silent client) are settled
here: chunks are refused, as browsers send none, and every read has a deadline.
"""

from __future__ import annotations

import io
import socket
import sys
import threading
import time
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from werkzeug.exceptions import NotFound
from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler, select_address_family

from pytest_imgdiff.base.errors import ReportError

if TYPE_CHECKING:
    from pytest_imgdiff.server.limits import Limits

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}
"""What every answer says, whoever gives it."""
_ONCE = ("Host", "Content-Length", "Content-Type", "Origin", "X-Imgdiff-Token", "Sec-Fetch-Site")
_DRAINED = 4_000_000
_BUSY = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"


class Server(ThreadedWSGIServer):
    """A server with a bounded number of threads; what answers is put into ``app``, as it has to know the port.

    Args:
        host: the address to bind.
        port: the port, 0 for any that is free.
        limits: how many threads, and how long they wait.

    Raises:
        ReportError: the address cannot be bound.
    """

    def __init__(self, host: str, port: int, limits: Limits) -> None:
        self.limits = limits
        self._free = threading.BoundedSemaphore(limits.connections)
        with _bound(host, port) as listening:  # werkzeug itself prints and exits where that fails
            super().__init__(host, port, NotFound(), _Handler, fd=listening.fileno())
        self.port: int = self.socket.getsockname()[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread of its own, where one is free."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
            return
        with suppress(OSError):
            request.settimeout(1)
            request.sendall(_BUSY)
        self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer, and free the thread."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say in one line what a connection ended with; most are clients that went away."""
        del request
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            print(f"pytest-imgdiff: {client_address[0]}: {type(error).__name__}: {error}", file=sys.stderr)  # noqa: T201 - a command's own output


def _bound(host: str, port: int) -> socket.socket:
    try:
        family = select_address_family(host, port)  # what werkzeug takes the socket for
        address = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)[0][4]
        listening = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise ReportError(f"--host {host}: no such address: {error.strerror or error}") from error
    try:
        if sys.platform != "win32":  # there it lets two programs have one port
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(128)
    except OSError as error:
        listening.close()
        cause = error.strerror or error
        raise ReportError(f"{host}:{port} cannot be served at: {cause}; name another --host or --port") from error
    return listening


def _is_path(target: str) -> bool:
    """Return whether this is what browsers ask a server for; proxies are asked for whole addresses."""
    try:
        return target.startswith("/") and urlsplit(target).scheme == ""
    except ValueError:  # an open bracket, say
        return False


class _Patient(io.RawIOBase):
    """A socket's bytes, up to a deadline that a client cannot move by sending one now and then."""

    def __init__(self, connection: socket.socket, limits: Limits) -> None:
        self._connection = connection
        self._silence = limits.silence
        self.deadline = time.monotonic() + limits.silence

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left = min(self.deadline - time.monotonic(), self._silence)
        if left <= 0:
            raise TimeoutError("the client is too slow")
        self._connection.settimeout(left)
        try:
            return self._connection.recv_into(buffer)
        finally:
            self._connection.settimeout(self._silence)


class _Body(io.RawIOBase):
    """As much of a connection as the request said that it would send; then its end, though the client waits on."""

    def __init__(self, stream: io.BufferedReader, length: int) -> None:
        self._stream = stream
        self._left = length

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._stream.read1(min(len(buffer), self._left)) if self._left else b""
        buffer[: len(data)] = data
        self._left -= len(data)
        return len(data)


class _Handler(WSGIRequestHandler):
    """One request."""

    server: Server
    protocol_version = "HTTP/1.1"
    close_connection = True

    def setup(self) -> None:
        """Give the connection its deadline."""
        self.request.settimeout(self.server.limits.silence)
        super().setup()
        self._patient = _Patient(self.connection, self.server.limits)
        self.rfile.close()
        self.rfile = io.BufferedReader(self._patient)

    def version_string(self) -> str:
        """Return what the header ``Server`` says: no versions that could be looked up."""
        return "pytest-imgdiff"

    def run_wsgi(self) -> None:
        """Refuse what no browser sends, then let the application answer."""
        refusal = self._refusal()
        if refusal is not None:
            self.send_error(*refusal)
            return
        limits = self.server.limits
        length = int(self.headers.get("Content-Length") or 0)
        self._patient.deadline = time.monotonic() + limits.silence + length / limits.bytes_per_second
        self.rfile = io.BufferedReader(_Body(self.rfile, length))  # type: ignore[arg-type]  # ours, from setup()
        super().run_wsgi()

    def _refusal(self) -> tuple[int, str] | None:
        if not _is_path(self.path):
            return HTTPStatus.BAD_REQUEST, "the address is not a path"
        if self.headers.get("Transfer-Encoding") is not None:
            return HTTPStatus.LENGTH_REQUIRED, "send the body whole, with its Content-Length"
        twice = [name for name in _ONCE if len(self.headers.get_all(name, [])) > 1]
        if twice:
            return HTTPStatus.BAD_REQUEST, f"the header {twice[0]} is there twice"
        length = self.headers.get("Content-Length", "0")
        if not (length.isascii() and length.isdigit() and len(length) < 16):  # noqa: PLR2004 - a petabyte
            return HTTPStatus.BAD_REQUEST, "Content-Length must be an integer"
        if int(length) > self.server.limits.upload_bytes + self.server.limits.settings_bytes:
            return HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "the upload is larger than this server takes"
        return None

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse in one line; unlike the library's own, it repeats nothing of the request."""
        del explain
        phrase = HTTPStatus(code).phrase
        if code == HTTPStatus.BAD_REQUEST and message and "'" in message:  # the library's, with the request in it
            message = None
        body = f"{int(code)} {message or phrase}\n".encode("utf-8", "replace")
        with suppress(OSError):
            self.send_response(code, phrase)
            for name, value in SECURITY_HEADERS.items():
                self.send_header(name, value)
            self.send_header("Content-Type", "text/plain; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Connection", "close")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)
            self.wfile.flush()
            self._drain()

    def _drain(self) -> None:
        """Take in some of what is still coming: closed at once, the connection would be reset before it is read."""
        self.connection.shutdown(socket.SHUT_WR)
        self._patient.deadline = time.monotonic() + 1
        left = _DRAINED
        while left > 0 and (data := self.rfile.read1(65536)):
            left -= len(data)

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - werkzeug's name
        """Be silent about requests; the page says what came of them."""
