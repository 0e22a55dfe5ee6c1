"""The command ``pytest-imgdiff``: its subcommands, and what happens when one fails."""

from __future__ import annotations

import argparse
import io
import os
import sys
import traceback
from contextlib import contextmanager, redirect_stderr, suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from pytest_imgdiff import __version__
from pytest_imgdiff._core import described
from pytest_imgdiff.base.errors import ImgdiffError, ReportError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

COMMANDS = {
    "compare": ("compare", "compare two images or two folders"),
    "report": ("report", "draw a report again from its results, alone or several as one"),
    "schema": ("schema", "print the JSON Schema of imgdiff.yaml, for editors"),
    "accept": ("accept", "make images of a report the new baselines"),
    "baselines": (
        "baselines",
        "pull, push, status and gc of baselines in a store (baselines.store in imgdiff.yaml)",
    ),
    "calibrate": ("calibrate", "propose limits from runs, or folders of renderings, in which nothing changed"),
    "flaky": ("flaky", "list the images whose verdict changed over several runs without their baseline"),
    "import": ("migrate", "copy the baselines of another tool to the places of ours"),
    "init": ("init", "write a commented imgdiff.yaml to begin with"),
    "models": ("models", "fetch, list, verify and export the models of the category metrics"),
    "serve": (
        "serve",
        "serve a report in which accepting acts at once, and a page that compares uploaded images",
    ),
}
"""Each subcommand: its module in this folder, and its line in the help.

The module has ``add_arguments(parser)`` and ``run(options)``, and is imported when the subcommand is used.
"""

ALIKE, NOT_JUDGED = 0, 2

_LARGEST = 1_000_000
"""Of seconds and megabytes; timers and disks end somewhere."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        0: alike. 1: different. 2: something could not be judged, or the command cannot be followed.
    """
    with _standard_error():
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")  # names may hold what a terminal has no characters for
        code = _followed(arguments)
        streams = [_is_flushed(stream) for stream in (sys.stdout, sys.stderr)]
        return code if all(streams) else NOT_JUDGED


def _followed(arguments: Sequence[str] | None) -> int:
    """Follow the command; whatever goes wrong is told on standard error."""
    try:
        _require_standard_output()
        options = _parser(sys.argv[1:] if arguments is None else arguments).parse_args(arguments)
        code = int(options.run(options))
        sys.stdout.flush()
    except SystemExit as end:  # argparse has said all: its help, its version, or what is wrong
        return int(end.code or ALIKE)
    except ImgdiffError as error:
        _tell(str(error))
    except OSError as error:  # standard output is gone (`... | head -1`) or full, or a file is
        _tell(f"{error.filename or 'standard output'}: {error.strerror or error}")
    except KeyboardInterrupt:
        _tell("interrupted; not all was judged")
    except Exception:  # noqa: BLE001 - a mistake of ours: code 1 of Python's own would say that pictures differ
        _tell("internal error; please report it with these lines:\n" + traceback.format_exc().rstrip())
    else:
        return code
    return NOT_JUDGED


def _require_standard_output() -> None:
    if sys.stdout is None:
        raise ReportError("standard output is closed; redirect it, for example to /dev/null")


def _tell(message: str) -> None:
    with suppress(OSError):  # standard error may be gone too; the exit code still tells
        print(f"pytest-imgdiff: {message}", file=sys.stderr)


@contextmanager
def _standard_error() -> Iterator[None]:
    """Have a standard error, where it is closed one that drops everything: print() would take standard output."""
    if sys.stderr is not None:
        yield
        return
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere, redirect_stderr(nowhere):
        yield


def _is_flushed(stream: TextIO | None) -> bool:
    """Return whether all was written; what was not is dropped, so that Python does not complain of it at its end."""
    if stream is None:
        return True
    try:
        stream.flush()
    except OSError:
        with suppress(OSError):  # one that is no file, as in a test
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return False
    return True


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    """Return the parser of these words; of the commands, only the one that they name is imported."""
    parser = argparse.ArgumentParser(
        prog="pytest-imgdiff", description="Compare images: two images, or two folders of them."
    )
    parser.add_argument("--version", action="version", version=f"pytest-imgdiff {__version__} (core: {described()})")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    named = next((word for word in words if not word.startswith("-")), None)
    for name, (module, summary) in COMMANDS.items():
        command = commands.add_parser(name, help=summary)
        if name == named:
            implementation = import_module(f"pytest_imgdiff.cli.{module}")
            implementation.add_arguments(command)
            command.set_defaults(run=implementation.run)
    return parser


def add_config(parser: argparse.ArgumentParser) -> None:
    """Add the option that names the settings file."""
    parser.add_argument("--config", metavar="FILE", help="the configuration (default: the nearest imgdiff.yaml)")


def positive(text: str) -> int:
    """Return an argument that is an integer of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected an integer of at least 1, not {text!r}")
    return int(text)


def above_zero(text: str) -> float:
    """Return an argument that is a number of seconds, days or megabytes."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number <= _LARGEST:
        raise argparse.ArgumentTypeError(f"expected a number above 0, at most {_LARGEST}, not {text!r}")
    return number
