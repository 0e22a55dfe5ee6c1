"""Calls of blazediff's Python package."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import blazediff

if TYPE_CHECKING:
    from collections.abc import Callable


def pair(expected: str, actual: str, **options: Any) -> Callable[[], Any]:
    """Compare two files; write the mask to ``diff_output`` where there is one. Returns the count."""
    return lambda: blazediff.compare(expected, actual, **options).diff_count


def folder(expected: str, actual: str) -> Callable[[], Any]:
    """Compare each file of a folder with its counterpart, one after the other. Returns the sum of the counts."""
    names = sorted(path.name for path in Path(expected).glob("*.png"))
    pairs = [(f"{expected}/{name}", f"{actual}/{name}") for name in names]
    return lambda: sum(blazediff.compare(*files, antialiasing=True).diff_count for files in pairs)
