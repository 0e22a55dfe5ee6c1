"""Calls of the package diffimg."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

import diffimg
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Callable


def number(expected: str, actual: str) -> Callable[[], Any]:
    """Take its number of two files; no picture of the difference is written."""
    return lambda: diffimg.diff(expected, actual, delete_diff_file=True)


def number_alone(expected: str, actual: str) -> Callable[[], Any]:
    """Take its number of two BMP files in memory: it takes no decoded pictures, and these cost next to nothing."""
    held = [_bmp(expected), _bmp(actual)]
    return lambda: diffimg.diff(*(BytesIO(each) for each in held), delete_diff_file=True)


def _bmp(path: str) -> bytes:
    target = BytesIO()
    with Image.open(path) as picture:
        picture.save(target, "BMP")
    return target.getvalue()
