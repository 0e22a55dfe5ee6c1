"""What changed on a photograph that was also encoded again and recoloured: several tight contours, and no box of all."""

from __future__ import annotations

import cv2
import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_imgdiff import Policy, Rule, compare
from pytest_imgdiff.base.record import record_of
from pytest_imgdiff.comparison.regions import contour_mask, contour_regions
from tests.metric_pictures import as_jpeg, photograph

PHOTOGRAPHS = {
    "chelsea": [(300, 200, 35), (100, 80, 20)],
    "coffee": [(150, 120, 40), (450, 300, 30)],
    "astronaut": [(120, 380, 45), (400, 120, 12)],
    "rocket": [(320, 100, 30), (500, 330, 35)],
}
"""Where wheels are put: x, y and radius."""
BY_STRUCTURE = Policy(metrics=(Rule("ssim", min=0.999),))


def with_wheel(picture, x, y, radius):
    """Return the picture with a wheel drawn on it, and (height, width), true where that is."""
    drawn, place = picture.copy(), np.zeros(picture.shape[:2], np.uint8)
    cv2.circle(drawn, (x, y), radius, (25, 25, 28), -1, cv2.LINE_AA)
    cv2.circle(drawn, (x, y), int(radius * 0.68), (170, 172, 178), -1, cv2.LINE_AA)
    for angle in np.arange(5) * 2 * np.pi / 5:
        end = x + int(radius * 0.62 * np.cos(angle)), y + int(radius * 0.62 * np.sin(angle))
        cv2.line(drawn, (x, y), end, (60, 60, 66), max(2, radius // 8), cv2.LINE_AA)
    cv2.circle(place, (x, y), radius, 1, -1)
    return drawn, place > 0


def recoloured(picture):
    return np.clip(np.rint(picture * np.array([1.02, 1, 0.97]) + np.array([2, 0, -1])), 0, 255).astype(np.uint8)


def wheels(name, quality=85):
    """Return a photograph, the same with wheels, encoded again and slightly recoloured, and where the wheels are."""
    expected = photograph(name)
    actual, changed = expected, np.zeros(expected.shape[:2], bool)
    for wheel in PHOTOGRAPHS[name]:
        actual, place = with_wheel(actual, *wheel)
        changed |= place
    return expected, recoloured(as_jpeg(actual, quality)), changed


def filled(regions, shape):
    """Return (height, width), true within the contours."""
    canvas = np.zeros(shape, np.uint8)
    for region in regions:
        cv2.fillPoly(canvas, [np.array(region.contour, np.int32)], 1)
    return canvas > 0


def overlap(one, other):
    return (one & other).sum() / (one | other).sum()


@pytest.mark.parametrize("quality", [85, 50])
@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_each_wheel_has_a_tight_contour_of_its_own(name, quality):
    expected, actual, changed = wheels(name, quality)
    comparison = compare(expected, actual, BY_STRUCTURE)
    assert comparison.mask_metric == "ssim"
    assert len(comparison.regions) == 2
    assert overlap(filled(comparison.regions, changed.shape), changed) > 0.75
    for region, (x, y, radius) in zip(
        comparison.regions, sorted(PHOTOGRAPHS[name], key=lambda wheel: -wheel[2]), strict=True
    ):
        assert abs(region.box.x + region.box.width / 2 - x) < 8
        assert abs(region.box.y + region.box.height / 2 - y) < 8
        assert region.box.width < 2 * radius + 16
        assert region.box.height < 2 * radius + 16


def test_what_lies_near_is_not_joined():
    expected = photograph("coffee")
    first, _ = with_wheel(expected, 200, 150, 20)
    actual, _ = with_wheel(first, 254, 150, 20)  # 14 pixels apart; SSIM's window leaves 8 of these at most
    regions = compare(expected, as_jpeg(actual, 95), Policy(metrics=(Rule("ssim", min=0.999),), mask="ssim")).regions
    assert len(regions) == 2


def test_the_usual_mask_is_that_of_the_metric_that_decides_with_boxes():
    expected, actual, _ = wheels("chelsea")
    comparison = compare(expected, actual)
    assert comparison.mask_metric == "visible"
    assert all(region.contour == () for region in comparison.regions)
    beside = compare(expected, actual, Policy(metrics=(Rule("perceptual", max=0.0), Rule("ssim", min=0.999))))
    assert beside.mask_metric == "perceptual"


def test_a_change_of_one_pixel_has_its_contour():
    expected = photograph("coffee")
    actual = expected.copy()
    actual[100, 200] = (255, 0, 255)
    (region,) = compare(expected, actual, BY_STRUCTURE).regions
    assert region.box.x <= 200 < region.box.x + region.box.width
    assert region.box.y <= 100 < region.box.y + region.box.height


def test_the_grain_of_a_new_encoding_is_not_listed_beside_a_change():
    expected, actual, changed = wheels("coffee", 60)
    for region in compare(expected, actual, BY_STRUCTURE).regions:
        box = region.box
        assert changed[box.y : box.y + box.height, box.x : box.x + box.width].any()


def test_records_hold_contours_of_few_corners_and_none_for_boxes():
    expected = photograph("rocket")
    rng = np.random.default_rng(3)
    noise = np.clip(expected + rng.normal(0, 25, expected.shape), 0, 255).astype(np.uint8)
    record = record_of(compare(expected, noise, BY_STRUCTURE))
    assert record.regions
    assert max(len(region.contour) for region in record.regions) <= 64
    assert b"contour" in msgspec.json.encode(record)
    assert b"contour" not in msgspec.json.encode(record_of(compare(expected, noise)))


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.integers(1, 60), st.booleans())
def test_regions_of_any_heat_lie_in_the_picture_and_in_its_heat(seed, height, width, as_bytes):
    random = np.random.default_rng(seed)
    heat = random.random((height, width)).astype(np.float32) * (random.random((height, width)) > 0.8)
    heat = (heat * 255).astype(np.uint8) if as_bytes else heat
    mask = contour_mask(heat)
    assert not mask[heat == 0].any()
    regions = contour_regions(mask, heat, 1)
    assert bool(regions) == bool(mask.any())
    for region in regions:
        box = region.box
        inside = mask[box.y : box.y + box.height, box.x : box.x + box.width]
        assert inside.shape == (box.height, box.width)
        assert 0 < region.area <= inside.sum()
        assert 0 < region.peak <= 1
        assert all(box.x <= x < box.x + box.width and box.y <= y < box.y + box.height for x, y in region.contour)
