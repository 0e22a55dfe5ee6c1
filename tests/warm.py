"""Processes that begin with everything imported.

Hundreds of tests start pytest or `pytest-imgdiff` in a process of its own, and such a process spends most of its time on
imports. Here one process imports everything once; each run is a fork of it, with its own arguments, environment, folder
and output, and ends as any interpreter does. What a run imports, and when, is not tested this way: use `subprocess`.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import struct
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import execnet.gateway_base
import execnet.gateway_io
from _pytest.config import default_plugins

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MODULES = ("pytest", "pytest_imgdiff")
"""What can be run, as `python -m` runs it."""
# Not pytest_imgdiff.plugin, nor other plugins that runs name: pytest warns about a plugin that it comes too late to rewrite.
IMPORTED = (
    *(f"_pytest.{name}" for name in default_plugins),
    "cv2",
    "email.message",
    "jinja2",
    "msgspec",
    "numpy.ma",
    "packaging.version",
    "pdb",
    "secrets",
    "yaml",
    "pytest_imgdiff.capture.steady",
    "pytest_imgdiff.cli.parser",
    "pytest_imgdiff.cli.full_compare",
    "pytest_imgdiff.cli.report",
    "pytest_imgdiff.comparison.engine",
    "pytest_imgdiff.config",
    "pytest_imgdiff.images.decoding",
    "pytest_imgdiff.images.png",
    "pytest_imgdiff.metrics.visible",
    "pytest_imgdiff.report.html",
    "pytest_imgdiff.report.summary",
    "pytest_imgdiff.report.templates",
    "pytest_imgdiff.run.finish",
    "pytest_imgdiff.run.pairing",
    "pytest_imgdiff.run.session",
    "pytest_imgdiff.run.sharding",
)
IMPORTED_IF_INSTALLED = ("playwright.async_api", "playwright.sync_api")
_READ_AT_START = ("PYTHON", "LC_", "LANG", "LD_", "IMGDIFF_CORE", "OMP_", "OPENCV_", "OPENBLAS_")
"""How variables begin that interpreters and libraries read when they start; PYTHONPATH is heeded."""
_NUMBER = struct.Struct("i")
"""The process's number, and then its exit code."""


def _read_at_start(environment: Mapping[str, str]) -> dict[str, str]:
    return {k: v for k, v in environment.items() if k.startswith(_READ_AT_START) and k != "PYTHONPATH"}


class Run:
    """A run under way: what `pytester` uses of `subprocess.Popen`."""

    stdin = None

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._pid = self._number()

    def _number(self) -> int:
        return _NUMBER.unpack(self._connection.recv(_NUMBER.size, socket.MSG_WAITALL))[0]

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code, as `Popen.wait` does."""
        self._connection.settimeout(timeout)
        try:
            code = self._number()
        except TimeoutError as error:
            raise subprocess.TimeoutExpired(str(self._pid), timeout or 0) from error
        self._connection.close()
        return code

    def kill(self) -> None:
        """Kill the process."""
        os.kill(self._pid, signal.SIGKILL)


@functools.cache
def _server() -> tuple[socket.socket, dict[str, str]]:
    """Start the process that imports everything, once; return how to reach it, and what it started with."""
    ours, theirs = socket.socketpair()
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST")}
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__)), str(theirs.fileno())],
        env=environment,
        pass_fds=[theirs.fileno()],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    theirs.close()

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours, _read_at_start(environment)


def start(
    command: Sequence[str], *, stdout: int, stderr: int, environment: Mapping[str, str], folder: str | Path = "."
) -> Run | None:
    """Start this command in a folder, with nothing to read; None where it takes an interpreter of its own."""
    words = [*command]
    if len(words) > 1 and words[1].startswith("-m") and words[1] != "-m":
        words[1:2] = ["-m", words[1][2:]]
    if sys.platform != "linux" or words[:2] != [sys.executable, "-m"] or words[2] not in MODULES:
        return None
    server, started_with = _server()
    if _read_at_start(environment) != started_with:
        return None
    here = str(Path(folder).resolve())
    request = {"module": words[2], "arguments": words[3:], "folder": here, "environment": dict(environment)}
    with Path(os.devnull).open("rb") as nothing:
        return _ask(server, request, nothing.fileno(), stdout, stderr)


def _ask(server: socket.socket, request: dict[str, Any], *standard: int) -> Run:
    ours, theirs = socket.socketpair()
    with theirs, ours.makefile("wb") as out:
        socket.send_fds(server, [b"."], [theirs.fileno(), *standard])
        out.write(json.dumps(request).encode() + b"\n")
    return Run(ours)


def run(
    command: Sequence[object], *, cwd: str | Path = ".", env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Return what `subprocess.run` does for a command that captures its output as text."""
    words, environment = [*map(str, command)], os.environ if env is None else env
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process: Run | subprocess.Popen[bytes] | None = start(
            words, stdout=out.fileno(), stderr=err.fileno(), environment=environment, folder=cwd
        )
        if process is None:
            process = subprocess.Popen(
                words, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=err
            )
        try:
            code = process.wait(120)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        printed = []
        for file in (out, err):
            file.seek(0)
            printed.append(file.read().decode())
    return subprocess.CompletedProcess(words, code, *printed)


def _serve(server: socket.socket) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it ends when the socket closes
    del sys.path[0]  # this file's folder
    for name in IMPORTED:
        importlib.import_module(name)
    for name in IMPORTED_IF_INSTALLED:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    gc.freeze()  # pytest collects garbage five times at its end: not among all of this
    request = _forked(server)
    if request is not None:
        _run(request)


def _forked(server: socket.socket) -> dict[str, Any] | None:
    """Fork for each request, and return it in the fork, with its standard streams; None when there are no more requests."""
    with selectors.DefaultSelector() as selector:
        selector.register(server, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is not server:
                    pid, connection = key.data
                    _, status = os.waitpid(pid, 0)
                    with connection, contextlib.suppress(BrokenPipeError):
                        connection.sendall(_NUMBER.pack(os.waitstatus_to_exitcode(status)))
                    selector.unregister(key.fd)
                    os.close(key.fd)
                    continue
                _, descriptors, _, _ = socket.recv_fds(server, 1, 4)
                if not descriptors:
                    return None
                connection = socket.socket(fileno=descriptors[0])
                with connection.makefile("rb") as lines:
                    request = json.loads(lines.readline())
                pid = os.fork()
                if pid == 0:
                    server.close()
                    connection.close()
                    for number, descriptor in enumerate(descriptors[1:]):
                        os.dup2(descriptor, number)
                        os.close(descriptor)
                    signal.signal(signal.SIGINT, signal.default_int_handler)
                    return request
                for descriptor in descriptors[1:]:
                    os.close(descriptor)
                connection.sendall(_NUMBER.pack(pid))
                selector.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, connection))


def _run(request: dict[str, Any]) -> None:
    """Be the process that was asked for; its end is that of this one."""
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    paths = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    sys.path[:0] = list(dict.fromkeys([request["folder"], *paths]))
    tempfile.tempdir = None
    sys.argv[:] = [request["module"], *request["arguments"]]
    importlib.invalidate_caches()
    if any(word.startswith("-n") for word in request["arguments"]):
        _start_workers_warm()
    runpy.run_module(request["module"], run_name="__main__", alter_sys=True)


def _start_workers_warm() -> None:
    """Have the workers of pytest-xdist begin as this process does, from another fork of it."""
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        ours.close()
        request = _forked(theirs)
        if request is None:
            os._exit(0)
        sys.argv[:] = ["-c"]
        exec(request["code"], {"__name__": "__main__"})  # noqa: S102 - what execnet has a new interpreter do
        sys.exit()
    theirs.close()
    atexit.register(lambda: (ours.close(), os.waitpid(pid, 0)))

    class Master(execnet.gateway_io.Popen2IOMaster):
        def __init__(self, args: list[str], execmodel: Any) -> None:
            (their_in, our_out), (our_in, their_out) = os.pipe(), os.pipe()
            self.popen = _ask(ours, {"code": args[-1]}, their_in, their_out, 2)
            os.close(their_in)
            os.close(their_out)
            files = os.fdopen(our_out, "wb"), os.fdopen(our_in, "rb")
            execnet.gateway_base.Popen2IO.__init__(self, *files, execmodel=execmodel)

    execnet.gateway_io.Popen2IOMaster = Master


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
