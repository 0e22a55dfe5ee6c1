"""Several runs in one report folder: each keeps its results, and none fails for another."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import pytest

from tests.pictures import trees

WAITS = """
    import pathlib, time
    import numpy as np

    def test_page(assert_images_similar):
        picture = np.full((20, 20, 3), {shade}, np.uint8)
        assert_images_similar(picture, picture.copy())
        pathlib.Path("{name}-is-under-way").touch()
        end = time.monotonic() + 60
        while not pathlib.Path("go-on").exists() and time.monotonic() < end:
            time.sleep(0.05)
"""


@pytest.fixture
def started(pytester):
    """Start a run of a test that waits for the file go-on, and return when the test is under way."""
    processes = []

    def start(name, *options):
        source = WAITS.format(name=name, shade=90 + len(processes)).replace("\n    ", "\n").lstrip()
        (pytester.path / f"test_{name}.py").write_text(source, encoding="utf-8")
        command = [sys.executable, "-m", "pytest", f"test_{name}.py", *options]
        process = subprocess.Popen(
            command, cwd=pytester.path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        processes.append(process)
        end = time.monotonic() + 60
        while not (pytester.path / f"{name}-is-under-way").exists():
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < end
            time.sleep(0.05)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def names(folder):
    run = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    assert run["complete"]
    return [record["name"] for record in run["comparisons"]]


WORKERS = [pytest.param([], id="alone"), pytest.param(["-n", "2"], id="xdist")]


@pytest.mark.parametrize("second", WORKERS)
@pytest.mark.parametrize("first", WORKERS)
def test_two_runs_at_once_keep_their_results(pytester, started, first, second):
    runs = [started("one", *first), started("two", *second)]
    (pytester.path / "go-on").touch()
    outputs = [run.communicate(timeout=60)[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], outputs
    assert names(pytester.path / "imgdiff-report") == ["test_one.py::test_page"]
    assert names(pytester.path / "imgdiff-report-2") == ["test_two.py::test_page"]
    assert "in use" not in outputs[0]
    assert "imgdiff-report is in use by another run, so the results of this run are in imgdiff-report-2" in outputs[1]
    assert "results: imgdiff-report-2/results.json" in outputs[1]
    assert not list(pytester.path.rglob("*.lock"))


def test_a_run_that_was_killed_is_in_nobody_s_way(pytester, started):
    run = started("one")
    run.send_signal(signal.SIGKILL)
    run.wait()
    (pytester.path / "go-on").touch()
    (pytester.path / "test_one.py").rename(pytester.path / "test_two.py")
    pytester.runpytest_subprocess().assert_outcomes(passed=1)
    assert names(pytester.path / "imgdiff-report") == ["test_two.py::test_page"]
    assert not (pytester.path / "imgdiff-report-2").exists()


def test_the_command_leaves_the_folder_of_a_live_run(pytester, started):
    trees(pytester.path)
    run = started("one")
    command = ["-m", "pytest_imgdiff", "compare", "expected", "actual", "--report", "imgdiff-report"]
    compared = pytester.run(sys.executable, *command)
    assert compared.ret == 1
    compared.stdout.fnmatch_lines(["imgdiff-report is in use by another run*", "report: imgdiff-report-2/index.html"])
    (pytester.path / "go-on").touch()
    assert run.communicate(timeout=60) is not None
    assert run.returncode == 0
    assert names(pytester.path / "imgdiff-report") == ["test_one.py::test_page"]
    assert len(names(pytester.path / "imgdiff-report-2")) == 4


def test_a_folder_of_something_else_is_left_and_the_next_number_taken(pytester, started):
    other = pytester.path / "imgdiff-report-2/notes.txt"
    other.parent.mkdir()
    other.write_text("mine", encoding="utf-8")
    runs = [started("one"), started("two")]
    (pytester.path / "go-on").touch()
    assert [(run.communicate(timeout=60), run.returncode)[1] for run in runs] == [0, 0]
    assert names(pytester.path / "imgdiff-report-3") == ["test_two.py::test_page"]
    assert [path.name for path in other.parent.iterdir()] == ["notes.txt"]
