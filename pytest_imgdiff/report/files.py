"""Report files replaced as a whole, and JSON written strictly."""

from __future__ import annotations

import os
import stat
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from pytest_imgdiff.base.errors import ReportError
from pytest_imgdiff.base.files import TEMPORARY, write_atomically
from pytest_imgdiff.base.project import label_of
from pytest_imgdiff.base.text import visible

if TYPE_CHECKING:
    from collections.abc import Iterable

    from typing_extensions import Self

    from pytest_imgdiff.base.record import ComparisonRecord, RunRecord


def replace_file(path: Path, content: bytes | Iterable[bytes]) -> Path:
    """Write the file whole or not at all, also if the power fails, and return its path.

    Raises:
        ReportError: the file cannot be written (no permission, disk full, a file where a folder should be).
    """
    try:
        write_atomically(path, content)
    except OSError as error:
        raise _unwritten(path, error) from error
    return path


def replace_derived(path: Path, content: bytes | Iterable[bytes]) -> Path:
    """Write one of many files that can be drawn again: whole or not at all, without waiting for the disk.

    Raises:
        ReportError: as `replace_file`.
    """
    temporary = path.with_name(f"{TEMPORARY}{os.getpid()}.tmp")
    try:
        if not path.parent.is_dir():
            path.parent.mkdir(parents=True)
        with temporary.open("wb") as file:
            file.writelines([content] if isinstance(content, bytes) else content)
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise _unwritten(path, error) from error
    return path


def write_output(content: bytes | Iterable[bytes], target: str, what: str) -> None:
    """Write to where an option of the command says.

    Args:
        content: what to write.
        target: a path, or ``-`` for standard output. A symbolic link stays and its target is replaced; a device or a
            pipe is written to.
        what: the content in words, for the error.

    Raises:
        ReportError: it cannot be written.
    """
    chunks = [content] if isinstance(content, bytes) else content
    if target == "-":
        sys.stdout.buffer.writelines(chunks)
        return
    path = Path(target)
    try:
        if path.exists() and not stat.S_ISREG(path.stat().st_mode):
            with path.open("wb") as stream:
                stream.writelines(chunks)
        else:
            write_atomically(Path(os.path.realpath(target)), chunks)
    except OSError as error:
        raise ReportError(f"{visible(target)}: {what} cannot be written: {error.strerror or error}") from error


class Staged:
    """Files that are written aside, whole, before any of them takes its place; what does not is removed in the end.

    As `replace_derived` it does not wait for the disk.
    """

    def __init__(self) -> None:
        self._waiting: list[tuple[Path, Path]] = []
        self._made: set[Path] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for temporary, _ in self._waiting:
            with suppress(OSError):
                temporary.unlink()
        for folder in self._made:
            with suppress(OSError):  # something has its place in it
                folder.rmdir()

    def write(self, path: Path, content: Iterable[bytes]) -> None:
        """Write what will be this file.

        Raises:
            ReportError: it cannot be written; or whatever the content raises.
        """
        temporary = path.with_name(f"{TEMPORARY}{os.getpid()}-{len(self._waiting)}.tmp")
        try:
            if not path.parent.is_dir():
                path.parent.mkdir(parents=True)
                self._made.add(path.parent)
            self._waiting.append((temporary, path))
            with temporary.open("wb") as file:
                file.writelines(content)
        except OSError as error:
            raise _unwritten(path, error) from error

    def put(self) -> None:
        """Let all files take their places, in the order in which they were written.

        Raises:
            ReportError: one cannot.
        """
        while self._waiting:
            temporary, path = self._waiting[0]
            try:
                temporary.replace(path)
            except OSError as error:
                raise _unwritten(path, error) from error
            del self._waiting[0]


def _unwritten(path: Path, error: OSError) -> ReportError:
    return ReportError(f"{visible(label_of(path))}: cannot be written: {error.strerror or error}")


def strictly_encoded(value: RunRecord | ComparisonRecord, where: str) -> bytes:
    """Return the value as JSON, the keys of free-form objects sorted, sure that reading gives the same again.

    Args:
        value: what to write.
        where: what errors call it.

    Raises:
        ReportError: it holds what JSON cannot: NaN would silently become null, and a tuple a list.
    """
    try:
        content = msgspec.json.encode(value, order="deterministic")
        same = msgspec.json.decode(content, type=type(value)) == value
    except (msgspec.MsgspecError, TypeError, ValueError, RecursionError) as error:
        raise ReportError(f"{where}: cannot be written as JSON: {visible(str(error))}") from error
    if not same:
        raise ReportError(f"{where}: holds what JSON cannot (NaN, a tuple)")
    return content
