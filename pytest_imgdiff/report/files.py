"""Report files replaced as a whole: a reader never sees half of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_imgdiff.errors import ReportError
from pytest_imgdiff.files import write_atomically
from pytest_imgdiff.report.text import visible

if TYPE_CHECKING:
    from pathlib import Path


def replace_file(path: Path, content: bytes) -> Path:
    """Write the file whole or not at all, and return its path.

    Raises:
        ReportError: the file cannot be written (no permission, disk full, a file where a folder should be).
    """
    try:
        write_atomically(path, content)
    except OSError as error:
        raise ReportError(f"{visible(str(path))}: cannot be written: {error.strerror or error}") from error
    return path
