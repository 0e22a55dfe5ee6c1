"""The benchmark's arithmetic, and that it measures every goal; no time is asserted."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.alternating import MOST_RUNS, SAMPLE_MS, alternate, runs_in_a_round
from benchmarks.attempts import attempted
from benchmarks.duels import Measured, fought
from benchmarks.goals import GOALS, Goal, goal
from benchmarks.layout import Pictures
from benchmarks.pages import dashboard
from benchmarks.processes import CODES, Command, MeasuringError, workers
from benchmarks.rivals import Rivals, UnavailableError
from benchmarks.table import Row, completed, figure, markdown

RATIO = Goal("pair/page/someone", 1, "pair", 0.5, "someone")
VALUE = Goal("suite/import", 6, "import", 3, None, "ms")
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="the benchmark is for Linux")

# The goals as they were set, by the beginnings of names.
AS_SET = {
    "pair/4k-interface/odiff-mask": 0.18,
    "pair/4k-photo/odiff-mask": 0.35,
    "pair/page/odiff-mask": 0.15,
    "pair/1280x720/odiff-mask": 0.25,
    "pair/500x500/odiff-mask": 0.30,
    **{
        f"pair/{picture}/blazediff-{what}": limit
        for picture in ("4k-interface", "4k-photo", "page", "1280x720", "500x500")
        for what, limit in (("mask", 0.2), ("antialiasing", 0.5))
    },
    "command/1280x720/odiff": 1.5,
    "command/4k-interface/odiff": 0.45,
    "command/4k-photo/odiff": 0.5,
    "command/page/odiff": 0.35,
    "command/equal-4k-interface/odiff": 0.2,
    "command/equal-4k-photo/odiff": None,
    "command/equal-numpy": 0,
    "command/differing-numpy": 0,
    "folder/different/compare": 0.30,
    "folder/different/pytest": 0.45,
    "folder/mixed/compare": 0.20,
    "folder/mixed/pytest": 0.35,
    "folder/equal/compare": 0.12,
    "folder/equal/pytest": 0.30,
    "folder/different/report": 5,
    "ssim/different/time": 0.02,
    **{f"ssim/{change}/score": 1e-6 for change in ("different", "interface")},
    **{f"ssim/{change}/map": 1e-5 for change in ("different", "interface")},
    "suite/tiny": 0.15,
    "suite/overhead": 0.5,
    "suite/client": 100,
    "suite/accept": 150,
    "suite/report": 150,
    "suite/import": 3,
    "memory/page/one-pair": 60,
    "memory/4k-photo/one-pair": 80,
    "memory/in-flight": 300,
    "other_metrics/4k-interface/diffimg": 0.2,
    "other_metrics/4k-photo/diffimg": 0.2,
    **{f"other_metrics/page/{metric}": None for metric in ("ahash", "dhash", "phash", "whash", "orb")},
    "shapes/interface-changed": 3,
    "shapes/photo-changed": 3,
}


@pytest.mark.parametrize(("name", "limit"), AS_SET.items())
def test_every_goal_has_a_row_with_its_limit(name, limit):
    assert goal(name).limit == limit


def test_every_number_of_the_list_is_measured_and_no_name_twice():
    assert {each.number for each in GOALS} == set(range(1, 9))
    assert len({each.name for each in GOALS}) == len(GOALS)


@pytest.mark.parametrize("subject", sorted({each.subject for each in GOALS}))
def test_every_goal_belongs_to_a_module_that_measures(subject):
    assert callable(importlib.import_module(f"benchmarks.subjects.{subject}").measure)


def test_the_process_that_leads_holds_no_array_library():
    """What it imports is inherited, as memory and as time to fork, by every process that is measured."""
    subjects = ", ".join(sorted({f"benchmarks.subjects.{each.subject}" for each in GOALS}))
    code = (
        f"import sys, benchmarks.__main__, {subjects}; print({{'numpy', 'cv2', 'pytest_imgdiff'}} & {{*sys.modules}})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parent.parent
    )
    assert done.stdout.strip() == "set()"


def test_a_ratio_is_taken_within_each_round():
    row = Row(RATIO, [10, 30, 20], [40, 50, 100])
    assert row.held == [0.25, 0.6, 0.2]
    assert row.as_json()["held"] == {"median": 0.25, "min": 0.2, "max": 0.6}  # not 20 / 50
    assert row.verdict == "met"


def test_rounds_of_unequal_number_are_a_mistake():
    with pytest.raises(ValueError, match="shorter"):
        Row(RATIO, [1, 2], [1])


@pytest.mark.parametrize(
    ("row", "verdict"),
    [
        (Row(RATIO, [1], [2]), "met"),  # the limit itself
        (Row(RATIO, [1.01], [2]), "MISSED"),
        (Row(RATIO), "not measured"),
        (Row(VALUE, [1, 2.9, 90]), "met"),
        (Row(VALUE, [3.1, 2.9, 90]), "MISSED"),
        (Row(Goal("pair/page/x", 1, "", None, "x"), [5], [1]), "shown"),
    ],
)
def test_the_median_is_held_to_the_limit(row, verdict):
    assert row.verdict == verdict


def test_the_table_says_what_was_compared():
    rows = [
        Row(RATIO, [1.5, 1, 2], [3, 4, 4], note="of 20 pairs"),
        Row(VALUE, [5, 4, 6]),
        Row(goal("pair/page/pixelmatch"), note="no npm"),
    ]
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in markdown(rows).splitlines()]
    assert lines[0][:2] == ["goal", "what"]
    assert lines[2] == ["1", "pair", "1.5 ms", "someone", "4 ms", "0.5 (0.25..0.5)", "0.5", "met: of 20 pairs"]
    assert lines[3] == ["6", "import", "5 (4..6) ms", "", "", "", "3 ms", "MISSED"]
    assert lines[4][-1] == "not measured: no npm"
    assert len({len(line) for line in markdown(rows).splitlines()}) == 1


def test_the_table_has_a_column_of_what_was_measured_without_the_core():
    lines = markdown([Row(RATIO, [1], [4])], [Row(RATIO, [2, 3, 4], [4, 4, 4])]).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert cells[0][-2] == "without the core"
    assert cells[2][-3:] == ["0.5", "0.75", "met"]


@pytest.mark.parametrize(
    ("value", "text"), [(1234.5, "1234"), (99.96, "100"), (0.0123456, "0.0123"), (3, "3"), (1e-7, "1e-07")]
)
def test_figures_have_three_digits(value, text):
    assert figure(value) == text


def test_a_goal_without_figures_still_has_its_row():
    measured = Row(VALUE, [1])
    rows = completed([measured], [RATIO, VALUE], "not with --quick")
    assert [(row.goal, row.note) for row in rows] == [(RATIO, "not with --quick"), (VALUE, "")]


def test_contenders_alternate_and_each_round_begins_with_another():
    order = []

    def contender(name, milliseconds):
        def run(runs):
            order.append((name, runs))
            return milliseconds

        return run

    figures = alternate({"a": contender("a", SAMPLE_MS), "b": contender("b", SAMPLE_MS / 2)}, 3)
    assert order == [("a", 1), ("b", 1), ("a", 1), ("b", 2), ("b", 2), ("a", 1), ("a", 1), ("b", 2)]
    assert figures == {"a": [SAMPLE_MS] * 3, "b": [SAMPLE_MS / 2] * 3}


@pytest.mark.parametrize(
    ("milliseconds", "runs"),
    [(0, MOST_RUNS), (1e-9, MOST_RUNS), (SAMPLE_MS, 1), (SAMPLE_MS * 9, 1), (SAMPLE_MS / 3, 3)],
)
def test_what_is_short_runs_several_times_in_a_round(milliseconds, runs):
    assert runs_in_a_round(milliseconds) == runs


def test_a_rival_that_is_not_there_is_told_in_its_row(tmp_path):
    rivals = Rivals(tmp_path, {}, {"odiff-bin": "there is no npm on the PATH"})

    def absent(_):
        return Command([rivals.odiff], folder=tmp_path)

    measured = fought({"ours": lambda _: lambda _: 1.0, "odiff": absent}, 2)
    row = measured.row("pair/page/odiff-mask", "ours", "odiff")
    assert (row.verdict, row.note) == ("not measured", "odiff-bin could not be installed: there is no npm on the PATH")
    assert measured.figures["ours"] == [1.0, 1.0]  # and keeps nothing else from being measured


def test_figures_are_scaled_to_what_they_are_held_in():
    row = Measured({"large": [16.0], "small": [1.0]}).row("shapes/pixels", "large", "small", (1 / 8, 1 / 2))
    assert (row.ours, row.theirs, row.held) == ([2.0], [0.5], [4.0])


@LINUX
def test_a_command_that_fails_says_why(tmp_path):
    command = Command([sys.executable, "-c", "raise SystemExit('no such option')"], folder=tmp_path)
    row = attempted("suite/import", lambda: Row(goal("suite/import"), [command.run()[0]]))
    assert row.verdict == "not measured"
    assert row.note.endswith("ended with 1: no such option")


@LINUX
def test_a_traceback_is_no_comparison_though_python_ends_with_the_code_of_different(tmp_path):
    command = Command([sys.executable, "-c", "import no_such_module"], folder=tmp_path, codes=CODES["ours"])
    with pytest.raises(MeasuringError, match="no_such_module"):
        command.run()


@LINUX
def test_a_command_is_fed_and_heard(tmp_path):
    code = "import sys; print(sys.stdin.read() + '!'); sys.exit(22)"
    command = Command([sys.executable, "-c", code], folder=tmp_path, feed="pairs", codes=(22,))
    milliseconds, megabytes = command.run()
    assert command.said == "pairs!\n"
    assert milliseconds > 0
    assert megabytes > 0


@pytest.fixture
def two_pictures(tmp_path):
    picture = np.zeros((20, 30, 3), np.uint8)
    files = [tmp_path / name for name in ("expected.png", "actual.png")]
    for file in files:
        file.write_bytes(cv2.imencode(".png", picture)[1])
        picture[4:9, 10:20] = 255
    return dict(zip(("expected", "actual"), map(str, files), strict=True))


@LINUX
def test_our_own_call_compares_and_writes_the_mask(tmp_path, two_pictures):
    mask = tmp_path / "mask.png"
    with workers() as start:
        worker = start(sys.executable, "ours.pair", **two_pictures, mask=mask, antialiasing="count")
        worker(2)
        assert worker.result == [50, 1]
        assert worker.memory() >= 0
    assert cv2.countNonZero(cv2.imdecode(np.fromfile(mask, np.uint8), cv2.IMREAD_GRAYSCALE)) == 50


@LINUX
def test_a_call_that_cannot_compare_is_no_measurement(two_pictures):
    Path(two_pictures["actual"]).write_bytes(b"no picture")
    with workers() as start, pytest.raises(MeasuringError, match=r"actual\.png"):
        start(sys.executable, "ours.pair", **two_pictures)(1)


def test_the_page_is_that_of_the_fixtures(tmp_path, monkeypatch):
    pictures = Pictures(tmp_path, 200, (10_000,))
    monkeypatch.setenv("IMGDIFF_FIXTURES", str(tmp_path / "absent"))
    with pytest.raises(UnavailableError, match="IMGDIFF_FIXTURES"):
        pictures.pair("page")
    assert pictures.pair("tall") == (tmp_path / "tall-a.png", tmp_path / "tall-b.png")


def test_a_page_is_the_same_every_time_and_another_for_every_seed():
    assert dashboard(1) == dashboard(1)
    assert len({dashboard(1), dashboard(2), dashboard(1, changed=True), dashboard(1, dark=True)}) == 4


def test_the_goals_can_be_listed():
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--list", "--only", "shapes"],
        capture_output=True, text=True, check=True, cwd=Path(__file__).parent.parent, env=os.environ | {"PYTHONPATH": ""},
    )  # fmt: skip
    assert done.stdout.split() == [each.name for each in GOALS if each.subject == "shapes"]


def test_the_plot_shows_what_was_measured():
    pytest.importorskip("matplotlib", reason="the test extra brings it")
    from benchmarks.plot import draw

    rows = [
        Row(goal("pair/page/odiff-mask"), [40, 50, 60], [80, 100, 120]),
        Row(goal("folder/equal/pytest"), note="absent"),
    ]
    result = {
        "rounds": 3,
        "machine": {"CPU": "a processor", "cores": "2"},
        "rivals": {"odiff-bin": "4.5.0"},
        "rows": json.loads(json.dumps([row.as_json() for row in rows])),
    }
    left, right = draw(result).axes
    assert [text.get_text() for text in left.texts] == ["50", "100"]
    assert not right.texts
