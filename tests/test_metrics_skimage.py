"""The metrics `ciede2000`, `nmi`, `nrmse` and `shift`: the numbers of scikit-image."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.color import deltaE_ciede2000, rgb2lab
from skimage.metrics import normalized_mutual_information, normalized_root_mse

from pytest_imgdiff import Policy, Rule, Verdict, compare
from pytest_imgdiff.base.derived import gray_on_black
from pytest_imgdiff.base.errors import MetricError
from pytest_imgdiff.metrics.ciede2000 import Ciede2000, colour_differences
from pytest_imgdiff.metrics.intensity import Nrmse
from pytest_imgdiff.metrics.mutual_information import NormalizedMutualInformation
from pytest_imgdiff.metrics.shift import Shift
from tests.metric_pictures import DEPTHS, as_jpeg, at_depth, image_of, photograph, with_alpha

pictures = arrays(np.uint8, (6, 7, 3))


def measured(metric, expected, actual, ignore=None):
    return metric.measure(image_of(expected), image_of(actual), ignore)


@given(expected=pictures, actual=pictures, depth=st.sampled_from(DEPTHS), threshold=st.floats(0, 50))
@settings(max_examples=60, deadline=None)
def test_ciede2000_counts_the_differences_of_scikit_image(expected, actual, depth, threshold):
    delta = deltaE_ciede2000(rgb2lab(expected / 255), rgb2lab(actual / 255))
    if (np.abs(delta - threshold) < 1e-3).any():
        return  # float32 has not the digits to say which side it is on
    result = measured(Ciede2000(threshold), at_depth(expected, depth), at_depth(actual, depth))
    assert result.details["pixels"] == (delta > threshold).sum()
    assert result.value == (delta > threshold).mean()
    assert result.details["mean"] == pytest.approx(delta.mean(), abs=1e-3)
    assert result.details["largest"] == pytest.approx(delta.max(), abs=1e-3)
    assert np.array_equal(result.heat > 0, delta > threshold)
    counted = delta > threshold
    assert result.heat[counted] == pytest.approx(delta[counted].clip(100 / 255, 100) / 100, abs=1e-4)


@given(one=arrays(np.uint8, (50, 3)), other=arrays(np.uint8, (50, 3)))
@settings(max_examples=50, deadline=None)
def test_ciede2000_is_the_same_both_ways_round_to_the_last_digit(one, other):
    assert np.array_equal(colour_differences(one, other), colour_differences(other, one))


def test_ciede2000_sees_a_hue_of_equal_brightness_and_leaves_out_what_nobody_notices():
    gray = np.full((20, 30, 3), 128, np.uint8)
    tinted, fainter = gray.copy(), gray.copy()
    tinted[5:10, 5:15] = (128, 128, 160)
    fainter[5:10, 5:15, 2] += 1
    assert measured(Ciede2000(), gray, tinted).details["pixels"] == 50
    assert measured(Ciede2000(), gray, fainter).details["pixels"] == 0
    assert measured(Ciede2000(0), gray, fainter).details["pixels"] == 50


def test_ciede2000_paints_the_regions_of_a_comparison():
    gray = np.full((60, 60, 3), 128, np.uint8)
    other = gray.copy()
    other[20:30, 10:20] = (200, 60, 60)
    comparison = compare(other, gray, Policy(metrics=(Rule("ciede2000", max=0.0),), mask="ciede2000"))
    assert comparison.verdict is Verdict.DIFFERENT
    (region,) = comparison.regions
    assert (region.box.x, region.box.y, region.box.width, region.box.height, region.area) == (10, 20, 10, 10, 100)


@given(expected=pictures, actual=pictures, depth=st.sampled_from(DEPTHS), bins=st.sampled_from([2, 7, 100, 256]))
@settings(max_examples=100, deadline=None)
def test_nmi_is_that_of_scikit_image(expected, actual, depth, bins):
    pair = [image_of(at_depth(side, depth)) for side in (expected, actual)]
    gray = [gray_on_black(image) for image in pair]
    if all(np.ptp(plane) == 0 for plane in gray):
        return
    theirs = normalized_mutual_information(*gray, bins=bins)
    precision = 1e-5 if depth == np.float32 else 1e-9  # the package divides float32 counts there
    assert NormalizedMutualInformation(bins).measure(*pair, None).value == pytest.approx(theirs, abs=precision)


@pytest.mark.parametrize("name", ["astronaut", "chelsea"])
def test_nmi_of_the_compared_part_is_that_of_scikit_image(name):
    expected = photograph(name)
    actual = as_jpeg(expected, 30)
    ignore = np.zeros(expected.shape[:2], bool)
    ignore[:90] = True
    expected[ignore] = actual[ignore] = 127
    gray = [gray_on_black(image_of(side))[90:] for side in (expected, actual)]
    ours = measured(NormalizedMutualInformation(), expected, actual, ignore).value
    assert ours == pytest.approx(normalized_mutual_information(*gray), abs=1e-12)
    assert 1 < ours < 2


def test_nmi_knows_a_picture_of_another_brightness_again_and_not_another_picture():
    photo = photograph("coffee")
    darker, other = photo // 2 + 20, photograph("astronaut")[:400, :500]
    assert measured(NormalizedMutualInformation(), photo, darker).value > 1.6
    assert measured(NormalizedMutualInformation(), photo[:400, :500], other).value < 1.1


def test_nmi_of_two_plain_pictures_is_refused():
    with pytest.raises(MetricError, match=r"one gray level in each image.*use mae or perceptual"):
        measured(NormalizedMutualInformation(), np.zeros((9, 9, 3), np.uint8), np.full((9, 9, 3), 7, np.uint8))


@given(expected=pictures, actual=pictures, depth=st.sampled_from(DEPTHS))
@settings(max_examples=100, deadline=None)
def test_nrmse_is_that_of_scikit_image_with_the_brighter_picture_as_reference(expected, actual, depth):
    if np.array_equal(expected, actual):
        return
    pair = sorted(
        (at_depth(side, depth) for side in (expected, actual)), key=lambda side: np.square(side, dtype="f8").sum()
    )
    theirs = normalized_root_mse(pair[1].astype("f8"), pair[0].astype("f8"))
    assert measured(Nrmse(), *pair).value == pytest.approx(theirs, rel=1e-5)


def test_nrmse_has_a_value_where_one_picture_is_black():
    assert measured(Nrmse(), np.zeros((9, 9, 3), np.uint8), np.full((9, 9, 3), 7, np.uint8)).value == 1


@given(
    right=st.integers(-40, 40), down=st.integers(-40, 40), name=st.sampled_from(["astronaut", "coffee"]),
    depth=st.sampled_from(DEPTHS),
)  # fmt: skip
@settings(max_examples=40, deadline=None)
def test_shift_is_how_far_a_crop_was_moved(right, down, name, depth):
    photo = at_depth(photograph(name), depth)
    expected = photo[50:350, 50:350]
    actual = photo[50 - down : 350 - down, 50 - right : 350 - right]
    result = measured(Shift(), expected, actual)
    assert (result.details["right"], result.details["down"]) == (right, down)
    assert result.value == pytest.approx(np.hypot(right, down))


def test_shift_of_a_recompressed_picture_is_none():
    photo = photograph("coffee")
    assert measured(Shift(), photo, as_jpeg(photo, 40)).value == 0


def test_shift_of_a_page_whose_button_moved_is_none_and_of_the_whole_page_is_found():
    page = photograph("page")
    moved = page.copy()
    moved[20:60, 20:90], moved[20:60, 100:170] = page[20:60, 100:170], page[20:60, 20:90]
    assert measured(Shift(), page, moved).value == 0
    down = np.vstack([np.full((7, page.shape[1], 3), page[0, 0]), page[:-7]])
    assert measured(Shift(), page, down).details["down"] == 7


def test_shift_is_found_between_pixels():
    photo = photograph("astronaut").astype(float)
    half = (photo[:, 1:] + photo[:, :-1]) / 2
    result = measured(Shift(), photo[:, 1:].astype(np.uint8), half.astype(np.uint8))
    assert result.details["right"] == pytest.approx(0.5, abs=0.11)
    assert result.details["down"] == 0


def test_shift_of_a_large_picture_is_told_in_its_own_pixels():
    photo = np.tile(photograph("astronaut"), (4, 4, 1))
    photo[::3] ^= np.uint8(9)
    photo += np.add.outer(np.arange(2048), np.arange(2048))[..., None].astype(np.uint8) // 8
    result = measured(Shift(), photo[40:2040, :2000], photo[24:2024, 32:2032])
    assert result.details["right"] == pytest.approx(-32, abs=0.5)
    assert result.details["down"] == pytest.approx(16, abs=0.5)


def test_shift_looks_past_an_ignored_area_that_stays_where_it_is():
    photo = photograph("astronaut")
    expected, actual = photo[20:320, 20:320].copy(), photo[10:310, 35:335].copy()
    ignore = np.zeros((300, 300), bool)
    ignore[:120, :120] = True
    expected[ignore] = actual[ignore] = 127
    result = measured(Shift(), expected, actual, ignore)
    assert (result.details["right"], result.details["down"]) == (-15, 10)


@pytest.mark.parametrize("pair", [("astronaut", "coffee"), ("plain", "coffee"), ("plain", "darker")])
def test_shift_of_pictures_that_no_movement_makes_alike_is_refused(pair):
    plain = {"plain": np.full((300, 300, 3), 90, np.uint8), "darker": np.full((300, 300, 3), 81, np.uint8)}
    sides = [plain[name] if name in plain else photograph(name, 300, 300) for name in pair]
    with pytest.raises(MetricError, match=r"no movement that makes the images alike.*use ssim or perceptual"):
        measured(Shift(), *sides)


def test_shift_of_a_broken_pair_fails_the_comparison():
    pair = photograph("astronaut", 300, 300), photograph("coffee", 300, 300)
    assert compare(*pair, Policy(metrics=(Rule("shift", max=100.0),))).verdict is Verdict.BROKEN


def test_a_translucent_picture_is_moved_on_both_pages():
    photo = photograph("astronaut")
    alpha = np.random.default_rng(2).integers(100, 256, photo.shape[:2])
    whole = with_alpha(photo, alpha)
    result = measured(Shift(), whole[20:320, 20:320], whole[15:315, 20:320])
    assert result.value == 5
    assert result.details["backdrop"] in ("black", "white")


def test_shift_where_halving_leaves_nothing_that_is_not_ignored_is_refused():
    expected = np.tile(photograph("astronaut"), (2, 3, 1))
    actual = expected.copy()
    ignore = np.ones(expected.shape[:2], bool)
    ignore[100, 100] = False
    actual[100, 100] = 255 - expected[100, 100]
    expected[ignore] = actual[ignore] = 127
    with pytest.raises(MetricError, match="no movement that makes the images alike"):
        measured(Shift(), expected, actual, ignore)
