"""Calls of scikit-image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from skimage.color import rgb2gray
from skimage.io import imread
from skimage.metrics import structural_similarity

if TYPE_CHECKING:
    from collections.abc import Callable


def ssim(expected: str, actual: str, keep: str | None = None) -> Callable[[], Any]:
    """Take the mean structural similarity, uniform windows of 7x7, of two gray pictures held in ``.npy`` files.

    Returns its value. The map goes to the file ``keep`` where one is named.
    """
    first, second = np.load(expected), np.load(actual)
    structural_similarity(first[:64, :64], second[:64, :64])  # so that the first run finds everything imported

    def measure() -> float:
        if keep is None:
            return float(structural_similarity(first, second))
        value, index = structural_similarity(first, second, full=True)
        np.save(keep, index)
        return float(value)

    return measure


def ssim_of_colours(expected: str, actual: str) -> Callable[[], Any]:
    """Take the same of two decoded pictures in colour, made gray by scikit-image. Returns its value."""
    first, second = imread(expected), imread(actual)

    def measure() -> float:
        return float(structural_similarity(rgb2gray(first), rgb2gray(second), data_range=1.0))

    return measure


def map_deviation(ours: str, theirs: str) -> Callable[[], Any]:
    """Return the largest deviation of two maps in ``.npy`` files: our heat is ``(1 - index) / 2``."""
    return lambda: float(np.abs(1 - 2 * np.load(ours).astype(np.float64) - np.load(theirs)).max())
