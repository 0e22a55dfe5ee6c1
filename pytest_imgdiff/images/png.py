"""PNG, still and animated: from a file to RGBA. This is the reference for the compiled core, and its fallback.

`png_structure.inflate` inflates all rows and checks them. libpng, as a part of OpenCV, reverses their filters.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from pytest_imgdiff._core import CORE
from pytest_imgdiff.base.errors import UnreadableError
from pytest_imgdiff.images import png_core
from pytest_imgdiff.images.container import (
    Container,
    Disposal,
    Page,
    Patch,
    Raster,
    composed,
    full_scale,
    normal,
    opaque,
    orientation_of,
)
from pytest_imgdiff.images.png_structure import (
    GRAY,
    PALETTE,
    RGB,
    SIGNATURE,
    chunk_bytes,
    inflate,
    read_structure,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from pytest_imgdiff.images.png_structure import Chunk, ChunkList, Layout, PngStructure

_GAMMA_UNIT = 100_000
_LARGEST_PROFILE = 16 * 1024 * 1024
_MOST_IN_CHUNK = 1 << 30


def open_png(file: bytes) -> Container:
    """Check every chunk of a PNG file and return its description.

    If the compiled core decodes the file, the core compares the checksums at that time.

    Raises:
        UnreadableError: A chunk is missing, damaged or misplaced, or the header is impossible.
    """
    png = read_structure(file, checksums=CORE is None)
    orientation, orientation_note = orientation_of(png.data(b"eXIf"))
    by_core = orientation == 1 and not png.animated and png_core.takes(png.layout, png.transparency)
    if not by_core and not png.checksums:
        png = read_structure(file)
    layout = png.layout
    frames = list_frames(file, png.chunks, layout)
    icc, profile_note = _profile(png.data(b"iCCP"))
    trailing = f"{png.chunks.trailing:,} bytes follow its end" if png.chunks.trailing else None
    page = Page(layout.width, layout.height, layout.mode, orientation, icc, opaque=png.opaque)
    animated = len(frames) > 1
    pages = [replace(page, duration=frame.duration) for frame in frames] if animated else [page]

    def decode(indices: Sequence[int]) -> Iterator[Raster]:
        if frames:
            # The default image need not be a frame of the animation; a damaged one is an error all the same.
            png.check_rows()
            drawn = patches(frames, layout, png.palette, png.transparency)
            return composed(drawn, layout.width, layout.height, indices)
        return iter([_decoded(png)])

    def rows() -> png_core.CoreRows | None:
        if not by_core:
            return None
        return png_core.CoreRows(file, layout, lambda: normal(_decoded(read_structure(file)), opaque=png.opaque))

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


def decode_rows(
    pieces: Sequence[memoryview], layout: Layout, palette: bytes | None, transparency: bytes | None
) -> Raster:
    """Return the image of these compressed rows.

    Args:
        pieces: The data of the IDAT (or fdAT) chunks in order.
        layout: How the rows are stored.
        palette: The data of PLTE.
        transparency: The data of tRNS.

    Raises:
        UnreadableError: Rows are missing or damaged, an index has no colour in the palette, or the image is larger
            than libpng supports.
    """
    stored = _unfiltered(_uncompressed_png(inflate(pieces, layout), layout))
    if layout.colour == PALETTE:
        return _from_palette(stored, layout, palette or b"", transparency or b"")
    if layout.colour == GRAY:
        raster = opaque(stored)
    else:
        raster = cv2.cvtColor(stored, cv2.COLOR_BGR2RGBA if layout.colour == RGB else cv2.COLOR_BGRA2RGBA)
    if transparency is not None:
        _hide_key(raster, layout, transparency)
    return raster


def _decoded(png: PngStructure) -> Raster:
    return decode_rows(png.pieces, png.layout, png.palette, png.transparency)


def _uncompressed_png(rows: bytes, layout: Layout) -> bytes:
    """Return a PNG of checked rows, in stored blocks: no text, profile or other chunk reaches libpng.

    Palette indices are written as gray.
    """
    colour = GRAY if layout.colour == PALETTE else layout.colour
    header = struct.pack(">IIBBBBB", layout.width, layout.height, layout.depth, colour, 0, 0, layout.interlaced)
    stream = memoryview(zlib.compress(rows, 0))
    pieces = [bytes(stream[at : at + _MOST_IN_CHUNK]) for at in range(0, len(stream), _MOST_IN_CHUNK)]
    return b"".join(
        [
            SIGNATURE,
            chunk_bytes(b"IHDR", header),
            *(chunk_bytes(b"IDAT", piece) for piece in pieces),
            chunk_bytes(b"IEND", b""),
        ]
    )


def _unfiltered(file: bytes) -> NDArray[Any]:
    """Return (height, width) gray, (height, width, 3) BGR or (height, width, 4) BGRA of uint8 or uint16.

    Samples with fewer than 8 bits are scaled to 0..255. Gray with alpha becomes BGRA.
    """
    stored = cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_UNCHANGED)
    # For a header that libpng rejects (wider than a million pixels) this is None, despite OpenCV's type hints.
    if stored is None:
        raise UnreadableError("OpenCV does not decode it, though its rows are whole; is it wider than it can be?")
    return stored


def _from_palette(stored: NDArray[Any], layout: Layout, palette: bytes, transparency: bytes) -> Raster:
    indices = stored // (255 // (2**layout.depth - 1))  # libpng scaled them
    colours = np.frombuffer(palette, np.uint8).reshape(-1, 3)
    largest = int(indices.max())
    if largest >= len(colours):
        raise UnreadableError(f"palette index {largest} is used, but the palette has {len(colours)} colours")
    table = np.full((len(colours), 4), 255, np.uint8)
    table[:, :3] = colours
    table[: len(transparency), 3] = np.frombuffer(transparency, np.uint8)
    raster: Raster = table[indices]
    return raster


def _hide_key(raster: Raster, layout: Layout, transparency: bytes) -> None:
    """Make pixels transparent that have exactly the key's samples: PNG specification, section 11.3.1.1."""
    key = np.array(struct.unpack(f">{len(transparency) // 2}H", transparency), np.int64) & (2**layout.depth - 1)
    key *= full_scale(raster.dtype) // (2**layout.depth - 1)
    raster[(raster[..., :3] == key.astype(raster.dtype)).all(axis=2), 3] = 0


_CONTROL = struct.Struct(">IIIIIHHBB")
_DISPOSAL: tuple[Disposal, ...] = ("keep", "clear", "restore")
_OVER = 1


@dataclass(frozen=True, slots=True)
class AnimationFrame:
    """One fcTL chunk and its rows."""

    width: int
    height: int
    x: int
    y: int
    disposal: int
    blend: int
    duration: float
    """Display time in milliseconds."""
    pieces: list[memoryview] = field(default_factory=list)


def list_frames(file: bytes, listed: ChunkList, layout: Layout) -> list[AnimationFrame]:
    """Return the frames, or an empty list if the file is not animated.

    Raises:
        UnreadableError: Frames are missing, out of order or outside the canvas, or their number is not as announced.
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
    """Return how often the animation is played, 0 for an endless loop; None if the file is not animated."""
    announced = listed.find(b"acTL")
    return None if announced is None else int.from_bytes(announced.data(file)[4:8], "big")


def patches(
    frames: Sequence[AnimationFrame], layout: Layout, palette: bytes | None, transparency: bytes | None
) -> Iterator[Patch]:
    """Decode the frames one after the other.

    Raises:
        UnreadableError: As in `decode_rows`.
    """
    for index, frame in enumerate(frames):
        stored = layout._replace(width=frame.width, height=frame.height)
        pixels = decode_rows(frame.pieces, stored, palette, transparency)
        disposal = _DISPOSAL[frame.disposal]
        # Before the first frame there is nothing to restore: the specification says that it is cleared.
        then = "clear" if index == 0 and disposal == "restore" else disposal
        yield Patch(pixels, frame.x, frame.y, frame.blend == _OVER, then)


def _sequence_number(file: bytes, chunk: Chunk) -> int:
    return int.from_bytes(file[chunk.start : chunk.start + min(chunk.length, 4)], "big")


def _control(data: bytes, layout: Layout) -> AnimationFrame:
    if len(data) != _CONTROL.size:
        raise UnreadableError(f"its fcTL chunk has {len(data)} bytes instead of {_CONTROL.size}")
    _, width, height, x, y, delay, parts, disposal, blend = _CONTROL.unpack(data)
    if not width or not height or x + width > layout.width or y + height > layout.height:
        raise UnreadableError("a frame of its animation lies outside the canvas")
    if disposal >= len(_DISPOSAL) or blend > _OVER:
        raise UnreadableError("a frame of its animation is disposed or blended in a way that PNG has not")
    # Seconds as a fraction; a denominator of 0 means 100.
    return AnimationFrame(width, height, x, y, disposal, blend, duration=1000 * delay / (parts or 100))


def _gamma(data: bytes | None) -> float | None:
    return None if data is None or len(data) != 4 else int.from_bytes(data, "big") / _GAMMA_UNIT  # noqa: PLR2004 - bytes


def _coding(data: bytes | None) -> str | None:
    """Return the four code points of a cICP chunk (PNG, third edition, 11.3.2.6)."""
    return None if data is None or len(data) != 4 else "/".join(map(str, data))  # noqa: PLR2004 - bytes


def _profile(data: bytes | None) -> tuple[bytes | None, str | None]:
    """Return the ICC profile, inflated within bounds, and a note if that fails."""
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
