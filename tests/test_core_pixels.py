"""What the compiled core counts in pixels is what the reference in Python counts: counts, heat, sums, bit for bit."""

from __future__ import annotations

import json

import numpy as np
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_imgdiff import Policy, Rule, compare
from pytest_imgdiff.base.model import Length, RectangleArea, WindowLimit
from pytest_imgdiff.comparison.regions import most_in_window
from pytest_imgdiff.metrics.intensity import DiffImg, Mse
from pytest_imgdiff.metrics.perceptual import Perceptual
from pytest_imgdiff.metrics.pixel_match import PixelMatch
from pytest_imgdiff.metrics.pixelmatch import find_differences
from tests.cores import built, core
from tests.metric_pictures import as_jpeg, image_of, photograph


@pytest.fixture(scope="module")
def native():
    return built()


@st.composite
def pairs(draw, *, opaque=None):
    """Two pictures of one size: noise, or areas of a few colours; pixels here and there, or all, changed a little."""
    shape = draw(st.tuples(st.integers(1, 40), st.one_of(st.integers(1, 40), st.integers(60, 70))))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    colours = rng.integers(0, 256, (draw(st.integers(1, 6)), 4))
    if draw(st.booleans()):
        colours = rng.choice([0, 1, 60, 128, 254, 255], colours.shape)
    if draw(st.booleans()) if opaque is None else opaque:
        colours[:, 3] = 255
    first = colours[rng.integers(0, len(colours), shape)]
    second = colours[rng.integers(0, len(colours), shape)]
    if draw(st.booleans()):
        first[..., :3] = rng.integers(0, 256, (*shape, 3))
        steps = draw(st.sampled_from([3, 20, 80]))
        second[..., :3] = (first[..., :3] + rng.integers(-steps, steps + 1, (*shape, 3))).clip(0, 255)
    alike = rng.random(shape) >= draw(st.sampled_from([0.01, 0.3, 1.0]))
    second[alike] = first[alike]
    found = [side.astype(np.uint8) for side in (first, second)]
    for side in found:
        side[side[..., 3] == 0] = 0
    return found


thresholds = st.one_of(st.sampled_from([0.0, 0.01, 0.05, 0.1, 0.5, 1.0]), st.floats(0, 1))


@given(
    pair=pairs(),
    threshold=thresholds,
    antialiasing=st.sampled_from(["ignore", "count"]),
    difference=st.sampled_from(["oklab", "yiq"]),
)
@settings(deadline=None, max_examples=400)
def test_perceptual_differences_are_those_of_the_reference(pair, threshold, antialiasing, difference):
    opaque = all((side[..., 3] == 255).all() for side in pair)
    rule = {"opaque": opaque, "antialiasing": antialiasing, "difference": difference}
    found = []
    for module in (built(), None):
        with core(module):
            found.append(find_differences(*pair, threshold, **rule))
    assert (found[0].pixels, found[0].antialiased) == (found[1].pixels, found[1].antialiased)
    assert np.array_equal(found[0].heat, found[1].heat)


@given(
    pair=pairs(), rows=st.tuples(st.integers(0, 39), st.integers(0, 39)), difference=st.sampled_from(["oklab", "yiq"])
)
@settings(deadline=None, max_examples=100)
def test_rows_that_are_judged_alone_are_judged_as_in_the_whole_picture(pair, rows, difference):
    height, width = pair[0].shape[:2]
    first, last = sorted(min(row, height) for row in rows)
    whole, part = np.zeros((2, height, width), np.uint8)
    options = 0.1, difference == "oklab", False, True
    built().perceptual(*pair, width, height, 0, height, *options, whole)
    counts = built().perceptual(*pair, width, height, first, last, *options, part)
    assert np.array_equal(part[first:last], whole[first:last])
    assert not part[:first].any()
    assert not part[last:].any()
    assert counts[0] == np.count_nonzero(part)
    assert counts == built().perceptual(*pair, width, height, first, last, *options, None)


@pytest.mark.parametrize("difference", ["oklab", "yiq"])
def test_every_gray_and_every_step_has_the_heat_of_the_reference(native, difference):
    """Heat is rounded down: one operation in another order would show in some of these."""
    rng = np.random.default_rng(7)
    pair = rng.integers(0, 256, (2, 400, 500, 4)).astype(np.uint8)
    pair[..., 3] = 255
    pair[0, :256, :256, :3], pair[1, :256, :256, :3] = (
        grid[..., None] for grid in np.meshgrid(np.arange(256), np.arange(256))
    )
    found = []
    for module in (native, None):
        with core(module):
            found.append(find_differences(*pair, 0, opaque=True, antialiasing="count", difference=difference).heat)
    assert np.array_equal(*found)


def measured(metric, pair, module):
    with core(module):
        result = metric.measure(*map(image_of, pair), None)
    heat = None if result.heat is None else result.heat.tobytes()
    return result.value, dict(result.details), heat


@given(pair=pairs(), tolerance=st.sampled_from([0.0, 0.5, 1.0, 2.9, 60.0, 254.5, 255.0]), ignore_alpha=st.booleans())
@settings(deadline=None, max_examples=100)
def test_other_metrics_are_those_of_the_reference(pair, tolerance, ignore_alpha):
    for metric in (PixelMatch(tolerance), Mse(), DiffImg(ignore_alpha)):
        assert measured(metric, pair, built()) == measured(metric, pair, None)


@pytest.mark.parametrize("name", ["astronaut", "text"])
def test_a_photograph_that_was_encoded_again_is_measured_alike(native, name):
    expected = photograph(name)
    pair = expected, as_jpeg(expected, 30)
    metrics = [Perceptual(threshold, difference=space) for threshold in (0.02, 0.1) for space in ("oklab", "yiq")]
    for metric in (*metrics, PixelMatch(3), Mse(), DiffImg()):
        assert measured(metric, pair, native) == measured(metric, pair, None)


@given(
    shape=st.tuples(st.sampled_from([1, 3, 40, 300]), st.integers(1, 40)),
    size=st.sampled_from([1, 2, 5, 32, 290, 1000]),
    share=st.sampled_from([0.0, 0.001, 0.1, 0.9, 1.0]),
    seed=st.integers(0, 99),
)
@settings(deadline=None, max_examples=100)
def test_windows_hold_as_many_as_in_the_reference(shape, size, share, seed):
    heat = (np.random.default_rng(seed).random(shape) < share).astype(np.uint8) * 200
    found = []
    for module in (built(), None):
        with core(module):
            found.append(most_in_window(heat, size))
    assert found[0] == found[1]


@given(pair=pairs(), ignored=st.lists(st.tuples(*[st.integers(0, 30)] * 2, *[st.integers(1, 30)] * 2), max_size=3))
@settings(deadline=None, max_examples=60)
def test_verdicts_scores_regions_and_masks_are_the_same_with_and_without_the_core(pair, ignored):
    """Through the whole judge: ignore areas, windows, hidden colour."""
    rules = (
        Rule("perceptual", max=0.01, max_in_window=WindowLimit(8, 3)),
        Rule("pixel_match", (("tolerance", 2.0),), min=0.9),
        Rule("mse", max=100),
        Rule("diffimg", max=0.1),
    )
    policy = Policy(metrics=rules, ignore=tuple(RectangleArea(*map(Length, box)) for box in ignored))
    found = []
    for module in (built(), None):
        with core(module):
            comparison = compare(*pair, policy)
        scores = [(item.metric, item.value, item.passed, item.details, item.reason) for item in comparison.scores]
        mask = None if comparison.mask is None else comparison.mask.tobytes()
        found.append((comparison.verdict, comparison.reason, scores, comparison.regions, mask, comparison.mask_metric))
    assert found[0] == found[1]


def test_nothing_that_does_not_fit_is_read_or_written(native):
    pixels, heat = np.zeros((2, 3, 4), np.uint8), np.zeros((2, 3), np.uint8)
    options = 0.1, True, True, True
    with pytest.raises(ValueError, match="20 bytes, not 6 times 4"):
        native.perceptual(pixels, pixels.reshape(-1)[:20], 3, 2, 0, 2, *options, heat)
    with pytest.raises(ValueError, match="5 bytes, not 6 times 1"):
        native.perceptual(pixels, pixels, 3, 2, 0, 2, *options, np.zeros(5, np.uint8))
    with pytest.raises(ValueError, match="outside"):
        native.perceptual(pixels, pixels, 3, 2, 0, 3, *options, heat)
    with pytest.raises(ValueError, match="outside"):
        native.perceptual(pixels, pixels, 3, 2, 0, 2, float("nan"), *options[1:], heat)
    with pytest.raises(TypeError, match="writable"):
        native.beyond_tolerance(pixels, pixels, 6, 0, bytes(6))  # it cannot be written to
    with pytest.raises(ValueError, match="24 bytes, not 7 times 4"):
        native.sums(pixels, pixels, 7)
    for many in (2**62, 2**63):  # four times as many do not fit a word
        with pytest.raises(ValueError, match="0 bytes, not"):
            native.sums(b"", b"", many)
        with pytest.raises(ValueError, match="0 bytes, not"):
            native.beyond_tolerance(b"", b"", many, 0, None)
    with pytest.raises(ValueError, match="0 bytes, not"):
        native.perceptual(b"", b"", 2**31, 2**31, 0, 2, *options, None)
    with pytest.raises(ValueError, match="empty"):
        native.most_in_window(b"", 0, 0, 1)
    with pytest.raises(ValueError, match="multiples"):
        native.sums(np.zeros(9, np.uint8)[1:], np.zeros(8, np.uint8), 2)


def test_where_there_is_no_memory_the_reference_answers(native):
    pair = [
        np.ascontiguousarray(np.dstack([side, np.full(side.shape[:2], 255, np.uint8)]))
        for side in (photograph("text"), as_jpeg(photograph("text"), 20))
    ]
    height, width = pair[0].shape[:2]
    options = 0.1, True, True, True
    with core(native):
        right = find_differences(*pair, 0.1, opaque=True)
        try:
            native.fail_after(0)
            assert native.perceptual(*pair, width, height, 0, height, *options, None) is None
            found = find_differences(*pair, 0.1, opaque=True)
            assert native.most_in_window(right.heat, width, height, 8) is None
            most = most_in_window(right.heat, 8)
        finally:
            native.fail_after(-1)
        assert most == most_in_window(right.heat, 8)
    assert np.array_equal(found.heat, right.heat)


def test_the_counts_are_those_of_pixelmatch_on_its_own_pictures(native, shared_fixtures):
    folder = shared_fixtures / "pixelmatch"
    seen = 0
    for file, oklab in (("expected.json", False), ("expected-8.json", True)):
        for case in json.loads((folder / file).read_text(encoding="utf-8"))["cases"]:
            if oklab and "with_antialiased" not in case:
                continue
            pair = [np.array(PIL.Image.open(folder / case[side]).convert("RGBA")) for side in ("expected", "actual")]
            if not all((side[..., 3] == 255).all() for side in pair):
                continue
            height, width = pair[0].shape[:2]
            options = case["threshold"], oklab, True, True
            assert native.perceptual(*pair, width, height, 0, height, *options, None)[0] == case["different_pixels"]
            seen += 1
    assert seen > 20
