"""The frames of an animation: laid over one another where they are patches, or as Pillow gives them."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from pytest_imgdiff.base.errors import UnreadableError
from pytest_imgdiff.images.container import Raster, full_scale

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from PIL.AvifImagePlugin import AvifImageFile
    from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile
    from PIL.WebPImagePlugin import WebPImageFile


Disposal = Literal["keep", "clear", "restore"]


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """What one frame draws.

    Attributes:
        pixels: straight RGBA.
        x, y: where its top left corner lies on the canvas; all of it lies on the canvas.
        over: drawn over what is there (else it replaces it, its alpha too).
        then: what happens to its rectangle before the next frame: it stays, becomes transparent, or what was
            there before comes back.
    """

    pixels: Raster
    x: int
    y: int
    over: bool
    then: Disposal


def composed(patches: Iterable[Patch], width: int, height: int, wanted: Sequence[int]) -> Iterator[Raster]:
    """Yield the canvas, at first transparent, as it stands after each wanted frame.

    Args:
        patches: what the frames draw, from the first on; consumed no further than the last wanted one.
        width: of the canvas, in pixels.
        height: of the canvas, in pixels.
        wanted: indices of frames, ascending.
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
    """Return straight RGBA laid over straight RGBA: PNG specification, section 13.16."""
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
        file: the encoded file.
        size: width and height that its headers state.
        indices: which frames.

    Raises:
        UnreadableError: the data does not decode, or not to what the headers state.
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
