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

def stop_if_asked():
    if "CHAOS_STOPS" not in os.environ:
        return
    try:
        (Path(__file__).parent / "once stop").unlink()
    except FileNotFoundError:
        return
    os.kill(os.getpid(), signal.SIGSTOP)

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
            chaos.stop_if_asked()
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
    looked = time.monotonic()
    while True:
        if time.monotonic() - looked > 1:
            looked = time.monotonic()
            if len(cluster.workers) < 2:  # a nanny whose process is killed while it starts gives up
                cluster.scale(2)
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


class Dask:
    """A scheduler and workers as processes of their own, until the test ends."""

    def __init__(self, site):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
        self.environment = environment(site)
        self.stack = ExitStack()

    def start(self, words, **more):
        process = self.stack.enter_context(subprocess.Popen(words, env=self.environment, **more))
        self.stack.callback(process.kill)
        return process

    def start_dask(self, name, *words):
        quiet = subprocess.DEVNULL
        return self.start([sys.executable, "-m", f"distributed.cli.dask_{name}", *words], stdout=quiet, stderr=quiet)

    def start_scheduler(self):
        return self.start_dask("scheduler", "--no-dashboard", "--host", self.address)

    def start_worker(self):
        options = ["--nthreads=1", "--no-nanny", "--no-dashboard", "--death-timeout=20"]
        return self.start_dask("worker", self.address, *options, "--preload", "preload_chaos")


@pytest.fixture
def dask(site):
    processes = Dask(site)
    with processes.stack:
        yield processes


def test_a_scheduler_that_comes_late_and_restarts_while_versions_are_checked_changes_no_record(
    dask, scene, site, report
):
    words = command(report, "--cluster", dask.address)
    run = dask.start(words, cwd=scene, stderr=subprocess.PIPE, text=True)
    waits, checked = site / "wait", site / "checked"
    checked.unlink(missing_ok=True)
    waits.touch()
    scheduler = dask.start_scheduler()
    dask.start_worker()
    wait_for(checked.exists)
    scheduler.kill()
    scheduler.wait()
    waits.unlink()
    dask.start_scheduler()
    dask.start_worker()
    _, told = run.communicate(timeout=120)
    assert (run.returncode, told) == (2, "")
    assert outcome(report) == outcome(scene / "quiet")


def test_a_worker_that_is_stuck_while_versions_are_checked_does_not_stop_the_run(dask, scene, site, report):
    dask.environment["DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL"] = "None"
    dask.environment["CHAOS_STOPS"] = "1"
    (site / "once stop").touch()
    dask.start_scheduler()
    for _ in range(2):
        dask.start_worker()
    words = command(report, "--cluster", dask.address, "--cluster-timeout", "2")
    run = dask.start(words, cwd=scene, stderr=subprocess.PIPE, text=True)
    _, told = run.communicate(timeout=120)
    assert (run.returncode, told) == (2, "")
    quiet = {record.name: record.verdict for record in read_results(scene / "quiet" / "results.json").comparisons}
    records = read_results(report / "results.json").comparisons
    broken = [
        record for record in records if record.verdict == "broken" and "the cluster returned no result" in record.reason
    ]
    assert broken
    behind = [record.verdict for record in records][records.index(broken[0]) :]
    assert set(behind) - {"broken"}  # what the other worker finished meanwhile
    assert {record.name: record.verdict for record in records} == {**quiet, **{each.name: "broken" for each in broken}}
