"""A small picture of where two images differ, for lists and messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import simplejpeg

from pytest_imgdiff.image import Image
from pytest_imgdiff.model import Box
from pytest_imgdiff.views import full_value, halved, rgb_on_white, without_alpha

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_imgdiff.model import Region

WIDTH, HEIGHT = 320, 200
"""The largest that a thumbnail can be, in pixels."""
MOST_SHOWN = 1280
"""Of a larger picture so many columns are shown, or what its largest region takes where that is more."""
MOST_OUTLINES = 50
OUTLINE = (255, 0, 102)
QUALITY = 70


def thumbnail(image: Image, regions: tuple[Region, ...]) -> bytes:
    """Return a JPEG of the picture around its largest region, with the regions outlined.

    A WebP would be a quarter smaller and take ten times as long.

    Args:
        image: what is shown.
        regions: the largest first; without any, the top left is shown.
    """
    window = _window(image.size, regions[0].box if regions else Box(0, 0, *image.size))
    shown = _shown(image, window)
    scale = min(1.0, WIDTH / window.width, HEIGHT / window.height)
    if scale < 1:
        shown = _reduced(shown, max(1, round(window.width * scale)), max(1, round(window.height * scale)))
    small = _rgb8(shown)
    for region in regions[:MOST_OUTLINES]:
        _outline(small, region.box, window, scale)
    encoded: bytes = simplejpeg.encode_jpeg(small, QUALITY, colorspace="RGB", colorsubsampling="422")
    return encoded


def _reduced(pixels: NDArray[Any], width: int, height: int) -> NDArray[Any]:
    """Return the picture at that size, each of its pixels the mean of those that it stands for."""
    times = min(pixels.shape[0] // height, pixels.shape[1] // width).bit_length() - 1
    pixels = halved(pixels, times)
    if pixels.shape[:2] != (height, width):
        pixels = np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA))
    return pixels


def _window(size: tuple[int, int], box: Box) -> Box:
    """Return what part of the picture to show: as wide as it may be, the box in its middle."""
    width = min(size[0], max(MOST_SHOWN, box.width * 5 // 4))
    height = min(size[1], max(width * HEIGHT // WIDTH, min(box.height * 5 // 4, width * 2)))
    x = min(max(0, box.x + box.width // 2 - width // 2), size[0] - width)
    y = min(max(0, box.y + min(box.height, height) // 2 - height // 2), size[1] - height)
    return Box(x, y, width, height)


def _shown(image: Image, window: Box) -> NDArray[Any]:
    """Return that part of the picture, over white; the alpha of an opaque one is left on, and goes when it is small."""
    pixels = image.rows(window.y, window.y + window.height)[:, window.x : window.x + window.width]
    return pixels if image.opaque else rgb_on_white(Image(pixels, image.info))


def _rgb8(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """Return (height, width, 3) ``uint8`` that can be drawn on."""
    if pixels.dtype != np.uint8:
        pixels = np.rint(pixels * (255 / full_value(pixels.dtype))).clip(0, 255).astype(np.uint8)
    return without_alpha(pixels) if pixels.shape[2] == 4 else np.array(pixels, np.uint8, order="C")  # noqa: PLR2004 - RGBA


def _outline(small: NDArray[np.uint8], box: Box, window: Box, scale: float) -> None:
    """Draw a frame outside of what differs, within the picture."""
    left, top = int((box.x - window.x) * scale) - 2, int((box.y - window.y) * scale) - 2
    right = int((box.x + box.width - window.x) * scale) + 2
    bottom = int((box.y + box.height - window.y) * scale) + 2
    height, width = small.shape[:2]
    if right < 0 or bottom < 0 or left >= width or top >= height:
        return
    cv2.rectangle(small, (max(left, 0), max(top, 0)), (min(right, width - 1), min(bottom, height - 1)), OUTLINE, 1)
