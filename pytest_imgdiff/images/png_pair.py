"""Compare two PNG files without NumPy: by their bytes, or row by row in the compiled core."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from pytest_imgdiff._core import CORE
from pytest_imgdiff.base.errors import BrokenImageError, UnreadableError
from pytest_imgdiff.base.memory import DEFAULT_MAX_PIXELS
from pytest_imgdiff.images.files import read_file
from pytest_imgdiff.images.png_structure import SIGNATURE, PngStructure, read_structure

if TYPE_CHECKING:
    from pytest_imgdiff.base.image import ImageInfo
    from pytest_imgdiff.images.counting import Asked, Counts

NEAR = 2
"""Rows above and below a differing row that the anti-aliasing rule reads."""
_TELLING = (b"acTL", b"eXIf", b"iCCP")
"""Chunks that a comparison reports in addition to the pixels."""
_URL = "://"
"""In the path of an image in a store, which only the full comparison reads."""
_EQUAL = (b"gAMA", b"cICP")
"""Chunks that have no effect if they are equal in both files."""


class PngPair(NamedTuple):
    """Two valid PNG files of the same size, and their counts.

    Attributes:
        width, height: of both, in pixels.
        opaque: whether every pixel of both is fully opaque, by their colour types alone.
        equal_bytes: whether the files are equal, byte for byte.
        infos: format, size and mode of each file.
        counts: the counted pixels and sums.
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


def are_same_image(expected: str, actual: str) -> bool:
    """Return whether two files have equal bytes and are a complete still PNG within the default size limit.

    False means undecided; the full comparison decides.
    """
    try:
        if _URL in expected or _URL in actual:
            return False
        one, other = os.stat(expected), os.stat(actual)  # noqa: PTH116 - importing pathlib takes a tenth of the time
        if one.st_size != other.st_size or os.path.samestat(one, other):
            return False
        data = read_file(expected, expected)
        if not data.startswith(SIGNATURE) or data != read_file(actual, actual):
            return False
        structure = read_structure(data, checksums=CORE is None)
        has_notes = structure.chunks.trailing or structure.chunks.find(b"iCCP")
        is_large = structure.layout.width * structure.layout.height > DEFAULT_MAX_PIXELS
        if has_notes or is_large or not structure.rows_tell:
            return False
        structure.check_rows()
    except (BrokenImageError, OSError, UnreadableError, ValueError):
        return False
    return True


def count_png_pair(expected: str, actual: str, most_pixels: int, asked: Asked) -> PngPair | None:
    """Count the differences of two files.

    None means undecided: a file may be missing, damaged, not opaque, of another format or size, or contain more than
    pixels. `pytest_imgdiff.images.decode_pair` decides and reports the error.

    Args:
        expected: the path of the expected image; it must end with ``.png``.
        actual: the path of the actual image, likewise.
        most_pixels: the largest number of pixels.
        asked: what to count.
    """
    if CORE is None or not all(path.lower().endswith(".png") and _URL not in path for path in (expected, actual)):
        return None
    from pytest_imgdiff.base.image import ImageInfo
    from pytest_imgdiff.images.counting import count_files  # dataclasses take a while to import

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
    infos = [
        ImageInfo(path, "PNG", width, height, png.layout.mode, byte_size=len(file))
        for path, png, file in zip((expected, actual), pngs, files, strict=True)
    ]
    return PngPair(width, height, opaque, files[0] == files[1], (infos[0], infos[1]), counts)


def _zeros(height: int, width: int) -> bytearray:
    return bytearray(height * width)


def _are_plain(expected: PngStructure, actual: PngStructure) -> bool:
    """Return whether two files have nothing but pixels to report."""
    telling = any(png.chunks.trailing or any(map(png.chunks.find, _TELLING)) for png in (expected, actual))
    return not telling and all(expected.data(kind) == actual.data(kind) for kind in _EQUAL)
