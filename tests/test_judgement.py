"""The development set of page pairs: that its truth is well formed, and that the table counts right."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.judgement.changes import CHANGES, EDITS, GROUPS, HARD, NOISE, RESTYLED
from benchmarks.judgement.generate import Studio, generate, planned
from benchmarks.judgement.templates import PAGES

ROOT = Path(__file__).parent.parent
RENDERED = ("moved-button", "added-badge", "deleted-item", "content-picture", "none", "grain-1", "type-lcd")


@pytest.fixture(scope="module")
def pairs():
    return list(planned(0))


@pytest.fixture(scope="module")
def rendered(pairs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("judgement")
    with ExitStack() as ended:
        studio = Studio(ended, folder)
        generate(folder / "set", [pair for pair in pairs if pair.change.name in RENDERED], studio)
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
    return (expected != actual).any(axis=2)


def test_an_unknown_group_is_named_in_the_error(tmp_path):
    command = [sys.executable, "-m", "benchmarks.judgement", "generate", tmp_path / "out", "--only", "soft"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 2
    assert "'edits', 'hard', 'restyled', 'noise'" in done.stderr
    assert not (tmp_path / "out").exists()
