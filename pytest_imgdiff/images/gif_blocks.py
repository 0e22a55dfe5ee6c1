"""The blocks of a GIF file, walked to its trailer.

Source: GIF89a Specification, CompuServe 1990.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from pytest_imgdiff.images.unreadable import UnreadableError

_EXTENSION, _IMAGE, _TRAILER = 0x21, 0x2C, 0x3B
_GRAPHIC_CONTROL = 0xF9
_MOST_SUB_BLOCKS = 4_000_000
"""A bound on the walk; a sub-block holds up to 255 bytes."""
_MOST_FRAMES = 100_000


@dataclass(frozen=True, slots=True)
class GifFrame:
    """One image block, with the graphic control block before it.

    Attributes:
        x, y, width, height: its rectangle on the screen.
        palette: RGB triples; its own, or the file's.
        interlaced: whether its rows come in four passes.
        code_size: the LZW minimum code size.
        blocks: the sub-blocks of its LZW data, with their terminator.
        transparent: the index that is see-through, or None.
        disposal: 0 and 1 keep, 2 clears, 3 restores what was there before.
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


@dataclass(frozen=True, slots=True)
class GifFile:
    """A walked file: its screen in pixels, its frames, and how many bytes follow its trailer."""

    width: int
    height: int
    frames: tuple[GifFrame, ...]
    trailing: int


def read_blocks(file: bytes) -> GifFile:
    """Walk all blocks.

    Raises:
        UnreadableError: the file is cut short or damaged, or has no frame.
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
                raise UnreadableError(f"damaged: no block stands at byte {self._at - 1}")
            if len(frames) > _MOST_FRAMES:
                raise UnreadableError(f"it has more than {_MOST_FRAMES:,} frames")
        if not frames:
            raise UnreadableError("it has no picture in it")
        return GifFile(width, height, tuple(frames), len(self._file) - self._at)

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
            _, flags, _, index = struct.unpack_from("<BBHB", self._file, start)
            self._transparent = index if flags & 1 else None
            self._disposal = flags >> 2 & 7

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
        control = self._transparent, self._disposal
        self._transparent, self._disposal = None, 0
        return GifFrame(x, y, width, height, palette, bool(flags & 0x40), code_size, blocks, *control)

    def _skip_sub_blocks(self) -> None:
        while length := self._byte():
            self._at += length
            self._sub_blocks += 1
            if self._sub_blocks > _MOST_SUB_BLOCKS:
                raise UnreadableError(f"it has more than {_MOST_SUB_BLOCKS:,} data blocks")
