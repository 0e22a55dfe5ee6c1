"""Images: any source to `Image`; the only package that knows BGR, EXIF, palettes, 16 bit and alpha.

Its names are loaded on first use: two equal files can be recognised without NumPy and OpenCV.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_imgdiff.images.decoding import (
        Images,
        check,
        decode,
        decode_pair,
        decoded_size,
        encode_png,
        in_mebibytes,
        working_size,
    )
    from pytest_imgdiff.images.png_pair import are_same_image
    from pytest_imgdiff.images.source import Source, SourceKind, is_picture_file, read

__all__ = [
    "Images",
    "Source",
    "SourceKind",
    "are_same_image",
    "check",
    "decode",
    "decode_pair",
    "decoded_size",
    "encode_png",
    "in_mebibytes",
    "is_picture_file",
    "read",
    "working_size",
]

_FILES = {
    "Images": "decoding",
    "Source": "source",
    "SourceKind": "source",
    "are_same_image": "png_pair",
    "check": "decoding",
    "decode": "decoding",
    "decode_pair": "decoding",
    "decoded_size": "decoding",
    "working_size": "decoding",
    "encode_png": "decoding",
    "in_mebibytes": "decoding",
    "is_picture_file": "source",
    "read": "source",
}


def __getattr__(name: str) -> Any:
    if name not in _FILES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_FILES[name]}"), name)
    globals()[name] = value  # later accesses find it directly
    return value
