"""The metric `ssim`: scikit-image's number and map, what is left out, and what it refuses."""

from __future__ import annotations

import cv2
import msgspec
import numpy as np
import pytest
from skimage.metrics import structural_similarity

from pytest_imgdiff.base.derived import full_value, gray_on_black, rgb_on_black
from pytest_imgdiff.base.errors import MetricError
from pytest_imgdiff.metrics.ssim import Ssim
from tests.metric_pictures import DEPTHS, as_jpeg, at_depth, image_of, photograph, with_alpha

SHAPES = [(7, 7), (11, 13), (33, 64), (64, 65), (301, 203)]
OPTIONS = [{}, {"window": 3}, {"window": 11}, {"window": 13}, {"gaussian": True}, {"per_channel": True}]


def pair_of(shape, depth, seed=0):
    """A photograph's corner, and the same with noise in a part of it and one darker line."""
    random = np.random.default_rng(seed)
    expected = at_depth(photograph("astronaut", *shape), depth)
    actual = expected.astype(np.float64)
    rows, columns = slice(shape[0] // 3, shape[0] // 3 * 2 + 1), slice(shape[1] // 4, shape[1] // 2 + 1)
    full = full_value(depth)
    actual[rows, columns] += random.normal(0, full / 12, actual[rows, columns].shape)
    actual[-2] *= 0.8
    actual = actual.clip(0, full)
    return expected, actual.astype(depth) if full == 1 else np.rint(actual).astype(depth)


def skimage_ssim(expected, actual, window=None, *, gaussian=False):
    weights = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False} if gaussian else {}
    return structural_similarity(
        expected.astype(np.float64),
        actual.astype(np.float64),
        win_size=window,
        data_range=full_value(expected.dtype),
        full=True,
        **weights,
    )


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("shape", SHAPES)
def test_value_and_map_are_those_of_scikit_image(shape, depth):
    pictures = [image_of(picture) for picture in pair_of(shape, depth)]
    grays = [picture.derived(gray_on_black) for picture in pictures]
    colours = [picture.derived(rgb_on_black) for picture in pictures]
    for options in OPTIONS:
        metric = Ssim(**options)
        if metric.side > min(shape):
            continue
        found = metric.measure(*pictures, None)
        if metric.per_channel:
            channels = [skimage_ssim(colours[0][..., c], colours[1][..., c]) for c in range(3)]
            value, index = np.mean([mean for mean, _ in channels]), np.mean([full for _, full in channels], axis=0)
        else:
            value, index = skimage_ssim(*grays, **options)
        assert found.value == pytest.approx(value, abs=1e-6), options
        np.testing.assert_allclose(found.heat, (1 - index) / 2, atol=1e-5, err_msg=str(options))
        assert found.heat.dtype == np.float32


@pytest.mark.parametrize("quality", [10, 50, 95])
@pytest.mark.parametrize("name", ["chelsea", "coffee", "text", "page"])
def test_value_is_that_of_scikit_image_on_recompressed_photographs(name, quality):
    picture = photograph(name)
    pair = image_of(picture), image_of(as_jpeg(picture, quality))
    value, _ = skimage_ssim(*(cv2.cvtColor(image.pixels, cv2.COLOR_RGBA2GRAY) for image in pair))
    assert Ssim().measure(*pair, None).value == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("depth", [np.uint8, np.float32])
def test_translucent_pictures_have_the_worse_value_of_black_and_white(depth, seed):
    expected, actual = pair_of((60, 71), np.uint8, seed)
    alpha = np.random.default_rng(seed).integers(0, 256, (60, 71))
    pair = [image_of(at_depth(with_alpha(picture, alpha), depth)) for picture in (expected, actual)]
    values = {}
    for name, level in (("black", 0.0), ("white", 1.0)):
        grays = []
        for image in pair:
            full = full_value(depth)
            share = image.pixels[..., 3:].astype(np.float64) / full
            laid = image.pixels[..., :3] * share + level * full * (1 - share)
            laid = np.floor(laid + 0.5).astype(depth) if full > 1 else laid.astype(depth)
            grays.append(cv2.cvtColor(laid, cv2.COLOR_RGB2GRAY))
        values[name], _ = skimage_ssim(*grays)
    found = Ssim().measure(*pair, None)
    assert found.value == pytest.approx(min(values.values()), abs=1e-6)
    assert found.details["backdrop"] == min(values, key=values.get)


def test_windows_centred_in_ignored_areas_do_not_count():
    pair = [image_of(picture) for picture in pair_of((64, 65), np.uint8)]
    ignore = np.zeros((64, 65), bool)
    ignore[10:40, 5:30] = True
    _, index = skimage_ssim(*(picture.derived(gray_on_black) for picture in pair))
    inner = np.zeros_like(ignore)
    inner[3:-3, 3:-3] = True
    assert Ssim().measure(*pair, ignore).value == pytest.approx(index[inner & ~ignore].mean(), abs=1e-6)


def test_a_loss_below_the_last_digit_is_not_equality():
    expected = np.tile(np.array([0, 65535], np.uint16), (1500, 750))
    actual = expected.copy()
    actual[700, 700] += 1
    value = Ssim().measure(image_of(expected), image_of(actual), None).value
    assert 1 - 1e-12 < value < 1


def test_a_hue_of_equal_brightness_is_seen_by_channel_only():
    expected = np.full((20, 20, 3), (100, 100, 100), np.uint8)
    actual = np.full((20, 20, 3), (151, 74, 100), np.uint8)
    pair = image_of(expected), image_of(actual)
    assert Ssim().measure(*pair, None).value == 1
    assert Ssim(per_channel=True).measure(*pair, None).value < 0.98


def test_pictures_below_the_window_are_refused_with_the_remedy():
    pair = image_of(np.zeros((6, 40), np.uint8)), image_of(np.ones((6, 40), np.uint8))
    with pytest.raises(MetricError, match=r"at least 7x7 pixels and this pair has 40x6; name a smaller `window`"):
        Ssim().measure(*pair, None)
    assert Ssim(window=5).measure(*pair, None).value < 1


def test_a_pair_ignored_up_to_its_border_is_refused():
    pair = image_of(np.zeros((20, 20), np.uint8)), image_of(np.ones((20, 20), np.uint8))
    ignore = np.ones((20, 20), bool)
    ignore[:, 0] = False
    with pytest.raises(MetricError, match="within 3 pixels of the edge"):
        Ssim().measure(*pair, ignore)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window": 8}, "must be odd, such as 9"),
        ({"window": 1}, ">= 3"),
        ({"window": 7, "gaussian": True}, "leave `window` out"),
    ],
)
def test_windows_that_cannot_be_are_refused(options, message):
    with pytest.raises(msgspec.ValidationError, match=message):
        msgspec.convert(options, Ssim)
