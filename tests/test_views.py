"""Derived forms of an image: depth, equality, gray, and what a picture that is not opaque is laid on."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from pytest_imgdiff.base.derived import (
    common_depth,
    eight_bit,
    full_value,
    gray_on_black,
    gray_on_white,
    has_alpha,
    on_worse_backdrop,
    rgb_on_black,
    rgb_on_white,
    strips,
)
from pytest_imgdiff.base.model import MetricResult
from pytest_imgdiff.images.differing import equal_pixels
from tests.metric_pictures import DEPTHS, at_depth, image_of, photograph, with_alpha

pixels = arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=9).map(lambda shape: (*shape, 4)))
depths = st.sampled_from(DEPTHS)


def same_image(image):
    return image_of(image.pixels.copy())


@given(picture=pixels, first=depths, second=depths)
@settings(max_examples=200, deadline=None)
def test_a_pair_of_two_depths_meets_at_the_deeper_one_without_losing_a_level(picture, first, second):
    pair = common_depth(image_of(at_depth(picture, first)), image_of(at_depth(picture, second)))
    deeper = max(first, second, key=DEPTHS.index)
    assert [image.pixels.dtype for image in pair] == [deeper, deeper]
    seen = [np.rint(image.pixels * (255 / full_value(deeper))) for image in pair]
    assert np.array_equal(seen[0], seen[1])
    assert np.array_equal(seen[0], image_of(picture).pixels)


def test_every_16_bit_level_stays_apart_as_a_float():
    levels = image_of(np.arange(65536, dtype=np.uint16).reshape(256, 256))
    for depth in (np.float32, np.float64):
        wide, _ = common_depth(levels, image_of(np.zeros((256, 256), depth)))
        assert np.unique(wide.pixels[..., 0]).size == 65536
        assert wide.pixels[..., 0].max() == 1


def test_images_of_one_depth_are_returned_themselves():
    pair = image_of(np.zeros((2, 2), np.uint16)), image_of(np.ones((2, 2), np.uint16))
    assert all(one is other for one, other in zip(common_depth(*pair), pair, strict=True))


def test_a_widened_image_keeps_its_source_and_forgets_what_was_derived():
    shallow = image_of(np.full((3, 3), 7, np.uint8))
    assert not shallow.derived(has_alpha)
    assert shallow.derived(gray_on_black).dtype == np.uint8
    wide, _ = common_depth(shallow, image_of(np.zeros((3, 3), np.uint16)))
    assert wide.info is shallow.info
    assert wide.derived(gray_on_black).dtype == np.uint16
    assert not wide.pixels.flags.writeable


@given(picture=pixels, depth=depths, data=st.data())
@settings(max_examples=200, deadline=None)
def test_images_are_equal_until_one_channel_differs_by_the_smallest_step(picture, depth, data):
    picture[..., 3] = 255
    image = image_of(at_depth(picture, depth))
    assert equal_pixels(image, same_image(image))
    changed = image.pixels.copy()
    place = tuple(data.draw(st.integers(0, side - 1)) for side in changed.shape)
    if depth in (np.float32, np.float64):
        changed[place] = np.nextafter(changed[place], depth(0.5))
    else:
        changed[place] ^= depth(1)
    assert not equal_pixels(image, image_of(changed))


@given(picture=pixels, depth=depths)
@settings(max_examples=200, deadline=None)
def test_any_pixel_below_full_alpha_is_alpha(picture, depth):
    assert image_of(at_depth(picture, depth)).derived(has_alpha) == (picture[..., 3] < 255).any()


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize(("lay", "level"), [(rgb_on_black, 0.0), (rgb_on_white, 1.0)])
def test_a_translucent_picture_is_laid_on_a_backdrop_in_its_own_depth(depth, lay, level):
    picture = np.random.default_rng(0).integers(0, 256, (200, 300, 4), np.uint8)
    image = image_of(at_depth(picture, depth))
    full = full_value(depth)
    share = image.pixels[..., 3:].astype(np.float64) / full
    exact = image.pixels[..., :3] * share + level * full * (1 - share)
    laid = image.derived(lay)
    assert laid.dtype == depth
    assert np.abs(laid - exact).max() <= (0.5 + 1e-9 if full > 1 else 1e-6)


@pytest.mark.parametrize("depth", DEPTHS)
def test_gray_is_the_bt601_weight_of_the_colours(depth):
    photo = photograph("astronaut", 100, 120)
    exact = photo @ np.array([0.299, 0.587, 0.114]) / 255
    full = full_value(depth)
    for gray in (gray_on_black, gray_on_white):
        shown = image_of(at_depth(photo, depth)).derived(gray)
        assert shown.dtype == depth
        assert np.abs(shown / full - exact).max() <= (0.51 / 255 if depth is np.uint8 else 1e-4)


def test_gray_of_a_translucent_picture_depends_on_the_backdrop_and_of_an_opaque_one_does_not():
    photo = photograph("coffee", 30, 40)
    veiled = image_of(with_alpha(photo, np.full((30, 40), 100)))
    assert (veiled.derived(gray_on_white) > veiled.derived(gray_on_black)).all()
    opaque = image_of(photo)
    assert np.array_equal(opaque.derived(gray_on_white), opaque.derived(gray_on_black))
    assert np.array_equal(opaque.derived(gray_on_black), cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY))


def test_what_is_derived_is_shared_and_cannot_be_written():
    image = image_of(with_alpha(photograph("coffee", 30, 40), np.full((30, 40), 100)))
    for form in (rgb_on_black, rgb_on_white, gray_on_black, gray_on_white):
        assert image.derived(form) is image.derived(form)
        with pytest.raises(ValueError, match="read-only"):
            image.derived(form)[0] = 0


@pytest.mark.parametrize("depth", DEPTHS)
def test_eight_bits_are_rounded_from_any_depth(depth):
    levels = np.arange(256, dtype=np.uint8)
    assert np.array_equal(eight_bit(at_depth(levels, depth)), levels)
    assert np.array_equal(eight_bit(np.array([0.5, 1.0, 1.0 + 1e-9])), [128, 255, 255])


@given(shape=array_shapes(min_dims=2, max_dims=3, max_side=50), size=st.integers(1, 5000))
def test_strips_cover_every_row_once_in_order(shape, size):
    picture = np.zeros(shape, np.uint8)
    rows = [row for part in strips(picture, size) for row in range(part.start, part.stop)]
    assert rows == list(range(shape[0]))


@pytest.mark.parametrize(("direction", "worse"), [("distance", "white"), ("similarity", "black")])
def test_the_worse_of_two_backdrops_is_named_where_the_pair_is_not_opaque(direction, worse):
    values = {"black": 0.2, "white": 0.7}
    opaque, veiled = image_of(np.zeros((2, 2), np.uint8)), image_of(np.full((2, 2, 4), 9, np.uint8))

    def measure(backdrop):
        return MetricResult(values[backdrop.name], "share", details={"pixels": 3})

    result = on_worse_backdrop(opaque, veiled, direction, measure)
    assert (result.value, result.details) == (values[worse], {"pixels": 3, "backdrop": worse})
    assert on_worse_backdrop(opaque, opaque, direction, measure).details == {"pixels": 3}
