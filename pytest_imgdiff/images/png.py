"""PNG, still and animated."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from pytest_imgdiff.base.errors import UnreadableError
from pytest_imgdiff.images import png_core, png_wuffs
from pytest_imgdiff.images.animation import Disposal, Patch, composed
from pytest_imgdiff.images.container import Container, Page, Raster, normal, orientation_of
from pytest_imgdiff.images.png_bands import BandedRows, is_large
from pytest_imgdiff.images.png_pixels import decode_rows, raster_of
from pytest_imgdiff.images.png_rows import RasterRows, StoredRows
from pytest_imgdiff.images.png_scanlines import inflate
from pytest_imgdiff.images.png_structure import read_structure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pytest_imgdiff.base.image import Rows
    from pytest_imgdiff.images.png_layout import Chunk, ChunkList, FilteredRows, Layout
    from pytest_imgdiff.images.png_structure import PngStructure


_CONTROL = struct.Struct(">IIIIIHHBB")
_DISPOSAL: tuple[Disposal, ...] = ("keep", "clear", "restore")
_OVER = 1


@dataclass(frozen=True, slots=True)
class AnimationFrame:
    """One fcTL chunk and the rows that belong to it."""

    width: int
    height: int
    x: int
    y: int
    disposal: int
    blend: int
    duration: float
    """How long it is shown, in milliseconds."""
    pieces: list[memoryview] = field(default_factory=list)


def list_frames(file: bytes, listed: ChunkList, layout: Layout) -> list[AnimationFrame]:
    """Return the frames, or none where the file is not animated.

    Raises:
        UnreadableError: frames are missing, out of order, outside the canvas, or not as many as announced.
    """
    announced = listed.find(b"acTL")
    if announced is None:
        return []
    frames: list[AnimationFrame] = []
    sequence = 0
    for chunk in listed.chunks:
        if chunk.type in (b"fcTL", b"fdAT"):
            if _sequence_number(file, chunk) != sequence:
                raise UnreadableError(f"its animation lacks the chunk with sequence number {sequence}")
            sequence += 1
        if chunk.type == b"fcTL":
            frames.append(_control(chunk.data(file), layout))
        elif chunk.type == b"IDAT" and frames:
            frames[-1].pieces.append(chunk.view(file))
        elif chunk.type == b"fdAT" and frames:
            frames[-1].pieces.append(chunk.view(file)[4:])
    count = int.from_bytes(announced.data(file)[:4], "big")
    if len(frames) != count or not frames:
        raise UnreadableError(f"its animation announces {count} frames and has {len(frames)}")
    return frames


def plays_of(file: bytes, listed: ChunkList) -> int | None:
    """Return how often the animation is played, 0 for ever; None where the file is not animated."""
    announced = listed.find(b"acTL")
    return None if announced is None else int.from_bytes(announced.data(file)[4:8], "big")


def patches(
    frames: Sequence[AnimationFrame], layout: Layout, palette: bytes | None, transparency: bytes | None
) -> Iterator[Patch]:
    """Decode the frames one after the other.

    Raises:
        UnreadableError: as `decode_rows` does.
    """
    for index, frame in enumerate(frames):
        stored = layout._replace(width=frame.width, height=frame.height)
        pixels = decode_rows(frame.pieces, stored, palette, transparency)
        disposal = _DISPOSAL[frame.disposal]
        # The first frame has nothing before it to restore: the specification says that it is cleared.
        then = "clear" if index == 0 and disposal == "restore" else disposal
        yield Patch(pixels, frame.x, frame.y, frame.blend == _OVER, then)


def _sequence_number(file: bytes, chunk: Chunk) -> int:
    return int.from_bytes(file[chunk.start : chunk.start + min(chunk.length, 4)], "big")


def _control(data: bytes, layout: Layout) -> AnimationFrame:
    if len(data) != _CONTROL.size:
        raise UnreadableError(f"its fcTL chunk has {len(data)} bytes where {_CONTROL.size} belong")
    _, width, height, x, y, delay, parts, disposal, blend = _CONTROL.unpack(data)
    if not width or not height or x + width > layout.width or y + height > layout.height:
        raise UnreadableError("a frame of its animation lies outside the canvas")
    if disposal >= len(_DISPOSAL) or blend > _OVER:
        raise UnreadableError("a frame of its animation is disposed or blended in a way that PNG has not")
    # Seconds as a fraction; a denominator of 0 stands for 100.
    return AnimationFrame(width, height, x, y, disposal, blend, duration=1000 * delay / (parts or 100))


_LARGEST_PROFILE = 16 * 1024 * 1024
_GAMMA_UNIT = 100_000


def open_png(file: bytes) -> Container:
    """Check every chunk of a PNG file and return what it says of itself.

    Raises:
        UnreadableError: a chunk is missing, damaged or misplaced, or the header cannot be.
    """
    png = read_structure(file)
    layout = png.layout
    frames = list_frames(file, png.chunks, layout)
    orientation, orientation_note = orientation_of(png.data(b"eXIf"))
    icc, profile_note = _profile(png.data(b"iCCP"))
    trailing = f"{png.chunks.trailing:,} bytes follow its end" if png.chunks.trailing else None
    by_wuffs = png.transparency is None and png_wuffs.takes(layout)
    page = Page(layout.width, layout.height, layout.mode, orientation, icc, opaque=png.opaque)
    animated = len(frames) > 1
    pages = [replace(page, duration=frame.duration) for frame in frames] if animated else [page]

    def decode(indices: Sequence[int]) -> Iterator[Raster]:
        if frames:
            # The default image need not be a frame of the animation; a damaged one is refused all the same.
            png.check_rows()
            drawn = patches(frames, layout, png.palette, png.transparency)
            return composed(drawn, layout.width, layout.height, indices)
        return iter([decode_rows(png.pieces, layout, png.palette, png.transparency)])

    def rows() -> Rows | None:
        if frames or orientation != 1:
            return None
        if png_core.takes(layout, png.transparency):
            return png_core.CoreRows(file, layout, lambda: rows_by_python() or _raster_rows(decode, png))
        return rows_by_python()

    def rows_by_python() -> Rows | None:
        if is_large(layout) and png.rows_tell:
            return BandedRows(png.pieces, layout, pixels_of)
        return pixels_of(inflate(png.pieces, layout), layout) if by_wuffs else None

    def pixels_of(rows: FilteredRows, part: Layout) -> Rows:
        if by_wuffs:
            return StoredRows(rows, part)
        return RasterRows(normal(raster_of(rows, part, png.palette, png.transparency), opaque=png.opaque))

    return Container(
        "PNG",
        pages,
        decode,
        rows=rows,
        check=png.check_rows if png.rows_tell else None,
        cumulative=bool(frames),
        gamma=_gamma(png.data(b"gAMA")),
        cicp=_coding(png.data(b"cICP")),
        loops=plays_of(file, png.chunks) if animated else None,
        notes=tuple(note for note in (orientation_note, profile_note, trailing) if note),
    )


def _raster_rows(decode: Callable[[Sequence[int]], Iterator[Raster]], png: PngStructure) -> RasterRows:
    return RasterRows(normal(next(decode([0])), opaque=png.opaque))


def _gamma(data: bytes | None) -> float | None:
    return None if data is None or len(data) != 4 else int.from_bytes(data, "big") / _GAMMA_UNIT  # noqa: PLR2004 - bytes


def _coding(data: bytes | None) -> str | None:
    """Return the four code points of a cICP chunk (PNG, third edition, 11.3.2.6)."""
    return None if data is None or len(data) != 4 else "/".join(map(str, data))  # noqa: PLR2004 - bytes


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
