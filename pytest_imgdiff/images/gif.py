"""GIF, still and animated: blocks and composition are ours, Pillow undoes the LZW compression.

Pillow's reader leaves rows that are missing as they were and says nothing. Its decoder, given a frame's codes at
once, does tell whether they filled the frame.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import PIL.Image

from pytest_imgdiff.images.animation import Disposal, Patch, composed
from pytest_imgdiff.images.container import Container, Page, Raster
from pytest_imgdiff.images.gif_blocks import GifFrame, read_blocks
from pytest_imgdiff.images.unreadable import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

_LARGEST_CODE_SIZE = 8
_DISPOSALS: Mapping[int, Disposal] = {2: "clear", 3: "restore"}


def open_gif(file: bytes) -> Container:
    """Walk the blocks of a GIF file and return what it says of itself.

    The screen is transparent at first and where a frame is disposed of to the background, as in browsers.

    Raises:
        UnreadableError: it is cut short or damaged.
    """
    walked = read_blocks(file)
    colours = max(len(frame.palette) // 3 for frame in walked.frames)
    mode = f"palette {(colours - 1).bit_length()}-bit"
    animated = len(walked.frames) > 1
    pages = [
        Page(walked.width, walked.height, mode, duration=frame.duration if animated else None)
        for frame in walked.frames
    ]

    def decode(indices: Sequence[int]) -> Iterator[Raster]:
        return composed(map(_patch, walked.frames), walked.width, walked.height, indices)

    notes = (f"{walked.trailing:,} bytes follow its end",) if walked.trailing else ()
    loops = walked.plays if animated else None
    return Container("GIF", pages, decode, cumulative=True, loops=loops, notes=notes)


def _patch(frame: GifFrame) -> Patch:
    indices = _indices(frame)
    table = np.full((256, 4), 255, np.uint8)
    colours = np.frombuffer(frame.palette, np.uint8).reshape(-1, 3)
    table[: len(colours), :3] = colours
    largest = int(indices.max())
    # The see-through index needs no colour: writers put it behind the end of a full table.
    if largest >= len(colours) and (indices[indices >= len(colours)] != frame.transparent).any():
        raise UnreadableError(f"palette index {largest} is used, but the palette has {len(colours)} colours")
    if frame.transparent is not None:
        table[frame.transparent] = 0
    return Patch(table[indices], frame.x, frame.y, over=True, then=_DISPOSALS.get(frame.disposal, "keep"))


def _indices(frame: GifFrame) -> NDArray[np.uint8]:
    if not 1 <= frame.code_size <= _LARGEST_CODE_SIZE:
        raise UnreadableError(f"damaged: its LZW code size is {frame.code_size}")
    picture = PIL.Image.new("L", (frame.width, frame.height))
    try:
        picture.frombytes(frame.blocks, "gif", (frame.code_size, frame.interlaced))
    except ValueError:
        raise UnreadableError("truncated or damaged: the pixels of a frame are not all there") from None
    return np.array(picture)
