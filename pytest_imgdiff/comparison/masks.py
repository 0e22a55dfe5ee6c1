"""Preparation of two images: unequal sizes are made equal, never silently, and ignored areas are painted equal."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any, cast

import cv2
import numpy as np

from pytest_imgdiff import images
from pytest_imgdiff.base.derived import full_value, has_alpha
from pytest_imgdiff.base.errors import BrokenImageError
from pytest_imgdiff.base.image import Image
from pytest_imgdiff.base.model import PolygonArea, RectangleArea, SizePolicy

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_imgdiff.base.geometry import Mask
    from pytest_imgdiff.base.image import Pixels
    from pytest_imgdiff.base.model import IgnoreArea, Length, MaskArea

    Outline = list[tuple[Fraction, Fraction]]

    """The corners of a polygon, in pixels."""

# ---- Two sizes


def same_size(expected: Image, actual: Image, policy: SizePolicy) -> tuple[Image, Image] | None:
    """Return the pair at one size, or None if the policy is to fail.

    ``pad`` places both at the top left of a transparent canvas large enough for either: where only one of them has
    pixels, it is compared with transparency. ``crop`` keeps the top left rectangle that both cover. ``scale``
    resamples the actual image to the expected size, by pixel area where it shrinks and bilinearly
    where it grows, with colour weighted by alpha.
    """
    if expected.size == actual.size:
        return expected, actual
    if policy is SizePolicy.PAD:
        width, height = (max(pair) for pair in zip(expected.size, actual.size, strict=True))
        return _padded(expected, width, height), _padded(actual, width, height)
    if policy is SizePolicy.CROP:
        width, height = (min(pair) for pair in zip(expected.size, actual.size, strict=True))
        return _cropped(expected, width, height), _cropped(actual, width, height)
    if policy is SizePolicy.SCALE:
        return expected, with_pixels(actual, _scaled(actual, expected.size))
    return None


def with_pixels(image: Image, pixels: Pixels, *, opaque: bool = False) -> Image:
    """Return the image with other pixels, which become read-only, and without derived data."""
    pixels.flags.writeable = False
    return Image(pixels, image.info, image.encoded, opaque=opaque)


def _padded(image: Image, width: int, height: int) -> Image:
    if image.size == (width, height):
        return image
    canvas = np.zeros((height, width, 4), image.pixels.dtype)
    canvas[: image.size[1], : image.size[0]] = image.pixels
    return with_pixels(image, canvas)


def _cropped(image: Image, width: int, height: int) -> Image:
    return with_pixels(image, image.pixels[:height, :width].copy(), opaque=image.opaque)


def _scaled(image: Image, size: tuple[int, int]) -> Pixels:
    shrinks = size[0] <= image.size[0] and size[1] <= image.size[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    pixels = image.pixels
    if not image.derived(has_alpha):
        return cast("Pixels", cv2.resize(pixels, size, interpolation=method))
    full = full_value(pixels.dtype)
    weighted = pixels.astype(np.float64) / full
    weighted[..., :3] *= weighted[..., 3:]
    weighted = np.asarray(cv2.resize(weighted, size, interpolation=method), np.float64)
    alpha = weighted[..., 3:]
    weighted[..., :3] = np.divide(weighted[..., :3], alpha, out=np.zeros_like(weighted[..., :3]), where=alpha > 0)
    return _stored(weighted * full, pixels.dtype)


def _stored(values: NDArray[np.float64], dtype: np.dtype[Any]) -> Pixels:
    stored: Pixels = values.astype(dtype) if dtype.kind == "f" else np.rint(values).astype(dtype)
    stored[stored[..., 3] == 0] = 0
    return stored


# ---- Ignored areas


GRAY = 0.5
"""Gray, as a share of white, that both images are painted in where they are ignored."""
RIM = 8
"""Pixels, on each side."""
MARGIN = 1000
"""Distance outside the image, in pixels, at which a polygon is cut: rounding of the cut is not visible inside."""


def ignore_mask(areas: tuple[IgnoreArea, ...], size: tuple[int, int]) -> tuple[Mask | None, tuple[str, ...]]:
    """Return the union of the areas, (height, width), and a note for each area that covers nothing.

    A pixel that a rectangle touches is covered; a polygon covers its outline and what it encloses.

    Raises:
        BrokenImageError: A mask image cannot be read or does not have the size of the compared images.
    """
    if not areas:
        return None, ()
    covered = np.zeros((size[1], size[0]), np.uint8)
    notes = []
    for number, area in enumerate(areas, 1):
        drawn = _drawn(area, size)
        if not drawn.any():
            notes.append(f"ignore area {number} covers no pixel of this {size[0]}x{size[1]} image")
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
    """Fill a polygon on a canvas with a rim: at a canvas' edge OpenCV also paints parts that are beyond it."""
    canvas = np.zeros((size[1] + 2 * RIM, size[0] + 2 * RIM), np.uint8)
    cv2.fillPoly(canvas, [corners + RIM], (1,))
    return canvas[RIM:-RIM, RIM:-RIM]


def _covered(start: float, end: float, axis: int) -> slice:
    """Return the pixels of this axis that are at least partly between two positions, which may be far outside."""
    first, last = (min(max(0.0, position), float(axis)) for position in (start, end))
    return slice(math.floor(first), math.ceil(last))


def _pixels(length: Length, axis: int) -> float:
    return length.value * axis / 100 if length.percent else length.value


def _exact_pixels(length: Length, axis: int) -> Fraction:
    return Fraction(length.value) * axis / 100 if length.percent else Fraction(length.value)


def _clipped(outline: Outline, size: tuple[int, int]) -> Outline:
    """Return the part of a polygon near the image: OpenCV stores corners in 32 bits.

    Uses exact fractions, as a corner may be anywhere. Clipping a concave outline leaves edges along the bounds, which
    are outside the image.

    Source: I. E. Sutherland and G. W. Hodgman, Reentrant polygon clipping, CACM 17 (1), 1974.
    """
    for axis in (0, 1):
        outline = _cut(outline, axis, -MARGIN, inward=1)
        outline = _cut(outline, axis, size[axis] + MARGIN, inward=-1)
    return outline


def _cut(outline: Outline, axis: int, bound: int, inward: int) -> Outline:
    """Return the part of a polygon on the inner side of a bound: up the axis (1) or down (-1)."""
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
            f"this ignore mask is {picture.size[0]}x{picture.size[1]}, the compared images are {size[0]}x{size[1]}; "
            "draw it at their size"
        )
        raise BrokenImageError(picture.info.label, picture.info.format, cause)
    return np.asarray(picture.pixels[..., :3].any(axis=2))


def painted(image: Image, mask: Mask) -> Image:
    """Return the image with one opaque gray where the mask is true, so that nothing differs there."""
    pixels: Pixels = image.pixels.copy()
    full = full_value(pixels.dtype)
    gray = GRAY * full if pixels.dtype.kind == "f" else round(GRAY * full)
    pixels[mask] = (gray, gray, gray, full)
    return with_pixels(image, pixels, opaque=image.opaque)
