"""What a TIFF page's tags say of its samples, and the variants that are refused by name.

Source: TIFF Revision 6.0; Adobe Photoshop TIFF Technical Notes (Deflate); TIFF Technical Note 3 (floating-point
predictor).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pytest_imgdiff.base.errors import UnreadableError

if TYPE_CHECKING:
    from typing import Any


WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE = 0, 1, 2, 3
NO_COMPRESSION, LZW, PACK_BITS = 1, 5, 32773
DEFLATE = (8, 32946)
ASSOCIATED = 1

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _FILL_ORDER = 256, 257, 258, 259, 262, 266
_STRIP_OFFSETS, _SAMPLES, _ROWS_PER_STRIP, _STRIP_COUNTS, _PLANAR = 273, 277, 278, 279, 284
_PREDICTOR, COLOUR_MAP, _TILE_WIDTH, _TILE_HEIGHT, _TILE_OFFSETS, _TILE_COUNTS = 317, 320, 322, 323, 324, 325
_EXTRA_SAMPLES, _SAMPLE_FORMAT = 338, 339
LAYOUT_TAGS = frozenset(
    {
        _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _FILL_ORDER, _STRIP_OFFSETS, _SAMPLES, _ROWS_PER_STRIP,
        _STRIP_COUNTS, _PLANAR, _PREDICTOR, COLOUR_MAP, _TILE_WIDTH, _TILE_HEIGHT, _TILE_OFFSETS, _TILE_COUNTS,
        _EXTRA_SAMPLES, _SAMPLE_FORMAT,
    }
)  # fmt: skip
"""The tags that `layout_of` looks at."""

_COMPRESSIONS_REFUSED = {
    2: "CCITT fax",
    3: "CCITT fax group 3",
    4: "CCITT fax group 4",
    6: "old-style JPEG",
    7: "JPEG",
    34712: "JPEG 2000",
    34925: "LZMA",
    50000: "Zstandard",
    50001: "WebP",
    50002: "JPEG XL",
}
_PHOTOMETRICS_REFUSED = {
    4: "transparency mask",
    5: "CMYK",
    6: "YCbCr",
    8: "CIELab",
    9: "ICCLab",
    32803: "colour filter",
}
_UNSIGNED, _FLOAT = 1, 3
_FORMATS_REFUSED = {2: "signed integer", 4: "undefined", 5: "complex integer", 6: "complex"}
_PLANES = 2
_NO_PREDICTOR, _HORIZONTAL, _FLOATING_POINT = 1, 2, 3
TWELVE = 12
"""Bits of samples that are stored in one byte and a half."""


@dataclass(frozen=True, slots=True)
class TiffLayout:
    """How one page's samples are stored.

    Attributes:
        width, height: in pixels.
        bits: of a sample.
        kind: ``u`` unsigned integers, ``f`` floats.
        order: ``<`` or ``>``.
        samples: in a pixel; colour, then alpha where there is one.
        photometric: what the colour samples mean.
        alpha: 0 none, 1 associated (premultiplied), 2 unassociated (straight).
        compression, predictor: of the blocks.
        planar: each sample in blocks of its own.
        block_width, block_height: of a strip or tile, in pixels.
        tiled: blocks are padded to their full size.
        blocks: offset and length of each block in the file.
    """

    width: int
    height: int
    bits: int
    kind: str
    order: str
    samples: int
    photometric: int
    alpha: int
    compression: int
    predictor: int
    planar: bool
    block_width: int
    block_height: int
    tiled: bool
    blocks: tuple[tuple[int, int], ...]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the smallest type that holds a stored sample."""
        return np.dtype(f"{self.order}{self.kind}{(self.bits + 7) // 8}")

    @property
    def samples_in_block(self) -> int:
        """Samples of a pixel that stand together in a block."""
        return 1 if self.planar else self.samples

    @property
    def row_bytes(self) -> int:
        """Bytes of a block's row."""
        return (self.block_width * self.samples_in_block * self.bits + 7) // 8

    @property
    def mode(self) -> str:
        """Channels and depth in words."""
        name = {RGB: "RGB", PALETTE: "palette"}.get(self.photometric, "gray")
        alpha = {"RGB": "A", "gray": "+alpha"}.get(name, "") if self.alpha else ""
        return f"{name}{alpha} {self.bits}-bit{' float' if self.kind == 'f' else ''}"

    def rows_in(self, block: int) -> int:
        """Return how many rows a block (an index within its plane) stores."""
        if self.tiled:
            return self.block_height
        return min(self.block_height, self.height - block * self.block_height)


def layout_of(page: Directory, file_size: int) -> TiffLayout:
    """Return the layout of a page.

    Raises:
        UnreadableError: the tags contradict one another or the file's size, or name what is not read.
    """
    samples = page.one(_SAMPLES, 1)
    if not 1 <= samples <= 4:  # noqa: PLR2004 - colour and alpha
        raise UnreadableError(f"TIFF with {samples} samples a pixel is not read")
    bits = _same(page.tags.get(_BITS, (1,)), samples, "bit depths")
    kind = _kind(_same(page.tags.get(_SAMPLE_FORMAT, (_UNSIGNED,)), samples, "sample formats"), bits)
    photometric = _photometric(page, bits, kind)
    tiled = _TILE_OFFSETS in page.tags
    width, height = page.one(_WIDTH), page.one(_HEIGHT)
    if width < 1 or height < 1:
        raise UnreadableError(f"damaged: its tags say {width} x {height} pixels")
    if page.one(_FILL_ORDER, 1) != 1:
        raise UnreadableError("TIFF with reversed bit order is not read; save it as PNG")
    layout = TiffLayout(
        width=width,
        height=height,
        bits=bits,
        kind=kind,
        order=page.order,
        samples=samples,
        photometric=photometric,
        alpha=_alpha(page, samples, photometric),
        compression=_compression(page),
        predictor=_predictor(page, bits, kind),
        planar=page.one(_PLANAR, 1) == _PLANES and samples > 1,
        block_width=page.one(_TILE_WIDTH) if tiled else width,
        block_height=page.one(_TILE_HEIGHT) if tiled else min(page.one(_ROWS_PER_STRIP, height), height),
        tiled=tiled,
        blocks=_blocks(page, tiled=tiled, file_size=file_size),
    )
    _check_blocks(layout)
    return layout


def _same(values: tuple[int, ...], samples: int, what: str) -> int:
    if len(set(values)) != 1 or len(values) not in (1, samples):
        raise UnreadableError(f"TIFF with unequal {what} {values[:8]} is not read")
    return values[0]


def _kind(sample_format: int, bits: int) -> str:
    if sample_format == _UNSIGNED and bits in (1, 2, 4, 8, TWELVE, 16):
        return "u"
    if sample_format == _FLOAT and bits in (16, 32, 64):
        return "f"
    name = {_UNSIGNED: "unsigned integer", _FLOAT: "float"}.get(
        sample_format, _FORMATS_REFUSED.get(sample_format, f"format {sample_format}")
    )
    raise UnreadableError(f"TIFF with {bits}-bit {name} samples is not read; save it with 8, 16 or float 32 bits")


def _photometric(page: Directory, bits: int, kind: str) -> int:
    photometric = page.one(_PHOTOMETRIC)
    if photometric not in (WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE):
        name = _PHOTOMETRICS_REFUSED.get(photometric, f"photometric {photometric}")
        raise UnreadableError(f"{name} TIFF is not read; save it as RGB")
    if photometric == PALETTE and (kind != "u" or len(page.tags.get(COLOUR_MAP, ())) != 3 * 2**bits):
        raise UnreadableError("damaged: its colour map does not fit its samples")
    if photometric == RGB and bits < 8:  # noqa: PLR2004 - bits
        raise UnreadableError(f"RGB TIFF with {bits} bits a sample is not read; save it with 8")
    return photometric


def _alpha(page: Directory, samples: int, photometric: int) -> int:
    extra = samples - (3 if photometric == RGB else 1)
    stated = page.tags.get(_EXTRA_SAMPLES, ())
    if extra == 0 and not stated:
        return 0
    if extra != 1 or len(stated) > 1 or (photometric == PALETTE):
        raise UnreadableError(f"TIFF with {samples} samples a pixel, {len(stated)} of them named as extra, is not read")
    if stated not in ((1,), (2,)):
        raise UnreadableError(
            "its extra channel is not said to be alpha (tag ExtraSamples); save it with alpha or without"
        )
    return stated[0]


def _compression(page: Directory) -> int:
    compression = page.one(_COMPRESSION, NO_COMPRESSION)
    if compression not in (NO_COMPRESSION, LZW, PACK_BITS, *DEFLATE):
        name = _COMPRESSIONS_REFUSED.get(compression, f"compression {compression}")
        raise UnreadableError(f"{name} in a TIFF is not read; save it with LZW, Deflate or no compression")
    return compression


def _predictor(page: Directory, bits: int, kind: str) -> int:
    predictor = page.one(_PREDICTOR, _NO_PREDICTOR)
    if page.one(_COMPRESSION, NO_COMPRESSION) not in (LZW, *DEFLATE):
        return _NO_PREDICTOR
    whole_bytes = bits % 8 == 0
    fits = {_NO_PREDICTOR: True, _HORIZONTAL: whole_bytes and kind == "u", _FLOATING_POINT: kind == "f"}
    if not fits.get(predictor, False):
        raise UnreadableError(f"TIFF with predictor {predictor} on {bits}-bit samples is not read")
    return predictor


def _blocks(page: Directory, *, tiled: bool, file_size: int) -> tuple[tuple[int, int], ...]:
    offsets = page.tags.get(_TILE_OFFSETS if tiled else _STRIP_OFFSETS, ())
    counts = page.tags.get(_TILE_COUNTS if tiled else _STRIP_COUNTS, ())
    if not offsets or len(offsets) != len(counts):
        raise UnreadableError("damaged: it does not say where its rows are")
    for offset, count in zip(offsets, counts, strict=True):
        if not offset or not count:
            raise UnreadableError("truncated: a strip or tile was never written")
        if offset + count > file_size:
            raise UnreadableError(f"truncated: a strip or tile ends at byte {offset + count:,} of {file_size:,}")
    return tuple(zip(offsets, counts, strict=True))


def _check_blocks(layout: TiffLayout) -> None:
    if layout.block_width < 1 or layout.block_height < 1:
        raise UnreadableError("damaged: its strips or tiles have no size")
    across, down = -(-layout.width // layout.block_width), -(-layout.height // layout.block_height)
    needed = across * down * (layout.samples if layout.planar else 1)
    if len(layout.blocks) != needed:
        raise UnreadableError(f"damaged: it has {len(layout.blocks)} strips or tiles where {needed} are needed")
    if layout.tiled and layout.block_width * layout.block_height > 4 * max(1_000_000, layout.width * layout.height):
        raise UnreadableError("damaged: its tiles are far larger than its picture")


_BIG = 43
_CODES = {1: "B", 2: "B", 3: "H", 4: "I", 7: "B", 13: "I", 16: "Q", 18: "Q"}
"""Field type to its `struct` code; no tag that is wanted has signed or fractional values."""
_MOST_PAGES = 10_000
_MOST_VALUES = 2_000_000


@dataclass(frozen=True, slots=True)
class Directory:
    """One page's tags.

    Attributes:
        order: ``<`` or ``>``, the byte order of the file, samples included.
        tags: tag to its values.
    """

    order: str
    tags: dict[int, tuple[int, ...]]

    def one(self, tag: int, default: int | None = None) -> int:
        """Return the tag's first value.

        Raises:
            UnreadableError: the tag is wanting and there is no default.
        """
        values = self.tags.get(tag)
        if values:
            return values[0]
        if default is None:
            raise UnreadableError(f"damaged: it lacks the tag {tag}")
        return default

    def data(self, tag: int) -> bytes | None:
        """Return the values of a tag of bytes."""
        values = self.tags.get(tag)
        try:
            return None if values is None else bytes(values)
        except ValueError:  # a number that no byte holds
            return None


def read_directories(file: bytes, wanted: frozenset[int]) -> list[Directory]:
    """Return the directories of the main chain, in order, with the tags that are wanted.

    Raises:
        UnreadableError: it is cut short or damaged, or the chain leads back into itself.
    """
    try:
        return _Reader(file, wanted).chain()
    except struct.error:
        raise UnreadableError("truncated: it ends inside a directory, or a directory lies behind its end") from None


class _Reader:
    """Follows the chain; what differs between TIFF and BigTIFF is how counts, entries and offsets are packed."""

    def __init__(self, file: bytes, wanted: frozenset[int]) -> None:
        self._file = file
        self._wanted = wanted
        self._values_left = _MOST_VALUES
        self._order = "<" if file[:2] == b"II" else ">"
        (version,) = struct.unpack_from(self._order + "H", file, 2)
        count, entry, offset = ("Q", "HHQ8s", "Q") if version == _BIG else ("H", "HHI4s", "I")
        self._count = struct.Struct(self._order + count)
        self._entry = struct.Struct(self._order + entry)
        self._offset = struct.Struct(self._order + offset)
        (self._first,) = self._offset.unpack_from(file, 8 if version == _BIG else 4)

    def chain(self) -> list[Directory]:
        directories: list[Directory] = []
        seen: set[int] = set()
        at = self._first
        while at:
            if at in seen:
                raise UnreadableError("damaged: its chain of pages leads back into itself")
            seen.add(at)
            if len(seen) > _MOST_PAGES:
                raise UnreadableError(f"it has more than {_MOST_PAGES:,} pages")
            tags, at = self._directory(at)
            directories.append(Directory(self._order, tags))
        if not directories:
            raise UnreadableError("it has no page in it")
        return directories

    def _directory(self, at: int) -> tuple[dict[int, tuple[int, ...]], int]:
        """Return the tags of the directory at this offset, and the offset of the next one."""
        (count,) = self._count.unpack_from(self._file, at)
        start = at + self._count.size
        (following,) = self._offset.unpack_from(self._file, start + count * self._entry.size)
        tags: dict[int, tuple[int, ...]] = {}
        for index in range(count):
            tag, kind, length, inline = self._entry.unpack_from(self._file, start + index * self._entry.size)
            if tag not in self._wanted or kind not in _CODES:
                continue
            if tag in tags:
                raise UnreadableError(f"damaged: a page has two tags {tag}")
            tags[tag] = self._values(_CODES[kind], length, inline)
        return tags, following

    def _values(self, code: str, length: int, inline: bytes) -> tuple[int, ...]:
        self._values_left -= length
        if self._values_left < 0:
            raise UnreadableError(f"its tags have more than {_MOST_VALUES:,} values")
        packed = struct.Struct(f"{self._order}{length}{code}")
        if packed.size <= len(inline):
            return packed.unpack_from(inline)
        (at,) = self._offset.unpack(inline)
        return packed.unpack_from(self._file, at)
