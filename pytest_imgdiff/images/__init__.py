"""Pictures in: any source to `Image`; the only room that knows BGR, EXIF, palettes, 16 bit and alpha."""

from __future__ import annotations

from pytest_imgdiff.images.decoding import decode
from pytest_imgdiff.images.encoding import encode_png
from pytest_imgdiff.images.looking import is_picture_file
from pytest_imgdiff.images.source import Source, SourceKind, read

__all__ = ["Source", "SourceKind", "decode", "encode_png", "is_picture_file", "read"]
