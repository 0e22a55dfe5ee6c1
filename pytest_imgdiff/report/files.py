"""Report files replaced as a whole: a reader never sees half of one."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from pytest_imgdiff.errors import ReportError
from pytest_imgdiff.files import TEMPORARY, write_atomically
from pytest_imgdiff.report.text import visible

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


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


def replace_derived(path: Path, content: bytes) -> Path:
    """Write one of many files that can be drawn again: whole or not at all, without waiting for the disk.

    Raises:
        ReportError: as `replace_file`.
    """
    temporary = path.with_name(f"{TEMPORARY}{os.getpid()}.tmp")
    try:
        if not path.parent.is_dir():
            path.parent.mkdir(parents=True)
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise _unwritten(path, error) from error
    return path


def _unwritten(path: Path, error: OSError) -> ReportError:
    return ReportError(f"{visible(str(path))}: cannot be written: {error.strerror or error}")
