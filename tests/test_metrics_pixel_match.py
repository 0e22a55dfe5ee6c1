"""The metric `pixel_match`: equal in every channel, within a tolerance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pytest_imgdiff.metrics.pixel_match import PixelMatch
from tests.metric_pictures import DEPTHS, at_depth, image_of

pixels = arrays(np.uint8, (5, 6, 4), elements=st.sampled_from((0, 1, 2, 3, 100, 254, 255)))


@given(expected=pixels, actual=pixels, tolerance=st.sampled_from((0, 1, 2.5, 3, 200, 255)))
@settings(max_examples=300, deadline=None)
@pytest.mark.parametrize("depth", DEPTHS)
def test_a_pixel_counts_where_no_channel_differs_by_more_than_the_tolerance(depth, expected, actual, tolerance):
    pair = [image_of(picture) for picture in (expected, actual)]
    largest = np.abs(pair[0].pixels.astype(int) - pair[1].pixels).max(axis=2)
    deep = [image_of(at_depth(image.pixels, depth)) for image in pair]
    result = PixelMatch(tolerance=tolerance).measure(*deep, None)
    assert result.value == (largest <= tolerance).mean()
    assert result.details == {"pixels": (largest > tolerance).sum(), "compared_pixels": 30}
    assert np.array_equal(result.heat > 0, largest > tolerance)
    assert (np.abs(result.heat.astype(int) - largest)[largest > tolerance] <= 1).all()


@pytest.mark.parametrize(("depth", "step"), [(np.uint8, 1), (np.uint16, 1), (np.float32, 1e-7), (np.float64, 1e-15)])
@pytest.mark.parametrize("channel", range(4))
def test_one_step_in_one_channel_of_one_pixel_is_seen(depth, step, channel):
    expected = np.full((300, 200, 4), 0.5 if np.dtype(depth).kind == "f" else 100, depth)
    actual = expected.copy()
    actual[250, 100, channel] += depth(step)
    result = PixelMatch().measure(image_of(expected), image_of(actual), None)
    assert result.details["pixels"] == 1
    assert np.argwhere(result.heat).tolist() == [[250, 100]]


def test_ignored_pixels_leave_numerator_and_denominator():
    expected, actual = np.zeros((10, 10), np.uint8), np.zeros((10, 10), np.uint8)
    actual[:, :3] = 9
    ignore = np.zeros((10, 10), bool)
    ignore[:, 5:] = True
    result = PixelMatch().measure(image_of(expected), image_of(actual), ignore)
    assert result.value == 20 / 50
    assert result.details == {"pixels": 30, "compared_pixels": 50}
