"""Jobs side by side: their results in order, their errors, and what happens when a process of theirs dies."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from pytest_imgdiff.base.parallel import RunAhead
from tests.pictures import BLUE, RED, square, write

ROOT = Path(__file__).parent.parent
COPIES = pytest.mark.skipif(sys.platform != "linux", reason="only there processes begin as copies")
PREPARED = """
import os, signal, sys, threading
from pytest_imgdiff.base.errors import BrokenImageError, ImgdiffError
from pytest_imgdiff.base.parallel import RunAhead
HERE = os.getpid()
def ahead(job, count, **options):
    return RunAhead(job, [f"key {number}" for number in range(count)], 2, apart=True, **options)
def number(key):
    return int(key.split()[1])
"""


def told(script: str) -> str:
    """What a process prints that runs this after `PREPARED`: this one has threads, so that it makes no copies."""
    done = subprocess.run(
        [sys.executable, "-c", PREPARED + textwrap.dedent(script)], check=True, capture_output=True, text=True, cwd=ROOT
    )
    assert not done.stderr
    return done.stdout


@pytest.mark.parametrize("count", [1, 16, 33, 700])
def test_results_come_in_the_order_in_which_they_are_asked_for(count):
    script = f"""
    jobs = ahead(lambda key: (number(key), os.getpid()), {count})
    order = sorted(range({count}), key=lambda n: (n % 7, -n))
    found = [jobs.result(f"key {{n}}") for n in order]
    jobs.close()
    print([n for n, _ in found] == order, len({{pid for _, pid in found}} - {{HERE}}))
    """
    assert told(script).split()[0] == "True"


@COPIES
def test_what_this_process_does_meanwhile_is_done_once_and_not_before_a_result_is_asked_for():
    script = """
    for count in (15, 16):
        done = []
        jobs = ahead(number, count, meanwhile=lambda: done.append(os.getpid() == HERE))
        before = list(done)
        print(before, [jobs.result(f"key {n}") for n in range(count)] == list(range(count)), done)
        jobs.close()
    """
    assert told(script).splitlines() == ["[] True []", "[] True [True]"]


@COPIES
def test_many_jobs_run_on_processes_of_their_own_and_few_do_not():
    script = """
    for count in (15, 16):
        jobs = ahead(lambda key: os.getpid(), count)
        print(HERE in {jobs.result(f"key {n}") for n in range(count)})
        jobs.close()
    """
    assert told(script).split() == ["True", "False"]


@COPIES
def test_a_process_with_threads_is_not_copied():
    script = """
    done = threading.Event()
    threading.Thread(target=done.wait).start()
    jobs = ahead(lambda key: os.getpid(), 40)
    print({jobs.result(f"key {n}") for n in range(40)} == {HERE})
    jobs.close()
    done.set()
    """
    assert told(script).strip() == "True"


def test_what_a_job_raises_is_raised_where_its_result_is_asked_for_and_costs_no_other_job():
    script = """
    def job(key):
        if number(key) % 5 == 0:
            raise BrokenImageError(key, "PNG", "truncated")
        return number(key)
    jobs = ahead(job, 60)
    for n in range(60):
        try:
            assert jobs.result(f"key {n}") == n and n % 5
        except BrokenImageError as error:
            assert n % 5 == 0 and str(error) == f"key {n}: PNG: truncated"
    try:
        jobs.result("key 3")
    except KeyError:
        print("once")
    jobs.close()
    """
    assert told(script).strip() == "once"


@COPIES
def test_jobs_whose_processes_die_are_named_and_all_others_are_done():
    script = """
    def job(key):
        if number(key) == 20:
            os.kill(os.getpid(), signal.SIGKILL)
        if number(key) == 21:
            os.kill(os.getpid(), signal.SIGSEGV)
        if number(key) == 33:
            os._exit(3)
        return number(key), os.getpid()
    lost = []
    jobs = ahead(job, 40, on_loss=lambda: lost.append(os.getpid() == HERE))
    for n in range(40):
        try:
            value, process = jobs.result(f"key {n}")
            assert value == n and process != HERE
        except ImgdiffError as error:
            print(n, error)
    jobs.close()
    print(lost)
    """
    first, second, third, rest = told(script).splitlines()
    assert first.startswith("20 the process that compared this pair died (SIGKILL): if memory ran out, ")
    assert second.startswith("21 the process that compared this pair died (SIGSEGV): ")
    assert third.startswith("33 the process that compared this pair died (exit code 3): ")
    assert rest == "[True, True, True]"


@COPIES
def test_where_processes_die_and_are_at_no_job_nothing_waits_for_ever():
    script = """
    class Ending:
        def __reduce__(self):
            os._exit(7)  # while the result is sent
    jobs = ahead(lambda key: Ending(), 40)
    for n in (0, 1):
        try:
            jobs.result(f"key {n}")
        except ImgdiffError as error:
            print(n, error)
    jobs.close()
    """
    words = "processes that compare images die before they compare any (exit code 7): "
    assert [line.partition("find")[0] for line in told(script).splitlines()] == [f"0 {words}", f"1 {words}"]


def children_of(process: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def many_pairs(folder: Path) -> tuple[Path, Path]:
    expected, actual = folder / "expected", folder / "actual"
    for number in range(120):
        pixels = np.random.default_rng(number).integers(0, 255, (300, 300, 3), np.uint8)
        write(expected / f"{number}.png", pixels)
        write(actual / f"{number}.png", pixels ^ np.uint8(64))
    return expected, actual


@COPIES
@pytest.mark.parametrize("command", [["-m", "pytest_imgdiff", "compare"], ["-m", "pytest", "-q", "--imgdiff-scan"]])
def test_a_pair_whose_process_is_killed_is_broken_and_all_others_are_judged(command, tmp_path):
    folders = many_pairs(tmp_path)
    words = [sys.executable, *command, *map(str, folders)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    if "pytest" in command:
        words += ["-p", "pytest_imgdiff.plugin", "-p", "no:cacheprovider"]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=tmp_path, env=environment
    ) as run:
        deadline = time.monotonic() + 60
        while not (children := children_of(run.pid)) and time.monotonic() < deadline:
            time.sleep(0.005)
        while not _has_worked(children[0]) and time.monotonic() < deadline:
            time.sleep(0.001)
        os.kill(children[0], signal.SIGKILL)
        output, _ = run.communicate(timeout=300)
    assert run.returncode == (2 if "compare" in command else 1), output
    told_of = r"\d+\.png(: |.*\n.*reason: +)the process that compared this pair died \(SIGKILL\): if memory ran out"
    assert re.search(told_of, output), output
    assert "120 comparisons: 120 failed (119 different, 1 broken)" in output
    assert "Traceback" not in output
    assert "KeyError" not in output


@COPIES
@pytest.mark.parametrize("command", [["-m", "pytest_imgdiff", "compare"], ["-m", "pytest", "-q", "--imgdiff-scan"]])
def test_a_pair_whose_process_is_stopped_is_broken_and_all_others_are_judged(command, tmp_path):
    folders = many_pairs(tmp_path)
    words = [sys.executable, *command, *map(str, folders)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    if "pytest" in command:
        words += ["-p", "pytest_imgdiff.plugin", "-p", "no:cacheprovider"]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=tmp_path, env=environment
    ) as run:
        deadline = time.monotonic() + 60
        while not (children := children_of(run.pid)) and time.monotonic() < deadline:
            time.sleep(0.005)
        while not _has_worked(children[0]) and time.monotonic() < deadline:
            time.sleep(0.001)
        os.kill(children[0], signal.SIGSTOP)
        output, _ = run.communicate(timeout=300)
    assert run.returncode == (2 if "compare" in command else 1), output
    told_of = r"\d+\.png(: |.*\n.*reason: +)the process that compared this pair was stopped \(SIGSTOP\) for 5 seconds"
    assert re.search(told_of, output), output
    assert "120 comparisons: 120 failed (119 different, 1 broken)" in output
    assert "Traceback" not in output


def _has_worked(process: int) -> bool:
    """Whether the process has used the processor for 0.05 s: it is at some pair."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12]) >= 5


@COPIES
def test_a_job_whose_process_is_stopped_is_told_and_the_others_are_done():
    script = """
    def job(key):
        if number(key) == 0:
            os.kill(os.getpid(), signal.SIGSTOP)
        return number(key)
    lost = []
    jobs = ahead(job, 16, on_loss=lambda: lost.append(1))
    for n in range(16):
        try:
            assert jobs.result(f"key {n}") == n
        except ImgdiffError as error:
            print(n, error)
    jobs.close()
    print(lost)
    """
    first, *rest = told(script).splitlines()
    assert first.startswith("0 the process that compared this pair was stopped (SIGSTOP) for 5 seconds and was ended; ")
    assert rest == ["[1]"]


@COPIES
def test_copies_end_with_the_process_that_began_them(tmp_path):
    words = [sys.executable, "-m", "pytest_imgdiff", "compare", *map(str, many_pairs(tmp_path))]
    with subprocess.Popen(
        words, stdout=subprocess.DEVNULL, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}
    ) as run:
        deadline = time.monotonic() + 60
        while len(children := children_of(run.pid)) < 2 and time.monotonic() < deadline:
            time.sleep(0.005)
        run.kill()
    while any(Path(f"/proc/{child}/cmdline").is_file() and _runs(child) for child in children):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _runs(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


COUNTING = """
import os
from dataclasses import dataclass
from pytest_imgdiff import MetricResult

SEEN = []

@dataclass(frozen=True)
class Counting:
    name, direction, perfect, bounds = "counting", "distance", 0.0, (0.0, 1.0)
    counts_pixels, unit, heat_threshold = False, "share", "none"

    def measure(self, expected, actual, ignore):
        SEEN.append(expected.info.label)
        return MetricResult(0.0, self.unit)

def imgdiff_metrics():
    return {"counting": Counting}

def pytest_sessionfinish(session):
    print("seen here:", len(SEEN))
"""


def test_a_metric_of_a_plugin_sees_all_pairs_in_one_process(tmp_path, monkeypatch):
    (tmp_path / "conftest.py").write_text(COUNTING, encoding="utf-8")
    (tmp_path / "imgdiff.yaml").write_text("metrics:\n  counting: {max: 0.5}\n", encoding="utf-8")
    for number in range(20):
        write(tmp_path / f"expected/{number}.png", square(RED, 40 + number))
        write(tmp_path / f"actual/{number}.png", square(BLUE, 40 + number))
    words = [sys.executable, "-m", "pytest", "-q", "-s", "-p", "pytest_imgdiff.plugin", "-p", "no:cacheprovider"]
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    run = subprocess.run(
        [*words, "--imgdiff-scan", "expected", "actual"], check=False, capture_output=True, text=True, cwd=tmp_path
    )
    assert "20 passed" in run.stdout, run.stdout
    assert "seen here: 20" in run.stdout


def test_jobs_that_run_on_threads_give_the_same():
    jobs = RunAhead(lambda key: key * 2, range(50), 3)
    assert [jobs.result(number) for number in range(50)] == [2 * number for number in range(50)]
    jobs.close()
