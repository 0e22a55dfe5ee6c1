"""Animated PNG: each frame is checked and decoded as a picture of its own, then laid on the canvas.

Source: PNG Specification (Third Edition), section 11.3.6 (acTL, fcTL, fdAT).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_imgdiff.images.animation import Disposal, Patch
from pytest_imgdiff.images.png_pixels import decode_rows
from pytest_imgdiff.images.unreadable import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_imgdiff.images.png_chunks import Chunk, ChunkList
    from pytest_imgdiff.images.png_layout import Layout

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
