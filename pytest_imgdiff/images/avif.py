"""AVIF: this module checks the boxes, libavif decodes (through Pillow, if Pillow was built with it)."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from PIL import features
from PIL.AvifImagePlugin import AvifImageFile

from pytest_imgdiff.base.errors import UnreadableError
from pytest_imgdiff.images.container import Container, Page, Raster, orientation_of, pillow_frames

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_INSIDE = {
    b"meta": 4,
    b"iprp": 0,
    b"ipco": 0,
    b"moov": 0,
    b"trak": 0,
    b"mdia": 0,
    b"minf": 0,
    b"stbl": 0,
    b"stsd": 8,
    b"av01": 78,
}
"""Boxes that contain boxes, and how many bytes of their own fields come first (ISO/IEC 14496-12)."""
_MOST_BOXES = 10_000
_MOST_FRAMES = 100_000
_DEEP = 0x40
"""In the third byte of av1C: more than 8 bits per sample."""


@dataclass(frozen=True, slots=True)
class _Box:
    type: bytes
    data: memoryview


def open_avif(file: bytes) -> Container:
    """Read the boxes of an AVIF file and return its description.

    Its rotation (irot) and mirroring (imir) are the orientation; libavif and Pillow return them as an EXIF value
    instead of the one in its EXIF block, which must be ignored according to the format (ISO/IEC 23000-22).

    Raises:
        UnreadableError: Pillow cannot decode AVIF here; or the file is truncated or damaged, is cropped by its
            container, or has more than 8 bits per sample, which Pillow would reduce.
    """
    if not features.check("avif"):
        raise UnreadableError("this Pillow was built without AVIF; install Pillow's wheel from PyPI, or save it as PNG")
    boxes = _checked_boxes(file)
    try:
        with AvifImageFile(io.BytesIO(file)) as picture:
            (width, height), frames, mode = picture.size, picture.n_frames, picture.mode
            info = dict(picture.info)
    except (OSError, SyntaxError, ValueError) as error:
        raise UnreadableError(f"damaged or truncated: {error}") from None
    orientation, note = orientation_of(info.get("exif"))
    page = Page(width, height, f"{mode} 8-bit", orientation, info.get("icc_profile"))

    def decode(indices: Sequence[int]) -> Iterator[Raster]:
        return pillow_frames(AvifImageFile, file, (width, height), indices)

    durations = _durations(boxes)
    timed = frames > 1 and len(durations) == frames
    pages = [replace(page, duration=duration) for duration in durations] if timed else [page] * frames
    return Container("AVIF", pages, decode, cumulative=frames > 1, notes=(note,) if note else ())


def _durations(boxes: Iterable[_Box]) -> list[float]:
    """Return how long each frame of the first track is shown, in milliseconds (ISO/IEC 14496-12, 8.4.2 and 8.6.1.2)."""
    first = {box.type: box.data for box in reversed(list(boxes))}
    header, table = first.get(b"mdhd", b""), first.get(b"stts", b"")
    at = 20 if bytes(header[:1]) == b"\x01" else 12
    scale = int.from_bytes(header[at : at + 4], "big")
    if not scale:
        return []
    durations: list[float] = []
    for entry in range(8, len(table) - 7, 8):
        count, units = (
            int.from_bytes(table[entry : entry + 4], "big"),
            int.from_bytes(table[entry + 4 : entry + 8], "big"),
        )
        if len(durations) + count > _MOST_FRAMES:
            return []
        durations += [1000 * units / scale] * count
    return durations


def _checked_boxes(file: bytes) -> list[_Box]:
    boxes = _boxes(memoryview(file), [])
    configurations = [box.data for box in boxes if box.type == b"av1C"]
    if not configurations or any(len(data) < 4 for data in configurations):  # noqa: PLR2004 - its fields
        raise UnreadableError("damaged: it does not say how its image is coded")
    if any(data[2] & _DEEP for data in configurations):
        raise UnreadableError("10-bit and 12-bit AVIF are not read, as Pillow narrows them to 8; save it as 16-bit PNG")
    if any(box.type == b"clap" for box in boxes):
        raise UnreadableError("AVIF that is cropped by its container (clap) is not supported; save it as PNG")
    return boxes


def _boxes(data: memoryview, found: list[_Box]) -> list[_Box]:
    """Append all boxes in the data, including nested ones."""
    at = 0
    while at < len(data):
        header = 8
        size = int.from_bytes(data[at : at + 4], "big")
        if size == 1:
            header = 16
            size = int.from_bytes(data[at + 8 : at + 16], "big")
        elif size == 0:
            size = len(data) - at
        if size < header or at + size > len(data):
            raise UnreadableError(
                f"truncated: a box of {size:,} bytes does not fit the {len(data) - at:,} that are left"
            )
        box = _Box(bytes(data[at + 4 : at + 8]), data[at + header : at + size])
        found.append(box)
        if len(found) > _MOST_BOXES:
            raise UnreadableError(f"it has more than {_MOST_BOXES:,} boxes")
        if box.type in _INSIDE:
            _boxes(box.data[_INSIDE[box.type] :], found)
        at += size
    return found
