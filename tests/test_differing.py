"""Which rows of two images differ, and metrics that look at those rows and the ones beside them only."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_imgdiff import Policy, Registry, Rule, compare
from pytest_imgdiff.base.model import MetricResult
from pytest_imgdiff.images import decode_pair, read
from pytest_imgdiff.images.differing import differing_pixels, differing_rows, equal_pixels, windows
from pytest_imgdiff.metrics.perceptual import Perceptual
from pytest_imgdiff.metrics.pixel_match import PixelMatch
from pytest_imgdiff.metrics.visible import Visible
from tests.cores import built, core
from tests.metric_pictures import DEPTHS, at_depth, image_of


@pytest.fixture(autouse=True, scope="module", params=["python", "native"])
def _each_core(request):
    with core(built() if request.param == "native" else None):
        yield


@given(data=st.data(), depth=st.sampled_from(DEPTHS))
@settings(deadline=None, max_examples=100)
def test_rows_and_pixels_that_differ_are_found_at_every_depth(data, depth):
    height, width = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 9))
    first = np.random.default_rng(data.draw(st.integers(0, 99))).integers(0, 256, (height, width, 4), np.uint8)
    first[first[..., 3] == 0] = 0
    second = first.copy()
    for row in data.draw(st.lists(st.integers(0, height - 1), max_size=4)):
        second[row, data.draw(st.integers(0, width - 1))] = (1, 2, 3, 255)
    differs = (first != second).any(axis=2)
    pair = [image_of(at_depth(side, depth)) for side in (first, second)]
    assert np.array_equal(differing_rows(*pair), differs.any(axis=1))
    assert differing_pixels(*pair) == np.count_nonzero(differs)
    assert equal_pixels(*pair) == (not differs.any())


@given(data=st.data(), margin=st.integers(0, 30), step=st.sampled_from([1, 16]))
@settings(deadline=None, max_examples=100)
def test_windows_hold_all_rows_that_differ_with_their_margin_and_never_overlap(data, margin, step):
    height, width = data.draw(st.integers(1, 400)), data.draw(st.sampled_from([1, 3000]))
    changed = data.draw(st.lists(st.integers(0, height - 1), max_size=4))
    first = np.zeros((height, width), np.uint8)
    second = first.copy()
    second[changed, width // 2] = 9
    found = windows(image_of(first), image_of(second), margin, step)
    inside = np.zeros(height, np.int64)
    for window in found:
        assert window.start % step == 0
        inside[window] += 1
    assert inside.max() <= 1
    for row in changed:
        assert inside[max(0, row - margin) : row + margin + 1].all()
    if not changed:
        assert found == ()


def far_apart(alpha=255):
    """A tall picture with text, changed near its top, in its middle and at its last row."""
    first = np.full((1500, 700, 4), 255, np.uint8)
    for y in range(40, 1500, 60):
        cv2.putText(
            first, f"line {y} of a page", (20, y), cv2.FONT_HERSHEY_SIMPLEX, 1, (40, 60, 90, 255), 2, cv2.LINE_AA
        )
    first[700:705, 300:320, 3] = alpha
    second = first.copy()
    second[30:41, 50:61, :3] = (200, 0, 0)
    second[703, 100:130, :3] = (0, 90, 0)
    second[-1, 300:340, :3] = (10, 20, 30)
    return first, second


@pytest.mark.parametrize("alpha", [255, 100])
@pytest.mark.parametrize(
    "metric", [Perceptual(), PixelMatch(), Visible(), Visible("strict"), Visible("exact")], ids=repr
)
def test_what_lies_between_changes_is_not_looked_at_and_changes_nothing(metric, alpha, monkeypatch):
    first, second = far_apart(alpha)
    parts = metric.measure(image_of(first), image_of(second), None)
    assert len(windows(image_of(first), image_of(second), 88)) == 3
    for module in ("metrics.visible", "images.differing"):
        monkeypatch.setattr(f"pytest_imgdiff.{module}.windows", lambda one, *_: (slice(0, one.size[1]),))
    whole = metric.measure(image_of(first), image_of(second), None)
    assert (parts.value, dict(parts.details)) == (whole.value, dict(whole.details))
    assert np.array_equal(parts.heat, whole.heat)
    assert parts.value != metric.perfect


def test_only_rows_near_those_that_differ_are_decoded():
    """By the compiled core, from files."""
    first, second = far_apart()
    files = [cv2.imencode(".png", side[..., :3])[1].tobytes() for side in (first, second)]
    with core(built()):
        (one,), (two,) = decode_pair(*map(read, files))
        asked = []
        for image in (one, two):
            take = image.stored.take
            image.stored.take = lambda top, bottom, take=take: asked.append((top, bottom)) or take(top, bottom)
        for metric in (Perceptual(), PixelMatch()):
            assert metric.measure(one, two, None).details["pixels"] > 0
    assert sum(bottom - top for top, bottom in asked) < 200


def test_heat_of_another_s_metric_counts_wherever_it_is():
    class Spread:
        """One that paints around what differs."""

        name, direction, perfect, bounds = "spread", "distance", 0.0, (0.0, 1.0)
        counts_pixels, unit, heat_threshold = False, "share", "zero"

        def measure(self, expected, actual, ignore):
            del actual, ignore
            heat = np.zeros(expected.size[::-1], np.uint8)
            heat[700:720, 30:50] = 255
            return MetricResult(0.5, self.unit, heat)

    class Plugin:
        def imgdiff_metrics(self):
            return {"spread": Spread}

    first, second = far_apart()
    second[31:] = first[31:]  # one row differs, far from the heat
    policy = Policy(metrics=(Rule("spread", max=0.0),), mask="spread")
    comparison = compare(first, second, policy, registry=Registry([Plugin()]))
    assert [(region.box.y, region.area) for region in comparison.regions] == [(700, 400)]
