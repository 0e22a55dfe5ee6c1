"""Whether two pictures show the same kind of thing: the metrics, with models made here."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_imgdiff import Policy, Rule, compare
from pytest_imgdiff.base.errors import MetricError, ModelUnavailableError
from pytest_imgdiff.metrics.category import Classification, EmbeddingCosine, EmbeddingEuclidean
from pytest_imgdiff.networks.settings import CLASSIFICATION, FEATURE_VECTOR
from tests.metric_pictures import image_of, with_alpha
from tests.tiny_models import FEATURES, SIDE, WEIGHTS, onnx_file

pytest.importorskip("onnxruntime")

METRICS = (EmbeddingCosine, EmbeddingEuclidean, Classification)
every_metric = pytest.mark.parametrize("kind", METRICS, ids=lambda kind: kind.name)


@pytest.fixture
def made(tmp_path):
    """Make a metric with a tiny model of its own."""

    def make(kind, *, model=None, **options):
        path = onnx_file(tmp_path / "tiny.onnx", **(model or {}))
        given = {"input_size": SIDE, "device": "cpu", "threads": 1, "cache": str(tmp_path / "cache"), **options}
        return kind(model=str(path), **given)

    return make


def plain(*colour):
    return image_of(np.full((SIDE, SIDE, 3), colour, np.uint8))


def features(*colour):
    return np.array(colour, np.float64) / 255 @ WEIGHTS.astype(np.float64)


def test_the_distances_are_those_of_their_definitions(made):
    one, other = (10, 200, 90), (250, 0, 30)
    a, b = features(*one), features(*other)
    cosine = made(EmbeddingCosine).measure(plain(*one), plain(*other), None)
    assert cosine.value == pytest.approx(1 - a @ b / np.linalg.norm(a) / np.linalg.norm(b), abs=1e-6)
    euclidean = made(EmbeddingEuclidean).measure(plain(*one), plain(*other), None)
    assert euclidean.value == pytest.approx(np.linalg.norm(a - b), abs=1e-5)
    assert euclidean.details["features"] == FEATURES
    assert euclidean.details["device"] == "CPU"
    assert euclidean.details["backend"].startswith("ONNX Runtime ")


@given(colours=st.tuples(*[st.tuples(*[st.integers(1, 255)] * 3)] * 2))
@settings(max_examples=40, deadline=None)
def test_values_are_within_bounds_and_the_same_both_ways(tmp_path_factory, colours):
    folder = tmp_path_factory.getbasetemp() / "values"
    path = onnx_file(folder / "tiny.onnx")
    for kind in METRICS:
        metric = kind(model=str(path), input_size=SIDE, device="cpu", threads=1, cache=str(folder / "cache"))
        one, other = (plain(*colour) for colour in colours)
        result = metric.measure(one, other, None)
        assert metric.bounds[0] <= result.value <= metric.bounds[1]
        assert math.isfinite(result.value)
        assert result.value == metric.measure(other, one, None).value
        assert metric.measure(one, one, None).value == metric.perfect
        assert msgspec.json.decode(msgspec.json.encode(result.details)) == result.details


def test_a_difference_that_shows_on_one_backdrop_only_is_one(made):
    clear = np.zeros((SIDE, SIDE))
    half = clear.copy()
    half[: SIDE // 2] = 255
    white = np.full((SIDE, SIDE, 3), 255, np.uint8)
    pair = [image_of(with_alpha(white, alpha)) for alpha in (clear, half)]
    result = made(EmbeddingEuclidean).measure(*pair, None)
    assert result.value > 0.1
    assert result.details["backdrop"] == "black"


def identity():
    """Three classes: red, green, blue; logits as large as the colours are bright."""
    return {"weights": 10 * np.eye(3, dtype=np.float32)}


def labelled(tmp_path, *labels):
    path = tmp_path / "labels.txt"
    path.write_text("\n".join(labels) + "\n", encoding="utf-8")
    return str(path)


def test_pictures_of_one_class_are_alike_and_of_two_are_not(made, tmp_path):
    metric = made(Classification, model=identity(), labels=labelled(tmp_path, "red", "green", "blue"), top_k=2)
    alike = metric.measure(plain(250, 10, 0), plain(200, 0, 120), None)
    assert alike.value == 1
    assert [entry["label"] for entry in alike.details["expected"]] == ["red", "green"]
    assert [entry["label"] for entry in alike.details["actual"]] == ["red", "blue"]
    assert metric.measure(plain(250, 10, 0), plain(0, 120, 0), None).value == 0


def test_logits_become_probabilities(made):
    result = made(Classification, model=identity()).measure(plain(255, 0, 0), plain(0, 255, 51), None)
    logits = np.array([10, 0, 0])
    [first, *_] = result.details["expected"]
    assert first == {
        "class": 0,
        "label": "class 0",
        "probability": pytest.approx(np.exp(10) / np.exp(logits).sum(), abs=1e-6),
    }
    assert sum(entry["probability"] for entry in result.details["actual"]) == pytest.approx(1, abs=1e-5)


def test_probabilities_are_left_as_they_are(made):
    result = made(Classification, model={"weights": WEIGHTS[:, :3], "after": "Softmax"}).measure(
        plain(9, 99, 0), plain(0, 0, 255), None
    )
    logits = features(9, 99, 0)[:3]
    wanted = sorted((np.exp(logits) / np.exp(logits).sum()).tolist(), reverse=True)
    assert [entry["probability"] for entry in result.details["expected"]] == pytest.approx(wanted, abs=1e-5)


def test_overlap_is_the_share_of_common_likeliest_classes(made):
    metric = made(Classification, model=identity(), overlap=2)
    red_green, green_red, red_blue = plain(250, 100, 0), plain(100, 250, 0), plain(250, 0, 100)
    assert metric.measure(red_green, green_red, None).value == 1
    assert metric.measure(red_green, red_blue, None).value == 0.5


def test_of_equally_likely_classes_the_first_comes_first(made):
    metric = made(Classification, model=identity())
    assert metric.measure(plain(90, 90, 90), plain(250, 10, 10), None).value == 1


def test_settings_that_are_equal_share_the_models_outputs(made):
    cosine, euclidean = made(EmbeddingCosine), made(EmbeddingEuclidean)
    assert cosine.settings == euclidean.settings
    assert EmbeddingCosine().settings.model == FEATURE_VECTOR
    assert Classification().settings.model == CLASSIFICATION


def broken(made, kind, says, *, pair=((200, 10, 10), (10, 200, 10)), **changes):
    metric = made(kind, **changes)
    with pytest.raises(MetricError, match=says) as caught:
        metric.measure(plain(*pair[0]), plain(*pair[1]), None)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(kind.name)


def test_features_of_zeros_have_no_direction(made):
    broken(made, EmbeddingCosine, "actual image .*all features are 0", pair=((1, 2, 3), (0, 0, 0)))
    assert made(EmbeddingEuclidean).measure(plain(1, 2, 3), plain(0, 0, 0), None).value > 0


def test_features_as_large_as_floats_can_be_have_a_direction(made):
    huge = np.full((3, 2), 1e38, np.float32) * np.array([[1, 0], [0, 1], [0, 0]], np.float32)
    assert made(EmbeddingCosine, model={"weights": huge}).measure(
        plain(255, 0, 0), plain(0, 255, 0), None
    ).value == pytest.approx(1)


@every_metric
def test_numbers_that_are_not_finite_are_refused(made, kind):
    broken(made, kind, "not finite", model={"weights": -WEIGHTS, "after": "Log"})


@every_metric
def test_an_output_of_another_shape_is_refused(made, kind):
    broken(made, kind, r"returns an output of shape \(2, 1, 1, 6\)", model={"keep": True})


@every_metric
def test_a_model_that_takes_bytes_is_refused(made, kind):
    broken(made, kind, "uint8", model={"type": 2})


@every_metric
def test_a_picture_of_another_size_than_the_models_is_refused(made, kind):
    broken(made, kind, "cannot run it", input_size=SIDE + 1)


@every_metric
def test_a_backend_that_cannot_run_the_model_is_told(made, kind):
    metric = made(kind, backend="tensorflow")
    with pytest.raises(ModelUnavailableError, match="no SavedModel of it for TensorFlow"):
        metric.prepare()
    with pytest.raises(ModelUnavailableError, match="no SavedModel of it for TensorFlow"):
        metric.measure(plain(0, 0, 1), plain(0, 0, 2), None)


@every_metric
def test_a_model_that_is_not_there_is_told_before_and_while_it_is_asked(tmp_path, kind):
    metric = kind(model=str(tmp_path / "none.onnx"), cache=str(tmp_path / "cache"))
    with pytest.raises(ModelUnavailableError, match=r"none\.onnx") as caught:
        metric.prepare()
    assert "\n" not in str(caught.value)
    with pytest.raises(ModelUnavailableError, match=r"none\.onnx"):
        metric.measure(plain(0, 0, 1), plain(0, 0, 2), None)


def test_labels_that_do_not_fit_the_classes_are_refused(made, tmp_path):
    broken(
        made,
        Classification,
        "2 labels, and the model knows 3 classes",
        model=identity(),
        labels=labelled(tmp_path, "red", "green"),
    )


@pytest.mark.parametrize(("content", "says"), [(None, "cannot be read"), (b"\xff\xfe\x00", "no UTF-8 text")])
def test_labels_that_cannot_be_read_are_told(made, tmp_path, content, says):
    path = tmp_path / "labels.txt"
    if content is not None:
        path.write_bytes(content)
    broken(made, Classification, says, model=identity(), labels=str(path))


def test_an_overlap_of_all_classes_or_more_is_refused(made):
    broken(made, Classification, "`overlap` is 4, and the model knows 3 classes", model=identity(), overlap=4)
    broken(made, Classification, "`overlap` is 3, and the model knows 3 classes", model=identity(), overlap=3)


@every_metric
@pytest.mark.parametrize(
    "options",
    [
        {"input_size": 0},
        {"value_range": [0, 1, 2]},
        {"value_range": [1, 0]},
        {"value_range": 255},
        {"resampling": "spline"},
        {"backend": "torch"},
        {"device": "gpu"},
        {"threads": -1},
        {"batch_size": -1},
        {"timeout": 0},
        {"model": ""},
    ],
    ids=str,
)
def test_options_outside_their_types_are_refused(kind, options):
    with pytest.raises(msgspec.ValidationError, match=next(iter(options))):
        msgspec.convert(options, kind)


@every_metric
def test_a_range_may_be_a_list_as_yaml_has_it(kind):
    assert msgspec.convert({"value_range": [-1, 1]}, kind).settings.value_range == (-1, 1)


def test_a_comparison_passes_fails_or_is_broken(made, tmp_path):
    made(EmbeddingCosine)
    given = (
        ("model", str(tmp_path / "tiny.onnx")),
        ("input_size", SIDE),
        ("device", "cpu"),
        ("threads", 1),
        ("cache", str(tmp_path / "cache")),
    )

    def verdict(model, limit):
        options = (("model", model), *given[1:])
        policy = Policy(metrics=(Rule("embedding_cosine", options, max=limit),))
        pictures = [np.full((20, 30, 3), colour, np.uint8) for colour in ((250, 40, 40), (40, 40, 250))]
        return compare(*pictures, policy)

    assert verdict(given[0][1], 1.9).verdict.value == "match"
    assert verdict(given[0][1], 0).verdict.value == "different"
    broken_one = verdict("none.onnx", 1.9)
    assert broken_one.verdict.value == "broken"
    assert not broken_one.passed
    assert "none.onnx" in broken_one.reason
