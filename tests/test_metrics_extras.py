"""The metrics `flip` and `ssimulacra2`, which packages of optional extras compute: their numbers are the packages' own."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from flip_evaluator import evaluate
from PIL import Image as PillowImage
from ssimulacra2 import compute_ssimulacra2

from pytest_imgdiff.base.errors import ConfigError, MetricError
from pytest_imgdiff.comparison.engine import compare
from pytest_imgdiff.comparison.registry import Registry
from pytest_imgdiff.config import load_settings
from pytest_imgdiff.metrics.flip import Flip
from pytest_imgdiff.metrics.ssimulacra2 import Ssimulacra2
from tests.metric_pictures import DEPTHS, as_jpeg, at_depth, image_of, photograph, with_alpha

BOTH = pytest.mark.parametrize("metric", [Flip(), Ssimulacra2()], ids=["flip", "ssimulacra2"])


def recompressed(quality=40):
    photo = photograph("astronaut", 60, 72)[..., :3]
    return photo, as_jpeg(photo, quality)[..., :3]


def with_a_blot():
    photo = photograph("astronaut", 60, 72)[..., :3]
    blotted = photo.copy()
    blotted[20:30, 20:40] = (255, 0, 0)
    return photo, blotted


@pytest.mark.parametrize("pair", [recompressed(), with_a_blot()], ids=["recompressed", "blot"])
def test_flip_is_the_number_of_its_package(pair):
    one, two = (side.astype(np.float32) / np.float32(255) for side in pair)
    errors, mean, _ = evaluate(one, two, "LDR", applyMagma=False)
    found = Flip().measure(*map(image_of, pair), None)
    assert found.value == pytest.approx(mean, abs=1e-6)
    assert np.allclose(found.heat, errors[..., 0], atol=1e-6)
    assert found.details["largest"] == pytest.approx(errors.max(), abs=1e-6)


def test_flip_from_nearer_by_shows_more():
    pair = [image_of(side) for side in recompressed()]
    assert Flip(ppd=20).measure(*pair, None).value > 1.2 * Flip().measure(*pair, None).value


def test_flip_leaves_ignored_pixels_out():
    pair = [image_of(side) for side in with_a_blot()]
    ignore = np.zeros((60, 72), bool)
    ignore[:, :50] = True
    found, whole = Flip().measure(*pair, ignore), Flip().measure(*pair, None)
    assert found.value < whole.value / 10
    assert not found.heat[ignore].any()


@pytest.mark.parametrize("pair", [recompressed(), with_a_blot()], ids=["recompressed", "blot"])
def test_ssimulacra2_is_the_lower_number_of_its_package(pair, tmp_path):
    paths = [tmp_path / name for name in ("one.png", "two.png")]
    for path, side in zip(paths, pair, strict=True):
        PillowImage.fromarray(side).save(path)
    forth, back = compute_ssimulacra2(*paths), compute_ssimulacra2(*paths[::-1])
    found = Ssimulacra2().measure(*map(image_of, pair), None)
    assert found.details == {"forth": forth, "back": back}
    assert found.value == max(-100, min(forth, back))


def test_a_stronger_compression_has_a_lower_score():
    scores = [Ssimulacra2().measure(*map(image_of, recompressed(quality)), None).value for quality in (95, 70, 20)]
    assert 100 > scores[0] > scores[1] > scores[2] > -100


def test_ssimulacra2_refuses_what_its_package_calls_equal_unseen():
    pair = image_of(np.zeros((7, 40), np.uint8)), image_of(np.full((7, 40), 255, np.uint8))
    with pytest.raises(MetricError, match="needs at least 8x8 pixels and this pair has 40x7: use pixel_match"):
        Ssimulacra2().measure(*pair, None)


@BOTH
def test_the_worst_pictures_have_values_within_the_bounds(metric):
    pair = image_of(np.zeros((20, 30), np.uint8)), image_of(np.full((20, 30), 255, np.uint8))
    low, high = metric.bounds
    found = metric.measure(*pair, None)
    assert low <= found.value <= high
    assert abs(found.value - metric.perfect) > 0.25 * (high - low)


@BOTH
@pytest.mark.parametrize("depth", DEPTHS)
def test_a_value_is_the_same_both_ways_and_again_and_at_every_depth(metric, depth):
    shallow = metric.measure(*map(image_of, with_a_blot()), None).value
    pair = [image_of(at_depth(side, depth)) for side in with_a_blot()]
    values = [metric.measure(*order, None).value for order in (pair, pair, pair[::-1])]
    assert values[0] == values[1] == values[2]
    assert values[0] == pytest.approx(shallow, abs=1e-5)


@BOTH
def test_a_difference_that_shows_on_one_backdrop_is_one(metric):
    clear = with_alpha(np.full((20, 24, 3), 255, np.uint8), np.zeros((20, 24)))
    white = with_alpha(np.full((20, 24, 3), 255, np.uint8), np.full((20, 24), 255))
    found = metric.measure(image_of(clear), image_of(white), None)
    assert found.details["backdrop"] == "black"
    assert found.value != metric.perfect


@pytest.mark.parametrize(
    ("name", "package", "limit"), [("flip", "flip-evaluator", "max: 0.01"), ("ssimulacra2", "ssimulacra2", "min: 90")]
)
def test_without_its_extra_a_rule_names_it(tmp_path, monkeypatch, name, package, limit):
    monkeypatch.setitem(sys.modules, package.replace("-", "_"), None)
    file = tmp_path / "imgdiff.yaml"
    file.write_text(f"metrics: {{{name}: {{{limit}}}}}\n", encoding="utf-8")
    with pytest.raises(ConfigError) as refused:
        load_settings(file, Registry())
    message = str(refused.value)
    assert f"{package} is not installed: pip install 'pytest-imgdiff[{name}]'" in message
    assert "\n" not in message


@pytest.mark.parametrize("rule", [{"flip": {"max": 0.0001}}, {"ssimulacra2": {"min": 99.9}}])
def test_a_rule_holds_them_to_a_limit(rule):
    policy = load_settings(None, Registry()).policy_for("a", call={"metrics": rule})
    pair = with_a_blot()
    assert compare(*pair, policy).verdict.value == "different"
    assert compare(pair[0], pair[0], policy).passed
