"""Metrics, loaders and report hooks of other people, and whatever can be wrong with them."""

from __future__ import annotations

import inspect
import json
import re
import sys
import textwrap
from pathlib import Path

import pytest

from pytest_imgdiff.base import hookspecs
from tests.packages import install

COMMAND = [sys.executable, "-m", "pytest_imgdiff"]
DOCUMENT = Path(__file__).parent.parent / "docs" / "extending.md"

SUITE = """
import numpy as np


def picture(level):
    pixels = np.full((20, 20, 3), 255, np.uint8)
    pixels[5:15, 5:15] = level
    return pixels
"""
METRIC = """
from dataclasses import dataclass

import numpy as np

from pytest_imgdiff import MetricError, MetricResult


@dataclass(frozen=True)
class Loudness:
    gain: float = 1.0

    name = "loudness"
    direction = "distance"
    perfect = 0.0
    bounds = (0.0, 1.0)
    counts_pixels = False
    unit = "share"
    heat_threshold = "none"

    def measure(self, expected, actual, ignore):
        value = self.gain * 0.25
        return MetricResult(value, self.unit)


def imgdiff_metrics():
    return {"loudness": Loudness}
"""
USES_METRIC = """
def test_loudness(assert_images_similar):
    assert_images_similar(picture(10), picture(200), metrics={"loudness": {"max": 0.3}})
"""


@pytest.fixture
def suite(pytester):
    """A folder with a test file's text to run, and nothing of this project's."""

    def run(*options, test, conftest=""):
        (pytester.path / "conftest.py").write_text(conftest, encoding="utf-8")
        (pytester.path / "test_it.py").write_text(SUITE + test, encoding="utf-8")
        return pytester.runpytest_subprocess(*options)

    return run


@pytest.fixture
def installed(pytester, monkeypatch):
    """Installs a module as a package with an entry point of the group ``imgdiff``."""

    def install_module(source):
        path = install(pytester.path / "site", "loud", {"imgdiff_loud.py": source}, "loud = imgdiff_loud")
        monkeypatch.setenv("PYTHONPATH", path)

    return install_module


def results(pytester):
    return json.loads((pytester.path / "imgdiff-report/results.json").read_text(encoding="utf-8"))


def nobody_saw_our_code(run):
    """Neither a traceback nor pytest's own account of one: both name the lines of our files."""
    text = run.stdout.str() + run.stderr.str()
    assert "Traceback" not in text
    assert "INTERNALERROR" not in text
    assert re.findall(r"pytest_imgdiff[/\\]\w+\.py:\d+", text) == []
    return text


# ---- From a conftest.py


@pytest.mark.parametrize("workers", [pytest.param([], id="alone"), pytest.param(["-n", "2"], id="xdist")])
def test_a_metric(suite, pytester, workers):
    test = USES_METRIC + (
        "def test_louder(assert_images_similar):\n"
        '    rules = {"loudness": {"max": 0.3, "gain": 2.0}}\n'
        "    comparison = assert_images_similar.compare(picture(10), picture(200), metrics=rules)\n"
        "    assert not comparison.passed\n"
        "    assert comparison.scores[0].value == 0.5\n"
    )
    run = suite(*workers, conftest=METRIC, test=test)
    run.assert_outcomes(passed=2)
    scores = [record["scores"] for record in results(pytester)["comparisons"]]
    assert sorted((score["metric"], score["value"], score["passed"]) for (score,) in scores) == [
        ("loudness", 0.25, True),
        ("loudness", 0.5, False),
    ]


def test_a_metric_in_the_configuration(suite, pytester):
    (pytester.path / "imgdiff.yaml").write_text("metrics: {loudness: {max: 0.2}}\n", encoding="utf-8")
    test = "def test_it(assert_images_similar):\n    assert_images_similar(picture(10), picture(200))\n"
    run = suite(conftest=METRIC, test=test)
    run.assert_outcomes(failed=1)
    run.stdout.fnmatch_lines(["*loudness: 0.25 > 0.2*"])


def test_its_options_are_checked_like_ours(suite, pytester):
    (pytester.path / "imgdiff.yaml").write_text("metrics: {loudness: {max: 0.2, gian: 2}}\n", encoding="utf-8")
    run = suite(conftest=METRIC, test=USES_METRIC)
    assert run.ret == pytest.ExitCode.USAGE_ERROR
    run.stderr.fnmatch_lines(['*imgdiff.yaml:1:32: metrics.loudness.gian: unknown key "gian"; did you mean "gain"?*'])


def test_a_loader(suite):
    conftest = (
        "class Level(int):\n    pass\n\n"
        "def imgdiff_load(source):\n"
        "    import numpy as np\n"
        "    return np.full((9, 9), source, np.uint8) if isinstance(source, Level) else None\n"
    )
    test = (
        "from conftest import Level\n"
        "def test_alike(assert_images_similar):\n    assert_images_similar(Level(7), np.full((9, 9), 7, np.uint8))\n"
        "def test_different(assert_images_similar):\n    assert_images_similar(Level(7), Level(99))\n"
    )
    run = suite(conftest=conftest, test=test)
    run.assert_outcomes(passed=1, failed=1)
    run.stdout.fnmatch_lines(["images differ (*): test_it.py::test_different"])


def test_a_report_hook(suite, pytester):
    conftest = (
        "import msgspec\n"
        "def imgdiff_report(run, directory):\n"
        "    assert b'test_it' in msgspec.json.encode(run)\n"
        "    files = sorted(path.name for path in directory.iterdir() if path.suffix)\n"
        "    verdicts = [record.verdict for record in run.comparisons]\n"
        "    (directory / 'told.txt').write_text(f'{files} {verdicts} {run.complete}')\n"
    )
    test = "def test_it(assert_images_similar):\n    assert_images_similar(picture(10), picture(200))\n"
    suite(conftest=conftest, test=test).assert_outcomes(failed=1)
    told = (pytester.path / "imgdiff-report/told.txt").read_text(encoding="utf-8")
    assert "'index.html'" in told
    assert "'results.json'" in told
    assert told.endswith("['different'] True")


# ---- From an installed package


def test_an_installed_metric_loader_and_report_hook(suite, installed, pytester):
    source = METRIC + (
        "\n\ndef imgdiff_load(source):\n"
        "    return np.full((9, 9), len(source), np.uint8) if isinstance(source, frozenset) else None\n"
        "\n\ndef imgdiff_report(run, directory):\n"
        '    (directory / "told.txt").write_text(str(len(run.comparisons)))\n'
    )
    installed(source)
    test = USES_METRIC + (
        "def test_load(assert_images_similar):\n    assert_images_similar(frozenset('ab'), np.full((9, 9), 2, np.uint8))\n"
    )
    suite(test=test).assert_outcomes(passed=2)
    assert (pytester.path / "imgdiff-report/told.txt").read_text(encoding="utf-8") == "2"


def test_an_installed_metric_serves_the_command_line(installed, pytester):
    installed(METRIC)
    schema = json.loads(pytester.run(*COMMAND, "schema").stdout.str())
    assert "loudness" in schema["$defs"]["FileFields"]["properties"]["metrics"]["properties"]


def test_an_installed_package_that_cannot_be_imported(suite, installed, pytester):
    installed("import a_module_that_nobody_has\n")
    run = suite(test=USES_METRIC)
    assert run.ret == pytest.ExitCode.USAGE_ERROR
    run.stderr.fnmatch_lines(["*entry-point group 'imgdiff' cannot be loaded: No module named 'a_module_that*"])
    nobody_saw_our_code(run)
    command = pytester.run(*COMMAND, "schema")
    assert command.ret == 2
    command.stderr.fnmatch_lines(["pytest-imgdiff: a plugin of the entry-point group 'imgdiff' cannot be loaded*"])


# ---- What can be wrong with a metric: never a pass, never a traceback


@pytest.mark.parametrize(
    ("right", "wrong", "told"),
    [
        pytest.param("value = ", 'raise KeyError("pixels") #', "failed with KeyError: 'pixels'", id="raises"),
        pytest.param("value = ", "raise SystemExit(0) #", "failed with SystemExit: 0", id="exits"),
        pytest.param("value = ", 'raise MetricError("too dark") #', "too dark", id="says-that-it-has-no-value"),
        pytest.param("(value,", '(float("nan"),', "returned nan; it must be a finite number", id="nan"),
        pytest.param("(value,", '(float("-inf"),', "returned -inf; it must be a finite number", id="infinity"),
        pytest.param(
            "(value,", "(1.5,", "returned 1.5, which is worse than its worst possible value, 1.0", id="too-bad"
        ),
        pytest.param("(value,", '("high",', "returned 'high'; it must be a finite number", id="text-for-a-value"),
        pytest.param("MetricResult(value, self.unit)", "value", "0.25, which is no MetricResult", id="a-bare-number"),
        pytest.param("return MetricResult(value, self.unit)", "pass", "None, which is no MetricResult", id="nothing"),
        pytest.param(
            "self.unit)", "self.unit, np.ones((3, 3), np.float32))", "returned a heat that is not", id="heat-size"
        ),
        pytest.param("self.unit)", "self.unit, np.ones((20, 20), int))", "returned a heat that is not", id="heat-type"),
        pytest.param("value = ", "expected.pixels[:] = 0 #", "read-only", id="paints-in-our-picture"),
    ],
)
def test_a_metric_without_a_value_breaks_the_comparison(suite, pytester, right, wrong, told):
    run = suite(conftest=METRIC.replace(right, wrong), test=USES_METRIC)
    run.assert_outcomes(failed=1)
    text = nobody_saw_our_code(run)
    assert told in text
    (record,) = results(pytester)["comparisons"]
    assert (record["verdict"], record["passed"]) == ("broken", False)
    assert record["scores"][0]["value"] is None


@pytest.mark.parametrize(
    ("worst", "told"),
    [
        ("0.0", "can never fail: loudness sees no difference between any two images with gain: 2"),
        ("0.3", "can never fail: the worst value of loudness is 0.3; set a smaller max"),
        ("1 / 0", "the metric loudness failed to return its worst value: ZeroDivisionError: division by zero"),
        ("None", "the metric loudness failed to return its worst value: TypeError"),
        ("float('nan')", "the metric loudness failed to return its worst value: it is not a number"),
    ],
)
def test_a_metric_says_what_its_worst_value_is_with_its_options(suite, worst, told):
    method = f"    def worst(self, depth):\n        return {worst} if self.gain == 2 else 1\n\n    def measure"
    test = USES_METRIC + USES_METRIC.replace("test_loudness", "test_gain").replace('"max"', '"gain": 2, "max"')
    run = suite(conftest=METRIC.replace("    def measure", method), test=test)
    run.assert_outcomes(passed=1, failed=1)
    assert told in nobody_saw_our_code(run)


@pytest.mark.parametrize("number", ["np.float64(value)", "np.float32(value)", "np.array(value)[()]"])
def test_a_number_of_numpys_is_a_number(suite, pytester, number):
    run = suite(conftest=METRIC.replace("(value,", f"({number},"), test=USES_METRIC)
    run.assert_outcomes(passed=1)
    (record,) = results(pytester)["comparisons"]
    assert record["scores"][0]["value"] == 0.25


@pytest.mark.parametrize(
    ("right", "wrong", "told"),
    [
        *(
            pytest.param(f"    {name} =", f"    _{name} =", f"lacks {name}", id=f"no-{name}")
            for name in ("name", "direction", "perfect", "bounds", "counts_pixels", "unit", "heat_threshold")
        ),
        pytest.param("def measure", "def measures", "lacks measure", id="no-measure"),
        pytest.param("bounds = (0.0, 1.0)", "bounds = None", "the metric loudness cannot be used", id="no-range"),
        pytest.param("gain: float", "max: float", 'has an option "max"', id="an-option-named-like-a-limit"),
        pytest.param('"distance"', '"nearness"', "nearness", id="unknown-direction"),
        pytest.param('"loudness"\n', '"ssim"\n', "loudness", id="the-name-of-another"),
        pytest.param(
            "    def measure",
            "    def __post_init__(self):\n        raise OSError('no weights')\n\n    def measure",
            "no weights",
            id="cannot-be-made",
        ),
        pytest.param(": Loudness}", ": Loudness()}", "loudness", id="an-instance-for-a-class"),
        pytest.param(": Loudness}", ": 5}", "loudness", id="a-number-for-a-class"),
        pytest.param(": Loudness}", ': "nowhere:Loudness"}', "cannot be loaded from nowhere:Loudness", id="no-module"),
        pytest.param(": Loudness}", ': "json:Loudness"}', "cannot be loaded from json:Loudness", id="no-class"),
    ],
)
def test_a_metric_that_is_none_is_told_once_and_plainly(suite, right, wrong, told):
    assert right in METRIC
    run = suite(conftest=METRIC.replace(right, wrong), test=USES_METRIC)
    run.assert_outcomes(failed=1)
    text = nobody_saw_our_code(run)
    assert told in text
    body, _, _ = text.partition("short test summary info")
    assert "another exception" not in body
    assert "direct cause" not in body


@pytest.mark.parametrize(
    ("hook", "told"),
    [
        pytest.param(
            'def imgdiff_metrics():\n    return {"ssim": "here:Ssim"}', "two metrics are named 'ssim'", id="our-name"
        ),
        pytest.param('def imgdiff_metrics():\n    return ["loudness"]', "imgdiff_metrics", id="a-list"),
        pytest.param("def imgdiff_metrics():\n    raise KeyError(1)", "imgdiff_metrics", id="raises"),
        pytest.param("def imgdiff_metrics(config):\n    return {}", "imgdiff_metrics", id="unknown-argument"),
    ],
)
def test_a_hook_that_cannot_be_followed_stops_the_run_at_once(suite, hook, told):
    run = suite(conftest=hook, test=USES_METRIC)
    assert run.ret == pytest.ExitCode.USAGE_ERROR
    nobody_saw_our_code(run)
    run.stderr.fnmatch_lines([f"ERROR: imgdiff: *{told}*"])


def test_two_metrics_of_one_name_are_both_named(suite, installed):
    installed(METRIC)
    run = suite(conftest=METRIC, test=USES_METRIC)
    assert run.ret == pytest.ExitCode.USAGE_ERROR
    run.stderr.fnmatch_lines(["ERROR: imgdiff: two metrics are named 'loudness': *:Loudness and *:Loudness"])
    assert {"imgdiff_loud:Loudness", "conftest:Loudness"} <= set(re.findall(r"\w+:Loudness", run.stderr.str()))


def test_a_drawing_that_fails_leaves_the_verdict(suite, pytester):
    conftest = METRIC.replace("self.unit)", 'self.unit, drawings={"waves": lambda: 1 / 0})')
    run = suite(conftest=conftest, test=USES_METRIC.replace("0.3", "0.2"))
    run.assert_outcomes(failed=1)
    run.stdout.fnmatch_lines(["*loudness: 0.25 > 0.2*", "*the image waves could not be drawn*"])
    assert [record["verdict"] for record in results(pytester)["comparisons"]] == ["different"]


@pytest.mark.parametrize(
    ("loader", "told"),
    [
        pytest.param("raise KeyError(1)", "the imgdiff_load hook failed: KeyError: 1", id="raises"),
        pytest.param("return object()", "this is not an image", id="returns-no-picture"),
        pytest.param("return 'nowhere.png'", "nowhere.png: missing: there is no such file", id="returns-no-file"),
    ],
)
def test_a_loader_that_fails_breaks_the_comparison(suite, pytester, loader, told):
    test = "def test_it(assert_images_similar):\n    assert_images_similar({1}, picture(1))\n"
    run = suite(conftest=f"def imgdiff_load(source):\n    {loader}\n", test=test)
    run.assert_outcomes(failed=1)
    assert told in nobody_saw_our_code(run)
    assert [record["verdict"] for record in results(pytester)["comparisons"]] == ["broken"]


def test_a_report_hook_that_fails_fails_the_run_and_leaves_the_report(suite, pytester):
    conftest = "def imgdiff_report(run, directory):\n    raise KeyError('upload')\n"
    test = "def test_it(assert_images_similar):\n    assert_images_similar(picture(1), picture(1))\n"
    run = suite(conftest=conftest, test=test)
    assert run.ret == pytest.ExitCode.TESTS_FAILED
    assert "imgdiff_report" in nobody_saw_our_code(run)
    assert results(pytester)["complete"]


# ---- The examples that people copy


def example_of(hook):
    """Return the example in a hook's docstring."""
    text = inspect.getdoc(hook)
    assert "Example::\n" in text
    return textwrap.dedent(text.split("Example::\n", 1)[1]).strip() + "\n"


EXAMPLES = {
    "imgdiff_metrics": (
        "def test_it(assert_images_similar):\n"
        '    rules = {"brightness": {"max": 0.2, "gain": 1.0}}\n'
        "    assert_images_similar(picture(10), picture(10), metrics=rules)\n"
        "    assert_images_similar(picture(100), picture(120), metrics=rules)\n"
        "    assert not assert_images_similar.compare(picture(0), picture(255), metrics=rules).passed\n"
    ),
    "imgdiff_load": (
        "from conftest import Canvas\n"
        "def test_it(assert_images_similar):\n"
        "    assert_images_similar(Canvas(4, 3, (1, 2, 3)), np.full((3, 4, 3), (1, 2, 3), np.uint8))\n"
    ),
    "imgdiff_capture": (
        "from conftest import Dashboard\n"
        "def test_it(assert_images_similar):\n"
        "    comparison = assert_images_similar(Dashboard([0, 255]), np.array([[0, 255]] * 40, np.uint8))\n"
        "    assert comparison.capture.target == 'dashboard'\n"
    ),
    "imgdiff_report": (
        "from pathlib import Path\n"
        "def test_it(assert_images_similar):\n"
        "    assert not assert_images_similar.compare(picture(1), picture(200)).passed\n"
    ),
}


@pytest.mark.parametrize("hook", EXAMPLES)
def test_the_example_of_each_hook_runs(suite, pytester, hook):
    run = suite(conftest=example_of(getattr(hookspecs, hook)), test=EXAMPLES[hook])
    run.assert_outcomes(passed=1)
    if hook == "imgdiff_report":
        failed = (pytester.path / "imgdiff-report/failed.txt").read_text(encoding="utf-8")
        assert failed == "test_it.py::test_it"


def test_every_hook_has_an_example():
    assert set(EXAMPLES) == {name for name in vars(hookspecs) if name.startswith("imgdiff_")}


def documented():
    """Return the sections of the document that have files, each by its heading: file name to content."""
    sections = re.split(r"^## ", DOCUMENT.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    found = {}
    for section in sections:
        blocks = re.findall(r"^```\w+\n# (\S+\.\w+)\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
        if blocks:
            found[section.splitlines()[0]] = dict(blocks)
    return found


@pytest.mark.parametrize("heading", documented())
def test_the_examples_of_the_document_run(pytester, monkeypatch, heading):
    files = documented()[heading]
    tests = {name: files.pop(name) for name in list(files) if name.startswith("test_")}
    if "pyproject.toml" in files:
        project = files.pop("pyproject.toml")
        (points,) = re.findall(r"^\[project\.entry-points\.imgdiff\]\n((?:\w+ = .+\n)+)", project, re.MULTILINE)
        path = install(pytester.path / "site", "documented", files, points.replace('"', ""))
        monkeypatch.setenv("PYTHONPATH", path)
        files = {}
    for name, content in {**files, **tests}.items():
        (pytester.path / name).write_text(content, encoding="utf-8")
    count = sum(content.count("def test_") for content in tests.values())
    assert count
    pytester.runpytest_subprocess().assert_outcomes(passed=count)


def test_each_hook_is_documented():
    text = "".join(content for files in documented().values() for content in files.values())
    assert [hook for hook in EXAMPLES if f"def {hook}(" not in text] == []
