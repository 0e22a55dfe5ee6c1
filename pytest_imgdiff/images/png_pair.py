"""Two PNG files held against each other without NumPy: by their bytes, and by the compiled core row by row."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_imgdiff._core import CORE
from pytest_imgdiff.base.errors import BrokenImageError, UnreadableError
from pytest_imgdiff.base.model import DEFAULT_MAX_PIXELS
from pytest_imgdiff.images.counting import count_files
from pytest_imgdiff.images.files import read_file
from pytest_imgdiff.images.png_structure import SIGNATURE, PngStructure, read_structure

if TYPE_CHECKING:
    from pytest_imgdiff.base.image import ImageInfo
    from pytest_imgdiff.images.counting import Asked, Counts

NEAR = 2
"""Rows beside one that differs that the rule of anti-aliasing looks at."""
_TELLING = (b"acTL", b"eXIf", b"iCCP")
"""Chunks of which a comparison has more to say than the pixels."""
_EQUAL = (b"gAMA", b"cICP")
"""Chunks that are no matter where both files have the same."""


@dataclass(frozen=True, slots=True)
class PngPair:
    """Two sound PNG files of one size, and what was counted in them.

    Attributes:
        width, height: of both, in pixels.
        opaque: whether every pixel of both is fully opaque, by their colour types alone.
        equal_bytes: whether the files are equal, byte for byte.
        infos: what is known of the files.
        counts: what was counted.
    """

    width: int
    height: int
    opaque: bool
    equal_bytes: bool
    infos: tuple[ImageInfo, ImageInfo]
    counts: Counts[bytearray]

    @property
    def pixels(self) -> int:
        """Width times height."""
        return self.width * self.height


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
        structure = read_structure(data, checksums=CORE is None)
        if not structure.rows_tell or structure.layout.width * structure.layout.height > DEFAULT_MAX_PIXELS:
            return False
        structure.check_rows()
    except (BrokenImageError, OSError, UnreadableError, ValueError):
        return False
    return True


def count_png_pair(expected: str, actual: str, most_pixels: int, asked: Asked) -> PngPair | None:
    """Count in two files.

    None means undecided: they may be missing, damaged, not opaque, of another format or size, or hold more than their
    pixels. `pytest_imgdiff.images.decode_pair` finds out, and says what is wrong.

    Args:
        expected: the path of one, which ends with ``.png``.
        actual: that of the other.
        most_pixels: the largest size of the images.
        asked: what is to be counted.
    """
    if CORE is None or not all(path.lower().endswith(".png") for path in (expected, actual)):
        return None
    try:
        if os.path.samestat(os.stat(expected), os.stat(actual)):  # noqa: PTH116 - importing pathlib takes a while
            return None
        files = [read_file(path, path) for path in (expected, actual)]
        pngs = [read_structure(file, checksums=False) for file in files]  # the core compares them
    except (BrokenImageError, OSError, UnreadableError, ValueError):
        return None
    width, height = pngs[0].layout.width, pngs[0].layout.height
    opaque = all(png.opaque for png in pngs)
    if not _are_plain(*pngs) or width * height > most_pixels or (asked.sums and not opaque):
        return None
    counts = count_files(files[0], files[1], (width, height), asked, _zeros)
    if counts is None:
        return None
    from pytest_imgdiff.base.image import ImageInfo

    infos = [
        ImageInfo(path, "PNG", width, height, png.layout.mode, byte_size=len(file))
        for path, png, file in zip((expected, actual), pngs, files, strict=True)
    ]
    return PngPair(width, height, opaque, files[0] == files[1], (infos[0], infos[1]), counts)


def _zeros(height: int, width: int) -> bytearray:
    return bytearray(height * width)


def _are_plain(expected: PngStructure, actual: PngStructure) -> bool:
    """Whether the pixels are all that there is to be told of two files."""
    telling = any(png.chunks.trailing or any(map(png.chunks.find, _TELLING)) for png in (expected, actual))
    return not telling and all(expected.data(kind) == actual.data(kind) for kind in _EQUAL)
