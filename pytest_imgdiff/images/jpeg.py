"""JPEG: decoded by libjpeg-turbo with every warning an error."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import simplejpeg

from pytest_imgdiff.images.container import Container, Page, Raster, opaque
from pytest_imgdiff.images.jpeg_segments import JpegHeader, picture_places, read_segments
from pytest_imgdiff.images.orientation import orientation_of
from pytest_imgdiff.images.unreadable import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

_GRAY, _COLOUR, _CMYK = 1, 3, 4
_NAMES = {_GRAY: "gray", _COLOUR: "colour", _CMYK: "CMYK"}


def open_jpeg(file: bytes) -> Container:
    """Walk the segments of a JPEG file and return what it says of itself.

    Of a file that holds several pictures (MPO, a photograph with its preview or gain map) the first is read, as every
    viewer does, and a note says so; `Container.whole` opens them all.

    Raises:
        UnreadableError: it is cut short, damaged, or of a kind that is not read.
    """
    header = read_segments(file)
    page, notes = _page(header)
    if header.index is not None:
        notes += ("it holds several pictures (MPF); the first is compared",)
    elif header.trailing:
        notes += (f"{header.trailing:,} bytes follow its end",)

    def decode(_: Sequence[int]) -> Iterator[Raster]:
        yield _decoded(file, header)

    whole = None if header.index is None else partial(_all_pictures, file, header)
    return Container("JPEG", (page,), decode, whole=whole, notes=notes)


def _all_pictures(file: bytes, first: JpegHeader) -> Container:
    """Return the file with every picture that its index names, each of them walked as a JPEG of its own.

    Raises:
        UnreadableError: the index is damaged, or a picture of it is not there whole.
    """
    pictures: list[memoryview] = []
    headers: list[JpegHeader] = []
    for number, (start, size) in enumerate(picture_places(first, len(file))):
        picture = memoryview(file)[start : start + size]
        try:
            headers.append(read_segments(bytes(picture)))
        except UnreadableError as error:
            raise UnreadableError(f"its picture {number} (MPF): {error.cause}") from None
        pictures.append(picture)
    described = [_page(header) for header in headers]

    def decode(indices: Sequence[int]) -> Iterator[Raster]:
        for index in indices:
            yield _decoded(bytes(pictures[index]), headers[index])

    notes = tuple(dict.fromkeys(note for _, notes in described for note in notes))
    return Container("JPEG", [page for page, _ in described], decode, notes=notes)


def _page(header: JpegHeader) -> tuple[Page, tuple[str, ...]]:
    """Return what a picture's header says, and notes.

    Raises:
        UnreadableError: it is of a kind that is not read.
    """
    if header.components not in _NAMES:
        raise UnreadableError(f"a JPEG of {header.components} components is not read")
    if header.components == _CMYK and not header.adobe:
        raise UnreadableError("CMYK without Adobe's marker: nothing says whether its inks are inverted; save it as RGB")
    orientation, note = orientation_of(header.exif)
    mode = f"{_NAMES[header.components]} 8-bit"
    page = Page(header.width, header.height, mode, orientation, header.icc, opaque=True)
    return page, (note,) if note else ()


def _decoded(file: bytes, header: JpegHeader) -> Raster:
    space = "CMYK" if header.components == _CMYK else "RGBA"
    try:
        decoded: NDArray[np.uint8] = simplejpeg.decode_jpeg(file, space, strict=True)
    except ValueError as error:
        raise UnreadableError(f"damaged: {error}") from None
    if decoded.shape[:2] != (header.height, header.width):
        raise UnreadableError(f"damaged: it decodes to {decoded.shape[1]} x {decoded.shape[0]} pixels")
    return _from_inverted_inks(decoded) if space == "CMYK" else decoded


def _from_inverted_inks(inks: NDArray[np.uint8]) -> Raster:
    """Return RGB of Adobe's CMYK, in which 255 means no ink: each colour dimmed by black."""
    rgb = inks[..., :3].astype(np.uint16)
    rgb *= inks[..., 3:]
    rgb += 127
    rgb //= 255
    return opaque(rgb.astype(np.uint8))
