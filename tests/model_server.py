"""A server on loopback that speaks TensorFlow Hub's protocol, or breaks it."""

from __future__ import annotations

import http.server
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tests import model_archives

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

QUERY = "tf-hub-format=compressed"


class ModelServer(http.server.ThreadingHTTPServer):
    """Answers by path; what was asked is in ``asked``."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[str] = []
        self.stopping = threading.Event()
        self.answers: dict[str, Callable[[_Handler], None]] = {}

    def handle_error(self, *_: object) -> None:
        """A client that hangs up is what many tests are about."""

    def address(self, path: str, answer: Callable[[_Handler], None] | None = None) -> str:
        """Return the address of a path, and have it answered."""
        if answer is not None:
            self.answers[path] = answer
        return f"http://127.0.0.1:{self.server_port}{path}"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: ModelServer
    content = b""

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        answer = self.server.answers.get(urlsplit(self.path).path)
        if answer is None:
            self.send_error(404)
        else:
            answer(self)

    def do_POST(self) -> None:
        self.content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Be quiet."""


@contextmanager
def serving() -> Iterator[ModelServer]:
    server = ModelServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.stopping.set()
        server.shutdown()
        server.server_close()
        thread.join()


def body(data: bytes, *, status: int = 200, length: int | None = None, kind: str = "application/gzip"):
    def answer(handler: _Handler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(data) if length is None else length))
        handler.send_header("Content-Type", kind)
        handler.end_headers()
        handler.wfile.write(data)

    return answer


def model():
    return body(model_archives.good())


def redirect(location: str, status: int = 302):
    def answer(handler: _Handler) -> None:
        handler.send_response(status)
        handler.send_header("Location", location)
        handler.end_headers()

    return answer


def silent(handler: _Handler) -> None:
    """Accept, and never answer."""
    handler.server.stopping.wait(60)


def trickle(start: bytes, piece: bytes):
    """Answer with the start, then with a piece every 50 ms, for ever."""

    def answer(handler: _Handler) -> None:
        handler.wfile.write(start)
        while not handler.server.stopping.wait(0.05):
            handler.wfile.write(piece)

    return answer


def endless(start: bytes):
    def answer(handler: _Handler) -> None:
        handler.wfile.write(start)
        while not handler.server.stopping.is_set():
            handler.wfile.write(bytes(1 << 16))

    return answer


HEAD = b"HTTP/1.0 200 OK\r\nContent-Type: application/gzip\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
