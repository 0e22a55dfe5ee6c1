"""WebP, still and animated: this module checks the container, libwebp decodes (through Pillow)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from PIL.WebPImagePlugin import WebPImageFile

from pytest_imgdiff.base.errors import UnreadableError
from pytest_imgdiff.images.container import Container, Page, Raster, orientation_of, pillow_frames

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_FIRST_CHUNK = 12
_FRAME_HEADER = 16
_DURATION = slice(12, 15)
"""Duration in a frame's header, in milliseconds."""
_MOST_CHUNKS = 100_000
_ANIMATION_FLAG, _ALPHA_FLAG = 0x02, 0x10

_Chunks = list[tuple[bytes, bytes]]


def open_webp(file: bytes) -> Container:
    """Read the chunks of a WebP file and return its description.

    Source: RFC 9649, section 2.

    Raises:
        UnreadableError: It is truncated or damaged.
    """
    size = int.from_bytes(file[4:8], "little") + 8
    if size > len(file):
        raise UnreadableError(f"truncated: {len(file):,} of {size:,} bytes are there")
    chunks = _chunks(file[_FIRST_CHUNK:size])
    extended = chunks[0][1] if chunks[0][0] == b"VP8X" else None
    if extended is None:
        width, height, has_alpha = _still(chunks)
        durations: list[int] = []
    else:
        width, height, has_alpha, durations = _extended(extended, chunks)
    animated = len(durations) > 1
    metadata = dict(reversed(chunks))
    orientation, note = orientation_of(metadata.get(b"EXIF"))
    mode = "RGBA 8-bit" if has_alpha else "RGB 8-bit"
    page = Page(width, height, mode, orientation, metadata.get(b"ICCP"))
    pages = [replace(page, duration=duration) for duration in durations] if animated else [page]
    loops = int.from_bytes(metadata.get(b"ANIM", b"")[4:6], "little") if animated else None
    trailing = f"{len(file) - size:,} bytes follow its end" if len(file) > size else None

    def decode(indices: Sequence[int]) -> Iterator[Raster]:
        return pillow_frames(WebPImageFile, file, (width, height), indices)

    notes = tuple(text for text in (note, trailing) if text)
    return Container("WebP", pages, decode, cumulative=animated, loops=loops, notes=notes)


def _chunks(body: bytes) -> _Chunks:
    chunks: _Chunks = []
    at = 0
    while at < len(body):
        length = int.from_bytes(body[at + 4 : at + 8], "little")
        data = body[at + 8 : at + 8 + length]
        if len(body) - at < 8 or len(data) < length:  # noqa: PLR2004 - type and length
            raise UnreadableError("truncated: it ends inside a chunk")
        chunks.append((body[at : at + 4], data))
        at += 8 + length + (length & 1)
        if len(chunks) > _MOST_CHUNKS:
            raise UnreadableError(f"it has more than {_MOST_CHUNKS:,} chunks")
    if not chunks:
        raise UnreadableError("truncated: it has no chunks")
    return chunks


def _extended(header: bytes, chunks: _Chunks) -> tuple[int, int, bool, list[int]]:
    """Return width, height, whether there is alpha, and the display time of each frame of an animation."""
    if len(header) < 10:  # noqa: PLR2004 - the fields of VP8X
        raise UnreadableError("damaged: its VP8X header is cut short")
    width, height = int.from_bytes(header[4:7], "little") + 1, int.from_bytes(header[7:10], "little") + 1
    has_alpha = bool(header[0] & _ALPHA_FLAG)
    if not header[0] & _ANIMATION_FLAG:
        if _still(chunks)[:2] != (width, height):
            raise UnreadableError("damaged: its canvas and its image have different sizes")
        return width, height, has_alpha, []
    frames = [data for kind, data in chunks if kind == b"ANMF"]
    if not frames:
        raise UnreadableError("truncated: it is animated and has no frames")
    for frame in frames:
        _still(_chunks(frame[_FRAME_HEADER:]))
    return width, height, has_alpha, [int.from_bytes(frame[_DURATION], "little") for frame in frames]


def _still(chunks: _Chunks) -> tuple[int, int, bool]:
    """Return width, height and alpha of the only bitstream among these chunks."""
    for kind, data in chunks:
        if kind == b"VP8 " and data[3:6] == b"\x9d\x01\x2a":
            width, height = int.from_bytes(data[6:8], "little"), int.from_bytes(data[8:10], "little")
            return width & 0x3FFF, height & 0x3FFF, False
        if kind == b"VP8L" and data[:1] == b"\x2f":
            fields = int.from_bytes(data[1:5], "little")
            return (fields & 0x3FFF) + 1, (fields >> 14 & 0x3FFF) + 1, bool(fields >> 28 & 1)
    raise UnreadableError("damaged: it has no image in it")
