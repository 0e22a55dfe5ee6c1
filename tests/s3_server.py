"""An S3 server on loopback: moto's own, behind a proxy that can answer badly."""

from __future__ import annotations

import http.client
import re
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import s3fs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pytest

KEY, SECRET = "AKIAEXAMPLE", "very-secret-word"
_ERROR = "<?xml version='1.0'?><Error><Code>{}</Code><Message>no</Message></Error>"


@dataclass
class Faults:
    """What the proxy does wrong, and which objects were fetched."""

    every: int = 0
    """One of this number of requests is answered with 503."""
    truncated: str = ""
    """Bodies of GETs of keys with this in them end half way."""
    refused: str = ""
    """The S3 error code that all GETs of objects get, with status 403."""
    slow: float = 0
    changing: str = ""
    """Keys with this in them: the ETag of listings is another one."""
    rewritten: str = ""
    """Keys with this in them: the ETag of the answer to HEAD is another one, once."""
    expires_after: int = 0
    """After this number of GETs of objects the credentials have expired."""
    on_fetch: Callable[[int], None] | None = None
    """Called with the number of GETs of objects up to now, before one is answered."""
    fetched: list[str] = field(default_factory=list)
    requests: int = 0


@dataclass
class Store:
    """The server: its address for clients, and what it does wrong."""

    address: str
    faults: Faults
    direct: str

    def set_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Make clients of this process, and of those that it starts, use the server."""
        monkeypatch.setenv("AWS_ENDPOINT_URL", self.address)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")

    def client(self) -> s3fs.S3FileSystem:
        """Return a client that goes round the proxy."""
        return s3fs.S3FileSystem(
            key=KEY, secret=SECRET, endpoint_url=self.direct, use_listings_cache=False, skip_instance_cache=True
        )

    def put(self, objects: dict[str, bytes]) -> None:
        client = self.client()
        for bucket in {name.partition("/")[0] for name in objects}:
            if not client.exists(bucket):
                client.mkdir(bucket)
        for name, data in objects.items():
            client.pipe_file(name, data)


def _handler(port: int, store_faults: list[Faults]) -> type[BaseHTTPRequestHandler]:  # noqa: C901 - one fault after another
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
            self.send_response(status)
            dropped = {"transfer-encoding", "connection", "date", "server"}
            for name, value in headers:
                if name.lower() not in dropped:
                    self.send_header(name, value)
            self.end_headers()
            self.wfile.write(b"" if self.command == "HEAD" else body)

        def _refuse(self, status: int, code: str) -> None:
            body = _ERROR.format(code).encode()
            self._answer(status, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))], body)

        def _do(self) -> None:
            faults = store_faults[0]
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            faults.requests += 1
            key = self.path.partition("?")[0]
            is_object = self.command == "GET" and key.count("/") > 1 and not key.endswith("/")
            if faults.every and faults.requests % faults.every == 0:
                self._refuse(503, "ServiceUnavailable")
                return
            if is_object:
                faults.fetched.append(key)
                time.sleep(faults.slow)
                if faults.on_fetch is not None:
                    faults.on_fetch(len(faults.fetched))
                if 0 < faults.expires_after < len(faults.fetched):
                    self._refuse(403, "ExpiredToken")
                    return
                if faults.refused:
                    self._refuse(403, faults.refused)
                    return
            with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
                connection.request(self.command, self.path, content, dict(self.headers))
                answer = connection.getresponse()
                body, headers = answer.read(), answer.getheaders()
            if faults.changing and not is_object and self.command == "GET":
                body = re.sub(
                    rb"(<Key>[^<]*" + faults.changing.encode() + rb".*?<ETag>)[^<]*", rb'\1"0-1"', body, flags=re.DOTALL
                )
            if self.command == "HEAD" and faults.rewritten and faults.rewritten in key:
                faults.rewritten = ""
                headers = [(name, '"0-1"' if name.lower() == "etag" else value) for name, value in headers]
            if self.command != "HEAD":
                headers = [(name, value) for name, value in headers if name.lower() != "content-length"]
                headers.append(("Content-Length", str(len(body))))
            if is_object and faults.truncated and faults.truncated in key:
                body = body[: len(body) // 2]
                self.close_connection = True
            self._answer(answer.status, headers, body)

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _do  # noqa: N815 - the names that http.server calls

    return Handler


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def running() -> Iterator[Store]:
    """Run the server and its proxy."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = [sys.executable, "-c", "import sys; from moto.server import main; main(sys.argv[1:])"]
    process = subprocess.Popen(
        [*words, "-H", "127.0.0.1", "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    faults = [Faults()]
    proxy = ThreadingHTTPServer(("127.0.0.1", 0), _handler(port, faults))
    proxy.daemon_threads = True
    proxy.handle_error = lambda *_: None  # a client that gave up is what some tests are about
    thread = threading.Thread(target=proxy.serve_forever, daemon=True)
    thread.start()
    try:
        end = time.monotonic() + 60
        while not _answers(port) and time.monotonic() < end:
            time.sleep(0.05)
        yield Store(f"http://127.0.0.1:{proxy.server_port}", faults[0], f"http://127.0.0.1:{port}")
    finally:
        proxy.shutdown()
        proxy.server_close()
        process.terminate()
        process.wait(10)
