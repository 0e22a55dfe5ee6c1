"""Many small pairs: time and memory of a local scan, of ``--cluster local``, and of a cluster with its own scheduler.

``python -m benchmarks.scale --pairs 10000``. It needs the extra ``cluster``, which brings psutil. Every pair has
its own files, made before the clock starts: 80 % of the pairs have equal bytes, 19 % equal pixels in
other bytes, 1 % differ. With ``--generated`` no disk holds them: they are made when they are read
(``benchmarks.generated``), as for a million pairs.
"""

from __future__ import annotations

import argparse
import os
import resource
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from benchmarks import generated

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LOOK_EVERY = 0.2
MEBIBYTE = 1 << 20
WHERE = ("local", "cluster-local", "cluster")
_WITHOUT_DASHBOARD = {"DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False"}


@dataclass
class Cost:
    """What some processes took.

    Attributes:
        processor: seconds of processor time.
        memory: the peak resident memory of the largest of them, in bytes.
    """

    processor: float = 0.0
    memory: int = 0


@dataclass
class Run:
    """What a command took.

    Attributes:
        seconds: by the clock, from the start of the command to its end.
        client: the command's own process. With ``--cluster local`` the scheduler is a part of it.
        workers: its children, or the workers of a cluster.
        scheduler: that of a cluster, if it is a process of its own.
        report: bytes of the report without its images.
    """

    seconds: float = 0.0
    client: Cost = field(default_factory=Cost)
    workers: Cost = field(default_factory=Cost)
    scheduler: Cost = field(default_factory=Cost)
    report: int = 0

    @property
    def processor(self) -> float:
        """Seconds of processor time of all processes."""
        return self.client.processor + self.workers.processor + self.scheduler.processor


def make_pairs(folder: Path, count: int) -> None:
    """Write so many pairs below ``expected`` and ``actual``."""
    for number in range(count):
        for side in generated.SIDES:
            path = folder / side / generated.name_of(number)
            if number % generated.PER_FOLDER == 0:
                path.parent.mkdir(parents=True)
            path.write_bytes(generated.image(number, side))


class Watch:
    """Looks at processes and remembers the most that each took."""

    def __init__(self) -> None:
        self._seen: dict[psutil.Process, tuple[float, int]] = {}

    def look(self, processes: Sequence[psutil.Process]) -> None:
        """Look at these now."""
        for each in processes:
            with suppress(psutil.Error):  # it has ended
                with each.oneshot():
                    times, memory = each.cpu_times(), each.memory_info().rss
                self._seen[each] = (times.user + times.system, max(memory, self._seen.get(each, (0, 0))[1]))

    def cost(self) -> Cost:
        """Return what all of them took together, and the largest at its peak."""
        seen = self._seen.values()
        return Cost(sum(seconds for seconds, _ in seen), max((memory for _, memory in seen), default=0))


def watched(
    command: list[str],
    folder: Path,
    report: str,
    *,
    ends_with: int,
    scheduler: psutil.Process | None = None,
    workers: Sequence[psutil.Process] = (),
) -> Run:
    """Run a command of ours in a process of its own, and look at it, its children and a cluster while it runs."""
    started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    clients, schedulers, others = Watch(), Watch(), Watch()
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL) as process:  # noqa: S603 - our own command
        while process.poll() is None:
            clients.look(_family(process.pid)[:1])
            schedulers.look([] if scheduler is None else [scheduler])
            others.look([*_family(process.pid)[1:], *workers])
            time.sleep(LOOK_EVERY)
    seconds, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if process.returncode != ends_with:
        raise SystemExit(f"{command[3]} ended with code {process.returncode}")
    total = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    run = Run(seconds, clients.cost(), others.cost(), schedulers.cost())
    # What children did between the last look and their end counts as the client's.
    run.client.processor = total - (0 if workers else run.workers.processor)
    run.report = sum(
        path.stat().st_size for path in (folder / report).rglob("*") if path.is_file() and "pictures" not in path.parts
    )
    return run


def _family(process: int) -> list[psutil.Process]:
    try:
        parent = psutil.Process(process)
        return [parent, *parent.children(recursive=True)]
    except psutil.Error:
        return []


@contextmanager
def cluster(workers: int) -> Iterator[tuple[str, psutil.Process, list[psutil.Process]]]:
    """Start a scheduler and so many workers as processes; yield the address and the processes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    words = [["scheduler", "--host", address, "--no-dashboard"]]
    words += [["worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard"]] * workers
    with ExitStack() as started:
        processes = []
        for each in words:
            process = started.enter_context(
                subprocess.Popen(  # noqa: S603 - our own command
                    [sys.executable, "-m", f"distributed.cli.dask_{each[0]}", *each[1:]],
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    env=os.environ | _WITHOUT_DASHBOARD,
                )
            )
            started.callback(process.kill)
            processes.append(psutil.Process(process.pid))
        yield address, processes[0], processes[1:]


def measured(folder: Path, sides: Sequence[str], where: str, workers: int) -> Run:
    """Compare the pairs."""
    command = [sys.executable, "-m", "pytest_imgdiff", "compare", *sides, "--quiet", "--report", "report"]
    command += ["--jobs", str(workers)]
    if where == "local":
        return watched(command, folder, "report", ends_with=1)
    if where == "cluster-local":
        return watched([*command, "--cluster", "local"], folder, "report", ends_with=1)
    with cluster(workers) as (address, scheduler, processes):
        command += ["--cluster", address]
        return watched(command, folder, "report", ends_with=1, scheduler=scheduler, workers=processes)


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, nargs="+", default=[10_000])
    parser.add_argument("--workers", type=int, nargs="+", default=[len(os.sched_getaffinity(0))])
    parser.add_argument("--where", nargs="+", choices=WHERE, default=list(WHERE))
    parser.add_argument("--generated", action="store_true", help="make the images when they are read")
    options = parser.parse_args()
    print("| pairs | what | workers | s | processor s | client s | scheduler s | ms a pair ", end="")
    print("| client MiB | scheduler MiB | largest worker MiB | report MiB |")
    print("|---|---|---|---|---|---|---|---|---|---|---|---|")
    for pairs in options.pairs:
        with tempfile.TemporaryDirectory(prefix="imgdiff-scale-") as name:
            folder = Path(name)
            sides: Sequence[str] = generated.SIDES
            if options.generated:
                generated.install(folder / "site")
                here = str(Path(__file__).parents[1])
                os.environ["PYTHONPATH"] = os.pathsep.join([str(folder / "site"), here])
                sides = [f"generated://{pairs}/{side}" for side in sides]
            else:
                make_pairs(folder, pairs)
            for workers in options.workers:
                for where in options.where:
                    _print(pairs, where, workers, measured(folder, sides, where, workers))
            _print_later(folder, pairs, accepts=not options.generated)


def _print(pairs: int, what: str, workers: int, run: Run) -> None:
    costs = (run.client, run.scheduler, run.workers)
    memory = " | ".join(f"{size / MEBIBYTE:.0f}" for size in (*(cost.memory for cost in costs), run.report))
    seconds = f"{run.seconds:.1f} | {run.processor:.1f} | {run.client.processor:.1f} | {run.scheduler.processor:.1f}"
    print(f"| {pairs} | {what} | {workers} | {seconds} | {1000 * run.processor / pairs:.2f} | {memory} |", flush=True)


def _print_later(folder: Path, pairs: int, *, accepts: bool) -> None:
    """Print what is done with a finished report: drawn anew as another, and its failures accepted, for a look."""
    words = {"report --from": ["report", "--from", "report", "--report", "again"]}
    if accepts:  # nothing is accepted into a store
        words["accept --dry-run"] = ["accept", "report", "--only", "**", "--dry-run"]
    for name, each in words.items():
        ends_with = 1 if each[0] == "report" else 0
        run = watched([sys.executable, "-m", "pytest_imgdiff", *each], folder, "again", ends_with=ends_with)
        _print(pairs, name, 1, run)


if __name__ == "__main__":
    main()
