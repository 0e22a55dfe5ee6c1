"""``pytest-imgdiff serve``: options, setup and shutdown of the server."""

from __future__ import annotations

import argparse
import importlib.util
import shutil
import signal
import sys
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_imgdiff.base.errors import ConfigError, ReportError
from pytest_imgdiff.base.text import visible
from pytest_imgdiff.cli.parser import above_zero, add_shared
from pytest_imgdiff.comparison.registry import Registry
from pytest_imgdiff.config import find_config, load_settings
from pytest_imgdiff.report import close_results, open_results, read_results
from pytest_imgdiff.report.html import PAGE, write_page
from pytest_imgdiff.report.results_json import RESULTS_FILE
from pytest_imgdiff.report.templates import Templates
from pytest_imgdiff.run.accepting import root_of_baselines

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType
    from typing import NoReturn

DONE = 0
_LAST_PORT = 65535


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.description = (
        "Serve a report that writes accepted baselines immediately, and a page that compares uploaded images; "
        "without REPORT only that page. Stop with Ctrl-C."
    )
    parser.add_argument("report", nargs="?", metavar="REPORT", help="the folder of a report")
    add_shared(parser, "--root", "--config")
    parser.add_argument("--host", default="127.0.0.1", metavar="H", help="the address to bind (default: 127.0.0.1)")
    parser.add_argument(
        "--port", type=_port, default=8765, metavar="N", help="the port (default: 8765; 0: any free port)"
    )
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="HOST:PORT",
        help="also accept requests for this name, for a forwarded port; can be repeated",
    )
    parser.add_argument(
        "--upload-limit",
        type=above_zero,
        default=200.0,
        metavar="MB",
        help="the largest upload, in megabytes (default: 200)",
    )
    parser.add_argument(
        "--timeout", type=above_zero, default=15.0, metavar="S", help="seconds a client may be silent (default: 15)"
    )


def run(options: argparse.Namespace) -> int:
    """Serve until Ctrl-C.

    Returns:
        0: stopped.

    Raises:
        ImgdiffError: Flask is not installed, the report is missing, or the address cannot be bound.
    """
    if importlib.util.find_spec("flask") is None:
        raise ConfigError("serve needs Flask, which is not installed; run pip install 'pytest-imgdiff[serve]'")
    from pytest_imgdiff.server.app import application
    from pytest_imgdiff.server.http import MEGA, Gate, Limits, Server, is_loopback
    from pytest_imgdiff.server.jobs import Jobs, Service, judged

    here = Path(options.root or "").resolve()
    if not here.is_dir():
        raise ConfigError(
            f"--root {visible(options.root)}: this folder does not exist; pass the root of the baselines' paths"
        )
    report = _report(options.report)
    root = here
    if options.root is None and report is not None:
        root = root_of_baselines(report, read_results(report / RESULTS_FILE), here)
    registry = Registry()
    settings = load_settings(Path(options.config) if options.config else find_config(here), registry, folder=root)
    if report is not None:
        _write_missing_page(report, settings.report.templates)
    templates = Templates(settings.report.templates)
    limits = replace(Limits(), upload_bytes=round(options.upload_limit * MEGA), silence=options.timeout)
    with _ended_by_signals(), _private_folder() as folder:
        server = Server(options.host, options.port, limits)
        gate = Gate(options.host, server.port, options.allow_host)
        jobs = Jobs(folder, partial(judged, settings=settings, registry=registry, limits=limits), limits)
        try:
            service = Service(report, root, settings, registry, templates, gate, jobs, limits)
            server.app = application(service)
            _announce(options.host, server.port, report, warned=not is_loopback(options.host))
            server.serve_forever(poll_interval=0.2)
        finally:
            server.server_close()
            jobs.close()
    return DONE


def _report(named: str | None) -> Path | None:
    """Return the folder of the report to serve.

    Raises:
        ReportError: it has no report, or one that cannot be read.
    """
    if named is None:
        return None
    folder = Path(named)
    folder = folder if folder.is_dir() else folder.parent
    if not any((folder / name).is_file() for name in (PAGE, RESULTS_FILE)):
        raise ReportError(
            f"{visible(named)}: not a report: {PAGE} is missing; pass the folder of a report, or no REPORT"
        )
    close_results(open_results(folder / RESULTS_FILE))
    return folder.resolve()


def _write_missing_page(report: Path, templates: Path | None) -> None:
    """Write the report's page if the run did not, because everything passed.

    Raises:
        ReportError: it cannot be written.
    """
    if (report / PAGE).is_file():
        return
    run = open_results(report / RESULTS_FILE)
    try:
        write_page(report, run, templates=templates)
    finally:
        close_results(run)


@contextmanager
def _private_folder() -> Iterator[Path]:
    """Yield a temporary folder that only this user can read; delete it at the end."""
    folder = Path(tempfile.mkdtemp(prefix="imgdiff-serve-")).resolve()  # mode 0700
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Stop the body on Ctrl-C and SIGTERM, and clean up."""

    def end(_number: int, _frame: FrameType | None) -> NoReturn:
        for name in handlers:
            signal.signal(name, signal.SIG_IGN)  # a second signal would interrupt the cleanup
        raise KeyboardInterrupt

    handlers = {name: signal.signal(name, end) for name in (signal.SIGINT, signal.SIGTERM)}
    try:
        with suppress(KeyboardInterrupt):
            yield
    finally:
        for name, handler in handlers.items():
            signal.signal(name, handler)


def _announce(host: str, port: int, report: Path | None, *, warned: bool) -> None:
    from pytest_imgdiff.server.http import bracketed

    address = f"http://{bracketed(host)}:{port}"
    if warned:
        print(
            f"pytest-imgdiff: warning: --host {host} is reachable from other machines; their users can see and accept "
            "the images",
            file=sys.stderr,
        )
    if report is not None:
        print(f"report: {address}/")
    print(f"compare images: {address}/upload", "Stop with Ctrl-C", sep="\n", flush=True)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text) <= _LAST_PORT):
        raise argparse.ArgumentTypeError(f"expected a port from 0 to {_LAST_PORT}, not {text!r}")
    return int(text)
