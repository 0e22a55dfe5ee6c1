"""What holds for every built-in metric."""

from __future__ import annotations

import importlib
import math
import subprocess
import sys
import typing

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_imgdiff.base.errors import MetricError
from pytest_imgdiff.base.model import Rule
from pytest_imgdiff.comparison.registry import METRICS
from pytest_imgdiff.config.policy import could_fail, worst_value
from tests.metric_pictures import DEPTHS, as_jpeg, at_depth, image_of, photograph, with_alpha


def metric_class(name):
    module, _, attribute = METRICS[name].partition(":")
    return getattr(importlib.import_module(module), attribute)


# Those of metrics/category.py ask a model, and those of test_metrics_extras.py take seconds; they have tests of their own.
SLOW = ("flip", "ssimulacra2")
COMPUTED = [name for name in METRICS if "metrics.category:" not in METRICS[name] and name not in SLOW]
every_metric = pytest.mark.parametrize("metric", [metric_class(name)() for name in COMPUTED], ids=COMPUTED)
MEANS = ["ciede2000", "mae", "mse", "nmi", "nrmse", "perceptual", "pixel_match", "psnr"]


def may_refuse(metric, depth):
    """Whether a metric has no value for some pictures of this depth: too plain, unlike, or of too many bits."""
    return metric.name in ("nmi", "orb", "shift") or (metric.name == "diffimg" and depth != np.uint8)


@st.composite
def pairs(draw):
    """A corner of a photograph, and the same with some rectangles changed; at any depth, opaque or not."""
    name = draw(st.sampled_from(["astronaut", "chelsea", "page"]))
    height, width = draw(st.integers(30, 90)), draw(st.integers(30, 90))
    expected = photograph(name, height, width)
    actual = as_jpeg(expected, draw(st.integers(20, 100)))
    for _ in range(draw(st.integers(1, 4))):
        top, left = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
        rows, columns = slice(top, top + draw(st.integers(1, 30))), slice(left, left + draw(st.integers(1, 30)))
        actual[rows, columns] = draw(st.tuples(*[st.integers(0, 255)] * 3))
    if draw(st.booleans()):
        random = np.random.default_rng(draw(st.integers(0, 99)))
        expected = with_alpha(expected, random.integers(0, 256, (height, width)))
        actual = with_alpha(actual, random.integers(0, 256, (height, width)))
    depth = draw(st.sampled_from(DEPTHS))
    return at_depth(expected, depth), at_depth(actual, depth)


def measured(metric, expected, actual, ignore=None):
    """Return the result, or the refusal in its own words without the side."""
    try:
        return metric.measure(image_of(expected), image_of(actual), ignore)
    except MetricError as error:
        return str(error).replace("expected", "?").replace("actual", "?")


@every_metric
@given(pair=pairs())
@settings(max_examples=40, deadline=None)
def test_a_value_is_finite_within_bounds_and_the_same_both_ways_and_again(metric, pair):
    first, again, swapped = (measured(metric, *order) for order in (pair, pair, pair[::-1]))
    if isinstance(first, str):
        assert may_refuse(metric, pair[0].dtype)
        assert isinstance(swapped, str)
        return
    low, high = metric.bounds
    assert math.isfinite(first.value)
    assert low <= first.value <= high
    assert first.value == again.value == swapped.value
    assert first.unit == metric.unit
    assert (first.heat is None) == (metric.heat_threshold == "none")
    if first.heat is not None:
        assert np.array_equal(first.heat, swapped.heat)
        assert first.heat.shape == pair[0].shape[:2]
        assert 0 <= first.heat.min() <= first.heat.max() <= (255 if first.heat.dtype == np.uint8 else 1)
    assert ("pixels" in first.details) == metric.counts_pixels
    assert msgspec.json.decode(msgspec.json.encode(first.details)) == first.details


def at_their_ends():
    """Each metric with its defaults, and with each option at the least and at the largest number that it takes."""
    for name in COMPUTED:
        metric = metric_class(name)
        yield metric()
        properties = msgspec.json.schema(metric)["$defs"][metric.__name__]["properties"]
        for option, schema in properties.items():
            schemas = schema.get("anyOf", [schema])
            ends = {each[end] for each in schemas for end in ("minimum", "maximum") if end in each}
            yield from (metric(**{option: value}) for value in [*sorted(ends), *schema.get("enum", ())])


@pytest.mark.parametrize("metric", list(at_their_ends()), ids=repr)
@pytest.mark.parametrize("depth", DEPTHS)
def test_no_value_is_worse_than_the_worst_and_a_metric_that_sees_nothing_says_so(metric, depth):
    board = np.indices((200, 200)).sum(axis=0, keepdims=True).transpose(1, 2, 0) % 2 * np.full(3, 255, np.uint8)
    noise, photo = np.random.default_rng(1).integers(0, 256, (200, 200, 3)), photograph("astronaut", 200, 200)
    flat = np.zeros((200, 200, 3))
    pictures = [picture.astype(np.uint8) for picture in (board, noise, photo, flat)]
    pairs = [*((one, 255 - one) for one in pictures), (photo, np.roll(photo, 5, axis=1))]
    results = [measured(metric, *(at_depth(side, depth) for side in pair)) for pair in pairs]
    values = [result.value for result in results if not isinstance(result, str)]
    if not values:
        assert metric.name == "diffimg"
        assert depth != np.uint8
        return
    worst = worst_value(metric, depth)
    assert all(abs(value - metric.perfect) <= abs(worst - metric.perfect) for value in values)
    limit = {"max" if metric.direction == "distance" else "min": metric.perfect}
    assert could_fail(Rule(metric.name, **limit), metric, [depth]) == any(value != metric.perfect for value in values)


def test_the_worst_ssim_is_that_of_a_checkerboard_and_its_negative():
    board = np.indices((60, 60)).sum(axis=0) % 2 * 255
    pair = [np.repeat(side[..., None], 3, axis=2).astype(np.uint8) for side in (board, 255 - board)]
    for metric in (metric_class("ssim")(), metric_class("ssim")(gaussian=True), metric_class("ssim")(window=3)):
        assert measured(metric, *pair).value == pytest.approx(metric.worst("uint8"), abs=0.03)


@every_metric
@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("translucent", [False, True])
def test_equal_pictures_have_the_perfect_value(metric, depth, translucent):
    picture = photograph("coffee", 120, 160)
    if translucent:
        picture = with_alpha(picture, np.random.default_rng(0).integers(100, 256, (120, 160)))
    picture = at_depth(picture, depth)
    result = measured(metric, picture, picture)
    assert metric.perfect == getattr(result, "value", metric.perfect)
    assert not isinstance(result, str) or may_refuse(metric, depth)
    assert metric.bounds[0] <= metric.perfect <= metric.bounds[1]


@pytest.mark.parametrize("name", MEANS)
@given(pair=pairs(), share=st.floats(0.2, 0.9))
@settings(max_examples=40, deadline=None)
def test_a_mean_without_the_ignored_columns_is_that_of_the_rest_alone(name, pair, share):
    metric = metric_class(name)(**({"antialiasing": "count"} if name == "perceptual" else {}))
    kept = max(1, int(pair[0].shape[1] * share))
    ignore = np.zeros(pair[0].shape[:2], bool)
    ignore[:, kept:] = True
    full = 1 if pair[0].dtype.kind == "f" else np.iinfo(pair[0].dtype).max
    painted = [np.array(image_of(picture).pixels) for picture in pair]
    for picture in painted:
        if name == "perceptual":  # what pixelmatch lays under translucent pixels depends on where they are
            picture[..., 3] = full
        picture[ignore] = (full // 2, full // 2, full // 2, full)
    rest = [np.concatenate([picture[:, :kept], picture[:, kept : kept + 1] * 0 + full], axis=1) for picture in painted]
    alone = np.zeros(rest[0].shape[:2], bool)
    alone[:, kept:] = True
    assert measured(metric, *painted, ignore).value == pytest.approx(measured(metric, *rest, alone).value, rel=1e-6)


@pytest.mark.parametrize(
    "name", [name for name in COMPUTED if name not in ("orb", "shift")]
)  # which refuse shapes as plain as this
@pytest.mark.parametrize("level", [0, 255])
def test_a_shape_that_shows_on_one_page_only_is_a_difference(name, level):
    metric = metric_class(name)()
    alpha = np.zeros((64, 64), np.uint8)
    alpha[8:30, 40:60] = 255
    plain = np.full((64, 64, 3), level, np.uint8)
    result = measured(metric, with_alpha(plain, alpha), with_alpha(plain, alpha.T[::-1]))
    worse = result.value > metric.perfect if metric.direction == "distance" else result.value < metric.perfect
    assert worse


@every_metric
def test_pictures_of_one_pixel_have_a_value_or_a_refusal_that_says_what_to_do(metric):
    result = measured(metric, np.zeros((1, 1, 3), np.uint8), np.full((1, 1, 3), 255, np.uint8))
    if isinstance(result, str):
        assert "use" in result or "name" in result
    else:
        assert math.isfinite(result.value)


@pytest.mark.parametrize("name", METRICS)
def test_the_table_and_the_class_agree_on_the_name(name):
    assert metric_class(name).name == name


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("ahash", {"hash_size": 1}),
        ("ciede2000", {"threshold": 51}),
        ("diffimg", {"ignore_alpha": "yes"}),
        ("mae", {"ignore_alpha": 1}),
        ("nmi", {"bins": 1}),
        ("orb", {"features": 0}),
        ("orb", {"max_hamming": 257}),
        ("perceptual", {"threshold": 1.5}),
        ("perceptual", {"antialiasing": "some"}),
        ("pixel_match", {"tolerance": -1}),
        ("ssim", {"gaussian": 1}),
        ("ssim", {"window": 2}),
    ],
)
def test_options_outside_their_types_are_refused(name, options):
    with pytest.raises(msgspec.ValidationError, match=next(iter(options))):
        msgspec.convert(options, metric_class(name))


@every_metric
def test_every_annotation_can_be_resolved_where_options_are_read(metric):
    hints = typing.get_type_hints(type(metric), include_extras=True)
    assert {"name", "direction", "perfect", "bounds", "counts_pixels", "unit", "heat_threshold"} <= hints.keys()


@pytest.mark.parametrize("library", ["diffimg", "skimage", "matplotlib"])
def test_no_metric_imports_a_library_before_it_measures_with_it(library):
    modules = ", ".join(sorted({target.partition(":")[0] for target in METRICS.values()}))
    code = f"import sys, {modules}; print({library!r} in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


def test_the_table_of_metrics_imports_nothing():
    code = (
        "import sys, pytest_imgdiff.comparison.registry; print({'numpy', 'cv2', 'msgspec', 'PIL'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"
