"""One archive over the network: the compressed form of TensorFlow Hub's protocol, within its limits.

The standard library follows redirects from https to http and knows no end of a download; here each step is looked at,
the bytes are counted, and at the end of the time the connection is cut, whatever it waits for.
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import socket
import ssl
import threading
import time
import urllib.error
import urllib.request
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit, urlunsplit

from pytest_imgdiff.errors import ModelError
from pytest_imgdiff.models.handles import is_loopback
from pytest_imgdiff.names import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from typing_extensions import Self

_PIECE = 1 << 16
_REDIRECTS = 10
_REDIRECTED = {301, 302, 303, 307, 308}


def compressed_form(address: str) -> str:
    """Return the address under which a model's archive is asked for: with ``tf-hub-format=compressed`` in its query."""
    parts = urlsplit(address)
    query = [*parse_qsl(parts.query, keep_blank_values=True), ("tf-hub-format", "compressed")]
    return urlunsplit(parts._replace(query=urlencode(query)))


def download(address: str, target: IO[bytes], *, connect_timeout: float, timeout: float, max_bytes: int) -> None:
    """Write what an address answers to the target.

    Redirects are followed to https only; from http, which `check_address` lets pass for the loopback interface alone,
    also to http there. Proxies are taken from the environment.

    Args:
        address: of the model, checked.
        target: where the bytes go.
        connect_timeout: seconds that a server may keep silent, while it is connected to and afterwards.
        timeout: seconds after which the download is cut off; looking up the server's number, which is the system's
            business, cannot be cut off and counts.
        max_bytes: how many bytes at most.

    Raises:
        ModelError: whatever kept the archive from coming, in one line that does not name the model.
        OSError: the target cannot be written.
    """
    with (
        _Deadline(connect_timeout, timeout) as deadline,
        contextlib.closing(_pieces(address, deadline, max_bytes)) as pieces,
    ):
        for piece in pieces:
            target.write(piece)


class _Deadline:
    """Cuts every connection when the time is over: no trickle of bytes, at whatever step, keeps a download alive."""

    def __init__(self, connect_timeout: float, timeout: float) -> None:
        self.connect_timeout = connect_timeout
        self.timeout = timeout
        self.is_over = False
        self._end = time.monotonic() + timeout
        self._timer = threading.Timer(timeout, self._cut)
        self._timer.daemon = True
        self._guard = threading.Lock()
        self._watched: list[socket.socket] = []

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        self._timer.join()
        for connection in self._watched:
            connection.close()

    def connect(self, address: tuple[str, int], *_: object) -> socket.socket:
        """Return a connection to one of the server's addresses; http.client would give each of them the whole time."""
        host, port = address
        known = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        end = min(time.monotonic() + self.connect_timeout, self._end)
        error: OSError = TimeoutError()
        for left, (family, kind, protocol, _name, number) in zip(range(len(known), 0, -1), known, strict=True):
            remaining = end - time.monotonic()
            if remaining <= 0:
                break
            connection = socket.socket(family, kind, protocol)
            try:
                connection.settimeout(remaining / left)
                connection.connect(number)
                self._watch(connection)
            except OSError as failure:
                connection.close()
                error = failure
            else:
                connection.settimeout(self.connect_timeout)
                return connection
        raise error

    def _watch(self, connection: socket.socket) -> None:
        """Keep a second handle of the connection: TLS takes the first for its own."""
        with self._guard:
            if self.is_over:
                raise TimeoutError
            self._watched.append(connection.dup())

    def _cut(self) -> None:
        with self._guard:
            self.is_over = True
            for connection in self._watched:
                with contextlib.suppress(OSError):  # closed by the other side
                    connection.shutdown(socket.SHUT_RDWR)


class _Handler(urllib.request.AbstractHTTPHandler):
    """Opens http and https, and answers with whatever the server answered."""

    def __init__(self, deadline: _Deadline) -> None:
        super().__init__()
        self._deadline = deadline

    def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(functools.partial(self._connection, http.client.HTTPConnection), request)

    def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        secure = functools.partial(http.client.HTTPSConnection, context=ssl.create_default_context())
        return self.do_open(functools.partial(self._connection, secure), request)

    def _connection(
        self, make: Callable[..., http.client.HTTPConnection], host: str, **options: Any
    ) -> http.client.HTTPConnection:
        connection = make(host, **options)
        # Where http.client keeps the function that connects, before it asks proxies and speaks TLS.
        connection._create_connection = self._deadline.connect  # type: ignore[attr-defined] # noqa: SLF001 - no public way
        return connection

    http_request = https_request = urllib.request.AbstractHTTPHandler.do_request_


def _pieces(address: str, deadline: _Deadline, max_bytes: int) -> Generator[bytes, None, None]:
    """Yield the archive's bytes; turn every accident of the network into its line."""
    try:
        with _answer(address, deadline) as response:
            yield from _body(response, deadline, max_bytes)
    except (OSError, http.client.HTTPException) as error:
        if deadline.is_over:
            raise _too_long(deadline) from error
        raise ModelError(_words(error, deadline)) from error


def _answer(address: str, deadline: _Deadline) -> http.client.HTTPResponse:
    opener = urllib.request.OpenerDirector()
    for handler in (urllib.request.ProxyHandler(), _Handler(deadline), urllib.request.UnknownHandler()):
        opener.add_handler(handler)
    opener.addheaders = [("User-Agent", "pytest-imgdiff")]
    url = compressed_form(address)
    for _ in range(_REDIRECTS + 1):
        response: http.client.HTTPResponse = opener.open(url, timeout=deadline.connect_timeout)
        if response.status == http.client.OK:
            return response
        with response:
            if response.status not in _REDIRECTED:
                raise ModelError(_refusal(response, url))
            url = _next(url, response.headers.get("Location", ""))
    raise ModelError(f"redirected more than {_REDIRECTS} times")


def _next(url: str, location: str) -> str:
    try:
        following = urljoin(url, location)
        parts = urlsplit(following)
        host = parts.hostname
    except ValueError as error:
        raise ModelError("redirected to what is no address") from error
    here = f"{parts.scheme}://{host or ''}"  # the rest may hold what nobody else should read
    if not location or not host:
        raise ModelError(f"redirected to no address ({printable(here)})")
    if parts.scheme == "https" or (parts.scheme == "http" == urlsplit(url).scheme and is_loopback(host)):
        return following
    raise ModelError(f"redirected to {printable(here)}, and only https:// is followed")


def _refusal(response: http.client.HTTPResponse, url: str) -> str:
    answer = f"{response.status} {printable(response.reason)}".strip()
    host = urlsplit(url).hostname
    if response.status in {http.client.NOT_FOUND, http.client.GONE}:
        return f"{host} has no such model ({answer})"
    return f"{host} answered {answer}"


def _body(response: http.client.HTTPResponse, deadline: _Deadline, max_bytes: int) -> Iterator[bytes]:
    promised = response.length
    too_large = ModelError(f"larger than {max_bytes / 1e6:g} MB (--max-megabytes)")
    if promised is not None and promised > max_bytes:
        raise too_large
    received = 0
    while piece := response.read1(_PIECE):
        received += len(piece)
        if received > max_bytes:
            raise too_large
        yield piece
    if deadline.is_over:
        raise _too_long(deadline)
    if promised is not None and received != promised:
        raise ModelError(f"the download ended after {received} of {promised} bytes")


def _too_long(deadline: _Deadline) -> ModelError:
    return ModelError(f"the download took longer than {deadline.timeout:g} s (--timeout)")


def _words(error: OSError | http.client.HTTPException, deadline: _Deadline) -> str:
    """Say what went wrong on the network."""
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, TimeoutError):
        return f"the server kept silent for {deadline.connect_timeout:g} s (--connect-timeout)"
    if isinstance(cause, http.client.IncompleteRead):
        return "the download ended too early"
    if isinstance(cause, socket.gaierror):
        return f"the server's name is not known ({cause.strerror})"
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"the server's certificate is not trusted ({cause.verify_message})"
    words = printable(str(getattr(cause, "strerror", None) or cause))
    return f"the download failed: {words or type(cause).__name__}"
