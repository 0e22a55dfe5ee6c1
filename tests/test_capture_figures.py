"""`assert_images_similar` with figures, charts, widgets and values that give arrays."""

from __future__ import annotations

import json
import sys

import pytest

from pytest_imgdiff.base.errors import CaptureError
from pytest_imgdiff.base.model import CaptureSettings
from pytest_imgdiff.capture import capturer_of
from pytest_imgdiff.images import decode, read
from tests.chromium import EXECUTABLE
from tests.test_images_sources import class_of

STORY = """
import os

import numpy as np

HIGH = int(os.environ.get("HIGH", "3"))


def test_matplotlib(assert_images_similar):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3, 2))
    figure.add_subplot().bar([1, 2], [1, HIGH])
    assert_images_similar(figure)


def test_plotly(assert_images_similar):
    import plotly.graph_objects as go

    assert_images_similar(go.Figure(go.Bar(x=[1, 2], y=[1, HIGH]), layout={"width": 300, "height": 200}))


def test_altair(assert_images_similar):
    import altair

    values = [{"x": 1, "y": 1}, {"x": 2, "y": HIGH}]
    assert_images_similar(altair.Chart({"values": values}).mark_bar().encode(x="x:O", y="y:Q"))


def test_bokeh(assert_images_similar):
    from bokeh.plotting import figure

    plot = figure(width=300, height=200, y_range=(0, 5))
    plot.vbar(x=[1, 2], top=[1, HIGH], width=0.8)
    assert_images_similar(plot)


def test_qt(assert_images_similar):
    from PySide6.QtWidgets import QApplication, QProgressBar

    application = QApplication.instance() or QApplication([])
    bar = QProgressBar(maximum=5, value=HIGH)
    bar.resize(120, 30)
    assert_images_similar(bar)


class Tensor:
    def __init__(self, values):
        self.values = values

    def __dlpack__(self, **options):
        return self.values.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.values.__dlpack_device__()


def test_tensor(assert_images_similar):
    values = np.full((40, 60, 3), 255, np.uint8)
    values[10 : 10 + 4 * HIGH, 10:30] = 0
    assert_images_similar(Tensor(values))
"""
TARGETS = {
    "matplotlib": "Matplotlib figure",
    "plotly": "Plotly figure",
    "altair": "Altair chart",
    "bokeh": "Bokeh plot",
    "qt": "Qt widget",
    "tensor": None,
}
BARS = {"values": [{"x": 1, "y": 1}]}


def records(pytester) -> dict[str, dict]:
    """The records of the last run, by what the test is called."""
    found = json.loads((pytester.path / "imgdiff-report/results.json").read_text(encoding="utf-8"))["comparisons"]
    return {record["test"].partition("::test_")[2]: record for record in found}


def equal(pytester) -> set[str]:
    """Of the last run, what looked as it did before."""
    return {name for name, record in records(pytester).items() if record.get("equal")}


@pytest.fixture
def drawing(pytester, monkeypatch):
    """Runs tests in which everything can be rendered that is installed, with or without a display."""
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    monkeypatch.setenv("BOKEH_IN_DOCKER", "1")  # the tests may run as root
    if EXECUTABLE:
        monkeypatch.setenv("BROWSER_PATH", EXECUTABLE)  # which Kaleido starts

    def run(source: str, *options: str):
        pytester.makepyfile(test_it=source)
        return pytester.runpytest_subprocess(*options, timeout=300)

    return run


def test_written_differs_accepted_passes(drawing, pytester, monkeypatch):
    count = len(TARGETS)
    drawing(STORY, "--imgdiff-update=missing").assert_outcomes(passed=count)
    monkeypatch.setenv("HIGH", "4")
    drawing(STORY, "-n", "2").assert_outcomes(failed=count)
    found = records(pytester)
    assert {name: record["verdict"] for name, record in found.items()} == dict.fromkeys(TARGETS, "different")
    captured = {name: record["capture"]["target"] for name, record in found.items() if record.get("capture")}
    assert captured == {name: target for name, target in TARGETS.items() if target}

    without_browsers = ["-k", "not plotly and not bokeh"]
    drawing(STORY, "--imgdiff-update=failed", *without_browsers).assert_outcomes(passed=count - 2, deselected=2)
    drawing(STORY, *without_browsers).assert_outcomes(passed=count - 2, deselected=2)
    assert equal(pytester) == TARGETS.keys() - {"plotly", "bokeh"}
    monkeypatch.delenv("HIGH")
    drawing(STORY, "-k", "plotly or bokeh").assert_outcomes(passed=2, deselected=count - 2)
    assert equal(pytester) == {"plotly", "bokeh"}


def test_a_figure_without_a_baseline_fails_and_writes_none(drawing, pytester):
    drawing(STORY, "-k", "matplotlib").assert_outcomes(failed=1, deselected=len(TARGETS) - 1)
    assert [record["verdict"] for record in records(pytester).values()] == ["missing"]
    assert not (pytester.path / "baselines").exists()


def captured(target: object, **settings: object) -> tuple[int, int]:
    """Return the size of what a target is captured as."""
    found = capturer_of(target, CaptureSettings(**settings))
    (image,) = decode(read(found.capture().picture))
    return image.size


def test_axes_subfigures_and_grids_of_seaborn_stand_for_their_figure():
    figure = pytest.importorskip("matplotlib.figure").Figure(figsize=(3, 2))
    left, _ = figure.subfigures(1, 2)
    axes = left.add_subplot()
    grid = class_of("seaborn.axisgrid", "_BaseGrid")
    grid.figure = figure
    for target in (figure, left, axes, grid):
        assert captured(target) == (300, 200)
    axes.remove()
    with pytest.raises(CaptureError, match="these Matplotlib axes are no longer in a figure"):
        capturer_of(axes, CaptureSettings())


def test_a_figure_is_drawn_by_agg_at_the_resolution_asked_for_and_stays_as_it_is():
    figures = pytest.importorskip("matplotlib.figure")
    figure = figures.Figure(figsize=(3, 2), dpi=80)
    figure.add_subplot().plot([1, 3, 2])
    canvas = figure.canvas
    assert captured(figure) == (240, 160)
    assert captured(figure, dpi=50) == (150, 100)
    assert (figure.dpi, figure.canvas) == (80, canvas)
    once, again = (capturer_of(figure, CaptureSettings()).capture().picture for _ in range(2))
    assert once == again
    assert b"Software" not in once


def test_a_transparent_figure_has_no_background():
    figure = pytest.importorskip("matplotlib.figure").Figure(figsize=(3, 2))
    found = capturer_of(figure, CaptureSettings(transparent=True)).capture()
    assert decode(read(found.picture))[0].pixels[0, 0].tolist() == [0, 0, 0, 0]


def test_a_chart_is_rendered_at_the_resolution_asked_for():
    altair = pytest.importorskip("altair")
    chart = altair.Chart(BARS).mark_bar().encode(x="x:O", y="y:Q").properties(width=100, height=80)
    small, large = captured(chart), captured(chart, dpi=144)
    assert large == (2 * small[0], 2 * small[1])


def test_a_chart_that_cannot_be_rendered_says_why():
    altair = pytest.importorskip("altair")
    chart = altair.Chart(BARS).mark_bar().encode(x="x")
    with pytest.raises(CaptureError, match=r"^Altair chart: its save\(\) failed: .*type"):
        capturer_of(chart, CaptureSettings()).capture()


HIDPI = """
import json
from PySide6.QtWidgets import QApplication, QLabel
from pytest_imgdiff.capture import capturer_of
from pytest_imgdiff.images import decode, read
from pytest_imgdiff.base.model import CaptureSettings

application = QApplication([])
label = QLabel()
label.resize(50, 20)
found = []
for scale in ("css", "device"):
    shot = capturer_of(label, CaptureSettings(scale=scale)).capture()
    found.append([*decode(read(shot.picture))[0].size, shot.scale])
print(json.dumps(found))
"""


def test_a_widget_on_a_fine_screen_has_the_pixels_of_its_layout_unless_those_of_the_screen_are_asked_for(
    pytester, monkeypatch
):
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    monkeypatch.setenv("QT_SCALE_FACTOR", "2")
    done = pytester.run(sys.executable, "-c", HIDPI)
    assert json.loads(done.outlines[-1]) == [[50, 20, 1.0], [100, 40, 2.0]]


WIDGETS = """
import pytest
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication, QLabel, QProgressBar, QWidget
import shiboken6

application = QApplication.instance() or QApplication([])


def test_settles(assert_images_similar):
    bar, full = (QProgressBar(maximum=400, value=value) for value in (0, 400))
    for widget in (bar, full):
        widget.resize(400, 30)
    timer = QTimer()
    timer.timeout.connect(lambda: bar.setValue(min(400, bar.value() + 10)))
    timer.start(5)
    comparison = assert_images_similar(bar, full)
    assert comparison.capture.attempts > 2


def test_deleted(assert_images_similar):
    label = QLabel("gone")
    shiboken6.delete(label)
    assert_images_similar(label)


def test_empty(assert_images_similar):
    widget = QWidget()
    widget.resize(0, 0)
    assert_images_similar(widget)
"""


def test_a_widget_is_captured_until_it_stands_still_and_one_that_cannot_be_says_why(drawing, pytester):
    run = drawing(WIDGETS)
    run.assert_outcomes(passed=1, failed=2)
    run.stdout.fnmatch_lines(
        [
            "*Qt widget: it can no longer be captured: *already deleted*",
            "*the Qt widget has no size: show it, or call its resize() or adjustSize()",
        ]
    )
    assert "Traceback" not in run.stdout.str()
    assert not (pytester.path / "baselines").exists()


CALLS = {
    "other_setting": (
        "Figure(), capture={'full_page': True}",
        "a Matplotlib figure does not support full_page; it supports: dpi, tr",
    ),
    "not_captured": (
        "picture, capture={'dpi': 200}",
        "an image was passed, so nothing is captured; remove capture",
    ),
    "dpi": ("Figure(), capture={'dpi': 5}", "dpi: *5*"),
    "canvas": (
        "Canvas()",
        "Canvas: this is not an image, and nothing captures it: pass a path, *imgdiff_capture or imgdiff_",
    ),
    "broken": ("Broken()", "Matplotlib figure: its savefig() failed: ZeroDivisionError: division by zero"),
}


def test_what_cannot_be_followed_or_captured_is_told_in_one_line(drawing, pytester):
    source = """
import numpy as np
from matplotlib.figure import Figure

picture = np.zeros((20, 30), np.uint8)

class Canvas:
    pass

class Broken(Figure):
    def draw(self, renderer):
        1 / 0
"""
    for name, (call, _) in CALLS.items():
        source += f"\ndef test_{name}(assert_images_similar):\n    assert_images_similar({call})\n"
    run = drawing(source)
    run.assert_outcomes(failed=len(CALLS))
    for name, (_, told) in CALLS.items():
        run.stdout.fnmatch_lines([f"_* test_{name} _*", f"*{told.replace('[', '[[]')}*"])
    assert "Traceback" not in run.stdout.str()
    assert not (pytester.path / "baselines").exists()


MISSING = {
    "plotly": (("plotly.basedatatypes", "BaseFigure"), "kaleido", "pip install kaleido"),
    "altair": (("altair.vegalite.v5.api", "TopLevelMixin"), "vl_convert", "pip install vl-convert-python"),
    "bokeh": (("bokeh.models.ui.ui_element", "UIElement"), "selenium", "pip install selenium"),
}


@pytest.mark.parametrize(("target", "package", "advice"), MISSING.values(), ids=MISSING)
def test_a_renderer_that_is_not_installed_is_named_with_its_command(monkeypatch, target, package, advice):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(CaptureError, match=f"which is not installed; run {advice}$"):
        capturer_of(class_of(*target), CaptureSettings())


BROWSERS = """
def test_plotly(assert_images_similar):
    import plotly.graph_objects as go

    assert_images_similar(go.Figure())


def test_bokeh(assert_images_similar):
    from bokeh.plotting import figure

    assert_images_similar(figure(width=300, height=200))
"""


def test_a_browser_that_is_not_there_is_one_line(drawing, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("BROWSER_PATH", str(tmp_path / "chrome"))
    run = drawing(BROWSERS)
    run.assert_outcomes(failed=2)
    run.stdout.fnmatch_lines(
        [
            "*a Plotly figure is rendered in Chrome, which Kaleido could not find or start: install*",
            "*a Bokeh plot is rendered in a browser, but Bokeh could not start one: install Chromium and chromedriver*",
        ]
    )
    assert "Traceback" not in run.stdout.str()


@pytest.mark.skipif(sys.platform == "win32", reason="a script is not a browser there")
def test_a_browser_that_never_answers_is_given_up(monkeypatch, tmp_path):
    figures = pytest.importorskip("plotly.graph_objects")
    pytest.importorskip("kaleido")
    browser = tmp_path / "chrome"
    browser.write_text("#!/bin/sh\nexec sleep 20\n")
    browser.chmod(0o700)
    monkeypatch.setenv("BROWSER_PATH", str(browser))
    monkeypatch.setattr("pytest_imgdiff.capture.figures._RENDERS_WITHIN", 0.5)
    with pytest.raises(CaptureError, match=r"did not answer Kaleido within 2 seconds, 2 times; check that the browser"):
        capturer_of(figures.Figure(), CaptureSettings(timeout=2)).capture()
