"""``compare`` called from Python: an invalid policy is reported in one line, before anything is compared."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pytest_imgdiff import ConfigError, Policy, Registry, Rule, SizePolicy, compare
from pytest_imgdiff.base.model import Length, LimitSettings, PolygonArea, RectangleArea, RegionSettings, Verdict
from pytest_imgdiff.comparison.masks import ignore_mask
from pytest_imgdiff.config import load_settings
from tests.pictures import BLUE, RED, square


def rules(*args, **limits):
    return Policy(metrics=(Rule(*args, **limits),))


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        ({}, "policy: expected a pytest_imgdiff.Policy"),
        ("ssim", "policy: expected a pytest_imgdiff.Policy"),
        (Policy(size="fail"), "policy: size: expected a SizePolicy such as SizePolicy.PAD, not the string"),
        (Policy(metrics=None), "policy: metrics: expected a tuple, not nothing"),
        (Policy(metrics=()), "policy: metrics: no rule, so nothing can fail"),
        (Policy(metrics=("ssim",)), "policy: metrics[0]: expected a Rule"),
        (
            Policy(metrics=(Rule("ssim", min=0.9), Rule("ssim", min=0.1))),
            'policy: metrics[1]: two rules for "ssim"',
        ),
        (rules("ssim"), "policy: metrics.ssim: no limit, so the rule can never fail; add min"),
        (rules("perceptual", warn=0.1), "policy: metrics.perceptual: no limit, so the rule can never fail"),
        (
            rules("ssim", max=0.1),
            "policy: metrics.ssim.max: ssim is a similarity (larger is more similar): its limit is min",
        ),
        (rules("ssim", min=0.9, max_pixels=3), "policy: metrics.ssim.max_pixels: ssim does not count pixels"),
        (rules("ssim", min=-2), "policy: metrics.ssim.min: expected a number from -1 to 1"),
        (rules("perceptual", max="0"), "policy: metrics.perceptual.max: expected a number from 0 to 1"),
        (rules("perceptual", max=float("nan")), "policy: metrics.perceptual.max: must be a finite number, not nan"),
        (rules("perceptual", max=True), "policy: metrics.perceptual.max: expected a number"),
        (rules("ssim", (("windw", 7),), min=0.9), 'policy: metrics.ssim.windw: unknown key "windw"; did you mean'),
        (rules("ssim", (("window", 4),), min=0.9), "policy: metrics.ssim: `window` must be odd"),
        (rules("ssim", (("window", "7"),), min=0.9), "policy: metrics.ssim.window: expected an integer"),
        (rules("ssim", (("min", -1),), min=0.9), 'policy: metrics[0].options: "min" is not an option'),
        (rules("ssim", 7, min=0.9), "policy: metrics[0].options: expected pairs"),
        (rules("ssim", min=0.9, when="never"), "policy: metrics.ssim.when: expected always or undecided"),
        (rules("ssim", min=0.9, on_unavailable="pass"), "policy: metrics[0].on_unavailable: expected fail or skip"),
        (rules("sssim", min=0.9), "policy: metrics.sssim: unknown metric 'sssim'"),
        (rules(None, min=0.9), "policy: metrics[0].metric: expected a str"),
        (Policy(ignore=[{"x": 0}]), "policy: ignore[0]: expected a RectangleArea, PolygonArea or MaskArea"),
        (Policy(ignore=None), "policy: ignore: expected a tuple, not nothing"),
        (Policy(ignore=(RectangleArea(0, 0, 5, 5),)), "policy: ignore[0].x: expected a Length"),
        (Policy(ignore=(PolygonArea((Length(1), Length(2))),)), "policy: ignore[0].points: a polygon has at least 3"),
        (
            Policy(ignore=(RectangleArea(Length(0), Length(0), Length(float("inf")), Length(1)),)),
            "policy: ignore[0].width: a Length is a finite number",
        ),
        (Policy(frames=-1), "policy: frames: expected refuse, all, or the index"),
        (Policy(mask="mse"), "policy: mask: mse does not return heat"),
        (Policy(missing="pass"), "policy: missing: expected allow or fail"),
        (
            Policy(limits=LimitSettings(0)),
            "policy: limits.megapixels: expected a number above 0 and of at most 10000, not 0",
        ),
        (Policy(regions=RegionSettings(merge=-1)), "policy: regions.merge: expected an integer"),
    ],
)
def test_a_policy_that_cannot_be_followed(policy, told):
    """Of equal pictures too: what may never fail would pass them."""
    with pytest.raises(ConfigError) as error:
        compare(square(RED), square(RED), policy)
    assert str(error.value).startswith(told)
    assert "\n" not in str(error.value)


def test_a_policy_that_can_be_followed():
    policy = Policy(
        metrics=(Rule("perceptual", (("threshold", 0.2),), max=0.5, max_pixels=400, warn=0.1), Rule("ssim", min=0.1)),
        ignore=(RectangleArea(Length(0), Length(0), Length(10, percent=True), Length(2.5)),),
        size=SizePolicy.PAD,
        frames="all",
        mask="pixel_match",
    )
    comparison = compare(square(RED), square(BLUE), policy)
    assert comparison.passed
    assert comparison.scores[0].warned


@pytest.mark.parametrize(("limit", "passes"), [(400, True), (399, False)])
def test_the_limit_of_pixels_holds_at_the_pixel(limit, passes):
    comparison = compare(square(RED), square(BLUE), rules("perceptual", max=1.0, max_pixels=limit))
    assert comparison.scores[0].details["pixels"] == 400
    assert comparison.passed == passes


@pytest.mark.parametrize("far", [1e308, 3e9, 2.0**31, 40_000.0])
def test_ignore_areas_that_reach_far_out_cover_what_they_enclose(far):
    zero, five, out = Length(0), Length(5), Length(far)
    areas = {
        "beyond": RectangleArea(out, out, out, out),
        "right": RectangleArea(five, zero, out, Length(far, percent=True)),
        "upper": PolygonArea(((zero, zero), (out, zero), (out, five), (zero, five))),
        "all": PolygonArea(((Length(-far), Length(-far)), (out, Length(-far)), (zero, out))),
    }
    covered = {name: ignore_mask((area,), (20, 10))[0] for name, area in areas.items()}
    assert not covered["beyond"].any()
    assert not covered["right"][:, :5].any()
    assert covered["right"][:, 5:].all()
    assert covered["upper"][:6].all()
    assert not covered["upper"][6:].any()
    assert covered["all"].all()


WIDTH, HEIGHT = 30, 20
position = st.one_of(st.integers(-50, 80), st.integers(-(10**6), 10**6), st.integers(-(10**12), 10**12))


@given(st.lists(st.tuples(position, position), min_size=3, max_size=7))
@example([(0, 0), (-3, 5), (0, 0), (1, 0)])  # OpenCV paints the picture's edge for what lies just beyond it
def test_a_polygon_covers_what_it_encloses_wherever_its_corners_are(corners):
    """Held against the even-odd rule in floating point; within two pixels of an edge rounding may decide."""
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(float)
    inside, near = np.zeros((2, HEIGHT, WIDTH), bool)
    for (x0, y0), (x1, y1) in zip(corners, [*corners[1:], corners[0]], strict=True):
        crosses = (y0 <= y) != (y1 <= y)
        if y0 != y1:
            inside ^= crosses & (x < x0 + (y - y0) * ((x1 - x0) / (y1 - y0)))
        length = np.hypot(x1 - x0, y1 - y0)
        near |= np.abs((y - y0) * (x1 - x0) - (x - x0) * (y1 - y0)) <= 2 * length
    area = PolygonArea(tuple((Length(float(x)), Length(float(y))) for x, y in corners))
    covered, _ = ignore_mask((area,), (WIDTH, HEIGHT))
    assert (covered == inside)[~near].all()


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ({"perceptual": {"max_pixels": 100}}, "max_pixels is 100, and only 100 pixels are compared"),
        ({"pixel_match": {"min": 0, "max_pixels": 999}}, "max_pixels is 999, and only 100 pixels are compared"),
        (
            {"perceptual": {"max_in_window": {"pixels": 100}}},
            "allows 100 pixels, and a window in this image has only 100",
        ),
        ({"mse": {"max": 65025}}, "mse could not fail for this pair: it is 65025 at the worst for images of 8 bits"),
    ],
)
def test_a_rule_that_no_picture_of_this_size_or_depth_fails_is_no_pass(rule, reason):
    black, white = np.zeros((10, 10, 3), np.uint8), np.full((10, 10, 3), 255, np.uint8)
    comparison = compare(black, white, load_settings(None, Registry()).policy_for("x", call={"metrics": rule}))
    assert (comparison.verdict, comparison.passed) == (Verdict.BROKEN, False)
    assert reason in comparison.reason
    assert compare(black, black, comparison.policy).passed


@pytest.mark.parametrize(
    "rule",
    [
        {"perceptual": {"max_pixels": 99, "threshold": 0.9}},
        {"perceptual": {"max_pixels": 100, "max": 0.99}},
        {"perceptual": {"max_in_window": {"pixels": 99}}},
        {"perceptual": {"max_in_window": {"pixels": 100}, "max_pixels": 99}},
        {"perceptual": {"max_pixels": 100, "max_in_window": {"size": 10, "pixels": 99}}},
        {"perceptual": {"max_pixels": 100, "warn": 0.99}},
        {"pixel_match": {"min": 0, "warn": 1}},
        {"mse": {"max": 65024}},
    ],
)
def test_a_rule_that_some_picture_of_this_size_and_depth_fails_may_pass(rule):
    gray, other = np.full((10, 10, 3), 100, np.uint8), np.full((10, 10, 3), 101, np.uint8)
    assert compare(gray, other, load_settings(None, Registry()).policy_for("x", call={"metrics": rule})).passed


def test_what_cannot_be_read_and_has_no_name_is_told_with_its_side(tmp_path):
    good, bad = np.zeros((4, 4, 3), np.uint8), np.full((4, 4, 3), 7.0)
    assert compare(bad, good).reason.startswith("expected array: float64 array of shape (4, 4, 3)")
    assert compare(good, bad).reason.startswith("actual array: ")
    assert "; actual array: " in compare(bad, bad.copy()).reason
    assert compare(None, b"text").reason.startswith("actual bytes: text: ")
    assert compare(good, object()).reason.startswith("actual object: this is not an image")
    for same in (compare(b"text", b"text").reason, compare(b"text", bytearray(b"text")).reason):
        assert same.startswith("expected bytes: text: ")
        assert "; actual bytes: text: " in same
    for name in ("array", "other"):
        (tmp_path / name).write_bytes(b"text")
    assert compare(tmp_path / "array", good, root=tmp_path).reason.startswith("array: text: ")
    assert "; other: text: " in compare(tmp_path / "array", tmp_path / "other", root=tmp_path).reason
