"""JPEG: decoded by libjpeg-turbo with every warning as an error."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np
import simplejpeg

from pytest_imgdiff.base.errors import UnreadableError
from pytest_imgdiff.images.container import Container, Page, Raster, opaque, orientation_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray


_START_OF_SCAN = 0xDA
_APP0, _APP1, _APP2, _APP14, _APP15 = 0xE0, 0xE1, 0xE2, 0xEE, 0xEF
_END = 0xD9
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""SOF0 to SOF15, without DHT, JPG and DAC."""
_KINDS_READ = {0xC0: "baseline", 0xC1: "extended", 0xC2: "progressive"}
_KINDS_REFUSED = {0xC3: "lossless", 0xC9: "arithmetic-coded", 0xCA: "arithmetic-coded progressive"}
_MARKER_IN_SCAN = re.compile(rb"\xff+[^\x00\xff\xd0-\xd7]")
"""In entropy-coded data FF 00 is a byte, FF D0..D7 are restart marks, and everything else ends the scan."""
_MOST_SCANS = 100
"""Maximum scans: progressive encoders write about ten; thousands of empty scans would take the decoder minutes."""
_MOST_SEGMENTS = 20_000
_INDEX = b"MPF\0"
_ENTRIES, _ENTRY = 0xB002, 16
"""The tag of the index's entries, and the bytes of one."""


@dataclass(frozen=True, slots=True)
class JpegHeader:
    """Contents of the segments.

    Attributes:
        width, height: Size in pixels.
        components: 1 gray, 3 colour, 4 CMYK.
        kind: ``baseline``, ``extended`` or ``progressive``.
        adobe: Whether Adobe's APP14 segment exists.
        exif: The first EXIF block.
        icc: The ICC profile, joined from its parts.
        index: The index of several images (MPF), or None.
        index_at: The position from which the offsets of that index count.
        trailing: Number of bytes after the end of the image.
    """

    width: int
    height: int
    components: int
    kind: str
    adobe: bool
    exif: bytes | None
    icc: bytes | None
    index: bytes | None
    index_at: int
    trailing: int


def read_segments(file: bytes) -> JpegHeader:
    """Read all segments up to the end-of-image marker.

    Raises:
        UnreadableError: The file is truncated or damaged, or of an unsupported kind.
    """
    frame: bytes | None = None
    kind = ""
    scans = 0
    applications: list[tuple[int, bytes]] = []
    index_at = 0
    at = 2
    for _ in range(_MOST_SEGMENTS):
        marker, at = _marker(file, at)
        if marker == _END:
            return _header(frame, kind, scans, applications, index_at, len(file) - at)
        length = int.from_bytes(file[at : at + 2], "big")
        data = file[at + 2 : at + length]
        if length < 2 or len(data) != length - 2:  # noqa: PLR2004 - the length counts its own two bytes
            raise UnreadableError("truncated: it ends inside a segment")
        at += length
        if marker in _FRAMES:
            if frame is not None:
                raise UnreadableError("it has two frame headers (a hierarchical JPEG), which is not read")
            frame, kind = data, _kind(marker)
        elif _APP0 <= marker <= _APP15:
            applications.append((marker, data))
            if _is_index(marker, data) and not index_at:
                index_at = at - len(data) + len(_INDEX)
        elif marker == _START_OF_SCAN:
            scans += 1
            if scans > _MOST_SCANS:
                raise UnreadableError(f"it has more than {_MOST_SCANS} scans")
            at = _end_of_scan(file, at)
    raise UnreadableError(f"it has more than {_MOST_SEGMENTS:,} segments")


def _marker(file: bytes, at: int) -> tuple[int, int]:
    """Return the marker at this offset and the offset after it; fill bytes may come before it."""
    start = at
    while file[at : at + 1] == b"\xff":
        at += 1
    if at >= len(file):
        raise UnreadableError("truncated: it ends without an end-of-image marker")
    if at == start:
        raise UnreadableError(f"damaged: there is no marker at byte {at}")
    return file[at], at + 1


def _end_of_scan(file: bytes, at: int) -> int:
    found = _MARKER_IN_SCAN.search(file, at)
    if found is None:
        raise UnreadableError("truncated: it ends inside its compressed data, without an end-of-image marker")
    return found.start()


def _kind(marker: int) -> str:
    if marker in _KINDS_READ:
        return _KINDS_READ[marker]
    kind = _KINDS_REFUSED.get(marker, "hierarchical or otherwise unusual")
    raise UnreadableError(f"{kind} JPEG is not supported; save it as baseline JPEG or PNG")


def _header(
    frame: bytes | None, kind: str, scans: int, applications: list[tuple[int, bytes]], index_at: int, trailing: int
) -> JpegHeader:
    if frame is None or len(frame) < 6 or not scans:  # noqa: PLR2004 - up to the count of components
        raise UnreadableError("damaged: it has no image in it")
    height, width = int.from_bytes(frame[1:3], "big"), int.from_bytes(frame[3:5], "big")
    if frame[0] != 8:  # noqa: PLR2004 - bits
        raise UnreadableError(f"{frame[0]}-bit JPEG is not supported; save it as 16-bit PNG")
    if not width or not height:
        raise UnreadableError(f"its header says {width} x {height} pixels")
    return JpegHeader(
        width,
        height,
        components=frame[5],
        kind=kind,
        adobe=any(marker == _APP14 and data.startswith(b"Adobe") for marker, data in applications),
        exif=next((data for marker, data in applications if marker == _APP1 and data.startswith(b"Exif\0\0")), None),
        icc=_profile(applications),
        index=next((data[len(_INDEX) :] for marker, data in applications if _is_index(marker, data)), None),
        index_at=index_at,
        trailing=trailing,
    )


def _is_index(marker: int, data: bytes) -> bool:
    return marker == _APP2 and data.startswith(_INDEX)


def _profile(applications: list[tuple[int, bytes]]) -> bytes | None:
    """Join the numbered parts of the ICC profile: ICC.1, annex B.4."""
    prefix = b"ICC_PROFILE\0"
    parts = [data[len(prefix) :] for marker, data in applications if marker == _APP2 and data.startswith(prefix)]
    return b"".join(part[2:] for part in sorted(parts, key=lambda part: part[:1])) or None


def picture_places(header: JpegHeader, file_size: int) -> list[tuple[int, int]]:
    """Return start and size, in bytes, of each image in the index (MPF), the first one included.

    Source: CIPA DC-007, section 5.2.3.

    Raises:
        UnreadableError: The index is damaged, or refers to bytes outside the file.
    """
    index = header.index or b""
    order: Literal["little", "big"] = "little" if index[:2] == b"II" else "big"

    def number(at: int, size: int) -> int:
        if at + size > len(index):
            raise UnreadableError("damaged: its index of images (MPF) is cut short")
        return int.from_bytes(index[at : at + size], order)

    directory = number(4, 4)
    fields = {number(at, 2): at for at in range(directory + 2, directory + 2 + 12 * number(directory, 2), 12)}
    if _ENTRIES not in fields:
        raise UnreadableError("damaged: its index of images (MPF) names none")
    length, entries = number(fields[_ENTRIES] + 4, 4), number(fields[_ENTRIES] + 8, 4)
    if not length or length % _ENTRY:
        raise UnreadableError("damaged: its index of images (MPF) has half an entry")
    places: list[tuple[int, int]] = []
    for at in range(entries, entries + length, _ENTRY):
        size, offset = number(at + 4, 4), number(at + 8, 4)
        start = header.index_at + offset if places else 0  # that of the first is 0 by definition
        if start + size > file_size:
            raise UnreadableError(
                f"truncated: its index (MPF) names an image of {size:,} bytes at byte {start:,}, and the file has "
                f"{file_size:,}"
            )
        places.append((start, size))
    return places


_GRAY, _COLOUR, _CMYK = 1, 3, 4
_NAMES = {_GRAY: "gray", _COLOUR: "colour", _CMYK: "CMYK"}


def open_jpeg(file: bytes) -> Container:
    """Read the segments of a JPEG file and return its description.

    From a file with several images (MPO, a photograph with its preview or gain map) the first is read, as in every
    viewer, and a note says so; `Container.whole` opens them all.

    Raises:
        UnreadableError: It is truncated, damaged, or of an unsupported kind.
    """
    header = read_segments(file)
    page, notes = _page(header)
    if header.index is not None:
        notes += ("it holds several images (MPF); the first is compared",)
    elif header.trailing:
        notes += (f"{header.trailing:,} bytes follow its end",)

    def decode(_: Sequence[int]) -> Iterator[Raster]:
        yield _decoded(file, header)

    whole = None if header.index is None else partial(_all_pictures, file, header)
    return Container("JPEG", (page,), decode, whole=whole, notes=notes)


def _all_pictures(file: bytes, first: JpegHeader) -> Container:
    """Return the file with every image in its index, each parsed as a separate JPEG.

    Raises:
        UnreadableError: The index is damaged, or an image is incomplete.
    """
    pictures: list[memoryview] = []
    headers: list[JpegHeader] = []
    for number, (start, size) in enumerate(picture_places(first, len(file))):
        picture = memoryview(file)[start : start + size]
        try:
            headers.append(read_segments(bytes(picture)))
        except UnreadableError as error:
            raise UnreadableError(f"its image {number} (MPF): {error.cause}") from None
        pictures.append(picture)
    described = [_page(header) for header in headers]

    def decode(indices: Sequence[int]) -> Iterator[Raster]:
        for index in indices:
            yield _decoded(bytes(pictures[index]), headers[index])

    notes = tuple(dict.fromkeys(note for _, notes in described for note in notes))
    return Container("JPEG", [page for page, _ in described], decode, notes=notes)


def _page(header: JpegHeader) -> tuple[Page, tuple[str, ...]]:
    """Return the description in an image's header, and notes.

    Raises:
        UnreadableError: It is of an unsupported kind.
    """
    if header.components not in _NAMES:
        raise UnreadableError(f"a JPEG of {header.components} components is not supported")
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
    """Return RGB of Adobe's CMYK, in which 255 means no ink: each colour is multiplied by black."""
    rgb = inks[..., :3].astype(np.uint16)
    rgb *= inks[..., 3:]
    rgb += 127
    rgb //= 255
    return opaque(rgb.astype(np.uint8))
