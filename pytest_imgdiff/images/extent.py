"""How large a picture will be once it is decoded, from the first bytes of its file."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from pytest_imgdiff.images.png_chunks import SIGNATURE
from pytest_imgdiff.opening import open_regular
from pytest_imgdiff.stores import StoredFile

if TYPE_CHECKING:
    from pathlib import Path

_CHANNELS = 4
_EXPANSION = 20
"""Times the size of a compressed picture; to read its header from a store would take a request."""
_HEADER = struct.Struct(">8s8xIIB")
_DEEP = 16
_FORMATS = ("JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000")


def decoded_size(path: Path | StoredFile | None) -> int:
    """Return about how many bytes the picture's pixels take in the normal form.

    It is an estimate for sharing memory out, and judges nothing: 0 where there is no file, the file's own size where
    its header says nothing.
    """
    if path is None:
        return 0
    if isinstance(path, StoredFile):
        return _EXPANSION * path.size()
    try:
        with open_regular(path) as file:
            start = file.read(_HEADER.size)
            if start.startswith(SIGNATURE) and len(start) == _HEADER.size:
                _, width, height, depth = _HEADER.unpack(start)
                return _size(width, height, 2 if depth == _DEEP else 1)
            if start[:1] == b"P":  # Netpbm: hardly more than its samples
                return file.seek(0, 2) * _CHANNELS
            import PIL.Image  # PNGs do without

            file.seek(0)
            with PIL.Image.open(file, formats=_FORMATS) as picture:
                deep = picture.mode.startswith(("I", "F"))
                return _size(picture.width, picture.height, 4 if deep else 1)
    except Exception:  # noqa: BLE001 - whatever is wrong with it, reading it in earnest will say
        return 0


def working_size(expected: Path | StoredFile | None, actual: Path | StoredFile | None) -> int:
    """Return about how many bytes a pair takes while it is read: the pixels, and as much again to make them of."""
    return 2 * (decoded_size(expected) + decoded_size(actual))


def _size(width: int, height: int, depth: int) -> int:
    return width * height * _CHANNELS * depth
