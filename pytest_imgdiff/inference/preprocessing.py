"""From a picture to what a model takes: floats of one size in one range, resampled by a pinned method."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from pytest_imgdiff.views import full_value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from pytest_imgdiff.model import Image
    from pytest_imgdiff.models.settings import ModelSettings, Resampling
    from pytest_imgdiff.views import Backdrop

_INTERPOLATIONS: Mapping[Resampling, int] = {
    "bilinear": cv2.INTER_LINEAR,
    "nearest": cv2.INTER_NEAREST_EXACT,
    "bicubic": cv2.INTER_CUBIC,
    "area": cv2.INTER_AREA,
    "lanczos": cv2.INTER_LANCZOS4,
}


def model_input(image: Image, backdrop: Backdrop, settings: ModelSettings) -> NDArray[np.float32]:
    """Return a picture as the model takes it.

    The picture is laid on the backdrop, stretched to a square of ``input_size`` and scaled to ``value_range``. It is
    resampled in floats: nothing is rounded to the levels of the picture's depth.

    Sample ``i`` of ``n`` lies at ``(i + 0.5) * length / n - 0.5`` of the picture's ``length``, whose edge pixels go on
    beyond it. ``bilinear``, ``nearest``, ``bicubic`` (a = -0.75) and ``lanczos`` (8 x 8) look at the nearest 4, 1, 16
    and 64 pixels, however much the picture shrinks (TensorFlow's ``antialias=False``; not Pillow, which averages).
    ``area`` is the mean over all pixels that a sample covers, and bilinear where the picture grows.

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
        result[..., channel] = cv2.resize(plane, (side, side), interpolation=_INTERPOLATIONS[settings.resampling])
    result *= np.float32(scale)
    result += np.float32(low)
    return result.clip(min(low, high), max(low, high))  # bicubic and lanczos overshoot
