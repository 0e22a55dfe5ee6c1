"""``pytest-imgdiff flaky`` and ``calibrate``, as a shell runs them on real runs."""

from __future__ import annotations

import json
import shutil

import pytest

from tests.pictures import BLUE, RED, square, write
from tests.test_cli import Shell

NONE, SOME, NOT_READ = 0, 1, 2


@pytest.fixture
def shell(tmp_path):
    return Shell(tmp_path)


# ---- flaky


def run_with(shell, report, **pictures):
    """Compare pictures of these colours with the red ones that are expected, and keep the report."""
    for name, colour in pictures.items():
        write(shell.folder / f"actual/{name}.png", square(colour))
    shell("compare", "expected", "actual", "--report", report)


@pytest.fixture
def three_runs(shell):
    """Runs in which steady passes, clock fails in the second, and broken turns out to be so in the third."""
    for name in ("steady", "clock", "torn"):
        write(shell.folder / f"expected/{name}.png", square(RED))
    run_with(shell, "one", steady=RED, clock=RED, torn=RED)
    run_with(shell, "two", clock=BLUE)
    (shell.folder / "actual/torn.png").write_bytes(b"no picture")
    run_with(shell, "three", clock=RED)
    return shell


def test_flaky_lists_pictures_whose_verdict_changed_under_the_same_baseline(three_runs):
    done = three_runs("flaky", "one/results.json", "two", "three")

    assert done.returncode == SOME
    assert done.stdout.splitlines() == [
        "VERDICTS  FAILED  CHANGES  PICTURE",
        ".F.       1 of 3  2        clock.png",
        "..B       1 of 3  1        torn.png",
        "3 pictures in 3 runs: 2 flaky",
    ]


def test_flaky_as_json(three_runs):
    done = three_runs("flaky", "one", "two", "three", "--json", "-")

    assert done.returncode == SOME
    found = json.loads(done.stdout)
    clock, torn = found["flaky"]
    assert (found["pictures"], found["seen_once"], len(found["runs"])) == (3, 0, 3)
    assert clock["name"] == "clock.png"
    assert clock["verdicts"] == ["match", "different", "match"]
    assert clock["passed"] == [True, False, True]
    assert [value == 0 for value in next(iter(clock["values"].values()))] == [True, False, True]
    assert torn["verdicts"] == ["match", "match", "broken"]
    assert "clock.png" in done.stderr


def test_a_verdict_that_changed_with_its_baseline_is_not_flaky(shell):
    write(shell.folder / "expected/page.png", square(RED))
    run_with(shell, "one", page=RED)
    write(shell.folder / "expected/page.png", square(BLUE))
    run_with(shell, "two", page=RED)

    done = shell("flaky", "one", "two")
    assert done.returncode == NONE
    assert done.stdout.splitlines() == [
        "1 picture: no two runs compared it with the same baseline",
        "1 picture in 2 runs: 0 flaky",
    ]


def test_flaky_says_when_the_limits_changed_and_the_picture_did_not(shell):
    write(shell.folder / "expected/page.png", square(RED))
    run_with(shell, "one", page=BLUE)
    (shell.folder / "imgdiff.yaml").write_text("metrics: {perceptual: {max: 0.9}}\n", encoding="utf-8")
    run_with(shell, "two", page=BLUE)

    done = shell("flaky", "one", "two")
    assert done.returncode == SOME
    assert "page.png (the limits changed too; the actual picture is the same in all runs)" in done.stdout


def test_a_picture_that_matches_an_alternative_now_and_then_is_flaky(pytester):
    """What was compared with is an alternative in one run and the baseline in the other: both were there each time."""
    baselines = pytester.path / "baselines/test_page"
    write(baselines / "test_it.png", square(RED))
    write(baselines / "test_it.alt1.png", square(BLUE))
    for report, colour in (("one", BLUE), ("two", (0, 0, 0))):
        write(pytester.path / "now.png", square(colour))
        pytester.makepyfile(test_page="def test_it(assert_images_similar): assert_images_similar('now.png')")
        pytester.runpytest_subprocess(f"--imgdiff-report={report}")
    shell = Shell(pytester.path)

    assert ".F" in shell("flaky", "one", "two").stdout
    write(baselines / "test_it.alt1.png", square((9, 9, 9)))
    pytester.runpytest_subprocess("--imgdiff-report=three")
    assert shell("flaky", "one", "three").returncode == NONE
    run = json.loads((pytester.path / "one/results.json").read_text(encoding="utf-8"))
    assert run["comparisons"][0]["key"] == "test_page/test_it.png"


def test_flaky_refuses_what_it_cannot_compare(three_runs):
    assert "at least two runs" in three_runs.refused("flaky", "one")
    assert "named twice" in three_runs.refused("flaky", "one", "one/results.json")
    assert "no such file" in three_runs.refused("flaky", "one", "nowhere/results.json")
    shutil.rmtree(three_runs.folder / "two")
    (three_runs.folder / "two").mkdir()
    assert "no such file" in three_runs.refused("flaky", "one", "two")
