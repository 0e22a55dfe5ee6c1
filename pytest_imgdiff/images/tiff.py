"""TIFF and BigTIFF, with one or several pages."""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL.TiffImagePlugin import TiffImageFile

from pytest_imgdiff.base.errors import UnreadableError
from pytest_imgdiff.images.container import Container, Page, Raster, checked_orientation, full_scale, opaque
from pytest_imgdiff.images.source import check_unit_range

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

# ---- The tags


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
"""The tags that `layout_of` reads."""

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
"""Bits of a sample that is stored in one and a half bytes."""


@dataclass(frozen=True, slots=True)
class TiffLayout:
    """How one page's samples are stored.

    Attributes:
        width, height: Size in pixels.
        bits: Bits per sample.
        kind: ``u`` for unsigned integers, ``f`` for floats.
        order: ``<`` or ``>``.
        samples: Samples per pixel; colour, then alpha if there is one.
        photometric: Meaning of the colour samples.
        alpha: 0 none, 1 associated (premultiplied), 2 unassociated (straight).
        compression, predictor: Encoding of the blocks.
        planar: Whether each sample has blocks of its own.
        block_width, block_height: Size of a strip or tile in pixels.
        tiled: Whether blocks are padded to their full size.
        blocks: Offset and length of each block in the file.
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
        """The smallest type that can represent a stored sample."""
        return np.dtype(f"{self.order}{self.kind}{(self.bits + 7) // 8}")

    @property
    def samples_in_block(self) -> int:
        """Number of samples of a pixel that are in the same block."""
        return 1 if self.planar else self.samples

    @property
    def row_bytes(self) -> int:
        """Bytes of a row of a block."""
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
        UnreadableError: The tags contradict each other or the file size, or describe an unsupported variant.
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
        raise UnreadableError("TIFF with reversed bit order is not supported; save it as PNG")
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
        raise UnreadableError(f"{name} TIFF is not supported; save it as RGB")
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
        raise UnreadableError("damaged: its tiles are far larger than its image")


_BIG = 43
_CODES = {1: "B", 2: "B", 3: "H", 4: "I", 7: "B", 13: "I", 16: "Q", 18: "Q"}
"""Field type to its `struct` code; none of the tags that are read has signed or fractional values."""
_MOST_PAGES = 10_000
_MOST_VALUES = 2_000_000


@dataclass(frozen=True, slots=True)
class Directory:
    """Tags of one page.

    Attributes:
        order: ``<`` or ``>``, the byte order of the file, samples included.
        tags: Tag to its values.
    """

    order: str
    tags: dict[int, tuple[int, ...]]

    def one(self, tag: int, default: int | None = None) -> int:
        """Return the tag's first value.

        Raises:
            UnreadableError: The tag is missing and there is no default.
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
        except ValueError:  # a number that does not fit in a byte
            return None


def read_directories(file: bytes, requested: frozenset[int]) -> list[Directory]:
    """Return the directories of the main chain, in order, with the requested tags.

    Raises:
        UnreadableError: The file is truncated or damaged, or the chain contains a loop.
    """
    try:
        return _Reader(file, requested).chain()
    except struct.error:
        raise UnreadableError("truncated: it ends inside a directory, or a directory lies behind its end") from None


class _Reader:
    """Reader of the chain; TIFF and BigTIFF differ in how counts, entries and offsets are packed."""

    def __init__(self, file: bytes, requested: frozenset[int]) -> None:
        self._file = file
        self._requested = requested
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
            if tag not in self._requested or kind not in _CODES:
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


# ---- The pixels


def read_samples(file: bytes, layout: TiffLayout) -> NDArray[Any]:
    """Return (height, width, samples) in native byte order; samples of 1, 2, 4 and 12 bits are not scaled.

    Raises:
        UnreadableError: Rows are missing or damaged.
    """
    across = -(-layout.width // layout.block_width)
    per_plane = len(layout.blocks) // (layout.samples if layout.planar else 1)
    result = np.empty((layout.height, layout.width, layout.samples), layout.dtype.newbyteorder("="))
    for plane, first in enumerate(range(0, len(layout.blocks), per_plane)):
        blocks = layout.blocks[first : first + per_plane]
        rows = [layout.rows_in(block) for block in range(per_plane)]
        plain = _decompressed(file, layout, blocks, rows)
        channels = slice(plane, plane + 1) if layout.planar else slice(None)
        start = 0
        for block, count in enumerate(rows):
            values = _values(plain[start : start + count], layout)
            start += count
            y, x = block // across * layout.block_height, block % across * layout.block_width
            place = result[y : y + count, x : x + layout.block_width, channels]
            place[...] = values[: place.shape[0], : place.shape[1]]
    return result


def _decompressed(
    file: bytes, layout: TiffLayout, blocks: Sequence[tuple[int, int]], rows: Sequence[int]
) -> NDArray[np.uint8]:
    """Return the uncompressed bytes of the blocks, one below the other: (rows of all blocks, bytes per row)."""
    if layout.compression == NO_COMPRESSION:
        plain = b"".join(
            _uncompressed(file, block, layout.row_bytes * count, layout.bits)
            for block, count in zip(blocks, rows, strict=True)
        )
    elif layout.compression in DEFLATE:
        plain = b"".join(
            _inflated(file, block, layout.row_bytes * count) for block, count in zip(blocks, rows, strict=True)
        )
    else:
        return _through_libtiff(file, layout, blocks, sum(rows))
    return np.frombuffer(plain, np.uint8).reshape(-1, layout.row_bytes)


def _uncompressed(file: bytes, block: tuple[int, int], size: int, bits: int) -> bytes:
    offset, count = block
    if bits == TWELVE and 3 * count >= 4 * size:  # some writers use two bytes per sample
        raise UnreadableError("damaged: its 12-bit samples are not packed, two in three bytes; save it with 16 bits")
    if count < size:
        raise UnreadableError(f"truncated: {count:,} of {size:,} bytes of a strip or tile are there")
    return file[offset : offset + size]


def _inflated(file: bytes, block: tuple[int, int], size: int) -> bytes:
    offset, count = block
    inflater = zlib.decompressobj()
    try:
        plain = inflater.decompress(file[offset : offset + count], size + 1)
    except zlib.error as error:
        raise UnreadableError(f"damaged: a strip or tile does not inflate ({error})") from None
    if len(plain) != size or not inflater.eof:
        raise UnreadableError(f"truncated or damaged: a strip or tile does not inflate to {size:,} bytes")
    return plain


def _through_libtiff(
    file: bytes, layout: TiffLayout, blocks: Sequence[tuple[int, int]], rows: int
) -> NDArray[np.uint8]:
    wrapped = _as_gray_bytes(file, layout, blocks, rows)
    try:
        with TiffImageFile(io.BytesIO(wrapped)) as picture:
            picture.load()
            return np.array(picture)
    except (OSError, SyntaxError, ValueError) as error:
        raise UnreadableError(f"truncated or damaged: a strip or tile does not decompress ({error})") from None


def _as_gray_bytes(file: bytes, layout: TiffLayout, blocks: Sequence[tuple[int, int]], rows: int) -> bytes:
    """Return a TIFF of 8-bit gray with these blocks as its strips; its width is the bytes per row."""
    data = b"".join(file[offset : offset + count] for offset, count in blocks)
    lists_at = 8 + len(data) + (len(data) & 1)
    counts = [count for _, count in blocks]
    offsets = [8 + sum_before for sum_before in np.cumsum([0, *counts[:-1]]).tolist()]
    lists = struct.pack(f"<{len(blocks)}I", *offsets) + struct.pack(f"<{len(blocks)}I", *counts)
    alone = len(blocks) == 1
    tags = (
        (256, layout.row_bytes),
        (257, rows),
        (258, 8),
        (259, layout.compression),
        (262, 1),
        (273, offsets[0] if alone else lists_at),
        (277, 1),
        (278, layout.block_height),
        (279, counts[0] if alone else lists_at + 4 * len(blocks)),
    )
    directory = struct.pack("<H", len(tags)) + b"".join(
        struct.pack("<HHII", tag, 4, len(blocks) if tag in (273, 279) else 1, value) for tag, value in tags
    )
    header = struct.pack("<2sHI", b"II", 42, lists_at + len(lists))
    return header + data + b"\0" * (len(data) & 1) + lists + directory + struct.pack("<I", 0)


def _values(rows: NDArray[np.uint8], layout: TiffLayout) -> NDArray[Any]:
    """Return one block's samples, (rows, block width, samples in block), in native byte order."""
    count, samples = rows.shape[0], layout.samples_in_block
    if layout.bits < 8:  # noqa: PLR2004 - bits of a byte
        shifts = np.arange(8 - layout.bits, -1, -layout.bits, dtype=np.uint8)
        unpacked: NDArray[np.uint8] = (rows[..., None] >> shifts & np.uint8(2**layout.bits - 1)).reshape(count, -1)
        return unpacked[:, : layout.block_width * samples].reshape(count, layout.block_width, samples)
    if layout.bits == TWELVE:
        return _of_twelve_bits(rows, layout.block_width * samples).reshape(count, layout.block_width, samples)
    if layout.predictor == _FLOATING_POINT:
        return _unpredicted_floats(rows, layout)
    values: NDArray[Any] = rows.reshape(-1).view(layout.dtype).reshape(count, layout.block_width, samples)
    values = values.astype(layout.dtype.newbyteorder("="), copy=False)
    if layout.predictor == _HORIZONTAL:
        return np.cumsum(values, axis=1, dtype=values.dtype)
    return values


def _of_twelve_bits(rows: NDArray[np.uint8], samples: int) -> NDArray[np.uint16]:
    """Return (rows, samples) of rows that pack two samples in three bytes, the high bits of the first sample first."""
    whole = np.zeros((rows.shape[0], -(-rows.shape[1] // 3), 3), np.uint16)
    whole.reshape(rows.shape[0], -1)[:, : rows.shape[1]] = rows
    first = whole[..., 0] << 4 | whole[..., 1] >> 4
    second = (whole[..., 1] & 15) << 8 | whole[..., 2]
    return np.stack([first, second], axis=-1).reshape(rows.shape[0], -1)[:, :samples]


def _unpredicted_floats(rows: NDArray[np.uint8], layout: TiffLayout) -> NDArray[Any]:
    """Undo predictor 3: byte differences, with the bytes of all samples sorted by significance."""
    count, samples, size = rows.shape[0], layout.samples_in_block, layout.dtype.itemsize
    summed = np.cumsum(rows.reshape(count, -1, samples), axis=1, dtype=np.uint8)
    together = summed.reshape(count, size, layout.block_width * samples).transpose(0, 2, 1)
    big_endian = np.ascontiguousarray(together).view(f">f{size}")
    native: NDArray[Any] = big_endian.astype(layout.dtype.newbyteorder("="))
    return native.reshape(count, layout.block_width, samples)


_ORIENTATION, _ICC_PROFILE = 274, 34675
_EIGHT_BIT_STEP = 257
"""A 16-bit colour map entry for an 8-bit value is that byte twice, 257 times the value."""


def open_tiff(file: bytes) -> Container:
    """Read the directories of a TIFF file and return its description.

    Raises:
        UnreadableError: The file is truncated or damaged, or its variant is unsupported.
    """
    directories = read_directories(file, LAYOUT_TAGS | {_ORIENTATION, _ICC_PROFILE})
    layouts = [layout_of(directory, len(file)) for directory in directories]
    pages: list[Page] = []
    notes: set[str] = set()
    for directory, layout in zip(directories, layouts, strict=True):
        orientation, note = checked_orientation(directory.one(_ORIENTATION, 1))
        notes |= {note} if note else set()
        pages.append(Page(layout.width, layout.height, layout.mode, orientation, directory.data(_ICC_PROFILE)))

    def decode(indices: Sequence[int]) -> Iterator[Raster]:
        for index in indices:
            yield _decoded(file, directories[index], layouts[index])

    return Container("TIFF", pages, decode, notes=tuple(sorted(notes)))


def _decoded(file: bytes, directory: Directory, layout: TiffLayout) -> Raster:
    samples = read_samples(file, layout)
    if layout.photometric == PALETTE:
        return _from_colour_map(samples[..., 0], directory.tags[COLOUR_MAP])
    if layout.kind == "f":
        if samples.dtype == np.float16:
            samples = samples.astype(np.float32)
        check_unit_range(samples)
    full: float = 1 if layout.kind == "f" else 2**layout.bits - 1
    colours = 3 if layout.photometric == RGB else 1
    if layout.photometric == WHITE_IS_ZERO:
        samples[..., :1] = samples.dtype.type(full) - samples[..., :1]
    if layout.bits < 8:  # noqa: PLR2004 - bits of a byte
        samples *= np.uint8(255 // full)
    if layout.bits == TWELVE:
        samples = _of_sixteen_bits(samples)
    raster = opaque(samples[..., :3] if colours == 3 else samples[..., 0])  # noqa: PLR2004 - red, green, blue
    if layout.alpha:
        raster[..., 3] = samples[..., colours]
    if layout.alpha == ASSOCIATED:
        _unpremultiply(raster)
    return raster


def _of_sixteen_bits(samples: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Return 0..4095 scaled to 0..65535, rounded to the nearest integer."""
    wide = np.multiply(samples, 65535, dtype=np.uint32)
    wide += 2047
    wide //= 4095
    return wide.astype(np.uint16)


def _from_colour_map(indices: NDArray[Any], colour_map: tuple[int, ...]) -> Raster:
    """Return the colours, in 16 bits if 8 bits cannot represent them."""
    table = np.array(colour_map, np.uint16).reshape(3, -1).T
    if (table % _EIGHT_BIT_STEP == 0).all():
        table = (table // _EIGHT_BIT_STEP).astype(np.uint8)
    elif (table & 255 == 0).all():
        table = (table >> 8).astype(np.uint8)
    raster: Raster = opaque(table[None])[0][indices]
    return raster


def _unpremultiply(raster: Raster) -> None:
    """Divide colour by alpha, rounded to the nearest integer; where alpha is 0, colour is 0."""
    alpha = raster[..., 3:]
    if (raster[..., :3] > alpha).any():
        raise UnreadableError("damaged: its alpha is said to be multiplied in, but a colour exceeds its alpha")
    straight = (
        raster[..., :3].astype(np.float64) * full_scale(raster.dtype) / np.maximum(alpha, np.finfo(np.float64).tiny)
    )
    raster[..., :3] = np.where(alpha > 0, np.rint(straight) if raster.dtype.kind == "u" else straight, 0)
