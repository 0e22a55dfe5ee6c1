"""Two images of unequal size brought to one, by the policy's open choice; never silently."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import cv2
import numpy as np

from pytest_imgdiff.base.derived import full_value, has_alpha
from pytest_imgdiff.base.image import Image
from pytest_imgdiff.base.model import SizePolicy

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_imgdiff.base.image import Pixels


def same_size(expected: Image, actual: Image, policy: SizePolicy) -> tuple[Image, Image] | None:
    """Return the pair at one size, or None where the policy is to fail.

    ``pad`` lays both top left on a transparent canvas that holds either: what only one of them covers
    differs from nothing being there. ``crop`` keeps the top left rectangle that both cover. ``scale``
    resamples the actual image to the expected size, by pixel area where it shrinks and bilinearly
    where it grows, colour weighted by alpha.
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
    """Return the image with other pixels, which become read-only, and nothing derived yet."""
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
