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
    """Replace the file atomically, also across a power failure, and return its path.

    Raises:
        ReportError: the file cannot be written (no permission, disk full, a file where a folder should be).
    """
    try:
        write_atomically(path, content)
    except OSError as error:
        raise _unwritten(path, error) from error
    return path


def replace_derived(path: Path, content: bytes | Iterable[bytes]) -> Path:
    """Replace one of many files that can be written again, atomically, without waiting for the disk.

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
    """Write to the target of a command option.

    Args:
        content: what to write.
        target: a path, or ``-`` for standard output. The target of a symbolic link is replaced, not the link; devices
            and pipes are written to.
        what: what the content is, for the error message.

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
    """Files that are written to temporary names first and moved into place together; leftovers are removed.

    Like `replace_derived`, it does not wait for the disk.
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
            with suppress(OSError):  # another file has this name
                folder.rmdir()

    def write(self, path: Path, content: Iterable[bytes]) -> None:
        """Write the content of this file.

        Raises:
            ReportError: it cannot be written. Errors of `content` pass through.
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
        """Move all files into place, in the order in which they were written.

        Raises:
            ReportError: a file cannot be moved.
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
    """Return the value as JSON with sorted keys of free-form objects; decoding returns the same value.

    Args:
        value: what to write.
        where: what error messages call the value.

    Raises:
        ReportError: the value cannot be represented in JSON: NaN would silently become null, and a tuple a list.
    """
    try:
        content = msgspec.json.encode(value, order="deterministic")
        same = msgspec.json.decode(content, type=type(value)) == value
    except (msgspec.MsgspecError, TypeError, ValueError, RecursionError) as error:
        raise ReportError(f"{where}: cannot be written as JSON: {visible(str(error))}") from error
    if not same:
        raise ReportError(f"{where}: contains a value that JSON cannot represent (NaN, a tuple)")
    return content
