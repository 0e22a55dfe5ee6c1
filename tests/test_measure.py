"""Metrics that are measured and decide nothing: in YAML, in Python, by the command and by pytest."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pytest_imgdiff import Policy, Rule, compare
from pytest_imgdiff.base.errors import ConfigError
from pytest_imgdiff.cli.parser import main
from tests.metric_pictures import as_jpeg, photograph
from tests.pictures import write

HANDLE = "https://hub.invalid/model/1"


@pytest.fixture
def pair(tmp_path, monkeypatch):
    """A photograph and the same encoded again, in the current folder."""
    monkeypatch.chdir(tmp_path)
    picture = photograph("coffee", 240, 320)
    write(tmp_path / "a.png", picture)
    write(tmp_path / "b.png", as_jpeg(picture, 60))
    return tmp_path


def compared(*arguments):
    """Return the exit code and the record of one pair."""
    code = main(["compare", *arguments, "--json", "out.json"])
    return code, json.loads(Path("out.json").read_text(encoding="utf-8"))["comparisons"][0]


def scores_of(record):
    return {score["metric"]: score for score in record["scores"]}


def test_measured_values_are_printed_and_recorded_and_decide_nothing(pair, capsys):
    (pair / "imgdiff.yaml").write_text("metrics: {psnr: {min: 10}}\n", encoding="utf-8")
    code, record = compared("a.png", "b.png", "--measure", "orb,ssim,mae")
    assert code == 0
    assert record["verdict"] == "match"
    scores = scores_of(record)
    assert list(scores) == ["psnr", "orb", "ssim", "mae"]
    assert "measured" not in scores["psnr"]
    for name in ("orb", "ssim", "mae"):
        score = scores[name]
        assert (score["measured"], score.get("limit"), score["passed"], score.get("warned")) == (True, None, True, None)
        assert score["value"] is not None
    lines = capsys.readouterr().out.splitlines()
    assert f"  measured: ssim: {scores['ssim']['value']:.3g}" in lines
    assert sum(line.startswith("  measured: ") for line in lines) == 3


@pytest.mark.usefixtures("pair")
def test_a_failure_shows_them_beside_the_rules(capsys):
    assert main(["compare", "a.png", "b.png", "--measure", "ssim"]) == 1
    output = capsys.readouterr().out
    assert "fails:      visible" in output
    assert "measured:   ssim: 0." in output
    assert "would pass: visible: {max" in output


def test_equal_pictures_have_the_perfect_values(pair):
    write(pair / "c.png", photograph("coffee", 240, 320))
    (pair / "d.png").write_bytes((pair / "a.png").read_bytes())
    for other, equal in (("c.png", None), ("d.png", "bytes")):
        code, record = compared("a.png", other, "--measure", "orb,ssim,pixel_match,embedding_cosine,classification")
        assert code == 0
        assert equal in (None, record.get("equal"))
        measured = {name: score["value"] for name, score in scores_of(record).items() if score.get("measured")}
        assert measured == {"orb": 1, "ssim": 1, "pixel_match": 1, "embedding_cosine": 0, "classification": 1}


def test_options_hold_and_a_rule_measures_for_itself(pair):
    configuration = "metrics: {ssim: {min: 0.1, window: 9}}\nmeasure: [ssim, {orb: {features: 200}}]\n"
    (pair / "imgdiff.yaml").write_text(configuration, encoding="utf-8")
    _, record = compared("a.png", "b.png")
    assert [(score["metric"], score.get("measured")) for score in record["scores"]] == [("ssim", None), ("orb", True)]
    assert scores_of(record)["orb"]["details"]["expected_keypoints"] <= 200
    (pair / "imgdiff.yaml").write_text("measure: [{ssim: {window: 15}}]\n", encoding="utf-8")
    values = [
        scores_of(compared("a.png", "b.png", *more)[1])["ssim"]["value"]
        for more in ([], ["--measure", "ssim"], ["--measure", "ssim: {window: 7}"])
    ]
    assert values[0] == values[1] != values[2]  # named without options it has those of imgdiff.yaml


def test_overrides_replace_the_list(pair):
    configuration = "measure: [psnr]\noverrides: [{match: b.png, measure: [mae]}]\n"
    (pair / "imgdiff.yaml").write_text(configuration, encoding="utf-8")
    _, record = compared("a.png", "b.png")
    assert [score["metric"] for score in record["scores"] if score.get("measured")] == ["mae"]


@pytest.mark.parametrize(
    ("measure", "words"),
    [
        ("[ssmi]", "did you mean 'ssim'?"),
        ("[ssim, ssim]", "ssim is listed twice"),
        ("[{ssim: {min: 0.9}}]", "a measured metric has no limit: move min to the rule of ssim in `metrics`"),
        ("[{ssim: {windows: 9}}]", "windows"),
        ("[{ssim: {window: 8}}]", "must be odd"),
        ("[{ssim: {}, orb: {}}]", "measure"),
        ("ssim", "a list of metrics such as [orb, {ssim: {window: 9}}]"),
    ],
)
def test_mistakes_are_told_with_their_place(pair, capsys, measure, words):
    (pair / "imgdiff.yaml").write_text(f"measure: {measure}\n", encoding="utf-8")
    assert main(["compare", "a.png", "b.png"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("pytest-imgdiff: imgdiff.yaml:1:")
    assert words in error
    assert len(error.splitlines()) == 1


@pytest.mark.usefixtures("pair")
def test_mistakes_of_the_command_line(capsys):
    for arguments in (["--measure", ""], ["--measure", "ssim", "--set", "measure=[orb]"], ["--measure", "ssmi"]):
        assert main(["compare", "a.png", "b.png", *arguments]) == 2
        assert "measure" in capsys.readouterr().err


def test_a_metric_without_a_value_is_told_and_fails_nothing(pair, capsys):
    write(pair / "flat.png", np.full((60, 60, 3), 90, np.uint8))
    write(pair / "flatter.png", np.full((60, 60, 3), 91, np.uint8))
    code, record = compared("flat.png", "flatter.png", "--measure", "orb")
    assert code == 0
    assert scores_of(record)["orb"]["reason"].startswith("orb found 0 keypoints")
    assert "  measured: orb: not measured (orb found 0 keypoints" in capsys.readouterr().out


def test_models_that_are_not_here_are_told_once_and_fail_nothing(pair, capsys):
    configuration = (
        f"metrics: {{psnr: {{min: 10}}}}\nmeasure: [{{embedding_cosine: {{model: {HANDLE}, cache: none}}}}]\n"
    )
    (pair / "imgdiff.yaml").write_text(configuration, encoding="utf-8")
    for number in range(2):
        picture = photograph("coffee", 100, 100) // (1 + number)
        write(pair / f"one/{number}.png", picture)
        write(pair / f"two/{number}.png", as_jpeg(picture, 60))
    assert main(["compare", "one", "two"]) == 0
    output = capsys.readouterr()
    lines = [line for line in (output.out + output.err).splitlines() if HANDLE in line]
    assert len(lines) == 1
    assert lines[0].startswith("embedding_cosine: not measured: model ")
    assert "pytest-imgdiff models fetch" in lines[0]
    _, record = compared("a.png", "b.png")
    assert scores_of(record)["embedding_cosine"]["omitted"] is not None


@pytest.mark.usefixtures("pair")
def test_where_nothing_runs_models_one_line_names_the_extra():
    """A finder hides both packages, as if they were not installed."""
    program = """if True:
        import importlib.util, sys
        found = importlib.util.find_spec
        hidden = ("tensorflow", "onnxruntime")
        importlib.util.find_spec = lambda name, package=None: None if name in hidden else found(name, package)
        from pytest_imgdiff.cli.parser import main
        sys.exit(main(["compare", "a.png", "b.png", "--set", "metrics={psnr: {min: 10}}", "--measure",
            "embedding_cosine, embedding_euclidean, classification, ssim"]))
    """
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    (line,) = [line for line in run.stdout.splitlines() if "pip install" in line]
    assert line == (
        "embedding_cosine, embedding_euclidean, classification: not measured: neither TensorFlow nor ONNX Runtime is "
        "installed (pip install 'pytest-imgdiff[tensorflow]')"
    )
    assert "measured: ssim: 0." in run.stdout


def test_sizes_that_differ_are_measured_and_the_verdict_stands(pair):
    write(pair / "small.png", photograph("coffee", 240, 320)[::2, ::2])
    code, record = compared("a.png", "small.png", "--measure", "ssim,orb")
    assert (code, record["verdict"]) == (1, "resized")
    assert scores_of(record)["ssim"]["value"] is not None
    assert "measured with the actual image resampled to 320x240" in record["notes"]
    code, record = compared("a.png", "small.png")
    assert "scores" not in record
    assert "notes" not in record


def test_pytest_measures_by_its_option(pytester):
    picture = photograph("coffee", 120, 160)
    write(pytester.path / "expected.png", picture)
    write(pytester.path / "actual.png", as_jpeg(picture, 60))
    pytester.makepyfile("""
        def test_photo(assert_images_similar):
            found = assert_images_similar("actual.png", "expected.png", metrics={"psnr": {"min": 10}})
            assert {score.metric: score.measured for score in found.scores} == {"psnr": False, "ssim": True, "orb": True}

        def test_call(assert_images_similar):
            found = assert_images_similar("actual.png", "expected.png", metrics={"psnr": {"min": 10}}, measure=["mae"])
            assert [score.metric for score in found.scores if score.measured] == ["mae"]
    """)
    run = pytester.runpytest_subprocess("--imgdiff-measure", "ssim,orb")
    run.assert_outcomes(passed=2)
    record = json.loads((pytester.path / "imgdiff-report/results.json").read_text(encoding="utf-8"))["comparisons"][0]
    assert [score["metric"] for score in record["scores"]] == ["psnr", "ssim", "orb"]


def test_a_failing_test_shows_what_was_measured(pytester):
    picture = photograph("coffee", 120, 160)
    write(pytester.path / "expected.png", picture)
    write(pytester.path / "actual.png", as_jpeg(picture, 10))
    pytester.makepyfile(
        "def test_photo(assert_images_similar): assert_images_similar('actual.png', 'expected.png', measure=['ssim'])"
    )
    run = pytester.runpytest_subprocess()
    run.assert_outcomes(failed=1)
    run.stdout.fnmatch_lines(["*measured:   ssim: 0.*"])


def test_policies_of_python():
    picture = photograph("coffee", 120, 160)
    found = compare(picture, as_jpeg(picture, 60), Policy(metrics=(Rule("psnr", min=10),), measure=(Rule("ssim"),)))
    assert found.passed
    assert [(score.metric, score.measured) for score in found.scores] == [("psnr", False), ("ssim", True)]
    for measure, words in (
        ((Rule("ssim", min=0.9),), "no limit"),
        ((Rule("ssim"), Rule("ssim")), "listed twice"),
        (("ssim",), "expected a Rule"),
        ((Rule("nothing"),), "unknown metric"),
    ):
        with pytest.raises(ConfigError, match=words):
            compare(picture, picture, Policy(measure=measure))


def test_memory_that_suffices_for_the_rules_alone_leaves_the_rest_unmeasured():
    picture = photograph("coffee")
    other = as_jpeg(picture, 60)
    rules = (Rule("pixel_match", min=0.0, warn=1.0),)
    memory = 1 << 20
    while compare(picture, other, Policy(metrics=rules, mask="pixel_match", memory=memory)).reason is not None:
        memory += 1 << 18
    found = compare(
        picture, other, Policy(metrics=rules, mask="pixel_match", memory=memory, measure=(Rule("ssim"), Rule("orb")))
    )
    assert found.passed
    assert [score.metric for score in found.scores] == ["pixel_match"]
    assert any(note.startswith("nothing was measured: ") and "ssim" in note for note in found.notes)
