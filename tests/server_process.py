"""A real ``pytest-imgdiff serve`` on loopback, and the bytes that a test sends it."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

BOUNDARY = "a-boundary-that-is-in-no-picture"
JSON = "application/json"
Part = tuple[str, str | None, bytes]
"""The field's name, the file's name (None for a text), and what is in it."""


@dataclass(frozen=True)
class Answer:
    """A response as it came over the wire."""

    status: int
    head: str
    body: bytes

    def header(self, name: str) -> str | None:
        found = re.search(rf"(?im)^{re.escape(name)}:[ \t]*(.*?)\r?$", self.head)
        return found[1] if found else None

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Served:
    """A running server."""

    process: subprocess.Popen[str]
    port: int
    temporary: Path

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def token(self) -> str:
        page = self.get("/upload").body.decode()
        return re.search(r'name="imgdiff-token" content="([^"]+)"', page)[1]

    def raw(self, request: bytes, *, patience: float = 20) -> Answer:
        """Send these bytes, whatever becomes of them, and return what came back before the connection was closed."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=patience) as connection:
            with suppress(OSError):  # refused in mid-sentence
                connection.sendall(request)
            return received(connection)

    def request(self, method: str, path: str, headers: Mapping[str, str | None], body: bytes = b"") -> Answer:
        """Send a request with these headers; None leaves out one that is there otherwise."""
        given = {"Host": f"127.0.0.1:{self.port}", "Content-Length": str(len(body)) if body else None, **headers}
        lines = [f"{name}: {value}" for name, value in given.items() if value is not None]
        return self.raw("\r\n".join([f"{method} {path} HTTP/1.1", *lines, "", ""]).encode("latin-1") + body)

    def get(self, path: str, **headers: str | None) -> Answer:
        return self.request("GET", path, {name.replace("_", "-"): value for name, value in headers.items()})

    def credentials(self) -> dict[str, str]:
        """Return what a request that writes needs."""
        return {"Origin": self.address, "X-Imgdiff-Token": self.token}

    def post(self, path: str, content: object, **headers: str | None) -> Answer:
        """Post JSON as our own page does, but for these headers."""
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.request("POST", path, {"Content-Type": JSON, **self.credentials(), **named}, body)

    def upload(self, parts: Sequence[Part], **headers: str | None) -> Answer:
        """Post a form with pictures as our own page does, but for these headers."""
        kind = f"multipart/form-data; boundary={BOUNDARY}"
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.request(
            "POST", "/api/compare", {"Content-Type": kind, **self.credentials(), **named}, multipart(parts)
        )

    def finished(self, job: str) -> dict[str, Any]:
        """Wait for a job's end."""
        for _ in range(1000):
            told = self.get(f"/api/jobs/{job}").json
            if told["state"] in ("done", "failed"):
                return told
            time.sleep(0.05)
        raise AssertionError(f"never finished: {told}")


def received(connection: socket.socket) -> Answer:
    data = bytearray()
    with suppress(ConnectionError):
        while block := connection.recv(65536):
            data += block
    while data.startswith(b"HTTP/1.1 100"):
        data = data.partition(b"\r\n\r\n")[2]
    head, _, body = bytes(data).partition(b"\r\n\r\n")
    status = re.match(rb"HTTP/1\.[01] (\d{3})", head)
    return Answer(int(status[1]) if status else 0, head.decode("latin-1"), body)


def multipart(parts: Sequence[Part]) -> bytes:
    body = b""
    for field, name, content in parts:
        file = "" if name is None else f'; filename="{name}"'
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{field}"{file}\r\n\r\n'
        body += head.encode() + content + b"\r\n"
    return body + f"--{BOUNDARY}--\r\n".encode()


@contextmanager
def serving(folder: Path, *arguments: object, warning: str = "") -> Iterator[Served]:
    """Run the command in the folder; at its end it has left nothing behind and has said no more than this warning."""
    temporary = folder.parent / f"{folder.name}-temporary"
    temporary.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "pytest_imgdiff", "serve", "--port", "0", *map(str, arguments)]
    process = subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    try:
        line = ""
        while not line.startswith("compare images: "):
            line = process.stdout.readline()
            assert line, process.stderr.read()
        yield Served(process, int(re.search(r":(\d+)/upload", line)[1]), temporary)
        assert process.poll() is None, process.stderr.read()
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=30)[1]
        assert (process.returncode, said) == (0, warning)
        assert list(temporary.glob("imgdiff-*")) == []
    finally:
        process.kill()
        process.communicate()
