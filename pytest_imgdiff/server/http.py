"""HTTP: the limits of requests, the checks of their origin, and a server with few threads and timeouts.

The server is that of Werkzeug, which is part of Flask. Two problems of it are solved here: a body in endless chunks
(https://github.com/pallets/werkzeug/issues/3051) is rejected, as browsers do not send chunks, and a silent client does
not occupy a thread, as every read has a deadline.
"""

from __future__ import annotations

import io
import ipaddress
import secrets
import socket
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from werkzeug.exceptions import Forbidden, NotFound, UnsupportedMediaType
from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler, select_address_family

from pytest_imgdiff.base.errors import ReportError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flask import Request

MEGA = 1_000_000


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits beyond which requests are rejected.

    Attributes:
        upload_bytes: largest upload, all images together.
        json_bytes: largest JSON body.
        settings_bytes: largest settings field of an upload.
        pictures: most images of an upload, both sides together.
        name_length: longest name of an image, in characters.
        pixels: largest width x height that is decoded; imgdiff.yaml may set a lower limit.
        waiting: most jobs that wait or run at the same time.
        kept: most jobs whose results are kept; the least recently requested are removed first.
        kept_seconds: seconds for which a job is kept after the last request for it.
        connections: most requests at the same time.
        silence: timeout in seconds for a request's headers, and between two parts of its body.
        bytes_per_second: slowest allowed body.
    """

    upload_bytes: int = 200 * MEGA
    json_bytes: int = 16 * MEGA
    settings_bytes: int = 100_000
    pictures: int = 2000
    name_length: int = 500
    pixels: int = 100 * MEGA
    waiting: int = 8
    kept: int = 20
    kept_seconds: float = 3600
    connections: int = 32
    silence: float = 15
    bytes_per_second: int = 50_000


# ---- The checks of a request


TOKEN_HEADER = "X-Imgdiff-Token"  # noqa: S105 - the header's name, not a secret
_READS = ("GET", "HEAD")
_HTTP_PORT = 80


class Gate:
    """Checks each request before anything else handles it.

    A page of another site can make a browser send requests here. It cannot set the ``Host`` to one of our names when
    its own name is rebound to this machine, send our header, or hide its ``Origin``. Each of these is checked
    separately, so that a browser bug in one does not open the server.

    Args:
        host: the bound address.
        port: its port.
        names: additional ``HOST`` or ``HOST:PORT`` to accept, for forwarded ports.
    """

    def __init__(self, host: str, port: int, names: Iterable[str] = ()) -> None:
        self.token: str = secrets.token_urlsafe(32)
        self._port = port
        self._any_address = _is_any(host)
        own = {bracketed(host)} if not is_loopback(host) else {bracketed(host), "localhost", "127.0.0.1", "[::1]"}
        own |= {"localhost"} if self._any_address else set()
        self._hosts = {form for name in own for form in _forms(name, port)}
        self._hosts |= {name.lower() for name in names}

    def check(self, request: Request) -> None:
        """Accept the request or raise.

        Raises:
            Forbidden: it is for another host, from another site, or writes without the token.
            UnsupportedMediaType: it writes, and has a content type that an HTML form of any site can send.
        """
        self._check_host(request)
        self._check_site(request)
        if request.method not in _READS:
            self._check_write(request)

    def _check_host(self, request: Request) -> None:
        host = request.environ.get("HTTP_HOST", "").lower()
        if host not in self._hosts and not (self._any_address and _is_address(host, self._port)):
            raise Forbidden("unknown host name; allow it with --allow-host")

    @staticmethod
    def _check_site(request: Request) -> None:
        """Raise if another site's page embeds or fetches; links from anywhere to our pages are allowed."""
        site = request.headers.get("Sec-Fetch-Site", "none")
        link = request.headers.get("Sec-Fetch-Mode") == "navigate" and request.method in _READS
        link = link and request.headers.get("Sec-Fetch-Dest", "document") == "document"
        if site not in ("same-origin", "none") and not link:
            raise Forbidden("the request comes from a page of another site")

    def _check_write(self, request: Request) -> None:
        if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
            raise Forbidden("the request comes from a page of another site")
        origin = request.headers.get("Origin")
        if origin is None:
            raise Forbidden("a request that writes must have this server as its Origin")
        own = request.environ["HTTP_HOST"].lower()
        if origin.lower() not in (f"http://{own}", f"https://{own}"):  # https if behind a proxy
            raise Forbidden("the request's Origin is another site")
        given = request.headers.get(TOKEN_HEADER, "")
        if not secrets.compare_digest(given.encode("utf-8", "replace"), self.token.encode()):
            raise Forbidden(f"the header {TOKEN_HEADER} is missing or invalid; reload the page")
        if request.mimetype not in ("application/json", "multipart/form-data"):
            raise UnsupportedMediaType("send application/json or, with images, multipart/form-data")


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach the address."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def bracketed(host: str) -> str:
    """Return the host as written in a URL: IPv6 in brackets."""
    return f"[{host.lower()}]" if ":" in host else host.lower()


def _is_any(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def _forms(name: str, port: int) -> set[str]:
    """Return the forms of the host that browsers send: without the port if it is the default of HTTP."""
    return {f"{name}:{port}", name} if port == _HTTP_PORT else {f"{name}:{port}"}


def _is_address(host: str, port: int) -> bool:
    """Return whether the host is an IP address of this server: a name can be rebound to another machine, it cannot."""
    address, colon, number = host.rpartition(":")
    if not colon or number != str(port):
        address, number = host, str(_HTTP_PORT)
    if number != str(port):
        return False
    try:
        ipaddress.ip_address(address.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True


# ---- The connections


SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}
"""Headers of every response."""
_ONCE = ("Host", "Content-Length", "Content-Type", "Origin", "X-Imgdiff-Token", "Sec-Fetch-Site")
_DRAINED = 4_000_000
_BUSY = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"


class Server(ThreadedWSGIServer):
    """A server with a limited number of threads. Set ``app`` after creation, because it needs the port.

    Args:
        host: the address to bind.
        port: the port; 0 for any free one.
        limits: number of threads and timeouts.

    Raises:
        ReportError: the address cannot be bound.
    """

    def __init__(self, host: str, port: int, limits: Limits) -> None:
        self.limits = limits
        self._free = threading.BoundedSemaphore(limits.connections)
        with _bound(host, port) as listening:  # werkzeug would print and exit on failure
            super().__init__(host, port, NotFound(), _Handler, fd=listening.fileno())
        self.port: int = self.socket.getsockname()[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        """Handle the request in a separate thread, if one is free."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
            return
        with suppress(OSError):
            request.settimeout(1)
            request.sendall(_BUSY)
        self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Handle the request, and free the thread."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print the error of a connection in one line. Most are clients that disconnected."""
        del request
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            print(f"pytest-imgdiff: {client_address[0]}: {type(error).__name__}: {error}", file=sys.stderr)  # noqa: T201 - a command's own output


def _bound(host: str, port: int) -> socket.socket:
    try:
        family = select_address_family(host, port)  # werkzeug chooses the family the same way
        address = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)[0][4]
        listening = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise ReportError(f"--host {host}: not a valid address: {error.strerror or error}") from error
    try:
        if sys.platform != "win32":  # Windows would let two programs share a port
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(128)
    except OSError as error:
        listening.close()
        cause = error.strerror or error
        raise ReportError(f"{host}:{port} cannot be bound: {cause}; use another --host or --port") from error
    return listening


def _is_path(target: str) -> bool:
    """Return whether the target is a path, as browsers send it; proxies receive full URLs."""
    try:
        return target.startswith("/") and urlsplit(target).scheme == ""
    except ValueError:  # such as an unclosed bracket
        return False


class _Timed(io.RawIOBase):
    """A socket's bytes with a deadline that a client cannot extend by sending slowly."""

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
    """The bytes of the announced request body, and then EOF, even if the client keeps the connection open."""

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
        """Set the deadline of the connection."""
        self.request.settimeout(self.server.limits.silence)
        super().setup()
        self._patient = _Timed(self.connection, self.server.limits)
        self.rfile.close()
        self.rfile = io.BufferedReader(self._patient)

    def version_string(self) -> str:
        """Return the ``Server`` header, without versions that could help an attacker."""
        return "pytest-imgdiff"

    def run_wsgi(self) -> None:
        """Reject requests that no browser sends, then call the application."""
        refusal = self._refusal()
        if refusal is not None:
            self.send_error(*refusal)
            return
        limits = self.server.limits
        length = int(self.headers.get("Content-Length") or 0)
        self._patient.deadline = time.monotonic() + limits.silence + length / limits.bytes_per_second
        self.rfile = io.BufferedReader(_Body(self.rfile, length))  # type: ignore[arg-type]  # from setup()
        super().run_wsgi()

    def _refusal(self) -> tuple[int, str] | None:
        if not _is_path(self.path):
            return HTTPStatus.BAD_REQUEST, "the request target must be a path"
        if self.headers.get("Transfer-Encoding") is not None:
            return HTTPStatus.LENGTH_REQUIRED, "send the body with a Content-Length, not in chunks"
        twice = [name for name in _ONCE if len(self.headers.get_all(name, [])) > 1]
        if twice:
            return HTTPStatus.BAD_REQUEST, f"duplicate header {twice[0]}"
        length = self.headers.get("Content-Length", "0")
        if not (length.isascii() and length.isdigit() and len(length) < 16):  # noqa: PLR2004 - a petabyte
            return HTTPStatus.BAD_REQUEST, "Content-Length must be an integer"
        if int(length) > self.server.limits.upload_bytes + self.server.limits.settings_bytes:
            return HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "the upload is larger than this server accepts"
        return None

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Send an error in one line. Unlike the base class, it does not repeat parts of the request."""
        del explain
        phrase = HTTPStatus(code).phrase
        if code == HTTPStatus.BAD_REQUEST and message and "'" in message:  # it contains the request
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
        """Read some of the remaining body: an early close would reset the connection before the client reads it."""
        self.connection.shutdown(socket.SHUT_WR)
        self._patient.deadline = time.monotonic() + 1
        left = _DRAINED
        while left > 0 and (data := self.rfile.read1(65536)):
            left -= len(data)

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - werkzeug's name
        """Do not log requests; the page shows their results."""
