"""JPEG 2000: this module reads boxes and codestream to their ends, OpenJPEG decodes (through Pillow).

Source: ISO/IEC 15444-1, annexes A (codestream) and I (JP2). Decoders accept any part of a codestream, so this module
first checks that each tile exists.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import features
from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile

from pytest_imgdiff.base.errors import UnreadableError
from pytest_imgdiff.images.container import Container, Page, Raster, pillow_frames

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_CODESTREAM = b"\xff\x4f\xff\x51"
_SIZ = struct.Struct(">HHIIIIIIIIH")
"""The size segment up to its components."""
_SOT = struct.Struct(">HHHIBB")
_START_OF_TILE, _END = 0xFF90, 0xFFD9
_MOST_MARKERS = 100_000
_EIGHT_BITS = 7
"""Unsigned; as the depth less one."""
_GRAY, _GRAY_ALPHA, _RGB, _RGBA = 1, 2, 3, 4
_MODES = {_GRAY: "gray", _GRAY_ALPHA: "gray+alpha", _RGB: "RGB", _RGBA: "RGBA"}
_ENUMERATED, _ICC = 1, 2
_SPACES = {16: "sRGB", 17: "gray"}
_OPACITY = 1


@dataclass(frozen=True, slots=True)
class _Stream:
    """Description in a codestream: its size in pixels, its components, and its end."""

    width: int
    height: int
    components: int
    end: int


@dataclass(frozen=True, slots=True)
class _Header:
    """Contents of the boxes around a codestream.

    Attributes:
        icc: The embedded profile.
        opacity: Whether the last component is declared as straight alpha.
        start: Start of the codestream.
        length: Maximum length of the codestream in bytes.
        end: End of the last box.
    """

    icc: bytes | None
    opacity: bool
    start: int
    length: int
    end: int


def open_jpeg2000(file: bytes) -> Container:
    """Read a JP2 file or a bare codestream to its end and return its description.

    Raises:
        UnreadableError: Pillow cannot decode JPEG 2000 here; or the file is truncated, damaged, or of an unsupported
            kind.
    """
    if not features.check("jpg_2000"):
        raise UnreadableError("this Pillow was built without JPEG 2000; install its wheel from PyPI, or save it as PNG")
    bare = file.startswith(_CODESTREAM)
    try:
        header = _Header(None, opacity=False, start=0, length=len(file), end=0) if bare else _boxes(file)
        stream = _read_markers(file, header.start, header.start + header.length)
    except struct.error:
        raise UnreadableError("truncated: it ends inside a header") from None
    if stream.components in (_GRAY_ALPHA, _RGBA) and not header.opacity:
        raise UnreadableError("it has an extra channel that is not said to be straight alpha; save it as PNG")
    size = stream.width, stream.height
    opaque = stream.components in (_GRAY, _RGB)
    page = Page(*size, f"{_MODES[stream.components]} 8-bit", icc=header.icc, opaque=opaque)
    trailing = len(file) - (stream.end if bare else header.end)

    def decode(indices: Sequence[int]) -> Iterator[Raster]:
        return pillow_frames(Jpeg2KImageFile, file, size, indices)

    notes = (f"{trailing:,} bytes follow its end",) if trailing else ()
    return Container("JPEG 2000", (page,), decode, notes=notes)


def _read_markers(file: bytes, start: int, limit: int) -> _Stream:
    """Read the markers of a codestream: every tile and the end must exist."""
    if file[start : start + 4] != _CODESTREAM:
        raise UnreadableError("damaged: no codestream begins where one should")
    length, _, right, bottom, left, top, tile_width, tile_height, tiles_left, tiles_top, count = _SIZ.unpack_from(
        file, start + 4
    )
    if not (left < right and top < bottom and tile_width and tile_height):
        raise UnreadableError(f"its header says {right - left} x {bottom - top} pixels")
    _check_components(file, start + 4 + _SIZ.size, count)
    wanted = -(-(right - tiles_left) // tile_width) * -(-(bottom - tiles_top) // tile_height)
    found: set[int] = set()
    at = start + 4 + length
    for _ in range(_MOST_MARKERS):
        if at + 2 > limit:
            break
        (marker,) = struct.unpack_from(">H", file, at)
        if marker == _END:
            if len(found) == wanted:
                return _Stream(right - left, bottom - top, count, at + 2)
            break
        if marker == _START_OF_TILE:
            _, _, tile, part, _, _ = _SOT.unpack_from(file, at)
            found.add(tile)
            at = limit - 2 if part == 0 else at + part  # the last part may extend to the end
        else:
            at += 2 + int.from_bytes(file[at + 2 : at + 4], "big")
    raise UnreadableError(
        f"truncated or damaged: of its {wanted:,} tiles {len(found):,} were found, or the end is missing"
    )


def _check_components(file: bytes, at: int, count: int) -> None:
    if count not in _MODES:
        raise UnreadableError(f"JPEG 2000 of {count} components is not supported; save it as PNG")
    for index in range(count):
        depth, across, down = struct.unpack_from(">BBB", file, at + 3 * index)
        if depth != _EIGHT_BITS:
            bits = f"{'signed ' if depth & 0x80 else ''}{(depth & 0x7F) + 1} bits"
            raise UnreadableError(
                f"JPEG 2000 of {bits} is not supported, because Pillow changes its values; save it as PNG"
            )
        if (across, down) != (1, 1):
            raise UnreadableError("JPEG 2000 with colour at a lower resolution is not supported; save it as PNG")


def _boxes(file: bytes) -> _Header:
    """Read the boxes of a JP2 file.

    Raises:
        UnreadableError: A box is truncated, or has unsupported contents.
    """
    icc: bytes | None = None
    opacity = False
    codestream: tuple[int, int] | None = None
    at = 0
    while at < len(file) and (at == 0 or codestream is None or _is_box(file, at)):
        kind, start, end = _box(file, at, len(file))
        if kind == b"jp2h":
            icc, opacity = _header_box(file, start, end)
        elif kind == b"jp2c" and codestream is None:
            codestream = start, end - start
        at = end
    if codestream is None:
        raise UnreadableError("truncated: it has no image in it")
    return _Header(icc, opacity, *codestream, end=at)


def _is_box(file: bytes, at: int) -> bool:
    """Whether a box follows the image; anything else is data after the end of the file."""
    return file[at + 4 : at + 8] in (b"xml ", b"uuid", b"uinf", b"jp2i", b"free")


def _box(file: bytes, at: int, limit: int) -> tuple[bytes, int, int]:
    """Return the type of a box, and the start and end of its content."""
    size, kind = struct.unpack_from(">I4s", file, at)
    start = at + 8
    if size == 1:
        (size,) = struct.unpack_from(">Q", file, start)
        start += 8
    elif size == 0:
        size = limit - at
    if at + size > limit or at + size < start:
        raise UnreadableError(f"truncated: a box of {size:,} bytes does not fit the {limit - at:,} that are left")
    return kind, start, at + size


def _header_box(file: bytes, at: int, limit: int) -> tuple[bytes | None, bool]:
    """Return the ICC profile, and whether the last channel is straight alpha."""
    icc: bytes | None = None
    opacity = False
    while at < limit:
        kind, start, at = _box(file, at, limit)
        content = file[start:at]
        if kind == b"pclr":
            raise UnreadableError("JPEG 2000 with a palette is not supported; save it as PNG")
        if kind == b"colr":
            icc = _colour(content) or icc
        elif kind == b"cdef":
            channels = [struct.unpack_from(">HHH", content, place) for place in range(2, len(content), 6)]
            opacity = bool(channels) and channels[-1][1] == _OPACITY and not any(kind for _, kind, _ in channels[:-1])
    return icc, opacity


def _colour(content: bytes) -> bytes | None:
    """Return the ICC profile of a colour specification; None if its colours are named."""
    method = content[0] if content else 0
    if method == _ENUMERATED:
        space = int.from_bytes(content[3:7], "big")
        if space not in _SPACES:
            raise UnreadableError(f"JPEG 2000 of the colour space {space} is not supported; save it as sRGB or as PNG")
        return None
    return content[3:] if method == _ICC else None
