"""What the compiled core finds of structural similarity is what the reference in Python finds, bit for bit."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from skimage.metrics import structural_similarity

from pytest_imgdiff.base.derived import gray_on_black
from pytest_imgdiff.metrics.ssim import Ssim
from tests.cores import built, core
from tests.metric_pictures import as_jpeg, image_of, photograph, with_alpha
from tests.test_core_visible import pair_of

WINDOWS = [3, 5, 7, 9, 11]
CASE = {
    "shape": (7, 7),
    "change": "other",
    "window": 7,
    "alpha": False,
    "per_channel": False,
    "ignored": 0.0,
    "seed": 1,
}


@pytest.fixture(scope="module")
def native():
    return built()


@given(
    shape=st.tuples(st.integers(3, 60), st.one_of(st.integers(3, 150), st.integers(1018, 1040))),
    change=st.sampled_from(["moved", "faded", "grain", "other", "box"]),
    window=st.sampled_from(WINDOWS),
    alpha=st.booleans(),
    per_channel=st.booleans(),
    ignored=st.sampled_from([0.0, 0.3, 0.99]),
    seed=st.integers(0, 2**32),
)
@example(**CASE)
@example(**CASE | {"shape": (11, 2100), "window": 11})  # three tiles, and a window as high as the picture
@example(**CASE | {"shape": (20, 1027), "ignored": 0.3})  # the second tile is as narrow as a window's margin
@settings(deadline=None, max_examples=80)
def test_value_and_heat_are_those_of_the_reference(shape, change, window, alpha, per_channel, ignored, seed):
    shape = max(shape[0], window), max(shape[1], window)
    first, second = pair_of(shape, change, seed, noisy=change == "box")
    if alpha:
        first, second = (with_alpha(side, side[..., 0]) for side in (first, second))
    ignore = np.random.default_rng(seed).random(shape) < ignored if ignored else None
    if ignore is not None:
        ignore[shape[0] // 2, shape[1] // 2] = False
    found = []
    for module in (built(), None):
        with core(module):
            pair = image_of(first), image_of(second)
            found.append(Ssim(window=window, per_channel=per_channel).measure(*pair, ignore))
    assert found[0].value == found[1].value
    assert found[0].details == found[1].details
    np.testing.assert_array_equal(found[0].heat, found[1].heat)


def test_the_core_makes_every_colour_as_gray_as_the_reference(native):
    """A gray that is off by one shows in the heat of the windows about it."""
    levels = np.arange(256, dtype=np.uint8)
    red, green = np.meshgrid(levels, levels)
    for blue in (*range(0, 256, 17), 1, 254):
        colours = np.dstack([red, green, np.full_like(red, blue), np.full_like(red, 255)])
        other = np.ascontiguousarray(colours[::-1, ::-1])
        grays = [image_of(side).derived(gray_on_black) for side in (colours, other)]
        of_colours, of_grays = np.zeros((2, 256, 256), np.float32)
        totals = (
            native.ssim(colours, other, 256, 256, 4, 3, 0, 256, None, of_colours),
            native.ssim(*grays, 256, 256, 1, 3, 0, 256, None, of_grays),
        )
        assert totals[0] == totals[1] > 0
        np.testing.assert_array_equal(of_colours, of_grays)


def test_parts_of_the_rows_add_up_to_the_whole(native):
    pair = [image_of(side).derived(gray_on_black) for side in pair_of((70, 90), "grain", 4, noisy=True)]
    whole, parts = np.zeros((2, 70, 90), np.float32)
    total = native.ssim(*pair, 90, 70, 1, 7, 0, 70, None, whole)
    cuts = [0, 1, 2, 30, 69, 70]
    found = [native.ssim(*pair, 90, 70, 1, 7, start, stop, None, parts) for start, stop in itertools.pairwise(cuts)]
    assert sum(found) == total > 0
    np.testing.assert_array_equal(parts, whole)


def test_large_pictures_are_measured_in_threads_and_near_to_scikit_image(native):
    picture = np.tile(photograph("astronaut"), (3, 3, 1))
    pair = image_of(picture), image_of(as_jpeg(picture, 60))
    with core(native):
        value = Ssim().measure(*pair, None).value
    grays = [image.derived(gray_on_black) for image in pair]
    assert value == pytest.approx(structural_similarity(*grays, data_range=255), abs=1e-6)


def test_where_there_is_no_memory_the_reference_measures(native):
    pair = [image_of(side) for side in pair_of((30, 40), "other", 9)]
    with core(None):
        wanted = Ssim().measure(*pair, None)
    try:
        native.fail_after(0)
        assert native.ssim(*(image.pixels for image in pair), 40, 30, 4, 7, 0, 30, None, None) is None
        with core(native):
            found = Ssim().measure(*pair, None)
    finally:
        native.fail_after(-1)
    assert found.value == wanted.value
    np.testing.assert_array_equal(found.heat, wanted.heat)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"width": 41}, "bytes, not"),
        ({"channels": 4}, "bytes, not"),
        ({"channels": 3}, "no such windows"),
        ({"side": 8}, "no such windows"),
        ({"side": 13}, "no such windows"),
        ({"width": 6, "height": 200}, "no such windows"),
        ({"last": 31}, "no such windows"),
        ({"first": 5, "last": 4}, "no such windows"),
        ({"ignore": bytes(1199)}, "1199 bytes, not 1200 times 1"),
        ({"heat": np.zeros((30, 39), np.float32)}, "4680 bytes, not 1200 times 4"),
    ],
    ids=str,
)
def test_windows_that_are_not_there_are_errors(native, wrong, message):
    right = {"width": 40, "height": 30, "channels": 1, "side": 7, "first": 0, "last": 30, "ignore": None, "heat": None}
    plane = bytes(1200)
    assert native.ssim(plane, plane, *right.values()) == 0
    with pytest.raises(ValueError, match=message):
        native.ssim(plane, plane, *(right | wrong).values())
