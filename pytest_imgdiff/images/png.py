"""PNG, still and animated."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

from pytest_imgdiff.images.animation import composed
from pytest_imgdiff.images.apng import list_frames, patches
from pytest_imgdiff.images.container import Container, Page, Raster
from pytest_imgdiff.images.orientation import orientation_of
from pytest_imgdiff.images.png_chunks import ChunkList, list_chunks
from pytest_imgdiff.images.png_pixels import check_colours, decode_rows
from pytest_imgdiff.images.png_scanlines import Layout, check_scanlines
from pytest_imgdiff.images.unreadable import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_HEADER = struct.Struct(">IIBBBBB")
_LARGEST_PROFILE = 16 * 1024 * 1024
_GAMMA_UNIT = 100_000


def open_png(file: bytes) -> Container:
    """Check every chunk of a PNG file and return what it says of itself.

    Raises:
        UnreadableError: a chunk is missing, damaged or misplaced, or the header cannot be.
    """
    listed = list_chunks(file)
    layout = _layout(listed.chunks[0].data(file))
    palette, transparency = _data(file, listed, b"PLTE"), _data(file, listed, b"tRNS")
    check_colours(layout, palette, transparency)
    frames = list_frames(file, listed, layout)
    orientation, orientation_note = orientation_of(_data(file, listed, b"eXIf"))
    icc, profile_note = _profile(_data(file, listed, b"iCCP"))
    trailing = f"{listed.trailing:,} bytes follow its end" if listed.trailing else None
    page = Page(layout.width, layout.height, layout.mode, orientation, icc)

    pieces = [chunk.view(file) for chunk in listed.chunks if chunk.type == b"IDAT"]

    def decode(indices: Sequence[int]) -> Iterator[Raster]:
        if frames:
            # The default image need not be a frame of the animation; a damaged one is refused all the same.
            check_scanlines(pieces, layout)
            return composed(patches(frames, layout, palette, transparency), layout.width, layout.height, indices)
        return iter([decode_rows(pieces, layout, palette, transparency)])

    return Container(
        "PNG",
        (page,) * max(1, len(frames)),
        decode,
        cumulative=bool(frames),
        gamma=_gamma(_data(file, listed, b"gAMA")),
        notes=tuple(note for note in (orientation_note, profile_note, trailing) if note),
    )


def _layout(header: bytes) -> Layout:
    if len(header) != _HEADER.size:
        raise UnreadableError(f"its IHDR chunk has {len(header)} bytes where {_HEADER.size} belong")
    width, height, depth, colour, compression, filtering, interlace = _HEADER.unpack(header)
    if compression or filtering or interlace > 1:
        raise UnreadableError("its header names a compression, filter or interlace method that PNG has not")
    return Layout(width, height, depth, colour, bool(interlace))


def _data(file: bytes, listed: ChunkList, kind: bytes) -> bytes | None:
    chunk = listed.find(kind)
    return None if chunk is None else chunk.data(file)


def _gamma(data: bytes | None) -> float | None:
    return None if data is None or len(data) != 4 else int.from_bytes(data, "big") / _GAMMA_UNIT  # noqa: PLR2004 - bytes


def _profile(data: bytes | None) -> tuple[bytes | None, str | None]:
    """Return the ICC profile, inflated within bounds, and a note where it cannot be."""
    if data is None:
        return None, None
    _, _, rest = data.partition(b"\0")
    inflater = zlib.decompressobj()
    try:
        profile = inflater.decompress(rest[1:], _LARGEST_PROFILE)
    except zlib.error:
        profile = b""
    if not inflater.eof:
        return None, "its ICC profile cannot be read"
    return profile, None
