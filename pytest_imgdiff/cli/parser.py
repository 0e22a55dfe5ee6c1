"""The command ``pytest-imgdiff``: its subcommands, errors and exit codes."""

from __future__ import annotations

import argparse
import io
import os
import sys
import traceback
from contextlib import contextmanager, redirect_stderr, suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from pytest_imgdiff import __version__
from pytest_imgdiff._core import described
from pytest_imgdiff.base.environment import in_ci
from pytest_imgdiff.base.errors import ConfigError, ImgdiffError, ReportError
from pytest_imgdiff.base.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

COMMANDS = {
    "compare": ("compare", "compare two images or two folders"),
    "report": ("report", "write a report from one or more results.json"),
    "schema": ("schema", "print the JSON Schema of imgdiff.yaml, for editors"),
    "accept": ("accept", "accept images of a report as the new baselines"),
    "baselines": (
        "baselines",
        "pull, push, compare and clean up baselines in a store (baselines.store in imgdiff.yaml)",
    ),
    "calibrate": ("calibrate", "propose limits from unchanged images: results of runs, or folders of renderings"),
    "flaky": ("flaky", "list images whose verdict changed between runs although their baseline did not"),
    "import": ("migrate", "import the baselines of another tool"),
    "init": ("init", "write a commented imgdiff.yaml"),
    "models": ("models", "fetch, list, verify and export the models of the category metrics"),
    "serve": (
        "serve",
        "serve a report that writes accepted baselines, and a page that compares uploaded images",
    ),
}
"""Subcommand to its module in this folder and its line in the help.

The module defines ``add_arguments(parser)`` and ``run(options)``. It is imported when the subcommand is used.
"""

SIMILAR, NOT_JUDGED = 0, 2

_LARGEST = 1_000_000
"""The largest number of seconds, days or megabytes that an option accepts."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        0: similar. 1: different. 2: an image could not be compared, an argument is invalid, or the command failed.
    """
    with _standard_error():
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")  # the encoding may lack characters of file names
        code = _run(arguments)
        streams = [_is_flushed(stream) for stream in (sys.stdout, sys.stderr)]
        return code if all(streams) else NOT_JUDGED


def _run(arguments: Sequence[str] | None) -> int:
    """Run the command; print errors on standard error."""
    try:
        _require_standard_output()
        try:
            options = _parser(sys.argv[1:] if arguments is None else arguments).parse_args(arguments)
        except SystemExit as end:  # argparse has printed its help, its version or the error
            return int(end.code or SIMILAR)
        code = int(options.run(options))
        sys.stdout.flush()
    except ImgdiffError as error:
        _print_error(str(error))
    except OSError as error:  # a closed standard output (`... | head -1`), a full disk
        unnamed = "the working folder" if isinstance(error, FileNotFoundError) else "standard output"
        _print_error(f"{error.filename or unnamed}: {error.strerror or error}")
    except KeyboardInterrupt:
        _print_error("interrupted; not all images were compared")
    except BaseException:  # noqa: BLE001 - a bug, or a plugin that exits: its code would say that images are similar
        _print_error("internal error; report it with these lines:\n" + traceback.format_exc().rstrip())
    else:
        return code
    return NOT_JUDGED


def _require_standard_output() -> None:
    if sys.stdout is None:
        raise ReportError("standard output is closed; redirect it, for example to /dev/null")


def _print_error(message: str) -> None:
    with suppress(OSError):  # standard error may be closed too; the exit code remains
        print(f"pytest-imgdiff: {message}", file=sys.stderr)


@contextmanager
def _standard_error() -> Iterator[None]:
    """Replace a closed standard error by one that drops everything: print() would use standard output."""
    if sys.stderr is not None:
        yield
        return
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere, redirect_stderr(nowhere):
        yield


def _is_flushed(stream: TextIO | None) -> bool:
    """Return whether everything was written; drop the rest, so that Python prints no error at exit."""
    if stream is None:
        return True
    try:
        stream.flush()
    except OSError:
        with suppress(OSError):  # not a file, as in a test
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return False
    return True


class _Parser(argparse.ArgumentParser):
    """A parser that rejects unknown arguments itself, so that the usage in the message is that of the subcommand."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """Parse arguments, and end with an error if one is unknown."""
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            option = unknown[0].partition("=")[0]
            self.error(f"unknown argument {printable(unknown[0])}{_suggested(option, self._option_string_actions)}")
        return found, unknown


def _suggested(word: str, known: Iterable[str]) -> str:
    from pytest_imgdiff.config.validation import did_you_mean

    return did_you_mean(word, known)


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    """Return the parser of these words; import only the subcommand that they contain."""
    parser = _Parser(prog="pytest-imgdiff", description="Compare images and manage baselines.")
    parser.add_argument("--version", action="version", version=f"pytest-imgdiff {__version__} (core: {described()})")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    named = next((word for word in words if not word.startswith("-")), None)
    if named is not None and named not in COMMANDS:
        parser.error(
            f"unknown command {printable(named)}{_suggested(named, COMMANDS) or '; known: ' + ', '.join(COMMANDS)}"
        )
    for name, (module, summary) in COMMANDS.items():
        command = commands.add_parser(name, help=summary)
        if name == named:
            implementation = import_module(f"pytest_imgdiff.cli.{module}")
            implementation.add_arguments(command)
            command.set_defaults(run=implementation.run)
    return parser


_SHARED: dict[str, dict[str, Any]] = {
    "--config": {"metavar": "FILE", "help": "the settings file (default: the nearest imgdiff.yaml)"},
    "--set": {
        "action": "append",
        "default": [],
        "metavar": "KEY=VALUE",
        "help": "set a key of imgdiff.yaml, such as metrics.ssim.min=0.98 or size=pad; can be repeated",
    },
    "--json": {"metavar": "FILE", "help": "write the results as JSON (- for standard output)"},
    "--root": {
        "metavar": "DIR",
        "help": "the root of the baselines' paths (default: this folder, or the one above it that matches the report)",
    },
    "--dry-run": {"action": "store_true", "help": "check and print only; write nothing"},
    "--in-ci": {"action": "store_true", "help": "also write baselines in CI"},
}
"""The options that several subcommands have."""


def add_shared(parser: argparse.ArgumentParser, *names: str) -> None:
    """Add options that several subcommands have."""
    for name in names:
        parser.add_argument(name, **_SHARED[name])


def refuse_in_ci(options: argparse.Namespace) -> None:
    """Raise `ConfigError` if the command would write baselines in CI without ``--in-ci``."""
    if not options.dry_run and not options.in_ci and in_ci(os.environ):
        raise ConfigError(
            "baselines are not changed in CI (the environment variable CI is set): run this on your machine and commit "
            "the result, or add --in-ci"
        )


def print_table(rows: Sequence[Sequence[str]], stream: TextIO) -> None:
    """Print rows as columns of equal width."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip(), file=stream)


def positive(text: str) -> int:
    """Parse an integer of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected an integer of at least 1, not {text!r}")
    return int(text)


def above_zero(text: str) -> float:
    """Parse a number of seconds, days or megabytes."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number <= _LARGEST:
        raise argparse.ArgumentTypeError(f"expected a number above 0, at most {_LARGEST}, not {text!r}")
    return number
