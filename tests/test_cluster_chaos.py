"""Workers killed in every phase of a run on a cluster, and schedulers that restart: the records of a quiet local run."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from pytest_imgdiff.report import read_results
from tests import warm
from tests.packages import install
from tests.report_records import png

COUNT = 200
LARGE = 77
"""The width of one pair."""
CHAOS = """
import os, signal
from pathlib import Path
from pytest_imgdiff.base.model import MetricResult

def die_if_asked(when):
    once = Path(__file__).parent / f"once {when}"
    always = Path(__file__).parent / f"always {when}"
    if always.exists():
        os.kill(os.getpid(), signal.SIGKILL)
    try:
        once.unlink()
    except FileNotFoundError:
        return
    os.kill(os.getpid(), signal.SIGKILL)

class Chaos:
    name, direction, perfect, bounds, counts_pixels = "chaos", "distance", 0.0, (0.0, 1.0), False
    unit, heat_threshold = "share", "none"
    def measure(self, expected, actual, mask):
        die_if_asked(f"at width {expected.size[0]}")
        return MetricResult(0.0, "share")

def imgdiff_metrics():
    return {"chaos": Chaos}
"""
PRELOAD = """
import sys, time
from pathlib import Path
import chaos

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "pytest_imgdiff.run.cluster":  # asked for its versions, a worker imports this
            (Path(__file__).parent / "checked").touch()
            chaos.die_if_asked("when versions are checked")
            while (Path(__file__).parent / "wait").exists():
                time.sleep(0.05)

sys.meta_path.insert(0, Finder())
"""
CLUSTER = """
import os, signal, time
from pathlib import Path
from distributed import LocalCluster

def holders(cluster):
    held = {state.address for task in list(cluster.scheduler.tasks.values()) for state in list(task.who_has or ())}
    return [nanny.pid for nanny in cluster.workers.values() if nanny.worker_address in held and nanny.pid]

def all_workers(cluster):
    return [nanny.pid for nanny in cluster.workers.values() if nanny.pid]

if __name__ == "__main__":
    cluster = LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        dashboard_address="127.0.0.1:0",
        silence_logs=50,
        preload=["preload_chaos"],
        scheduler_kwargs={"allowed_failures": 1},
    )
    print(cluster.scheduler_address, flush=True)
    while True:
        for when, whom in {"at once": all_workers, "when they hold results": holders}.items():
            asked = Path(__file__).parent / f"once {when}"
            if asked.exists() and (found := whom(cluster)):
                for process in found:
                    os.kill(process, signal.SIGKILL)
                asked.unlink()
        time.sleep(0.01)
"""
DROPPED = """
import distributed

def dropped():
    # distributed's wait may be cancelled in the moment in which its time ends; it has no result to return then.
    wait, calls = distributed.Future.result, []
    def result(self, timeout=None):
        calls.append(timeout)
        if len(calls) % 2:
            raise UnboundLocalError("cannot access local variable 'result' where it is not associated with a value")
        return wait(self, timeout)
    distributed.Future.result = result
    return "ADDRESS"
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder with a plugin that kills its process where a file beside it says so."""
    folder = tmp_path_factory.mktemp("plugin") / "site"
    install(folder, "chaos", {"chaos.py": CHAOS, "preload_chaos.py": PRELOAD, "cluster.py": CLUSTER}, "chaos = chaos")
    return folder


@pytest.fixture(scope="module")
def scene(tmp_path_factory, site):
    """Two hundred pairs, of which thirteen differ and one is broken, and the report of a quiet local run."""
    folder = tmp_path_factory.mktemp("scene")
    for side in ("expected", "actual"):
        (folder / side).mkdir()
        for number in range(COUNT):
            color = (number, 90, 100) if side == "expected" or number % 17 else (255, 0, 0)
            (folder / side / f"{number:03}.png").write_bytes(png(40 + number % 9, 30, color))
        (folder / side / "large.png").write_bytes(png(LARGE, 30, (1, 2, len(side))))
    (folder / "actual" / "005.png").write_bytes(b"\x89PNG cut off")
    assert compare(folder, site, folder / "quiet").returncode == 2
    return folder


@pytest.fixture(scope="module")
def cluster(site):
    """The address of a cluster for all tests of this file: two workers, which start again when they are killed."""
    with subprocess.Popen(
        [sys.executable, str(site / "cluster.py")],
        stdout=subprocess.PIPE,
        text=True,
        env=environment(site),
        start_new_session=True,
    ) as started:
        try:
            yield started.stdout.readline().strip()
        finally:
            os.killpg(started.pid, signal.SIGKILL)


@pytest.fixture
def report(scene, tmp_path):
    """A folder for a report, beside that of the quiet run."""
    return scene / tmp_path.name


def command(report, *words):
    base = [sys.executable, "-m", "pytest_imgdiff", "compare", "expected", "actual", "--quiet", "--measure", "chaos"]
    return [*base, "--report", str(report), *words]


def environment(site):
    return {**os.environ, "PYTHONPATH": str(site), "PYTHONUNBUFFERED": "1"}


def compare(folder, site, report, *words):
    return warm.run(command(report, *words), cwd=folder, env=environment(site))


def without_times(value):
    if isinstance(value, dict):
        return {key: without_times(one) for key, one in value.items() if key not in ("seconds", "run")}
    return list(map(without_times, value)) if isinstance(value, list) else value


def outcome(report):
    """Return the records without times, and the bytes of all images, of a report."""
    records = without_times(json.loads(Path(report, "results.json").read_bytes()))
    return records, {path.name: path.read_bytes() for path in Path(report, "pictures").iterdir()}


def wait_for(happened):
    end = time.monotonic() + 60
    while not (found := happened()):
        assert time.monotonic() < end
        time.sleep(0.01)
    return found


@pytest.mark.parametrize(
    "phases",
    [
        pytest.param(["at once", "when versions are checked"], id="while the command connects, and is told versions"),
        pytest.param([f"at width {LARGE}"], id="while it compares"),
        pytest.param(["when they hold results"], id="while results return"),
    ],
)
def test_a_killed_worker_changes_no_record(cluster, scene, site, report, phases):
    asked = [site / f"once {phase}" for phase in phases]
    for file in reversed(asked):
        file.touch()
    run = compare(scene, site, report, "--cluster", cluster)
    assert (run.returncode, run.stderr) == (2, "")
    assert [file.name for file in asked if file.exists()] == []
    assert outcome(report) == outcome(scene / "quiet")


def test_a_pair_that_kills_its_workers_is_broken_by_name_and_the_others_are_judged(cluster, scene, site, report):
    asked = site / f"always at width {LARGE}"
    asked.touch()
    try:
        run = compare(scene, site, report, "--cluster", cluster)
    finally:
        asked.unlink()
    assert run.returncode == 2, run.stderr
    quiet = {record.name: record.verdict for record in read_results(scene / "quiet" / "results.json").comparisons}
    records = read_results(report / "results.json").comparisons
    assert {record.name: record.verdict for record in records} == {**quiet, "large.png": "broken"}
    (lost,) = (record for record in records if record.name == "large.png")
    assert "the workers that compared this pair died" in lost.reason


def test_a_wait_that_distributed_drops_changes_no_record(cluster, scene, site, report):
    (site / "dropping.py").write_text(DROPPED.replace("ADDRESS", cluster))
    run = compare(scene, site, report, "--cluster", "dropping:dropped")
    assert (run.returncode, run.stderr) == (2, "")
    assert outcome(report) == outcome(scene / "quiet")


def test_a_scheduler_that_comes_late_and_restarts_while_versions_are_checked_changes_no_record(scene, site, report):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    options = ["scheduler", "--no-dashboard", "--host", address]
    worker = ["worker", address, "--nthreads=1", "--no-nanny", "--no-dashboard", "--death-timeout=20"]
    worker += ["--preload", "preload_chaos"]
    with ExitStack() as started:

        def start(words, **more):
            process = started.enter_context(subprocess.Popen(words, env=environment(site), **more))
            started.callback(process.kill)
            return process

        def start_dask(name, *words):
            quiet = subprocess.DEVNULL
            return start([sys.executable, "-m", f"distributed.cli.dask_{name}", *words], stdout=quiet, stderr=quiet)

        run = start(command(report, "--cluster", address), cwd=scene, stderr=subprocess.PIPE, text=True)
        waits, checked = site / "wait", site / "checked"
        checked.unlink(missing_ok=True)
        waits.touch()
        scheduler = start_dask(*options)
        start_dask(*worker)
        wait_for(checked.exists)
        scheduler.kill()
        scheduler.wait()
        waits.unlink()
        start_dask(*options)
        start_dask(*worker)
        _, told = run.communicate(timeout=120)
    assert (run.returncode, told) == (2, "")
    assert outcome(report) == outcome(scene / "quiet")
