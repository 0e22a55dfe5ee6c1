"""GIF, still and animated: this module reads the blocks and composes frames, Pillow decodes LZW.

Pillow's reader silently leaves missing rows unchanged. Its decoder, with all of a frame's codes in one call, reports
whether they filled the frame.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import PIL.Image

from pytest_imgdiff.base.errors import UnreadableError
from pytest_imgdiff.images.container import Container, Disposal, Page, Patch, Raster, composed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray


_EXTENSION, _IMAGE, _TRAILER = 0x21, 0x2C, 0x3B
_GRAPHIC_CONTROL, _APPLICATION = 0xF9, 0xFF
_LOOPING = re.compile(rb"\x0b(?:NETSCAPE2\.0|ANIMEXTS1\.0)\x03\x01(..)", re.DOTALL)
"""The application extension with the number of repetitions; introduced by browsers and not part of GIF89a."""
_DELAY_UNIT = 10
"""Milliseconds."""
_MOST_SUB_BLOCKS = 4_000_000
"""Maximum number of sub-blocks; a sub-block contains up to 255 bytes."""
_MOST_FRAMES = 100_000


@dataclass(frozen=True, slots=True)
class GifFrame:
    """One image block, with the graphic control block before it.

    Attributes:
        x, y, width, height: Its rectangle on the screen.
        palette: RGB triples; its own, or the file's.
        interlaced: Whether its rows come in four passes.
        code_size: The LZW minimum code size.
        blocks: The sub-blocks of its LZW data, with their terminator.
        transparent: The transparent index, or None.
        disposal: 0 and 1 keep, 2 clears, 3 restores the previous content.
        duration: Display time in milliseconds, as stored.
    """

    x: int
    y: int
    width: int
    height: int
    palette: bytes
    interlaced: bool
    code_size: int
    blocks: memoryview
    transparent: int | None
    disposal: int
    duration: int


@dataclass(frozen=True, slots=True)
class GifFile:
    """A parsed file.

    Attributes:
        width, height: Size of its screen in pixels.
        frames: Its image blocks.
        plays: How often the animation is played, 0 for an endless loop.
        trailing: Number of bytes after its trailer.
    """

    width: int
    height: int
    frames: tuple[GifFrame, ...]
    plays: int
    trailing: int


def plays_of_gif(repeats: int | None) -> int:
    """Return how often browsers play a GIF, 0 for an endless loop.

    Args:
        repeats: The value of its looping extension, None if it has none.
    """
    return 1 if repeats is None else repeats and repeats + 1


def read_blocks(file: bytes) -> GifFile:
    """Read all blocks.

    Raises:
        UnreadableError: The file is truncated or damaged, or has no frame.
    """
    try:
        return _Walk(file).run()
    except (struct.error, IndexError):
        raise UnreadableError("truncated: it ends inside a block, without its trailer") from None


class _Walk:
    def __init__(self, file: bytes) -> None:
        self._file = file
        self._at = 13
        self._sub_blocks = 0
        self._transparent: int | None = None
        self._disposal = 0
        self._duration = 0
        self._repeats: int | None = None

    def run(self) -> GifFile:
        width, height, flags = struct.unpack_from("<HHB", self._file, 6)
        shared = self._palette(flags)
        frames: list[GifFrame] = []
        while (kind := self._byte()) != _TRAILER:
            if kind == _EXTENSION:
                self._extension()
            elif kind == _IMAGE:
                frames.append(self._image(shared, width, height))
            else:
                raise UnreadableError(f"damaged: there is no block at byte {self._at - 1}")
            if len(frames) > _MOST_FRAMES:
                raise UnreadableError(f"it has more than {_MOST_FRAMES:,} frames")
        if not frames:
            raise UnreadableError("it has no image in it")
        return GifFile(width, height, tuple(frames), plays_of_gif(self._repeats), len(self._file) - self._at)

    def _byte(self) -> int:
        self._at += 1
        return self._file[self._at - 1]

    def _palette(self, flags: int) -> bytes:
        if not flags & 0x80:
            return b""
        size = 3 * 2 ** ((flags & 7) + 1)
        self._at += size
        return self._file[self._at - size : self._at]

    def _extension(self) -> None:
        label = self._byte()
        start = self._at
        self._skip_sub_blocks()
        if label == _GRAPHIC_CONTROL:
            _, flags, delay, index = struct.unpack_from("<BBHB", self._file, start)
            self._duration = delay * _DELAY_UNIT
            self._transparent = index if flags & 1 else None
            self._disposal = flags >> 2 & 7
        elif label == _APPLICATION and (looping := _LOOPING.match(self._file, start)):
            self._repeats = int.from_bytes(looping[1], "little")

    def _image(self, shared: bytes, screen_width: int, screen_height: int) -> GifFrame:
        x, y, width, height, flags = struct.unpack_from("<HHHHB", self._file, self._at)
        self._at += 9
        palette = self._palette(flags) or shared
        if not width or not height or x + width > screen_width or y + height > screen_height:
            raise UnreadableError("damaged: a frame lies outside its screen")
        if not palette:
            raise UnreadableError("it has no colour table: nothing says what its colours are")
        code_size = self._byte()
        start = self._at
        self._skip_sub_blocks()
        blocks = memoryview(self._file)[start : self._at]
        control = self._transparent, self._disposal, self._duration
        self._transparent, self._disposal, self._duration = None, 0, 0
        return GifFrame(x, y, width, height, palette, bool(flags & 0x40), code_size, blocks, *control)

    def _skip_sub_blocks(self) -> None:
        while length := self._byte():
            self._at += length
            self._sub_blocks += 1
            if self._sub_blocks > _MOST_SUB_BLOCKS:
                raise UnreadableError(f"it has more than {_MOST_SUB_BLOCKS:,} data blocks")


_LARGEST_CODE_SIZE = 8
_DISPOSALS: Mapping[int, Disposal] = {2: "clear", 3: "restore"}


def open_gif(file: bytes) -> Container:
    """Read the blocks of a GIF file and return its description.

    The screen is initially transparent, and after a frame is disposed to the background, as in browsers.

    Raises:
        UnreadableError: It is truncated or damaged.
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
