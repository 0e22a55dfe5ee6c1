"""Pairs compared on a real Dask cluster of processes: the records of a local run, whatever happens to the workers."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from pytest_imgdiff.report import read_results
from tests import warm
from tests.packages import install
from tests.report_records import png

COUNT = 200
FACTORIES = """
import os, subprocess, sys, threading, time
from distributed import LocalCluster

def started(**options):
    return LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0", silence_logs=50, **options)

def shrinking():
    cluster = started()
    def shrink():
        while not any(task.state == "memory" for task in list(cluster.scheduler.tasks.values())):
            time.sleep(0.001)
        cluster.scale(0)
    threading.Thread(target=shrink, daemon=True).start()
    return cluster

def empty():
    return LocalCluster(n_workers=0, dashboard_address="127.0.0.1:0", silence_logs=50)

def others():
    cluster = empty()
    command = [sys.executable, "-m", "distributed.cli.dask_worker", cluster.scheduler_address]
    options = ["--no-nanny", "--no-dashboard", "--nthreads=1", "--death-timeout=5"]
    environment = {**os.environ, "PYTHONPATH": os.path.abspath("others")}
    quiet = subprocess.DEVNULL
    subprocess.Popen([*command, *options], env=environment, stdout=quiet, stderr=quiet)
    return cluster

def failing():
    raise OSError("no quota")
"""
SLOW = """
import time
from pytest_imgdiff.base.model import MetricResult

class Slow:
    name, direction, perfect, bounds, counts_pixels = "slow", "distance", 0.0, (0.0, 1.0), False
    unit, heat_threshold = "share", "none"
    def measure(self, expected, actual, mask):
        time.sleep(0.4)
        return MetricResult(0.0, "share")

def imgdiff_metrics():
    return {"slow": Slow}
"""


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """Two hundred pairs, of which twelve differ and one is broken."""
    monkeypatch.chdir(tmp_path)
    for side in ("expected", "actual"):
        (tmp_path / side).mkdir()
        for number in range(COUNT):
            color = (number, 90, 100) if side == "expected" or number % 17 else (255, 0, 0)
            (tmp_path / side / f"{number:03}.png").write_bytes(png(40 + number % 9, 30, color))
    (tmp_path / "actual" / "005.png").write_bytes(b"\x89PNG cut off")
    (tmp_path / "clusters.py").write_text(FACTORIES)
    return tmp_path


def compare(*words, **environment):
    command = [sys.executable, "-m", "pytest_imgdiff", "compare", "expected", "actual", "--quiet", *words]
    return warm.run(command, env={**os.environ, **environment})


def without_times(value):
    if isinstance(value, dict):
        return {key: without_times(one) for key, one in value.items() if key not in ("seconds", "run")}
    return list(map(without_times, value)) if isinstance(value, list) else value


def results(name):
    return without_times(json.loads(Path(name, "results.json").read_bytes()))


def pictures(name):
    return {path.name: path.read_bytes() for path in Path(name, "pictures").iterdir()}


@pytest.mark.usefixtures("folders")
def test_the_records_are_those_of_a_local_run():
    local = compare("--report", "here")
    there = compare("--report", "there", "--cluster", "local", "--jobs", "2")

    assert [run.returncode for run in (local, there)] == [2, 2], there.stderr
    assert len(results("here")["comparisons"]) == COUNT
    assert [results("there"), pictures("there")] == [results("here"), pictures("here")]
    assert there.stderr == ""


def test_a_cluster_that_shrinks_to_nothing_passes_nothing_and_ends(folders):
    run = compare("--report", "r", "--cluster", "clusters:shrinking", "--cluster-timeout", "2")
    assert run.returncode == 2
    records = read_results(folders / "r" / "results.json").comparisons
    assert len(records) == COUNT
    lost = [
        record for record in records if record.reason and "the cluster had no worker for 2 seconds" in record.reason
    ]
    assert lost
    assert {record.verdict for record in lost} == {"broken"}


def test_a_scheduler_that_restarts_changes_no_record(folders):
    path = install(folders / "site", "slow", {"slow.py": SLOW}, "slow = slow")
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    options = ["--no-dashboard", "--host", address]
    worker = ["worker", address, "--nthreads=1", "--no-nanny", "--no-dashboard", "--death-timeout=20"]
    words = ["--report", "there", "--measure", "slow"]
    with ExitStack() as started:

        def start(name, *words):
            command = [sys.executable, "-m", f"distributed.cli.dask_{name}", *words]
            quiet = subprocess.DEVNULL
            process = started.enter_context(subprocess.Popen(command, env=environment, stdout=quiet, stderr=quiet))
            started.callback(process.kill)
            return process

        scheduler = start("scheduler", *options)
        start(*worker)
        command = [sys.executable, "-m", "pytest_imgdiff", "compare", "expected", "actual", "-v", *words]
        run = started.enter_context(
            subprocess.Popen([*command, "--cluster", address], env=environment, stdout=subprocess.PIPE, text=True)
        )
        assert "000.png" in run.stdout.readline()
        scheduler.kill()
        scheduler.wait()
        start("scheduler", *options)
        start(*worker)
        run.communicate(timeout=120)

    assert run.returncode == 2
    compare("--report", "here", "--measure", "slow", PYTHONPATH=path)
    assert [results("there"), pictures("there")] == [results("here"), pictures("here")]


@pytest.mark.usefixtures("folders")
@pytest.mark.parametrize(
    ("cluster", "told"),
    [
        ("tcp://127.0.0.1:9", "no scheduler responded within 1 seconds"),
        ("there", "must be local, the URL of a scheduler (tcp://HOST:PORT), or MODULE:FACTORY"),
        ("clusters:failing", "the factory failed: OSError: no quota"),
        ("clusters:empty", "no worker started within 1 seconds"),
    ],
)
def test_a_cluster_that_is_not_there_is_told_in_one_line(cluster, told):
    run = compare("--cluster", cluster, "--cluster-timeout", "1", "--report", "r")
    assert run.returncode == 2
    assert told in run.stderr
    assert run.stderr.count("\n") == 1
    assert not Path("r", "results.json").exists()


def test_workers_with_other_versions_compare_nothing(folders):
    install(folders / "others", "painter", {"painter.py": ""}, "painter = painter")
    run = compare("--cluster", "clusters:others", "--report", "r")
    assert run.returncode == 2
    assert "has painter 1.0 of the plugin painter, and this machine has nothing" in run.stderr

    (folders / "others" / "pytest_imgdiff.py").write_text("raise ModuleNotFoundError('No module named pytest_imgdiff')")
    run = compare("--cluster", "clusters:others", "--report", "r")
    assert run.returncode == 2
    assert "cannot load pytest-imgdiff" in run.stderr
    assert not (folders / "r" / "results.json").exists()


@pytest.mark.usefixtures("folders")
def test_what_workers_cannot_do_is_told_before_they_start():
    code = "import sys; sys.modules['distributed'] = None; from pytest_imgdiff.cli.parser import main; sys.exit(main(sys.argv[1:]))"
    words = ["compare", "expected", "actual", "--cluster", "local"]
    run = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert "pip install 'pytest-imgdiff[cluster]'" in run.stderr


def left_of(group: int) -> list[str]:
    """Return the states of the processes of a group that are not dead."""
    states = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it ended meanwhile
            state, _, its_group, *_ = path.read_text().rpartition(")")[2].split()
            states += [state] if int(its_group) == group and state != "Z" else []
    return states


@pytest.mark.usefixtures("folders")
def test_ctrl_c_ends_the_run_and_its_workers():
    command = [sys.executable, "-m", "pytest_imgdiff", "compare", "expected", "actual", "-v", "--cluster", "local"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        [*command, "--jobs", "2"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    ) as run:
        assert "000.png" in run.stdout.readline()
        os.killpg(run.pid, signal.SIGINT)
        _, told = run.communicate(timeout=60)
    assert run.returncode == 2
    assert told == "pytest-imgdiff: interrupted; not all images were compared\n"
    deadline = time.monotonic() + 20  # a worker may be on its way out
    while left_of(run.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left_of(run.pid) == []
