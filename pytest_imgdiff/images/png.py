"""PNG, still and animated."""

from __future__ import annotations

import zlib
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_imgdiff.images import png_core, png_wuffs
from pytest_imgdiff.images.animation import composed
from pytest_imgdiff.images.apng import list_frames, patches, plays_of
from pytest_imgdiff.images.container import Container, Page, Raster, normal
from pytest_imgdiff.images.orientation import orientation_of
from pytest_imgdiff.images.png_bands import BandedRows, is_large
from pytest_imgdiff.images.png_pixels import decode_rows, raster_of
from pytest_imgdiff.images.png_rows import RasterRows, StoredRows
from pytest_imgdiff.images.png_scanlines import inflate
from pytest_imgdiff.images.png_structure import read_structure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pytest_imgdiff.image import Rows
    from pytest_imgdiff.images.png_layout import FilteredRows, Layout
    from pytest_imgdiff.images.png_structure import PngStructure

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
