"""The one rule for orientation: the EXIF tag 274, values 1 to 8, in every format that can carry it."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import cv2

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_imgdiff.images.container import Raster

_ORIENTATION_TAG = 274
_SHORT = 3
_UPRIGHT = 1
_TURNS: Mapping[int, Callable[[Raster], Raster]] = {
    2: lambda raster: cv2.flip(raster, 1),
    3: lambda raster: cv2.rotate(raster, cv2.ROTATE_180),
    4: lambda raster: cv2.flip(raster, 0),
    5: cv2.transpose,
    6: lambda raster: cv2.rotate(raster, cv2.ROTATE_90_CLOCKWISE),
    7: lambda raster: cv2.rotate(cv2.transpose(raster), cv2.ROTATE_180),
    8: lambda raster: cv2.rotate(raster, cv2.ROTATE_90_COUNTERCLOCKWISE),
}


def orientation_of(exif: bytes | None) -> tuple[int, str | None]:
    """Return the orientation that an EXIF block (a small TIFF file) states, and a note where it is unusable.

    Source: CIPA DC-008 (Exif 2.32), 4.6.4; the tag stands in the first directory as one SHORT. A block that
    cannot be read, and a value outside 1..8, count as upright, as in browsers.
    """
    if not exif:
        return _UPRIGHT, None
    block = exif.removeprefix(b"Exif\0\0")
    try:
        value = _stated_orientation(block)
    except (struct.error, KeyError):
        return _UPRIGHT, "its EXIF block cannot be read; taken as upright"
    return checked_orientation(value)


def checked_orientation(value: int | None) -> tuple[int, str | None]:
    """Return a usable orientation for a stated one, and a note where it is not one of 1..8."""
    if value is None or 1 <= value <= 8:  # noqa: PLR2004 - the values that the standard defines
        return value or _UPRIGHT, None
    return _UPRIGHT, f"its EXIF orientation is {value}, which is not one of 1 to 8; taken as upright"


def oriented(raster: Raster, orientation: int) -> Raster:
    """Return the raster turned and mirrored so that the stated orientation is upright."""
    turn = _TURNS.get(orientation)
    return raster if turn is None else turn(raster)


def _stated_orientation(block: bytes) -> int | None:
    order = {b"II*\0": "<", b"MM\0*": ">"}[block[:4]]
    (directory,) = struct.unpack_from(order + "I", block, 4)
    (entries,) = struct.unpack_from(order + "H", block, directory)
    for index in range(entries):
        tag, kind, count, value = struct.unpack_from(order + "HHIH", block, directory + 2 + 12 * index)
        if (tag, kind, count) == (_ORIENTATION_TAG, _SHORT, 1):
            return int(value)
    return None
