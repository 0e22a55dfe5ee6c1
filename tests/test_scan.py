"""Scan mode: two trees of pictures as pytest items."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from xml.etree import ElementTree as ET

import pytest

from pytest_imgdiff.run.finish import MOST_LISTED
from tests.pictures import BLUE, RED, notes, square, trees, write

SCAN = ["--imgdiff-scan", "expected", "actual"]
CONFIG = "scans:\n  - {expected: expected, actual: actual}\n"


def results(pytester):
    return json.loads((pytester.path / "imgdiff-report/results.json").read_text(encoding="utf-8"))


@pytest.fixture
def two_trees(pytester):
    trees(pytester.path)
    pytester.makepyfile(test_something="def test_that_is_not_asked_for(): raise AssertionError")
    return pytester


@pytest.mark.parametrize("workers", [pytest.param([], id="alone"), pytest.param(["-n", "2"], id="xdist")])
@pytest.mark.parametrize("way", ["option", "file"])
def test_one_item_for_each_picture_of_the_union(two_trees, workers, way):
    if way == "file":
        (two_trees.path / "imgdiff.yaml").write_text(CONFIG, encoding="utf-8")
    run = two_trees.runpytest_subprocess(*(SCAN if way == "option" else ["imgdiff.yaml"]), *workers)
    run.assert_outcomes(passed=1, failed=3)
    assert run.ret == pytest.ExitCode.TESTS_FAILED
    records = {record["name"].rpartition("::")[2]: record for record in results(two_trees)["comparisons"]}
    assert {name: record["verdict"] for name, record in records.items()} == {
        "gone.png": "unmatched",
        "new.png": "missing",
        "same.png": "match",
        "sub/other.png": "different",
    }
    assert results(two_trees)["complete"]


def test_no_absolute_path_reaches_the_results(two_trees):
    two_trees.runpytest_subprocess(*SCAN)
    report = two_trees.path / "imgdiff-report"
    for name in ("results.json", "index.html", "summary.md"):
        assert str(two_trees.path) not in (report / name).read_text(encoding="utf-8")
    for lines in (report / "records").rglob("*.jsonl"):
        assert str(two_trees.path) not in lines.read_text(encoding="utf-8")


def test_items_are_chosen_stopped_and_repeated_as_everywhere(two_trees):
    two_trees.runpytest_subprocess(*SCAN, "-k", "same or gone").assert_outcomes(passed=1, failed=1, deselected=2)
    two_trees.runpytest_subprocess(*SCAN, "-x").assert_outcomes(failed=1)
    two_trees.runpytest_subprocess(*SCAN).assert_outcomes(passed=1, failed=3)
    two_trees.runpytest_subprocess(*SCAN, "--lf").assert_outcomes(failed=3)
    two_trees.runpytest_subprocess(*SCAN, "--imgdiff-only", "sub/other.png").assert_outcomes(failed=1)
    listed = two_trees.runpytest_subprocess(*SCAN, "--collect-only", "-q")
    listed.stdout.fnmatch_lines(
        ["expected::gone.png", "expected::new.png", "expected::same.png", "expected::sub/other.png"]
    )


def test_junit_xml_names_verdict_and_values(two_trees):
    two_trees.runpytest_subprocess(*SCAN, "--junitxml=junit.xml", "-n", "2")
    cases = ET.parse(two_trees.path / "junit.xml").getroot().iter("testcase")  # noqa: S314 - our own file
    found = {case.get("name"): {p.get("name"): p.get("value") for p in case.iter("property")} for case in cases}
    assert found["sub/other.png"]["imgdiff.verdict"] == "different"
    assert found["sub/other.png"]["imgdiff.visible.pixels"] == "400"
    assert float(found["sub/other.png"]["imgdiff.visible"]) == 10
    assert found["same.png"]["imgdiff.verdict"] == "match"


def test_accepting_copies_the_actual_bytes_and_touches_nothing_else(two_trees):
    expected, actual = two_trees.path / "expected", two_trees.path / "actual"
    gone = (expected / "gone.png").read_bytes()
    two_trees.runpytest_subprocess(*SCAN, "--imgdiff-update=missing").assert_outcomes(passed=2, failed=2)
    assert (expected / "new.png").read_bytes() == (actual / "new.png").read_bytes()
    two_trees.runpytest_subprocess(*SCAN, "--imgdiff-update=failed").assert_outcomes(passed=3, failed=1)
    assert (expected / "sub/other.png").read_bytes() == (actual / "sub/other.png").read_bytes()
    assert (expected / "gone.png").read_bytes() == gone


def test_one_sided_pictures_can_be_allowed(two_trees):
    allowed = ["--imgdiff-set", "missing=allow", "--imgdiff-set", "unmatched=allow"]
    two_trees.runpytest_subprocess(*SCAN, *allowed).assert_outcomes(passed=3, failed=1)


@pytest.mark.parametrize(
    ("prepare", "told"),
    [
        pytest.param(
            lambda root: [path.unlink() for path in root.rglob("*.png")], "no images*an empty scan", id="empty"
        ),
        pytest.param(lambda root: shutil.rmtree(root / "actual"), "actual*does not exist", id="no-actual-folder"),
        pytest.param(
            lambda root: (shutil.rmtree(root / "actual"), (root / "actual").symlink_to(root / "expected")),
            "folder are the same",
            id="the-same-folder",
        ),
    ],
)
def test_a_scan_that_proves_nothing_fails(two_trees, prepare, told):
    prepare(two_trees.path)
    run = two_trees.runpytest_subprocess(*SCAN)
    assert run.ret != 0
    run.stdout.fnmatch_lines([f"*{told}*"])
    assert "Traceback" not in run.stdout.str() + run.stderr.str()


def test_a_folder_of_expected_pictures_that_is_not_there_is_a_usage_error(pytester):
    run = pytester.runpytest_subprocess("--imgdiff-scan", "nowhere", "actual")
    assert run.ret == pytest.ExitCode.USAGE_ERROR
    run.stderr.fnmatch_lines(["*nowhere*no such folder*"])


def test_a_file_without_scans_is_told(pytester):
    (pytester.path / "imgdiff.yaml").write_text("size: pad\n", encoding="utf-8")
    run = pytester.runpytest_subprocess("imgdiff.yaml")
    assert run.ret != 0
    run.stdout.fnmatch_lines(["*has no scans*"])


def test_several_scans_of_one_file_keep_their_names_apart(pytester):
    for folder in ("one", "two"):
        trees(pytester.path / folder)
    scans = "".join(f"  - {{expected: {name}/expected, actual: {name}/actual}}\n" for name in ("one", "two"))
    (pytester.path / "imgdiff.yaml").write_text(f"scans:\n{scans}", encoding="utf-8")
    pytester.runpytest_subprocess("imgdiff.yaml").assert_outcomes(passed=2, failed=6)
    names = [record["name"] for record in results(pytester)["comparisons"]]
    assert len(set(names)) == 8
    assert "imgdiff.yaml::two/actual/sub/other.png" in names


@pytest.mark.skipif(sys.platform != "linux", reason="file names that are not UTF-8 exist on Linux only")
@pytest.mark.parametrize("workers", [pytest.param([], id="alone"), pytest.param(["-n", "2"], id="xdist")])
def test_names_that_are_not_utf8_or_hostile(pytester, workers):
    names = [b"caf\xe9.png", "na\u0131ve \U0001f600.png".encode(), b"a b&<script>.png", b"new\nline.png", b"[x].png"]
    for name in names:
        for side, colour in (("expected", RED), ("actual", BLUE)):
            path = write(pytester.path / side / "plain.png", square(colour))
            os.rename(os.fsencode(path), os.path.join(os.fsencode(path.parent), name))  # noqa: PTH104, PTH118 - bytes
    run = pytester.runpytest_subprocess(*SCAN, *workers)
    run.assert_outcomes(failed=5)
    assert run.ret == pytest.ExitCode.TESTS_FAILED
    shown = {record["name"] for record in results(pytester)["comparisons"]}
    assert r"expected::caf\xe9.png" in shown
    assert r"expected::new\x0aline.png" in shown
    assert len(shown) == 5


def test_a_broken_picture_is_one_failure_among_the_others(two_trees):
    (two_trees.path / "actual/same.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    run = two_trees.runpytest_subprocess(*SCAN)
    run.assert_outcomes(failed=4)
    run.stdout.fnmatch_lines(["*actual/same.png: PNG: truncated*"])
    assert {r["verdict"] for r in results(two_trees)["comparisons"]} == {"broken", "different", "missing", "unmatched"}


def test_a_report_folder_in_use_for_something_else_is_left_alone(two_trees):
    precious = two_trees.path / "imgdiff-report/precious.txt"
    precious.parent.mkdir()
    precious.write_text("mine", encoding="utf-8")
    run = two_trees.runpytest_subprocess(*SCAN)
    assert run.ret == pytest.ExitCode.USAGE_ERROR
    run.stderr.fnmatch_lines(["*contains files that are not from a report*"])
    assert precious.read_text(encoding="utf-8") == "mine"


def test_a_run_without_images_keeps_the_report_of_the_run_before(two_trees):
    two_trees.runpytest_subprocess(*SCAN)
    before = (two_trees.path / "imgdiff-report/results.json").read_bytes()
    two_trees.makepyfile(test_plain="def test_plain(): pass")
    two_trees.runpytest_subprocess("test_plain.py").assert_outcomes(passed=1)
    assert (two_trees.path / "imgdiff-report/results.json").read_bytes() == before


def test_the_step_summary_of_a_ci_job_is_written(two_trees, monkeypatch):
    summary = two_trees.path / "step.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    two_trees.runpytest_subprocess(*SCAN)
    assert "sub/other.png" in summary.read_text(encoding="utf-8")


def test_a_faulty_configuration_is_told_in_one_line(two_trees):
    (two_trees.path / "imgdiff.yaml").write_text("sise: pad\n" + CONFIG, encoding="utf-8")
    for arguments in (["imgdiff.yaml"], SCAN):
        run = two_trees.runpytest_subprocess(*arguments)
        assert run.ret == pytest.ExitCode.USAGE_ERROR
        run.stderr.fnmatch_lines(['ERROR: imgdiff: imgdiff.yaml:1:1: sise: unknown key "sise"*'])
        assert "pytest_imgdiff" not in run.stdout.str()


def test_each_of_several_faulty_configurations_is_told(two_trees):
    for name in ("imgdiff.yaml", "other.imgdiff.yaml"):
        (two_trees.path / name).write_text("sise: pad\n" + CONFIG, encoding="utf-8")
    (two_trees.path / "imgdiff.yaml").write_text(CONFIG, encoding="utf-8")
    run = two_trees.runpytest_subprocess("imgdiff.yaml", "other.imgdiff.yaml")
    assert run.ret != pytest.ExitCode.OK
    run.stdout.fnmatch_lines(['*other.imgdiff.yaml:1:1: sise: unknown key "sise"*'])
    assert ".py:" not in run.stdout.str()


@pytest.mark.parametrize("workers", [pytest.param([], id="alone"), pytest.param(["-n", "2"], id="xdist")])
def test_a_scan_beside_named_tests_is_not_forgotten(two_trees, workers):
    two_trees.makepyfile(test_other="def test_that_passes(): pass")
    run = two_trees.runpytest_subprocess("test_other.py", *SCAN, *workers)
    run.assert_outcomes(passed=2, failed=3)


@pytest.mark.parametrize("workers", [pytest.param([], id="alone"), pytest.param(["-n", "2"], id="xdist")])
def test_two_scans_of_one_folder_are_both_compared(pytester, workers):
    for folder, colour in (("light", RED), ("dark", BLUE), ("actual", BLUE)):
        write(pytester.path / folder / "page.png", square(colour))
    scans = "scans:\n  - {expected: light, actual: actual}\n  - {expected: dark, actual: actual}\n"
    (pytester.path / "imgdiff.yaml").write_text(scans, encoding="utf-8")
    run = pytester.runpytest_subprocess("imgdiff.yaml", *workers)
    run.assert_outcomes(passed=1, failed=1)
    assert sorted(record["verdict"] for record in results(pytester)["comparisons"]) == ["different", "match"]


@pytest.mark.parametrize("workers", [pytest.param([], id="alone"), pytest.param(["-n", "2"], id="xdist")])
def test_what_passes_with_a_warning_is_named_in_the_summary(pytester, workers):
    for number in range(MOST_LISTED + 3):
        write(pytester.path / f"expected/{number:02}.png", square(RED))
        write(pytester.path / f"actual/{number:02}.png", square(BLUE))
    warns = ["--imgdiff-set", "metrics={pixel_match: {min: 0.0, warn: 1.0}}"]
    run = pytester.runpytest_subprocess(*SCAN, *warns, *workers)
    run.assert_outcomes(passed=MOST_LISTED + 3)
    told = [line for line in run.outlines if line.startswith("passes with a warning: ")]
    named = {re.search(r"::(\d\d\.png): warns pixel_match", line)[1] for line in told[:-1]}
    assert len(named) == MOST_LISTED
    assert told[MOST_LISTED:] == ["passes with a warning: and 3 more"]
    assert "passed with a warning" in (pytester.path / "imgdiff-report/summary.md").read_text(encoding="utf-8")


def test_a_scan_says_nothing_about_unused_baselines(two_trees):
    baseline = write(two_trees.path / "baselines/test_page/test_page.png", square(RED))
    for name in ("sub/other.png", "gone.png"):
        (two_trees.path / "expected" / name).unlink()
    allowed = ["--imgdiff-set", "missing=allow", "--imgdiff-prune"]
    two_trees.runpytest_subprocess(*SCAN, *allowed).assert_outcomes(passed=3)
    assert baseline.exists()


def test_what_passes_and_is_not_equal_is_counted_and_with_v_named(pytester):
    for side, level in (("expected", 100), ("actual", 102)):
        write(pytester.path / side / "even.png", square(RED))
        write(pytester.path / side / "faint.png", square((level, level, level)))
    run = pytester.runpytest_subprocess(*SCAN)
    assert "2 comparisons: 2 passed (1 differ below the limits)" in run.outlines
    assert not any("passes, not equal" in line for line in run.outlines)
    run = pytester.runpytest_subprocess(*SCAN, "-v")
    (told,) = [line for line in run.outlines if line.startswith("passes, not equal")]
    assert told.endswith("faint.png: passes visible 0 px, 0 <= 1; 400 px differ below the limits")


@pytest.mark.parametrize("workers", [pytest.param([], id="alone"), pytest.param(["-n", "2"], id="xdist")])
def test_files_of_other_kinds_are_told_once(two_trees, workers):
    notes(two_trees.path)
    run = two_trees.runpytest_subprocess(*SCAN, *workers)
    line = "not compared: 2 .txt; in expected and actual"
    assert run.outlines.count(line) == 1
    assert results(two_trees)["not_compared"] == [line]
    run = two_trees.runpytest_subprocess(*SCAN, *workers, "--imgdiff-only=same.png")
    assert line not in run.outlines


@pytest.mark.parametrize("pairs", [pytest.param(3, id="threads"), pytest.param(40, id="processes")])
def test_the_time_of_a_pair_is_that_of_its_comparison(pytester, pairs):
    for number in range(pairs):
        for side, colour in (("expected", RED), ("actual", BLUE)):
            write(pytester.path / side / f"{number}.png", square(colour))
    pytester.makeconftest(
        "import json, pathlib\n"
        "def pytest_runtest_logreport(report):\n"
        "    if report.when == 'call':\n"
        "        with pathlib.Path('times.jsonl').open('a') as file:\n"
        "            print(json.dumps([report.nodeid, report.duration]), file=file)\n"
    )
    pytester.runpytest_subprocess(*SCAN)
    lines = (pytester.path / "times.jsonl").read_text(encoding="utf-8").splitlines()
    assert dict(map(json.loads, lines)) == {
        record["name"]: record["seconds"] for record in results(pytester)["comparisons"]
    }


@pytest.mark.skipif(sys.platform == "win32", reason="makes symbolic links")
@pytest.mark.parametrize("mode", ["missing", "failed", "all"])
def test_expected_pictures_that_are_links_are_updated_at_their_targets_or_refused(two_trees, mode):
    expected = two_trees.path / "expected"
    (expected / "sub/other.png").rename(two_trees.path / "kept.png")
    (expected / "sub/other.png").symlink_to("../../kept.png")
    (expected / "new.png").symlink_to("../not-fetched.png")
    before = (two_trees.path / "kept.png").read_bytes()
    run = two_trees.runpytest_subprocess(*SCAN, f"--imgdiff-update={mode}")
    assert (expected / "new.png").is_symlink()
    assert (expected / "sub/other.png").is_symlink()
    assert ((two_trees.path / "kept.png").read_bytes() == before) is (mode == "missing")
    run.stdout.fnmatch_lines(["*new.png*not-fetched.png, which does not exist; fetch its content*"])
    assert {record["name"]: record["verdict"] for record in results(two_trees)["comparisons"]}[
        "expected::new.png"
    ] == "broken"


@pytest.mark.parametrize(
    "command", [["-m", "pytest", "--imgdiff-scan"], ["-m", "pytest_imgdiff", "compare"]], ids=["pytest", "compare"]
)
def test_a_folder_without_any_actual_picture_never_passes(pytester, command):
    write(pytester.path / "old/page.png", square(RED))
    (pytester.path / "new").mkdir()
    (pytester.path / "imgdiff.yaml").write_text("unmatched: allow\n", encoding="utf-8")
    run = pytester.run(sys.executable, *command, "old", "new")
    assert run.ret == (1 if "pytest" in command else 2)
    run.stdout.fnmatch_lines(["no actual image was found, so nothing was compared: *"])


def test_an_override_that_matches_no_image_is_named(pytester):
    for side in ("expected", "actual"):
        write(pytester.path / side / "pages/a.png", square(RED))
    settings = pytester.path / "imgdiff.yaml"
    overrides = "overrides: [{match: 'page/**', size: pad}, {match: 'pages/**', size: pad}]\n"
    settings.write_text(f"scans: [{{expected: expected, actual: actual}}]\n{overrides}", encoding="utf-8")
    line = "overrides[0] (match: page/**) matches none of these images"
    assert [one for one in pytester.runpytest_subprocess("imgdiff.yaml").outlines if "matches none" in one] == [line]
    run = pytester.runpytest_subprocess("imgdiff.yaml", "--imgdiff-only=pages/*")
    assert "matches none" not in run.stdout.str()

    settings.write_text(overrides, encoding="utf-8")
    pytester.makepyfile(
        test_a="def test_a(assert_images_similar):\n    assert_images_similar('expected/pages/a.png', 'actual/pages/a.png')\n",
        test_b="def test_b(assert_images_similar):\n    assert_images_similar('expected/pages/a.png', 'actual/pages/a.png')\n",
    )
    lines = [line, "overrides[1] (match: pages/**) matches none of these images"]
    for workers in ([], ["-n", "2"]):
        run = pytester.runpytest_subprocess(*workers)
        assert [one for one in run.outlines if "matches none" in one] == lines
    assert "matches none" not in pytester.runpytest_subprocess("test_a.py").stdout.str()
