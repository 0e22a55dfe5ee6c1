"""Description of a file, for every format, before a pixel is decoded: sizes, orientation, frames."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from pytest_imgdiff.base.errors import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from PIL.AvifImagePlugin import AvifImageFile
    from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile
    from PIL.WebPImagePlugin import WebPImageFile

    from pytest_imgdiff.images.png_core import CoreRows
    from pytest_imgdiff.images.sniff import Format

Raster = NDArray[Any]
"""(height, width, 4) straight RGBA of uint8, uint16, float32 or float64, freshly allocated."""


@dataclass(frozen=True, slots=True)
class Page:
    """One frame or page, as stored.

    Attributes:
        width, height: Size in pixels, before the orientation is applied.
        mode: Channels and depth, such as ``RGB 8-bit``.
        orientation: The EXIF orientation to apply, 1 to 8.
        icc: The embedded ICC profile.
        opaque: True if no pixel can be transparent.
        duration: Display time of this frame of an animation, in milliseconds, as stored; None for anything else.
    """

    width: int
    height: int
    mode: str
    orientation: int = 1
    icc: bytes | None = None
    opaque: bool = False
    duration: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Container:
    """A file with headers that were read and a structure that was checked.

    Attributes:
        format: ``PNG``, ``JPEG``, ...
        pages: Its frames or pages, in order; at least one.
        decode: Yields the rasters of the pages with these indices (ascending), in that order.
        rows: Returns the rows of the only page if the compiled core decodes them, else None.
        check: Rejects what decoding would reject, at a fraction of its cost; None if only decoding can check the file.
        cumulative: A frame builds on those before it, so that these are decoded too.
        gamma: The PNG gAMA value.
        cicp: The PNG cICP value, as in `pytest_imgdiff.base.image.ImageInfo`.
        loops: How often an animation is played, 0 for an endless loop; None if the file does not specify it.
        whole: Opens the same file with all of its images if `pages` has only the one that every viewer shows.
        notes: Notes for the reader.
    """

    format: Format
    pages: Sequence[Page]
    decode: Callable[[Sequence[int]], Iterator[Raster]]
    rows: Callable[[], CoreRows | None] = lambda: None
    check: Callable[[], None] | None = None
    cumulative: bool = False
    gamma: float | None = None
    cicp: str | None = None
    loops: int | None = None
    whole: Callable[[], Container] | None = None
    notes: tuple[str, ...] = ()


def opaque(colour: Raster) -> Raster:
    """Return (height, width, 3) RGB or (height, width) gray as RGBA with full alpha."""
    height, width = colour.shape[:2]
    raster = np.empty((height, width, 4), colour.dtype)
    raster[..., :3] = colour if colour.ndim == 3 else colour[..., None]  # noqa: PLR2004 - an axis of channels
    raster[..., 3] = full_scale(colour.dtype)
    return raster


def full_scale(dtype: np.dtype[Any]) -> int:
    """Return the value of full intensity: the integer's maximum, or 1 for floats."""
    return int(np.iinfo(dtype).max) if dtype.kind == "u" else 1


def normal(raster: Raster, *, opaque: bool = False) -> Raster:
    """Return the raster contiguous and read-only, without the colour of fully transparent pixels."""
    pixels = np.ascontiguousarray(raster)
    if not opaque:
        hidden = pixels[..., 3] == 0
        if hidden.any():
            pixels[hidden] = 0
    pixels.setflags(write=False)
    return pixels


_ORIENTATION_TAG = 274
_SHORT = 3
_UPRIGHT = 1
_TURNS: Mapping[int, Callable[[Raster], Raster]] = {
    2: lambda raster: cv2.flip(raster, 1),
    3: lambda raster: cv2.rotate(raster, cv2.ROTATE_180),
    4: lambda raster: cv2.flip(raster, 0),
    5: cv2.transpose,
    6: lambda raster: cv2.rotate(raster, cv2.ROTATE_90_CLOCKWISE),
    7: lambda raster: cv2.rotate(cv2.transpose(raster), cv2.ROTATE_180),
    8: lambda raster: cv2.rotate(raster, cv2.ROTATE_90_COUNTERCLOCKWISE),
}


def orientation_of(exif: bytes | None) -> tuple[int, str | None]:
    """Return the orientation of an EXIF block (a small TIFF file), and a note if it is unusable.

    Source: CIPA DC-008 (Exif 2.32), 4.6.4; the tag is in the first directory as one SHORT. An unreadable block, or a
        value outside 1..8, counts as upright, as in browsers.
    """
    if not exif:
        return _UPRIGHT, None
    block = exif.removeprefix(b"Exif\0\0")
    try:
        value = _stated_orientation(block)
    except (struct.error, KeyError):
        return _UPRIGHT, "its EXIF block cannot be read; taken as upright"
    return checked_orientation(value)


def checked_orientation(value: int | None) -> tuple[int, str | None]:
    """Return a usable orientation for a stated one, and a note if it is not one of 1..8."""
    if value is None or 1 <= value <= 8:  # noqa: PLR2004 - the values that the standard defines
        return value or _UPRIGHT, None
    return _UPRIGHT, f"its EXIF orientation is {value}, which is not one of 1 to 8; taken as upright"


def oriented(raster: Raster, orientation: int) -> Raster:
    """Return the raster rotated and mirrored so that the stated orientation is upright."""
    turn = _TURNS.get(orientation)
    return raster if turn is None else turn(raster)


def _stated_orientation(block: bytes) -> int | None:
    order = {b"II*\0": "<", b"MM\0*": ">"}[block[:4]]
    (directory,) = struct.unpack_from(order + "I", block, 4)
    (entries,) = struct.unpack_from(order + "H", block, directory)
    for index in range(entries):
        tag, kind, count, value = struct.unpack_from(order + "HHIH", block, directory + 2 + 12 * index)
        if (tag, kind, count) == (_ORIENTATION_TAG, _SHORT, 1):
            return int(value)
    return None


# ---- The frames of an animation


Disposal = Literal["keep", "clear", "restore"]


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """The pixels that one frame draws.

    Attributes:
        pixels: Straight RGBA.
        x, y: Position of its top left corner on the canvas; all of it is on the canvas.
        over: Whether it is drawn over the canvas (else it replaces the canvas, alpha included).
        then: What happens to its rectangle before the next frame: it is unchanged, becomes transparent, or is restored
            to its previous content.
    """

    pixels: Raster
    x: int
    y: int
    over: bool
    then: Disposal


def composed(patches: Iterable[Patch], width: int, height: int, wanted: Sequence[int]) -> Iterator[Raster]:
    """Yield the canvas, initially transparent, after each requested frame.

    Args:
        patches: The patches of the frames, from the first on; consumed only up to the last requested one.
        width: Width of the canvas in pixels.
        height: Height of the canvas in pixels.
        wanted: Indices of frames, ascending.
    """
    canvas: Raster | None = None
    left = set(wanted)
    for index, patch in enumerate(patches):
        if canvas is None:
            canvas = np.zeros((height, width, 4), patch.pixels.dtype)
        rows, columns = patch.pixels.shape[:2]
        place = canvas[patch.y : patch.y + rows, patch.x : patch.x + columns]
        before = place.copy() if patch.then == "restore" else None
        place[...] = _over(patch.pixels, place) if patch.over else patch.pixels
        if index in left:
            yield canvas.copy()
            left.discard(index)
            if not left:
                return
        if patch.then == "clear":
            place[...] = 0
        elif before is not None:
            place[...] = before


def _over(top: Raster, bottom: Raster) -> Raster:
    """Return straight RGBA composed over straight RGBA: PNG specification, section 13.16."""
    full = full_scale(top.dtype)
    alpha = top[..., 3]
    result = np.where((alpha == 0)[..., None], bottom, top)
    mixed = (alpha > 0) & (alpha < full) & (bottom[..., 3] > 0)
    if mixed.any():
        upper, lower = top[mixed].astype(np.float64), bottom[mixed].astype(np.float64)
        share = upper[:, 3:] / full
        below = lower[:, 3:] / full * (1 - share)
        together = share + below
        result[mixed, :3] = np.rint((upper[:, :3] * share + lower[:, :3] * below) / together)
        result[mixed, 3] = np.rint(together[:, 0] * full)
    return result


def pillow_frames(
    decoder: type[WebPImageFile | AvifImageFile | Jpeg2KImageFile],
    file: bytes,
    size: tuple[int, int],
    indices: Sequence[int],
) -> Iterator[Raster]:
    """Yield the frames with these indices (ascending).

    Args:
        decoder: Pillow's class for the format.
        file: The encoded file.
        size: Width and height according to its headers.
        indices: Which frames.

    Raises:
        UnreadableError: The data does not decode, or does not match the headers.
    """
    try:
        with decoder(io.BytesIO(file)) as picture:
            if picture.size != size:
                raise UnreadableError(f"damaged: it decodes to {picture.size[0]} x {picture.size[1]} pixels")
            for index in indices:
                picture.seek(index)
                picture.load()
                yield np.array(picture if picture.mode == "RGBA" else picture.convert("RGBA"))
    except (OSError, EOFError, RuntimeError, SyntaxError, ValueError) as error:
        raise UnreadableError(f"damaged or truncated: {error}") from None
