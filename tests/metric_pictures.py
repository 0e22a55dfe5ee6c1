"""Pictures for the tests of metrics, views and regions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import skimage.data

from pytest_imgdiff.base.derived import full_value
from pytest_imgdiff.base.image import Image, ImageInfo

if TYPE_CHECKING:
    from numpy.typing import NDArray

DEPTHS = (np.uint8, np.uint16, np.float32, np.float64)


def image_of(pixels: NDArray[Any]) -> Image:
    """Return gray, RGB or RGBA pixels of any depth in the normal form."""
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[..., None], 3, axis=2)
    if pixels.shape[2] == 3:
        alpha = np.full((*pixels.shape[:2], 1), full_value(pixels.dtype), pixels.dtype)
        pixels = np.concatenate([pixels, alpha], axis=2)
    pixels = np.array(pixels, order="C")
    pixels[pixels[..., 3] == 0] = 0
    pixels.flags.writeable = False
    info = ImageInfo(label="array", format="array", width=pixels.shape[1], height=pixels.shape[0], mode="RGBA")
    return Image(pixels, info)


def at_depth(pixels: NDArray[np.uint8], depth: type) -> NDArray[Any]:
    """Return 8-bit values at another depth."""
    if depth is np.uint8:
        return pixels
    if depth is np.uint16:
        return pixels.astype(np.uint16) * 257
    return pixels.astype(depth) / depth(255)


def photograph(name: str, height: int | None = None, width: int | None = None) -> NDArray[np.uint8]:
    """Return one of scikit-image's photographs, or its top left corner, as RGB."""
    picture = getattr(skimage.data, name)()
    if picture.ndim == 2:
        picture = np.repeat(picture[..., None], 3, axis=2)
    return np.ascontiguousarray(picture[:height, :width, :3])


def as_jpeg(picture: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    """Return an RGB picture after a JPEG file."""
    _, encoded = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.ascontiguousarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR)[..., ::-1])


def with_alpha(picture: NDArray[Any], alpha: NDArray[Any]) -> NDArray[Any]:
    """Return RGB with an alpha channel."""
    return np.dstack([picture[..., :3], alpha.astype(picture.dtype)])
