"""From a picture to what a model takes: floats of one size in one range, resampled by a pinned method."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import PIL.Image
from PIL.Image import Resampling as Filter

from pytest_imgdiff.views import full_value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from pytest_imgdiff.image import Image
    from pytest_imgdiff.models.settings import ModelSettings, Resampling
    from pytest_imgdiff.views import Backdrop

_FILTERS: Mapping[Resampling, Filter] = {
    "bilinear": Filter.BILINEAR,
    "nearest": Filter.NEAREST,
    "bicubic": Filter.BICUBIC,
    "area": Filter.BOX,
    "lanczos": Filter.LANCZOS,
}


def model_input(image: Image, backdrop: Backdrop, settings: ModelSettings) -> NDArray[np.float32]:
    """Return a picture as the model takes it.

    The picture is laid on the backdrop, stretched to a square of ``input_size`` and scaled to ``value_range``. It is
    resampled in floats: nothing is rounded to the levels of the picture's depth.

    Sample ``i`` of ``n`` lies at ``(i + 0.5) * length / n - 0.5`` of the picture's ``length``, whose edge pixels go on
    beyond it. The filters are Pillow's: where the picture shrinks they widen by the same factor, so that every pixel
    counts (TensorFlow's ``antialias=True``): ``bilinear`` a triangle, ``bicubic`` a = -0.5, ``lanczos`` three lobes,
    ``area`` a box. ``nearest`` takes one pixel.

    Returns:
        (input_size, input_size, 3) RGB.
    """
    colours = backdrop.rgb(image)
    side = settings.input_size
    low, high = settings.value_range
    scale = (high - low) / full_value(colours.dtype)
    result = np.empty((side, side, 3), np.float32)
    for channel in range(3):  # one by one: a third of the floats at a time
        plane = cv2.extractChannel(colours, channel).astype(np.float32)
        resized = PIL.Image.fromarray(plane).resize((side, side), _FILTERS[settings.resampling])
        result[..., channel] = np.asarray(resized)
    result *= np.float32(scale)
    result += np.float32(low)
    return result.clip(min(low, high), max(low, high))  # bicubic and lanczos overshoot
