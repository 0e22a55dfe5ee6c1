"""``pytest-imgdiff flaky`` and ``calibrate`` on real runs, and their whole story as a shell runs it."""

from __future__ import annotations

import json
import shutil
import subprocess

import cv2
import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pytest_imgdiff.cli.calibrate import false_alarms
from pytest_imgdiff.cli.parser import main
from tests.pictures import BLUE, RED, square, write
from tests.test_cli import Shell

NONE, SOME, NOT_READ = 0, 1, 2


class Command:
    """Runs the command in a folder, in this process: most of these tests run it several times."""

    def __init__(self, folder, monkeypatch, capsys):
        self.folder = folder
        self.capsys = capsys
        monkeypatch.chdir(folder)

    def __call__(self, *arguments):
        self.capsys.readouterr()
        code = main([*map(str, arguments)])
        return subprocess.CompletedProcess(arguments, code, *self.capsys.readouterr())

    def refused(self, *arguments):
        """Return the one line that a refused command prints."""
        done = self(*arguments)
        assert (done.returncode, done.stdout) == (NOT_READ, "")
        (line,) = done.stderr.splitlines()
        return line


@pytest.fixture
def shell(tmp_path, monkeypatch, capsys):
    return Command(tmp_path, monkeypatch, capsys)


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
        "VERDICTS  FAILED  CHANGES  IMAGE",
        ".F.       1 of 3  2        clock.png",
        "..B       1 of 3  1        torn.png",
        "3 images in 3 runs: 2 flaky",
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
        "1 image: no two runs compared it with the same baseline",
        "1 image in 2 runs: 0 flaky",
    ]


def test_flaky_says_when_the_limits_changed_and_the_picture_did_not(shell):
    write(shell.folder / "expected/page.png", square(RED))
    run_with(shell, "one", page=BLUE)
    (shell.folder / "imgdiff.yaml").write_text("metrics: {perceptual: {max: 0.9}}\n", encoding="utf-8")
    run_with(shell, "two", page=BLUE)

    done = shell("flaky", "one", "two")
    assert done.returncode == SOME
    assert "page.png (the limits also changed; the actual image is the same in all runs)" in done.stdout


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
    assert "passed twice" in three_runs.refused("flaky", "one", "one/results.json")
    assert "no such file" in three_runs.refused("flaky", "one", "nowhere/results.json")
    shutil.rmtree(three_runs.folder / "two")
    (three_runs.folder / "two").mkdir()
    assert "no such file" in three_runs.refused("flaky", "one", "two")


# ---- calibrate


def page(digit="7", clock=None, shade=0):
    """Draw a page with lines of digits; a clock of two digits; the ground lighter or darker by some levels."""
    pixels = np.full((180, 300, 3), 240 + shade, np.uint8)
    for row, text in enumerate(("Total 4813 of 9256", f"Order 12{digit}45 paid")):
        for place, character in enumerate(text):
            at = (12 + place * 15, 40 + row * 30)
            cv2.putText(pixels, character, at, cv2.FONT_HERSHEY_SIMPLEX, 0.5, (20, 20, 20), 1, cv2.LINE_AA)
    if clock is not None:
        cv2.putText(pixels, f"{clock:02}", (240, 160), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (0, 0, 0), 1, cv2.LINE_AA)
    return pixels


@pytest.fixture
def renderings(shell):
    """Six folders: two pages and a logo that hold still, or whose ground flickers by a level, and a clock."""
    for number in range(6):
        folder = shell.folder / f"run{number}"
        write(folder / "pages/total.png", page("7"))
        write(folder / "pages/order.png", page("3", shade=number % 2))
        write(folder / "logo.png", square(RED))
        write(folder / "clock.png", page(clock=number * 7))
    return shell


def snippet_of(told):
    """Return what is offered to be pasted below overrides."""
    lines = told.splitlines(keepends=True)
    start = next(number for number, line in enumerate(lines) if line.startswith('  - match: "clock.png"'))
    return "".join(lines[start : start + 3])


RUNS = [f"run{number}" for number in range(6)]


def test_calibrate_proposes_limits_and_names_what_flickers_and_where(renderings):
    done = renderings("calibrate", *RUNS, "--set", "metrics={mse: {max: 0}}", "-o", "limits.yaml")

    assert done.returncode == SOME
    text = (renderings.folder / "limits.yaml").read_text(encoding="utf-8")
    settings = yaml.safe_load(text)
    (override,) = settings["overrides"]
    assert override["match"] == ["logo.png", "pages/order.png", "pages/total.png"]
    assert override["metrics"]["mse"]["max"] == pytest.approx(1.5, abs=0.05)
    assert "3 images, 15 independent comparisons: false alarms below 18.1 % at 95 %" in text
    assert "clock.png: no limit: a changed digit would pass (2 of 2 tried)" in done.stdout
    assert "a changed digit: 4 tried, 0 missed" in done.stdout
    assert "clock.png flickers in 5 of 5 comparisons: " in done.stdout
    area = yaml.safe_load(snippet_of(done.stdout))[0]["ignore"][0]
    assert 230 <= area["x"] <= 245
    assert 140 <= area["y"] <= 150
    assert area["width"] <= 45


def test_the_whole_story_of_calibrating(renderings):
    """Limits from runs in which nothing changed, and the area to ignore: noise passes, and a changed digit fails."""
    renderings = Shell(renderings.folder)
    strict = ["--set", "metrics={mse: {max: 0}}"]
    assert renderings("compare", "run0", "run1", *strict).returncode == SOME
    done = renderings("calibrate", *RUNS, *strict, "-o", "imgdiff.yaml")
    file = renderings.folder / "imgdiff.yaml"
    file.write_text(file.read_text(encoding="utf-8") + snippet_of(done.stdout), encoding="utf-8")

    assert [renderings("compare", "run0", run).returncode for run in ("run1", "run5")] == [NONE, NONE]
    write(renderings.folder / "run1/pages/order.png", page("9", shade=1))
    done = renderings("compare", "run0", "run1")
    assert done.returncode == SOME
    assert "pages/order.png: fails mse" in done.stdout


def test_calibrate_reads_the_results_of_runs(renderings):
    for number in range(1, 4):
        renderings("compare", "run0", f"run{number}", "--report", f"report{number}", "--measure", "ssim")
    done = renderings("calibrate", "report1", "report2/results.json", "report3")

    assert done.returncode == SOME
    assert "from 3 runs without changes" in done.stderr
    assert "#ssim: {min: 0." in done.stdout
    assert "measured only" in done.stdout
    assert "a changed digit: 4 tried, 0 missed" in done.stderr
    assert "clock.png flickers in 3 of 3 comparisons" in done.stderr
    (renderings.folder / "run0/pages/total.png").unlink()
    (renderings.folder / "run0/pages/order.png").unlink()
    done = renderings("calibrate", "report1", "report2", "report3", "--per", "folder")
    assert "no edits tried: the expected images are missing or have changed" in done.stderr


def test_an_image_that_was_not_compared_is_left_out_of_calibrating(renderings):
    write(renderings.folder / "run0/extra.png", page())
    done = renderings("calibrate", "run0", "run1")
    assert done.returncode == SOME
    assert "extra.png: 1 comparison not used: there is no actual image" in done.stderr


def test_each_picture_has_limits_of_its_own_when_asked(renderings):
    done = renderings("calibrate", *RUNS, "--set", "metrics={mse: {max: 0}}", "--per", "picture", "--margin", "2")

    limits = {one["match"][0]: one["metrics"]["mse"]["max"] for one in yaml.safe_load(done.stdout)["overrides"]}
    assert limits == {"logo.png": 0, "pages/total.png": 0, "pages/order.png": pytest.approx(2, abs=0.05)}


def test_each_with_each_is_no_surer_than_with_the_first(renderings):
    done = renderings("calibrate", *RUNS, "--pairs", "all")
    assert "each compared with each" in done.stderr
    assert "3 images, 15 independent comparisons" in done.stderr
    assert "of 15 comparisons" in done.stderr


def test_a_similarity_is_widened_downwards(renderings):
    done = renderings("calibrate", "run0/pages", "run1/pages", "--set", "metrics={pixel_match: {min: 0.5}}")

    # The ground of order.png differs: the limit would have to be below 0, and no edit could be seen.
    assert "order.png: no limit: " in done.stderr
    assert "pixel_match: {min: 1}" in done.stdout


def test_limits_of_counts_are_proposed_where_a_rule_has_them(shell):
    for number in range(3):
        pixels = page()
        pixels[100, 100 : 100 + number] = (250, 0, 0)
        write(shell.folder / f"run{number}/page.png", pixels)
    rule = "metrics={perceptual: {max_in_window: {size: 16, pixels: 0}, max_pixels: 0, threshold: 0.2}}"
    done = shell("calibrate", "run0", "run1", "run2", "--set", rule)

    proposed = yaml.safe_load(done.stdout)["metrics"]["perceptual"]
    assert proposed == {"max_pixels": 3, "max_in_window": {"size": 16, "pixels": 3}, "threshold": 0.2}
    assert "a changed digit: 2 tried, 0 missed" in done.stderr


def test_labelled_folders_keep_the_limit_between_what_is_alike_and_what_differs(shell):
    write(shell.folder / "a/x.png", page("7"))
    write(shell.folder / "b/x.png", page("7", shade=1))
    write(shell.folder / "d/x.png", page("7", shade=2))
    arguments = ["--set", "metrics={mse: {max: 0}}", "--margin", "3", "--same", "a", "b"]
    alike = yaml.safe_load(shell("calibrate", *arguments).stdout)["metrics"]["mse"]["max"]
    done = shell("calibrate", *arguments, "--different", "a", "d")
    between = yaml.safe_load(done.stdout)["metrics"]["mse"]["max"]
    assert done.returncode == NONE
    assert alike == pytest.approx(3, abs=0.1)
    assert between == pytest.approx(2.5, abs=0.1)
    write(shell.folder / "d/x.png", page("7", shade=1))
    done = shell("calibrate", *arguments, "--different", "a", "d")
    assert done.returncode == SOME
    assert "missed: x.png, which is labelled different, would pass" in done.stderr


def test_pictures_that_cannot_be_compared_are_named(renderings):
    write(renderings.folder / "run2/logo.png", square(RED, side=44))
    (renderings.folder / "run3/logo.png").unlink()
    done = renderings("calibrate", *RUNS)
    assert done.returncode == SOME
    assert "logo.png: 1 comparison not used: the sizes differ: expected 40x40, actual 44x44" in done.stderr
    assert "logo.png: 1 comparison not used: there is no actual image" in done.stderr


def test_calibrate_never_writes_over_a_file_unasked(renderings):
    file = renderings.folder / "imgdiff.yaml"
    file.write_text("metrics: {mse: {max: 0}}\n", encoding="utf-8")
    assert "already exists" in renderings.refused("calibrate", *RUNS, "-o", "imgdiff.yaml")
    assert file.read_text(encoding="utf-8") == "metrics: {mse: {max: 0}}\n"
    renderings("calibrate", *RUNS, "-o", "imgdiff.yaml", "--force")
    assert "# Limits that" in file.read_text(encoding="utf-8")


def test_calibrate_refuses_what_it_cannot_follow(renderings):
    renderings("compare", "run0", "run1", "--report", "report")
    assert "at least two folders" in renderings.refused("calibrate", "run0")
    assert "either folders of images or results" in renderings.refused("calibrate", "run0", "report")
    assert "pass results of unchanged runs" in renderings.refused("calibrate")
    assert "--different needs --same" in renderings.refused("calibrate", "--different", "run0", "run1")
    assert "no such file" in renderings.refused("calibrate", "nowhere/results.json")
    assert "not both" in renderings.refused("calibrate", "run0", "--same", "run0", "run1")


@given(st.integers(1, 10_000))
def test_the_rate_of_false_alarms_is_below_three_in_n(compared):
    rate = false_alarms(compared)
    assert 0 < rate < 3 / compared
    assert (1 - rate) ** compared == pytest.approx(0.05)


def test_where_everything_flickers_nothing_is_offered_to_be_ignored(shell):
    for number, rng in enumerate(map(np.random.default_rng, range(3))):
        noise = rng.integers(-40, 41, (180, 300, 1)) * (rng.random((180, 300, 1)) > 0.99)
        write(shell.folder / f"run{number}/page.png", np.clip(page() + noise, 0, 255).astype(np.uint8))
    done = shell("calibrate", "run0", "run1", "run2", "--set", "metrics={perceptual: {max: 0}}")

    assert done.returncode == SOME
    assert "page.png: no limit: a changed digit would pass" in done.stderr
    assert "too many or too large areas to ignore" in done.stderr
    assert "ignore:" not in done.stdout
    assert yaml.safe_load(done.stdout) is None


def test_pictures_without_text_have_no_digit_to_change(shell):
    for number in range(3):
        write(shell.folder / f"run{number}/logo.png", square(RED, side=60))
    done = shell("calibrate", "run0", "run1", "run2")
    assert done.returncode == NONE
    assert "no digit changed: no line of text found in these images" in done.stdout
