"""From pixels in the normal form to PNG."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from pytest_imgdiff.base.errors import ImgdiffError
from pytest_imgdiff.images.container import full_scale

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_imgdiff.base.image import Pixels


def encode_png(pixels: Pixels) -> bytes:
    """Return a PNG that reads back to exactly these pixels, in the fewest channels that hold them.

    Args:
        pixels: (height, width, 4) straight RGBA of uint8 or uint16 in the normal form. Opaque pictures are written
            as gray or RGB.

    Raises:
        ImgdiffError: the pixels are floats, which PNG cannot hold, or larger than PNG allows.
    """
    if pixels.dtype not in (np.uint8, np.uint16):
        raise ImgdiffError(
            f"PNG cannot hold {pixels.dtype} pixels without loss; convert the image to uint8 or uint16 "
            "(`np.rint(image * 65535).astype(np.uint16)`)"
        )
    try:
        _, encoded = cv2.imencode(".png", _fewest_channels(pixels))
    except cv2.error as error:
        raise ImgdiffError(
            f"a picture of {pixels.shape[1]} x {pixels.shape[0]} pixels cannot be PNG: {error}"
        ) from None
    return encoded.tobytes()


def _fewest_channels(pixels: Pixels) -> NDArray[Any]:
    """Return gray, BGR or BGRA, as OpenCV orders colours."""
    if (pixels[..., 3] != full_scale(pixels.dtype)).any():
        return cv2.cvtColor(pixels, cv2.COLOR_RGBA2BGRA)
    red, green, blue = pixels[..., 0], pixels[..., 1], pixels[..., 2]
    if (red == green).all() and (green == blue).all():
        return np.ascontiguousarray(red)
    return cv2.cvtColor(pixels, cv2.COLOR_RGBA2BGR)
