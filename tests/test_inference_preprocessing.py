"""From a picture to what a model takes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_imgdiff.base.derived import BLACK, WHITE
from pytest_imgdiff.networks.service import model_input
from pytest_imgdiff.networks.settings import ModelSettings
from tests.metric_pictures import DEPTHS, at_depth, image_of, photograph, with_alpha

METHODS = ["bilinear", "nearest", "bicubic", "area", "lanczos"]


def prepared(pixels, backdrop=BLACK, **changes):
    return model_input(image_of(pixels), backdrop, ModelSettings("any", **changes))


def bilinear(pixels, side):
    """The definition of the documentation, term by term: a triangle as wide as the picture shrinks."""
    values = pixels.astype(np.float64) / 255
    for axis in (0, 1):
        length = values.shape[axis]
        shrinks = max(1.0, length / side)
        places = (np.arange(side) + 0.5) * length / side - 0.5
        weights = (1 - np.abs(np.arange(length) - places[:, None]) / shrinks).clip(0, None)
        weights /= weights.sum(axis=1, keepdims=True)
        values = np.moveaxis(np.tensordot(weights, values, (1, axis)), 0, axis)
    return values


@given(height=st.integers(1, 60), width=st.integers(1, 60), side=st.integers(1, 70), seed=st.integers(0, 99))
@settings(deadline=None)
def test_bilinear_is_what_the_documentation_says(height, width, side, seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    assert prepared(pixels, input_size=side) == pytest.approx(bilinear(pixels, side), abs=3e-5)


def test_bilinear_is_that_of_tensorflow_with_antialiasing():
    tf = pytest.importorskip("tensorflow")
    pixels = photograph("coffee")
    theirs = tf.image.resize(pixels.astype(np.float32) / 255, (224, 224), method="bilinear", antialias=True).numpy()
    assert prepared(pixels) == pytest.approx(theirs, abs=3e-5)


@pytest.mark.parametrize("resampling", METHODS)
@pytest.mark.parametrize("shape", [(1, 1), (3, 500), (300, 451)])
def test_every_method_gives_floats_of_the_models_size_within_its_range(resampling, shape):
    pixels = np.random.default_rng(0).choice(np.array([0, 255], np.uint8), (*shape, 3))
    for low, high in ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0)):
        values = prepared(pixels, resampling=resampling, value_range=(low, high), input_size=96)
        assert values.shape == (96, 96, 3)
        assert values.dtype == np.float32
        assert low <= values.min() <= values.max() <= high


@pytest.mark.parametrize("resampling", METHODS)
def test_black_and_white_are_the_ends_of_the_range(resampling):
    for level, end in ((0, -1.0), (255, 1.0)):
        values = prepared(np.full((30, 40, 3), level, np.uint8), resampling=resampling, value_range=(-1, 1))
        assert values == pytest.approx(end, abs=1e-6)


@pytest.mark.parametrize("depth", DEPTHS)
def test_a_picture_gives_the_same_at_every_depth(depth):
    picture = photograph("chelsea")
    assert prepared(at_depth(picture, depth)) == pytest.approx(prepared(picture), abs=1e-6)


def test_sixteen_bits_are_not_rounded_to_eight():
    pixels = np.full((10, 10, 3), 32768, np.uint16)
    assert prepared(pixels) == pytest.approx(32768 / 65535, abs=1e-7)
    pixels[...] += 50  # less than a level of 8 bits
    assert prepared(pixels) == pytest.approx(32818 / 65535, abs=1e-7)


def test_channels_stay_red_green_blue():
    pixels = np.zeros((5, 5, 3), np.uint8)
    pixels[..., 0] = 255
    assert prepared(pixels, input_size=2).reshape(-1, 3).tolist() == [[1.0, 0.0, 0.0]] * 4


def test_what_is_not_opaque_is_laid_on_the_backdrop():
    clear = with_alpha(np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8)))
    assert prepared(clear, BLACK).max() == 0
    assert prepared(clear, WHITE).min() == 1


@pytest.mark.parametrize("resampling", [method for method in METHODS if method != "nearest"])
def test_no_pixel_is_passed_over_where_a_picture_shrinks(resampling):
    pixels = np.zeros((400, 400, 3), np.uint8)
    pixels[::4] = 255
    assert prepared(pixels, input_size=100, resampling=resampling)[10:-10] == pytest.approx(0.25, abs=0.02)
