"""Netpbm: PBM, PGM, PPM (as bytes and as text) and PAM, read with NumPy.

Source: the format specifications of Netpbm, pbm(5), pgm(5), ppm(5) and pam(5). Pillow reduces colours of 16 bits.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pytest_imgdiff.base.errors import UnreadableError
from pytest_imgdiff.images.container import Container, Page, Raster, full_scale, opaque

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from numpy.typing import NDArray

_SPACE = rb"(?:[ \t\n\v\f\r]|#[^\n\r]*[\n\r])+"
_HEADER = re.compile(rb"P([1-6])" + _SPACE + rb"(\d{1,9})" + _SPACE + rb"(\d{1,9})")
_LARGEST = re.compile(_SPACE + rb"(\d{1,9})")
_ONE_SPACE = re.compile(rb"(?:#[^\n\r]*)?[ \t\n\v\f\r]")
_PAM_LINE = re.compile(rb"[ \t]*(?:#[^\n]*|([A-Z]+)(?:[ \t]+([^\n]*?))?)[ \t\r]*\n")
_MOST_LINES = 100
_MOST_PAGES = 10_000
_MOST_AS_TEXT = 20_000_000
"""Values; each takes eight bytes while it is read."""
_NUMBERS = re.compile(rb"[0-9 \t\n\v\f\r]*")
_CHANNELS = {1: "gray", 2: "gray+alpha", 3: "RGB", 4: "RGBA"}
_TUPLES = {
    "BLACKANDWHITE": 1,
    "GRAYSCALE": 1,
    "RGB": 3,
    "BLACKANDWHITE_ALPHA": 2,
    "GRAYSCALE_ALPHA": 2,
    "RGB_ALPHA": 4,
}
_LARGEST_8_BIT, _LARGEST_16_BIT = 255, 65535


@dataclass(frozen=True, slots=True)
class _Picture:
    """One image's header.

    Attributes:
        width, height: Size in pixels.
        channels: 1 gray, 2 gray and alpha, 3 RGB, 4 RGBA.
        largest: The value of full intensity.
        bits: Whether it is a bitmap, in which 1 is black.
        text: Whether its samples are decimal numbers.
        start: Start of its samples.
    """

    width: int
    height: int
    channels: int
    largest: int
    bits: bool
    text: bool
    start: int

    @property
    def mode(self) -> str:
        """Channels and depth in words."""
        depth = 1 if self.bits else max(self.largest.bit_length(), 1)
        return f"{_CHANNELS[self.channels]} {depth}-bit"

    @property
    def row(self) -> int:
        """Bytes of a row."""
        if self.bits:
            return (self.width + 7) // 8
        return self.width * self.channels * (2 if self.largest > _LARGEST_8_BIT else 1)


def open_netpbm(file: bytes) -> Container:
    """Read the headers of a Netpbm file, which may contain several images, and return its description.

    Raises:
        UnreadableError: It is truncated or damaged.
    """
    pictures: list[_Picture] = []
    at = 0
    while not pictures or (file[at : at + 1] == b"P" and not pictures[-1].text):
        picture = _pam_header(file, at) if file[at : at + 2] == b"P7" else _header(file, at)
        at = len(file) if picture.text else picture.start + picture.row * picture.height
        if at > len(file):
            there = f"{len(file) - picture.start:,} of {picture.row * picture.height:,} bytes of its pixels are there"
            raise UnreadableError(f"truncated: {there}")
        pictures.append(picture)
        if len(pictures) > _MOST_PAGES:
            raise UnreadableError(f"it has more than {_MOST_PAGES:,} images")
    trailing = len(file) - at
    pages = [
        Page(picture.width, picture.height, picture.mode, opaque=picture.channels in (1, 3)) for picture in pictures
    ]

    def decode(indices: Sequence[int]) -> Iterator[Raster]:
        for index in indices:
            yield _raster(file, pictures[index])

    return Container("Netpbm", pages, decode, notes=(f"{trailing:,} bytes follow its end",) if trailing else ())


def _header(file: bytes, at: int) -> _Picture:
    found = _HEADER.match(file, at)
    if found is None:
        raise UnreadableError("truncated or damaged: its header lacks width and height")
    kind, width, height = (int(group) for group in found.groups())
    end, largest = found.end(), 1
    if kind not in (1, 4):
        maximum = _LARGEST.match(file, end)
        if maximum is None:
            raise UnreadableError("truncated or damaged: its header lacks the largest value")
        end, largest = maximum.end(), int(maximum[1])
    space = _ONE_SPACE.match(file, end)
    if space is None:
        raise UnreadableError("truncated or damaged: its header does not end")
    channels = 3 if kind in (3, 6) else 1
    return _checked(_Picture(width, height, channels, largest, kind in (1, 4), kind <= 3, space.end()))  # noqa: PLR2004 - P1 to P3


def _pam_header(file: bytes, at: int) -> _Picture:
    fields: dict[str, str] = {}
    end = file.find(b"\n", at) + 1
    for _ in range(_MOST_LINES if end else 0):
        line = _PAM_LINE.match(file, end)
        if line is None:
            break
        end = line.end()
        name = (line[1] or b"").decode("ascii")
        if name == "ENDHDR":
            return _checked(_pam_picture(fields, end))
        if name:
            fields[name] = (line[2] or b"").decode("ascii", "replace")
    raise UnreadableError("truncated or damaged: its header has no ENDHDR")


def _pam_picture(fields: dict[str, str], start: int) -> _Picture:
    try:
        width, height, channels, largest = (int(fields[name]) for name in ("WIDTH", "HEIGHT", "DEPTH", "MAXVAL"))
    except (KeyError, ValueError):
        raise UnreadableError("damaged: its header lacks WIDTH, HEIGHT, DEPTH or MAXVAL") from None
    kind = fields.get("TUPLTYPE", "")
    if channels not in _CHANNELS or (kind and _TUPLES.get(kind) != channels):
        raise UnreadableError(
            f"a PAM of {channels} channels of the type {kind[:40] or 'none'} is not supported; save it as PNG"
        )
    return _Picture(width, height, channels, largest, bits=False, text=False, start=start)


def _checked(picture: _Picture) -> _Picture:
    if not picture.width or not picture.height:
        raise UnreadableError(f"its header says {picture.width} x {picture.height} pixels")
    if not 1 <= picture.largest <= _LARGEST_16_BIT:
        raise UnreadableError(f"damaged: its largest value is {picture.largest}; it can be 1 to 65535")
    return picture


def _raster(file: bytes, picture: _Picture) -> Raster:
    shape = picture.height, picture.width, picture.channels
    if picture.text:
        samples = _from_text(file[picture.start :], picture).reshape(shape)
    elif picture.bits:
        packed = np.frombuffer(file, np.uint8, picture.row * picture.height, picture.start)
        samples = np.unpackbits(packed.reshape(picture.height, -1), axis=1)[:, : picture.width].reshape(shape)
    else:
        dtype = ">u2" if picture.largest > _LARGEST_8_BIT else "u1"
        samples = np.frombuffer(file, dtype, picture.width * picture.height * picture.channels, picture.start)
        samples = samples.reshape(shape)
    if samples.max() > picture.largest:
        raise UnreadableError(f"damaged: it holds {samples.max()}, and its largest value is {picture.largest}")
    if picture.bits:
        samples = 1 - samples
    values = _stretched(samples, picture.largest)
    raster = opaque(values[..., :3] if picture.channels >= 3 else values[..., 0])  # noqa: PLR2004 - red, green, blue
    if picture.channels in (2, 4):
        raster[..., 3] = values[..., -1]
    return raster


def _from_text(text: bytes, picture: _Picture) -> NDArray[Any]:
    count = picture.width * picture.height * picture.channels
    if count > _MOST_AS_TEXT:
        raise UnreadableError(
            f"{count:,} values as text are not supported, at most {_MOST_AS_TEXT:,} are; save it as PNG"
        )
    if not _NUMBERS.fullmatch(text):
        raise UnreadableError("damaged: something else than numbers stands among its pixels")
    if picture.bits:  # its digits need no separator
        values = np.frombuffer(text.translate(None, b" \t\n\v\f\r"), np.uint8).astype(np.int64) - ord("0")
    else:
        values = np.fromstring(text, np.int64, sep=" ")  # any white space separates numbers
    if values.size != count:
        what = "truncated" if values.size < count else "damaged"
        raise UnreadableError(f"{what}: it holds {values.size:,} values, and its size calls for {count:,}")
    if not picture.bits and not text[-1:].isspace():
        raise UnreadableError(
            "truncated: its last number may lack digits, as no white space follows it; end its last line"
        )
    return values


def _stretched(samples: NDArray[Any], largest: int) -> NDArray[Any]:
    """Return the samples scaled to the range of 8 bits, or of 16 if 8 bits cannot represent them."""
    dtype = np.dtype(np.uint16 if largest > _LARGEST_8_BIT else np.uint8)
    full = full_scale(dtype)
    if largest == full:
        return samples.astype(dtype)
    values: NDArray[Any] = ((samples.astype(np.int64) * full * 2 + largest) // (2 * largest)).astype(dtype)
    return values
