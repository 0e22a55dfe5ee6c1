"""The development set of page pairs: that its truth is well formed, and that the table counts right."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.judgement import sees
from benchmarks.judgement.changes import CHANGES, EDITS, GROUPS, HARD, NOISE, RESTYLED
from benchmarks.judgement.generate import Studio, generate, planned
from benchmarks.judgement.rules import Pair, Rule, pairs_of, scored
from benchmarks.judgement.table import best_limit, held_out, markdown, rows
from benchmarks.judgement.templates import PAGES
from benchmarks.judgement.wrong import drawn
from pytest_imgdiff.comparison.registry import Registry
from pytest_imgdiff.config import load_settings
from tests.chromium import EXECUTABLE

ROOT = Path(__file__).parent.parent
RENDERED = ("moved-button", "added-badge", "deleted-item", "content-picture", "none", "grain-1", "type-lcd")


@pytest.fixture(scope="module")
def pairs():
    return list(planned(0))


@pytest.fixture(scope="module")
def rendered(pairs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("judgement")

    def render():
        with ExitStack() as ended, pytest.MonkeyPatch.context() as patch:
            if EXECUTABLE:
                patch.setenv("CHROMIUM", EXECUTABLE)
            studio = Studio(ended, folder)
            generate(folder / "set", [pair for pair in pairs if pair.change.name in RENDERED], studio)

    # Other tests keep a browser open, and Playwright allows one driver a thread.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(render).result()
    return folder / "set"


def test_every_change_is_shown_on_a_page_that_has_what_it_changes(pairs):
    assert Counter(pair.change.name for pair in pairs) == Counter(change.name for change in CHANGES)
    assert {pair.page for pair in pairs} == set(PAGES)


def test_the_groups_are_as_large_as_the_documentation_says():
    counts = Counter(change.group for change in CHANGES)
    assert set(counts) == set(GROUPS)
    said = (ROOT / "docs" / "judgement.md").read_text(encoding="utf-8")
    for group in (EDITS, HARD, RESTYLED, NOISE):
        assert f"| `{group}` | {counts[group]} |" in said


def test_another_seed_shows_a_change_on_another_page(pairs):
    pages = {pair.change.name: pair.page for pair in planned(1)}
    assert any(pages[pair.change.name] != pair.page for pair in pairs)
    assert {pair.scale for pair in pairs} == {1, 2}


def test_the_same_seed_gives_the_same_page():
    for make in PAGES.values():
        assert make(3) == make(3) != make(4)


def test_each_rendered_pair_has_its_truth(rendered):
    truth = json.loads((rendered / "truth.json").read_text(encoding="utf-8"))
    assert {row["change"] for row in truth.values()} == set(RENDERED)
    for name, row in truth.items():
        expected, actual = (cv2.imread(str(rendered / side / name)) for side in ("expected", "actual"))
        assert expected.shape == actual.shape == (760 * row["dpr"], 1100 * row["dpr"], 3)
        assert (row["change"] == "none") is np.array_equal(expected, actual)
        assert row["match"] is (row["group"] == NOISE)


def test_the_boxes_of_the_truth_hold_the_change(rendered):
    truth = json.loads((rendered / "truth.json").read_text(encoding="utf-8"))
    kinds = {row["kind"]: row for row in truth.values()}
    assert kinds["added"]["before"] is None
    assert kinds["deleted"]["after"] is None
    assert kinds["noise"]["before"] is kinds["noise"]["after"] is None
    for name, row in truth.items():
        if row["kind"] in ("added", "content", "moved"):
            different = differing(rendered, name)
            for left, top, right, bottom in (box for box in (row["before"], row["after"]) if box):
                different[int(top) - 2 : int(bottom) + 3, int(left) - 2 : int(right) + 3] = False
            assert not different.any(), name
    moved = kinds["moved"]
    assert moved["moved"] == [round(moved["after"][axis] - moved["before"][axis]) for axis in (0, 1)] != [0, 0]


def differing(folder: Path, name: str) -> np.ndarray:
    expected, actual = (cv2.imread(str(folder / side / name)) for side in ("expected", "actual"))
    steps = np.abs(expected.astype(np.int16) - actual).max(axis=2)
    return steps > 1  # Chromium draws rounded corners anew with steps of 1 level where a neighbour moves


def test_an_unknown_group_is_named_in_the_error(tmp_path):
    command = [sys.executable, "-m", "benchmarks.judgement", "generate", tmp_path / "out", "--only", "soft"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 2
    assert "'edits', 'hard', 'restyled', 'noise'" in done.stderr
    assert not (tmp_path / "out").exists()


def pair(truth, seed, suite="one"):
    return Pair(Path(f"{seed}.png"), Path(f"{seed}.png"), truth == "same", seed, suite)


def test_the_table_counts_false_passes_and_false_alarms_of_each_set():
    pairs = [
        pair("same", "s0"),
        pair("same", "s0"),
        pair("different", "s1"),
        pair("different", "s1"),
        pair("different", "s1", "two"),
    ]
    scores = [{"pixels": value} for value in (0.0, 3.0, 0.0, 9.0, 0.0)]
    rule = Rule("mine", "pixels", 0, lambda _: iter(()), "1")
    lines = rows(rule, pairs, scores)
    assert lines[0] == ["mine", "its own", "2 (1, 1)", "0 (1, 0)", "2 (2, 1)"]
    assert markdown(lines[:1], pairs).splitlines() == [
        "| rule: right (false passes, false alarms) | limit | one, 4 | two, 1 | all, 5 |",
        "| --- | --- | --- | --- | --- |",
        "| mine | its own | 2 (1, 1) | 0 (1, 0) | 2 (2, 1) |",
    ]


def test_the_best_limit_is_that_of_the_other_seeds():
    """Seed s0 alone would choose 5 to 7, seed s1 alone 50 to 70: each is judged by what the other one chose."""
    pairs = [pair("same", "s0"), pair("different", "s0"), pair("same", "s1"), pair("different", "s1")]
    scores = [{"a": value} for value in (5.0, 7.0, 50.0, 70.0)]
    assert best_limit(pairs[:2], scores[:2]) == ("a", 5.0)
    assert held_out(pairs, scores) == [False, False, True, True]


def test_the_setting_that_is_right_most_often_is_chosen():
    pairs = [pair("same", "s0"), pair("different", "s0"), pair("different", "s0")]
    scores = [{"a": 1.0, "b": 0.1}, {"a": 1.0, "b": 0.3}, {"a": 2.0, "b": 0.3}]
    assert best_limit(pairs, scores) == ("b", 0.1)


def test_one_seed_cannot_be_held_out():
    with pytest.raises(ValueError, match="several seeds"):
        held_out([pair("same", "s0")], [{"a": 1.0}])


def test_a_pair_without_a_right_answer_is_not_counted(rendered):
    truth = json.loads((rendered / "truth.json").read_text(encoding="utf-8"))
    open_ones = {name: {**row, "match": None} if row["kind"] == "added" else row for name, row in truth.items()}
    (rendered / "truth.json").write_text(json.dumps(open_ones), encoding="utf-8")
    assert {each.about["kind"] for each in pairs_of(rendered)} == {row["kind"] for row in truth.values()} - {"added"}
    (rendered / "truth.json").write_text(json.dumps(truth), encoding="utf-8")


def test_a_missing_picture_is_named(tmp_path):
    (tmp_path / "truth.json").write_text('{"s0-a.png": {"match": true}}', encoding="utf-8")
    with pytest.raises(FileNotFoundError, match=r"names s0-a\.png, but there is no .*expected"):
        pairs_of(tmp_path)


def test_what_was_asked_once_comes_from_the_cache(rendered, tmp_path):
    asked = []

    def ask(pairs):
        asked.extend(pairs)
        return iter([{"pixels": float(len(each.name))} for each in pairs])

    pairs = pairs_of(rendered)
    first = scored(Rule("mine", "pixels", 0, ask, "1"), pairs[:3], tmp_path)
    assert scored(Rule("mine", "pixels", 0, ask, "1"), pairs[:4], tmp_path)[:3] == first
    assert asked == pairs[:4]
    scored(Rule("mine", "pixels", 0, ask, "2"), pairs[:1], tmp_path)
    assert asked == [*pairs[:4], pairs[0]]


def test_wrong_pairs_are_drawn_and_listed(rendered, tmp_path):
    """The mean squared error sees every change, the noise too, and calls none of them the same below 0."""
    pairs = [each for each in pairs_of(rendered) if each.about["change"] in ("grain-1", "added-badge")]
    lines = list(drawn(pairs, "mse", 0.0, tmp_path / "out"))
    [picture] = (tmp_path / "out").glob("*.png")
    assert picture.name.endswith("-grain-1.png")
    assert cv2.imread(str(picture)).shape[1] > 900
    assert lines == (tmp_path / "out" / "wrong.md").read_text(encoding="utf-8").splitlines()
    assert "should pass" in lines[0]
    assert "differ by at most 1 levels" in lines[0]


def test_the_table_of_what_metrics_see_has_pairs_with_these_answers_and_rules_that_load():
    answers = {change.name: change.match for change in CHANGES}
    assert {answers[name] for name in sees.CHANGES} == {False}
    assert {answers[name] for name in sees.NOISES} == {True}
    settings = load_settings(None, Registry())
    for name, limits in sees.RULES.items():
        metric = name.partition(",")[0]
        if metric in Registry().names():
            assert settings.policy_for("a", call={"metrics": {metric: limits}}).metrics
