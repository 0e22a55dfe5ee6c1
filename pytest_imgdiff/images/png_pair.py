"""Two PNG files held against each other without NumPy: by their bytes, and by the compiled core row by row."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_imgdiff._core import CORE
from pytest_imgdiff.base.errors import BrokenImageError, UnreadableError
from pytest_imgdiff.base.model import DEFAULT_MAX_PIXELS
from pytest_imgdiff.images.files import read_file
from pytest_imgdiff.images.png_structure import SIGNATURE, PngStructure, read_structure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_imgdiff.base.image import ImageInfo

NEAR = 2
"""Rows beside one that differs that the rule of anti-aliasing looks at."""
_ALL = -1
_MOST = 2**63 - 1
_PIXEL = 4
_TELLING = (b"acTL", b"eXIf", b"iCCP")
"""Chunks of which a comparison has more to say than the pixels."""
_EQUAL = (b"gAMA", b"cICP")
"""Chunks that are no matter where both files have the same."""


@dataclass(frozen=True, slots=True)
class Window:
    """Rows of two images, with neighbours.

    Attributes:
        expected, actual: their pixels, RGBA in 8 bits.
        top: which row of the images the first one is.
        height: how many rows these are.
        first, last: the rows among them that may differ, from the first up to the last.
    """

    expected: memoryview
    actual: memoryview
    top: int
    height: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class PngPair:
    """Two sound PNG files of one size.

    Attributes:
        width, height: of both, in pixels.
        opaque: whether every pixel of both is fully opaque.
        windows: all rows that differ; none if all pixels are equal.
        equal_bytes: whether the files are equal, byte for byte.
        infos: what is known of the files.
    """

    width: int
    height: int
    opaque: bool
    windows: tuple[Window, ...]
    equal_bytes: bool
    infos: tuple[ImageInfo, ImageInfo]

    @property
    def pixels(self) -> int:
        """Width times height."""
        return self.width * self.height

    def differing(self) -> Iterator[tuple[memoryview, memoryview, int]]:
        """Yield the rows that may differ of both, without neighbours, and how many pixels these are."""
        row = _PIXEL * self.width
        for window in self.windows:
            part = slice(window.first * row, window.last * row)
            yield window.expected[part], window.actual[part], (window.last - window.first) * self.width


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


def read_png_pair(expected: str, actual: str, most_pixels: int) -> PngPair | None:
    """Read two files.

    None says nothing of them: that they are missing, damaged, of another format or size, or have more to be told of
    than their pixels, is for `pytest_imgdiff.images.decode_pair` to find and to word.

    Args:
        expected: the path of one, which ends with ``.png``.
        actual: that of the other.
        most_pixels: how large the images may be.
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
    layouts = [png.layout for png in pngs]
    opaque = all(png.opaque for png in pngs)
    found = None
    if _are_plain(*pngs) and layouts[0].width * layouts[0].height <= most_pixels:
        found = CORE.compare(*files, NEAR if opaque else _ALL, _MOST)
    if found is None:
        return None
    width, height, unlike, _, *pixels = found
    windows, opaque = _windows(width, height, unlike, pixels, opaque=opaque)
    from pytest_imgdiff.base.image import ImageInfo

    infos = [
        ImageInfo(path, "PNG", width, height, layout.mode, byte_size=len(file))
        for path, layout, file in zip((expected, actual), layouts, files, strict=True)
    ]
    return PngPair(width, height, opaque, windows, files[0] == files[1], (infos[0], infos[1]))


def _are_plain(expected: PngStructure, actual: PngStructure) -> bool:
    """Whether the pixels are all that there is to be told of two files."""
    telling = any(png.chunks.trailing or any(map(png.chunks.find, _TELLING)) for png in (expected, actual))
    return not telling and all(expected.data(kind) == actual.data(kind) for kind in _EQUAL)


def _windows(
    width: int, height: int, unlike: bytearray, pixels: list[bytearray], *, opaque: bool
) -> tuple[tuple[Window, ...], bool]:
    """Return the rows that differ, and whether all of both is opaque.

    The core writes those rows of the actual image that differ. Those beside them are the expected image's.
    """
    if CORE is None:
        raise AssertionError(width)
    expected, actual = (memoryview(side) for side in pixels)
    row = _PIXEL * width
    bands = list(_bands(unlike))
    windows = []
    if not opaque and bands:  # what lies behind a pixel depends on its place in the whole image
        bands = [(0, height)]
    for first, last in bands:
        top, bottom = max(0, first - NEAR), min(height, last + NEAR)
        for y in range(top, bottom):
            if not unlike[y]:
                actual[y * row : (y + 1) * row] = expected[y * row : (y + 1) * row]
        part = slice(top * row, bottom * row)
        windows.append(Window(expected[part], actual[part], top, bottom - top, first - top, last - top))
    if not opaque and bands:
        opaque = all(map(CORE.opaque, (expected, actual)))
    return tuple(windows), opaque


def _bands(unlike: bytearray) -> Iterator[tuple[int, int]]:
    """Yield from which up to which row images differ; bands whose neighbours would touch are one."""
    apart = bytes(2 * NEAR + 1)
    first = unlike.find(1)
    while first >= 0:
        last = unlike.find(apart, first)
        last = len(unlike) if last < 0 else last
        yield first, last
        first = unlike.find(1, last)
