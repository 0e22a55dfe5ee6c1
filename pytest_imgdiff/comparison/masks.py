"""Ignore areas: from the policy's shapes to a mask, and both images painted alike under it."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING

import cv2
import numpy as np

from pytest_imgdiff import images
from pytest_imgdiff.base.derived import full_value
from pytest_imgdiff.base.errors import BrokenImageError
from pytest_imgdiff.base.model import PolygonArea, RectangleArea
from pytest_imgdiff.comparison.sizes import with_pixels

if TYPE_CHECKING:
    from pytest_imgdiff.base.geometry import Mask
    from pytest_imgdiff.base.image import Image, Pixels
    from pytest_imgdiff.base.model import IgnoreArea, Length, MaskArea

    Outline = list[tuple[Fraction, Fraction]]
    """The corners of a polygon, in pixels."""

GRAY = 0.5
"""The gray, as a share of white, that both images are painted in where nobody looks."""
RIM = 8
"""Pixels, on each side."""
MARGIN = 1000
"""How far outside the picture, in pixels, a polygon is cut: what rounding does to the cut is not seen inside."""


def ignore_mask(areas: tuple[IgnoreArea, ...], size: tuple[int, int]) -> tuple[Mask | None, tuple[str, ...]]:
    """Return what the areas cover together, (height, width), and a note for each that covers nothing.

    A pixel that a rectangle touches at all is covered; a polygon covers its outline and what it encloses.

    Raises:
        BrokenImageError: a mask picture cannot be read or has another size than the compared pictures.
    """
    if not areas:
        return None, ()
    covered = np.zeros((size[1], size[0]), np.uint8)
    notes = []
    for number, area in enumerate(areas, 1):
        drawn = _drawn(area, size)
        if not drawn.any():
            notes.append(f"ignore area {number} covers no pixel of this {size[0]}x{size[1]} picture")
        covered |= drawn
    return covered.astype(bool), tuple(notes)


def _drawn(area: IgnoreArea, size: tuple[int, int]) -> np.ndarray:
    canvas = np.zeros((size[1], size[0]), np.uint8)
    if isinstance(area, RectangleArea):
        left, top = _pixels(area.x, size[0]), _pixels(area.y, size[1])
        right, bottom = left + _pixels(area.width, size[0]), top + _pixels(area.height, size[1])
        canvas[_covered(top, bottom, size[1]), _covered(left, right, size[0])] = 1
    elif isinstance(area, PolygonArea):
        outline = [(_exact_pixels(x, size[0]), _exact_pixels(y, size[1])) for x, y in area.points]
        if corners := [(round(x), round(y)) for x, y in _clipped(outline, size)]:
            canvas = _filled(np.array(corners, np.int32), size)
    else:
        canvas[_mask_picture(area, size)] = 1
    return canvas


def _filled(corners: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Fill a polygon on a canvas with a rim: at a canvas' edge OpenCV paints a little of what lies beyond it."""
    canvas = np.zeros((size[1] + 2 * RIM, size[0] + 2 * RIM), np.uint8)
    cv2.fillPoly(canvas, [corners + RIM], (1,))
    return canvas[RIM:-RIM, RIM:-RIM]


def _covered(start: float, end: float, axis: int) -> slice:
    """Return the pixels of this axis that lie at least in part between two positions, however far out they are."""
    first, last = (min(max(0.0, position), float(axis)) for position in (start, end))
    return slice(math.floor(first), math.ceil(last))


def _pixels(length: Length, axis: int) -> float:
    return length.value * axis / 100 if length.percent else length.value


def _exact_pixels(length: Length, axis: int) -> Fraction:
    return Fraction(length.value) * axis / 100 if length.percent else Fraction(length.value)


def _clipped(outline: Outline, size: tuple[int, int]) -> Outline:
    """Return the part of a polygon near the picture: OpenCV counts corners in 32 bits.

    Exact in fractions, as a corner may be anywhere. Edges along the bounds, which clipping a concave outline leaves,
    lie outside the picture.

    Source: I. E. Sutherland and G. W. Hodgman, Reentrant polygon clipping, CACM 17 (1), 1974.
    """
    for axis in (0, 1):
        outline = _cut(outline, axis, -MARGIN, inward=1)
        outline = _cut(outline, axis, size[axis] + MARGIN, inward=-1)
    return outline


def _cut(outline: Outline, axis: int, bound: int, inward: int) -> Outline:
    """Return the part of a polygon that lies on the inner side of a bound: up the axis (1) or down (-1)."""
    kept: Outline = []
    for before, corner in zip([*outline[-1:], *outline[:-1]], outline, strict=True):
        depths = (before[axis] - bound) * inward, (corner[axis] - bound) * inward
        if (depths[0] < 0) != (depths[1] < 0):
            share = depths[0] / (depths[0] - depths[1])
            kept.append((_between(before[0], corner[0], share), _between(before[1], corner[1], share)))
        if depths[1] >= 0:
            kept.append(corner)
    return kept


def _between(start: Fraction, end: Fraction, share: Fraction) -> Fraction:
    return start + (end - start) * share


def _mask_picture(area: MaskArea, size: tuple[int, int]) -> Mask:
    (picture,) = images.decode(images.read(area.path))
    if picture.size != size:
        cause = (
            f"this ignore mask is {picture.size[0]}x{picture.size[1]}, the compared pictures are {size[0]}x{size[1]}; "
            "draw it at their size"
        )
        raise BrokenImageError(picture.info.label, picture.info.format, cause)
    return np.asarray(picture.pixels[..., :3].any(axis=2))


def painted(image: Image, mask: Mask) -> Image:
    """Return the image with one opaque gray wherever the mask is true, so that nothing differs there."""
    pixels: Pixels = image.pixels.copy()
    full = full_value(pixels.dtype)
    gray = GRAY * full if pixels.dtype.kind == "f" else round(GRAY * full)
    pixels[mask] = (gray, gray, gray, full)
    return with_pixels(image, pixels, opaque=image.opaque)
