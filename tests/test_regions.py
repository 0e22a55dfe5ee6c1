"""From heat to a mask, and from the mask to regions: exact boxes and areas, whatever the mask."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pytest_imgdiff.base.geometry import Box
from pytest_imgdiff.base.model import Region, RegionSettings
from pytest_imgdiff.comparison.regions import difference_mask, find_regions
from tests.cores import built, core


@pytest.fixture(autouse=True, scope="module", params=["python", "native"])
def _each_core(request):
    with core(built() if request.param == "native" else None):
        yield


def pieces_of(mask):
    """The 8-connected sets of true pixels, found by walking from pixel to pixel."""
    left = {tuple(place) for place in np.argwhere(mask)}
    while left:
        piece, border = set(), [left.pop()]
        while border:
            y, x = border.pop()
            piece.add((y, x))
            around = {(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & left
            left -= around
            border.extend(around)
        yield piece


def box_of(piece):
    rows, columns = zip(*piece, strict=True)
    return min(columns), min(rows), max(columns) + 1, max(rows) + 1


def apart(one, two):
    """How many pixels lie between two boxes along the axis on which they are further apart."""
    return max(two[0] - one[2], one[0] - two[2], two[1] - one[3], one[1] - two[3], 0)


def plain_regions(mask, heat, settings):
    groups = list(pieces_of(mask))
    merged = True
    while merged:
        merged = False
        for first in range(len(groups)):
            for second in range(len(groups) - 1, first, -1):
                if apart(box_of(groups[first]), box_of(groups[second])) <= settings.merge:
                    groups[first] |= groups.pop(second)
                    merged = True
    regions = []
    for group in groups:
        left, top, right, bottom = box_of(group)
        peak = max(heat[place] for place in group) / (255 if heat.dtype == np.uint8 else 1)
        if len(group) >= settings.min_area:
            regions.append(Region(Box(left, top, right - left, bottom - top), len(group), float(peak)))
    return tuple(sorted(regions, key=lambda region: (-region.area, region.box.y, region.box.x)))


def ordered(regions):
    """Regions in an order that leaves nothing open, as two may share area and corner."""
    return sorted(regions, key=lambda region: (-region.area, region.box.y, region.box.x, region.box.width, region.peak))


@st.composite
def heats(draw):
    """Sparse dots, or blocks and lines, on a small or on a long canvas."""
    height, width = draw(st.sampled_from([(8, 9), (1, 30), (70, 6), (90, 15), (40, 90)]))
    heat = np.zeros((height, width), np.uint8)
    for _ in range(draw(st.integers(0, 14))):
        top, left = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
        sides = draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
        heat[top : top + sides[0], left : left + sides[1]] = draw(st.integers(0, 255))
    return heat


region_settings = st.builds(
    RegionSettings, merge=st.sampled_from((0, 1, 2, 3, 6, 8, 30)), min_area=st.sampled_from((0, 1, 4))
)


@given(heat=heats(), settings_=region_settings, as_float=st.booleans())
@settings(max_examples=400, deadline=None)
def test_regions_are_those_found_by_walking_the_pixels(heat, settings_, as_float):
    mask = heat > 0
    given_heat = (heat / np.float32(255)).astype(np.float32) if as_float else heat
    found = find_regions(mask, given_heat, settings_)
    expected = plain_regions(mask, given_heat, settings_)
    assert [(r.box, r.area) for r in ordered(found)] == [(r.box, r.area) for r in ordered(expected)]
    assert sorted(r.peak for r in found) == pytest.approx(sorted(r.peak for r in expected))
    assert [(-r.area, r.box.y, r.box.x) for r in found] == [(-r.area, r.box.y, r.box.x) for r in expected]


@given(heat=heats(), settings_=region_settings, data=st.data())
@settings(deadline=None)
def test_bands_beyond_which_there_is_no_heat_change_nothing(heat, settings_, data):
    warm = np.flatnonzero(heat.any(axis=1))
    spread = data.draw(st.integers(0, 3))
    rows = sorted({row + step for row in warm for step in range(-spread, spread + 1)} & set(range(len(heat))))
    starts = [row for row in rows if row - 1 not in rows]
    bands = [slice(start, next(row for row in range(start, len(heat) + 1) if row not in rows)) for start in starts]
    bands += [slice(len(heat), len(heat))] * data.draw(st.integers(0, 1))

    mask = difference_mask(heat, "zero", bands)
    assert np.array_equal(mask, heat > 0)
    assert find_regions(mask, heat, settings_, bands) == find_regions(mask, heat, settings_)


@given(mask=arrays(np.bool_, (12, 14)), distance=st.integers(0, 3))
@settings(max_examples=200, deadline=None)
def test_noise_is_grouped_as_by_walking_the_pixels(mask, distance):
    heat = mask.astype(np.uint8)
    chosen = RegionSettings(distance, 1)
    assert ordered(find_regions(mask, heat, chosen)) == ordered(plain_regions(mask, heat, chosen))


@pytest.mark.parametrize("distance", [0, 1, 2, 6])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("shape", "share"), [((150, 150), 0.012), ((1, 30_000), 0.01), ((30_000, 1), 0.01)])
def test_hundreds_of_pieces_are_grouped_as_by_walking_the_pixels(seed, distance, shape, share):
    heat = (np.random.default_rng(seed).random(shape) < share).astype(np.uint8)
    assert np.count_nonzero(heat) > 200
    chosen = RegionSettings(distance, 1)
    assert ordered(find_regions(heat > 0, heat, chosen)) == ordered(plain_regions(heat > 0, heat, chosen))


def two_dots(gap_across, gap_down):
    mask = np.zeros((60, 60), bool)
    mask[5, 5] = mask[6 + gap_down, 6 + gap_across] = True
    return mask


@pytest.mark.parametrize(
    ("gap", "count"), [((8, 0), 1), ((9, 0), 2), ((0, 8), 1), ((0, 9), 2), ((8, 8), 1), ((8, 9), 2)]
)
def test_pieces_with_at_most_the_merge_distance_between_them_are_one(gap, count):
    assert len(find_regions(two_dots(*gap), None, RegionSettings(8, 1))) == count


def test_a_chain_of_near_pieces_is_one_region():
    mask = np.zeros((5, 400), bool)
    mask[2, ::9] = True
    (region,) = find_regions(mask, None, RegionSettings(8, 1))
    assert (region.box, region.area) == (Box(0, 2, 397, 1), 45)


def test_a_region_is_as_hot_as_its_hottest_pixel():
    heat = np.zeros((9, 9), np.uint8)
    heat[1, 1:4] = (10, 204, 30)
    (region,) = find_regions(heat > 0, heat, RegionSettings())
    assert region.peak == 0.8


def test_an_empty_mask_has_no_regions():
    assert find_regions(np.zeros((30, 40), bool), None, RegionSettings()) == ()


def test_a_hundred_thousand_pieces_are_told_apart_and_joined():
    random = np.random.default_rng(0)
    mask = np.zeros((1000, 1200), bool)
    mask[::3, ::3] = random.random((334, 400)) < 0.8
    apart_, joined = (find_regions(mask, None, RegionSettings(distance, 1)) for distance in (1, 2))
    assert len(apart_) == mask.sum() > 100_000
    assert len(joined) < 100
    assert sum(region.area for region in joined) == mask.sum()


@pytest.mark.parametrize("as_float", [False, True])
def test_zero_takes_whatever_is_above_it(as_float):
    heat = np.array([[0, 1, 0], [255, 0, 2]], np.uint8)
    heat = heat / np.float32(255) if as_float else heat
    assert difference_mask(heat, "zero").tolist() == [[False, True, False], [True, False, True]]


def test_otsu_separates_what_differs_much_from_what_differs_little():
    heat = np.full((40, 50), 0.02, np.float32)
    heat[5:15, 5:20] = 0.6
    heat[30:35, 30:45] = 0.5
    assert np.array_equal(difference_mask(heat, "otsu"), heat > 0.4)
    scaled = np.rint(heat / heat.max() * 255).astype(np.uint8)
    limit, _ = cv2.threshold(scaled, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    assert np.array_equal(difference_mask(heat, "otsu"), scaled > limit)


@given(heat=arrays(np.float32, (6, 7), elements=st.floats(0, 1, width=32)))
@settings(max_examples=200, deadline=None)
def test_otsu_always_holds_the_hottest_pixel_and_never_a_cold_one(heat):
    mask = difference_mask(heat, "otsu")
    assert not mask[heat == 0].any()
    if heat.any():
        assert mask[heat == heat.max()].all()


@pytest.mark.parametrize("level", [1e-30, 1e-6, 0.5, 1.0])
def test_heat_of_one_value_differs_everywhere(level):
    assert difference_mask(np.full((5, 6), level, np.float32), "otsu").all()
    assert not difference_mask(np.zeros((5, 6), np.float32), "otsu").any()
