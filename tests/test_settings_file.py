"""Which imgdiff.yaml holds, that it is named, and that no rule of the project is ever left out in silence."""

from __future__ import annotations

import json
import os
import shlex
import sys

import pytest

from tests import warm
from tests.pictures import BLUE, RED, square, write

STRICT = "metrics: {pixel_match: {min: 1}}\n"
"""Judged by a metric that the default rules do not ask for, so that its name shows which rules held."""
TEST = """
from pathlib import Path

HERE = Path(__file__).parent

def test_page(assert_images_similar):
    assert_images_similar(HERE / "new.png", HERE / "old.png")

def test_stored(assert_images_similar):
    assert_images_similar(HERE / "new.png")
"""


def make(folder, settings=None, ini=None):
    """Put two image tests, or an imgdiff.yaml or an ini file alone, into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    if settings is not None:
        (folder / "imgdiff.yaml").write_text(settings, encoding="utf-8")
    if ini is not None:
        (folder / "pytest.ini").write_text(ini, encoding="utf-8")
    return folder


def add_tests(folder, name="test_shop.py"):
    make(folder)
    (folder / name).write_text(TEST, encoding="utf-8")
    write(folder / "new.png", square(RED))
    write(folder / "old.png", square(BLUE))
    return folder


def results(folder):
    return json.loads((folder / "imgdiff-report/results.json").read_text(encoding="utf-8"))


def metrics(folder):
    return {score["metric"] for record in results(folder)["comparisons"] for score in record.get("scores", ())}


def run(folder, *arguments):
    """Run pytest in a folder as a shell would."""
    return paste(folder, sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *map(str, arguments))


def paste(folder, *command):
    """Run a command in a folder as a shell would."""
    done = warm.run(command, cwd=folder)
    assert "Traceback" not in done.stdout + done.stderr
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("start", "arguments"),
    [
        pytest.param(".", [], id="the project's folder"),
        pytest.param("shop", [], id="a folder of tests"),
        pytest.param("shop/deep", [".."], id="beside the tests"),
        pytest.param(".", ["shop"], id="a folder with an ini file of its own"),
        pytest.param(".", ["-c", "ci/pytest.ini", "shop"], id="an ini file elsewhere"),
        pytest.param("shop", ["--rootdir=.."], id="a rootdir above"),
        pytest.param("..", ["project/shop"], id="above the project"),
        pytest.param(".", ["-n", "2", "shop"], id="xdist"),
    ],
)
def test_the_nearest_file_above_the_tests_holds_wherever_pytest_starts(pytester, start, arguments):
    project = make(pytester.path / "project", STRICT, "[pytest]\n")
    make(add_tests(project / "shop"), ini="[pytest]\n")
    make(project / "shop/deep")
    make(project / "ci", ini="[pytest]\n")
    code, out = run(project / start, *arguments)
    assert code == 1
    assert metrics(project) == {"pixel_match"}
    line = next(line for line in out.splitlines() if line.startswith("imgdiff: settings: "))
    assert line == f"imgdiff: settings: {os.path.relpath(project / 'imgdiff.yaml', project / start)}"
    assert results(project)["settings"] == ["imgdiff.yaml"]
    # Baselines stay in the project, and in one place.
    reason = next(found["reason"] for found in results(project)["comparisons"] if found["name"].endswith("stored"))
    stored = os.path.relpath(project / "baselines/shop/test_shop/test_stored.png", project / start)
    assert reason == f"there is no baseline {stored} yet"


def test_without_a_file_header_page_and_summary_say_so(pytester):
    add_tests(pytester.path)
    code, out = run(pytester.path)
    assert code == 1
    words = "settings: defaults (no imgdiff.yaml)"
    assert f"imgdiff: {words}" in out
    report = pytester.path / "imgdiff-report"
    assert results(pytester.path)["settings"] == []
    for page in ("index.html", "plain.html"):
        assert words in (report / page).read_text(encoding="utf-8")
    assert "defaults" in (report / "summary.md").read_text(encoding="utf-8")


def test_the_settings_in_force_stand_in_the_report(pytester):
    make(add_tests(pytester.path), STRICT)
    run(pytester.path)
    for page in ("index.html", "plain.html"):
        assert "settings: imgdiff.yaml" in (pytester.path / "imgdiff-report" / page).read_text(encoding="utf-8")


@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["one-process", "xdist"])
@pytest.mark.parametrize("outer", [STRICT, None], ids=["another-file", "no-file"])
def test_a_nearer_file_that_would_not_be_used_is_an_error(pytester, outer, workers):
    project = make(add_tests(pytester.path / "project"), outer, "[pytest]\n")
    make(add_tests(project / "svc_a", "test_a.py"), "size: pad\n")
    make(add_tests(project / "svc_b", "test_b.py"), "size: crop\n")
    code, out = run(project, *workers)
    assert code == 4
    assert "svc_a/imgdiff.yaml is the nearest settings file to svc_a/test_a.py" in out
    assert ("this run uses imgdiff.yaml" if outer else "this run uses none") in out
    assert "--imgdiff-config=svc_a/imgdiff.yaml" in out
    assert not (project / "baselines").exists()
    # What it advises works.
    for arguments in (["svc_a"], ["--imgdiff-config=svc_a/imgdiff.yaml"]):
        code, out = run(project, *workers, *arguments)
        assert code == 1
        assert "imgdiff: settings: svc_a/imgdiff.yaml" in out


def test_a_test_that_asks_for_the_fixture_while_it_runs_fails_beside_another_file(pytester):
    make(pytester.path, ini="[pytest]\n")
    inner = make(pytester.path / "inner", STRICT)
    (inner / "test_late.py").write_text(
        "def test_late(request):\n    request.getfixturevalue('assert_images_similar')\n", encoding="utf-8"
    )
    (pytester.path / "test_other.py").write_text("def test_other():\n    pass\n", encoding="utf-8")
    code, out = run(pytester.path)
    assert code == 1
    assert "inner/imgdiff.yaml is the nearest settings file to inner/test_late.py, but this run uses none" in out


def test_folders_of_a_scan_beside_another_file_are_refused(pytester):
    make(pytester.path, STRICT)
    inner = make(pytester.path / "inner", "size: pad\n")
    for side, colour in (("e", RED), ("a", BLUE)):
        write(inner / side / "x.png", square(colour))
    code, out = run(pytester.path, "--imgdiff-scan", "inner/e", "inner/a")
    assert code == 4
    assert "inner/imgdiff.yaml is the nearest settings file to inner/e, but this run uses imgdiff.yaml" in out


@pytest.mark.parametrize("written", [["e", "a"], ["../outside/e", "../outside/a"]], ids=["inside", "outside"])
def test_the_folders_of_a_scan_never_change_the_rules(pytester, written):
    project = make(pytester.path / "project", STRICT, "[pytest]\n")
    for side, colour in zip(written, (RED, BLUE), strict=True):
        write(project / side / "x.png", square(colour))
    code, out = run(project, "--imgdiff-scan", *written)
    if code == 4:  # pytest has not read the ini file: said, with what to write
        assert "therefore reads no ini file, not pytest.ini. Write instead: " in out
        code, out = run(project, *shlex.split(out.partition("Write instead: ")[2].strip()))
    assert code == 1
    assert metrics(project) == {"pixel_match"}


def test_without_an_ini_file_folders_elsewhere_are_scanned_as_they_are_named(pytester):
    project = make(pytester.path / "project", STRICT)
    for side, colour in (("e", RED), ("a", BLUE)):
        write(pytester.path / "outside" / side / "x.png", square(colour))
    assert run(project, "--imgdiff-scan", "../outside/e", "../outside/a")[0] == 1
    assert metrics(project) == {"pixel_match"}


def test_each_expected_folder_needs_its_actual_one(pytester):
    make(pytester.path / "e")
    code, out = run(pytester.path, "--imgdiff-expected=e")
    assert code == 4
    assert "--imgdiff-expected was passed 1 times and --imgdiff-actual 0 times" in out


@pytest.mark.parametrize("option", ["report", "baselines"])
def test_an_option_whose_value_hides_the_ini_file_is_refused(pytester, option):
    project = make(add_tests(pytester.path / "project"), STRICT, "[pytest]\n")
    outside = make(pytester.path / "outside")
    code, out = run(project, f"--imgdiff-{option}", outside)
    assert code == 4
    assert f"Write instead: --imgdiff-{option}={outside}" in out
    assert list(outside.iterdir()) == []
    code, out = run(project, f"--imgdiff-{option}={outside}", "--imgdiff-update=missing")
    assert "imgdiff: settings: imgdiff.yaml" in out
    folder = outside if option == "baselines" else project / "baselines"
    assert (folder / "test_shop/test_stored.png").is_file()


def test_without_an_ini_file_such_an_option_moves_no_baseline(pytester):
    project = make(add_tests(pytester.path / "project"), STRICT)
    outside = make(pytester.path / "outside")
    run(project, "--imgdiff-report", outside, "--imgdiff-update=missing")
    assert (project / "baselines/test_shop/test_stored.png").is_file()
    assert not (pytester.path / "baselines").exists()


def test_baselines_stay_where_they_are_where_the_file_is_named(pytester):
    make(pytester.path, ini="[pytest]\nimgdiff_config = tests/imgdiff.yaml\n")
    make(add_tests(pytester.path / "tests"), STRICT)
    run(pytester.path, "--imgdiff-update=missing")
    assert (pytester.path / "tests/baselines/tests/test_shop/test_stored.png").is_file()


# ---- What is printed, from where the user stands


@pytest.mark.parametrize(
    ("start", "arguments"),
    [
        pytest.param("shop", [], id="sub-folder"),
        pytest.param("shop", ["--rootdir=../.."], id="rootdir"),
        pytest.param("shop", ["-c", "../ci/pytest.ini"], id="ini-file"),
        pytest.param(".", ["-c", "ci/pytest.ini", "--imgdiff-report=out", "shop"], id="report"),
        pytest.param(".", ["--imgdiff-baselines=pictures", "-o", "junit_family=xunit1", "shop"], id="baselines"),
    ],
)
def test_paths_lead_there_from_where_the_user_stands_and_the_command_accepts(pytester, start, arguments):
    project = make(pytester.path / "project", STRICT, "[pytest]\n")
    add_tests(project / "shop")
    make(project / "ci", ini="[pytest]\n")
    here = project / start
    code, out = run(here, *arguments)
    assert code == 1
    told = [line.split(": ", 1) for line in out.splitlines() if ": " in line]
    facts = [(label.strip(), text.strip()) for label, text in told]
    for label, text in facts:
        if label in {"expected", "actual", "difference", "report"}:
            assert (here / text.partition(" (")[0]).is_file(), (label, text)
        if label.startswith("called at"):
            assert (here / label.removeprefix("called at ")).is_file()
    command = next(text for label, text in facts if label == "accept")
    code, out = paste(here, *shlex.split(command))
    assert code == 0, out
    written = next(line for line in out.splitlines() if line.startswith("baseline written: "))
    assert (here / written.removeprefix("baseline written: ")).is_file()
    # The next plain run finds what was accepted.
    assert "there is no baseline" not in run(here, *arguments)[1]


def test_a_broken_picture_is_named_from_where_the_user_stands(pytester):
    project = make(pytester.path, ini="[pytest]\n")
    shop = add_tests(project / "shop")
    (shop / "old.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    _, out = run(shop)
    assert "reason: old.png: PNG: " in " ".join(out.split())
    assert results(project)["comparisons"][0]["reason"].startswith("shop/old.png: PNG: ")


def test_the_command_repeats_the_browser_that_other_plugins_were_asked_for(pytester):
    add_tests(pytester.path)
    # As pytest-selenium adds them.
    pytester.makeconftest(
        """
        def pytest_addoption(parser):
            parser.addoption("--driver")
            parser.addoption("--driver-log")
        """
    )
    code, out = run(pytester.path, "-k", "stored", "--driver", "Chrome", "--driver-log=driver.log")
    assert code == 1, out
    command = next(line for line in out.splitlines() if line.startswith("  accept:"))
    assert "--driver=Chrome" in command
    assert "--driver-log" not in command


def test_the_command_repeats_the_rules_of_the_command_line(pytester):
    add_tests(pytester.path)
    run(pytester.path, "--imgdiff-update=missing")
    write(pytester.path / "new.png", square(BLUE))
    code, out = run(pytester.path, "-k", "stored", "--imgdiff-set=metrics={ssim: {min: 0.99}}")
    assert code == 1
    command = next(line for line in out.splitlines() if line.startswith("  accept:")).partition(": ")[2]
    assert "ssim" in command
    assert paste(pytester.path, *shlex.split(command))[0] == 0
    assert run(pytester.path, "-k", "stored")[0] == 0


# ---- The command


def compare(folder, *arguments):
    command = [sys.executable, "-m", "pytest_imgdiff", "compare", *map(str, arguments)]
    done = warm.run(command, cwd=folder)
    return done.returncode, done.stdout + done.stderr


def test_the_command_uses_the_nearest_file_from_its_folder_upward(tmp_path):
    make(tmp_path, "metrics: {pixel_match: {min: 0.1}}\n")
    shop = make(tmp_path / "shop")
    for name, colour in (("old.png", RED), ("new.png", BLUE)):
        write(shop / name, square(colour))
    code, out = compare(shop, "old.png", "new.png")
    assert code == 0
    assert "pixel_match" in out
    (tmp_path / "imgdiff.yaml").write_text("sise: pad\n", encoding="utf-8")
    code, out = compare(shop, "old.png", "old.png")
    assert code == 2
    assert "../imgdiff.yaml:1:1: sise" in out


@pytest.mark.parametrize("actual", ["new.png", "same.png"], ids=["different", "equal-bytes"])
def test_the_command_refuses_a_nearer_file_that_it_would_not_use(tmp_path, actual):
    inner = make(tmp_path / "inner", STRICT)
    for name, colour in (("old.png", RED), ("new.png", BLUE), ("same.png", RED)):
        write(inner / name, square(colour))
    code, out = compare(tmp_path, "inner/old.png", f"inner/{actual}")
    assert code == 2
    assert "inner/imgdiff.yaml is the nearest settings file to inner/old.png, but this command uses none" in out
    assert compare(tmp_path, "inner/old.png", f"inner/{actual}", "--config", "inner/imgdiff.yaml")[0] == (
        0 if actual == "same.png" else 1
    )


def test_errors_name_folders_from_where_the_user_is(pytester):
    pytester.makefile(".yaml", imgdiff="report: {folder: out/report}\nbaselines: {folder: out}\n")
    pytester.makepyfile("def test_a(assert_images_similar): assert_images_similar(b'')")
    result = pytester.runpytest("--rootdir=.")
    result.stderr.fnmatch_lines(
        ["*the folders of the report, out/report, and of the baselines, out, must not contain each other"]
    )
    assert result.ret == pytest.ExitCode.USAGE_ERROR


def test_a_run_without_pytests_terminal_ends_like_any_other(pytester):
    pytester.makepyfile(
        """
        import numpy as np

        def test_a(assert_images_similar):
            assert_images_similar(np.zeros((8, 8), np.uint8), np.full((8, 8), 255, np.uint8))
        """
    )
    result = pytester.runpytest_subprocess("-p", "no:terminal")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert result.errlines == []
    assert (pytester.path / "imgdiff-report/results.json").is_file()
