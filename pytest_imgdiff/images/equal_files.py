"""Two files of equal bytes, settled in a few milliseconds: without a pixel, and without importing NumPy."""

from __future__ import annotations

import os

from pytest_imgdiff.base.errors import BrokenImageError, UnreadableError
from pytest_imgdiff.base.model import DEFAULT_MAX_PIXELS
from pytest_imgdiff.images.files import read_file
from pytest_imgdiff.images.png_layout import SIGNATURE
from pytest_imgdiff.images.png_structure import read_structure


def are_one_picture(expected: str, actual: str) -> bool:
    """Return whether two paths hold the same bytes, and these are one whole still PNG within the usual limit.

    False says nothing: that the two differ, are of another format, damaged, missing or one and the same file is told
    by whoever looks at them in earnest.
    """
    try:
        one, other = os.stat(expected), os.stat(actual)  # noqa: PTH116 - importing pathlib takes a tenth of it all
        if one.st_size != other.st_size or os.path.samestat(one, other):
            return False
        data = read_file(expected, expected)
        if not data.startswith(SIGNATURE) or data != read_file(actual, actual):
            return False
        structure = read_structure(data)
        if not structure.rows_tell or structure.layout.width * structure.layout.height > DEFAULT_MAX_PIXELS:
            return False
        structure.check_rows()
    except (BrokenImageError, OSError, UnreadableError, ValueError):
        return False
    return True
