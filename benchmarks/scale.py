"""Many small pairs: time and memory of a local scan and of ``--cluster local``.

``python -m benchmarks.scale --pairs 10000``. It needs the extra ``cluster``, which brings psutil. Every pair has
its own files, made before the clock starts: 80 % of the pairs have equal bytes, 19 % equal pixels in
other bytes, 1 % differ.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from pytest_imgdiff.images import encode_png

WIDTH, HEIGHT = 64, 48
PER_FOLDER = 1000
LOOK_EVERY = 0.1
MEBIBYTE = 1 << 20


@dataclass
class Run:
    """What a scan took.

    Attributes:
        seconds: by the clock, from the start of the command to its end.
        processor: seconds of processor time, of all processes.
        client: the peak resident memory of the command's process, in bytes.
        worker: the same of the largest of its children.
        report: bytes of the report without its pictures.
    """

    seconds: float
    processor: float
    client: int
    worker: int
    report: int


def make_pairs(folder: Path, count: int) -> None:
    """Write so many pairs below ``expected`` and ``actual``."""
    noise = np.random.default_rng(1)
    ground = np.full((HEIGHT, WIDTH, 4), 255, np.uint8)
    for number in range(count):
        picture = ground.copy()
        picture[8:40, 8:56, :3] = noise.integers(0, 256, (4, 6, 3), np.uint8).repeat(8, 0).repeat(8, 1)
        changed = picture
        if number % 100 == 0:
            changed = picture.copy()
            changed[20:30, 20:40, :3] = 255 - changed[20:30, 20:40, :3]
        name = f"{number // PER_FOLDER:04}/{number:07}.png"
        first = encode_png(picture)
        again = first if number % 5 else _with_comment(encode_png(changed), number)
        for side, data in (("expected", first), ("actual", again)):
            path = folder / side / name
            if number % PER_FOLDER == 0:
                path.parent.mkdir(parents=True)
            path.write_bytes(data)


def _with_comment(png: bytes, number: int) -> bytes:
    """Return the PNG with a text chunk before its end."""
    body = b"tEXt" + b"Comment\0" + b"%d" % number
    chunk = (len(body) - 4).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")
    return png[:-12] + chunk + png[-12:]


def measured(folder: Path, report: str, *words: str) -> Run:
    """Compare the pairs."""
    command = [sys.executable, "-m", "pytest_imgdiff", "compare", "expected", "actual", "--quiet"]
    return watched([*command, "--report", report, *words], folder, report, ends_with=1)


def watched(command: list[str], folder: Path, report: str, *, ends_with: int) -> Run:
    """Run a command of ours in a process of its own, and look at it and its children while it runs."""
    started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL) as process:  # noqa: S603 - our own command
        peaks: dict[int, int] = {}
        while process.poll() is None:
            for each in _family(process.pid):
                with suppress(psutil.Error):  # it has ended
                    peaks[each.pid] = max(peaks.get(each.pid, 0), each.memory_info().rss)
            time.sleep(LOOK_EVERY)
    seconds, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    if process.returncode != ends_with:
        raise SystemExit(f"{command[3]} ended with code {process.returncode}")
    client = peaks.pop(process.pid, 0)
    size = sum(
        path.stat().st_size for path in (folder / report).rglob("*") if path.is_file() and "pictures" not in path.parts
    )
    return Run(seconds, processor, client, max(peaks.values(), default=0), size)


def _family(process: int) -> list[psutil.Process]:
    try:
        parent = psutil.Process(process)
        return [parent, *parent.children(recursive=True)]
    except psutil.Error:
        return []


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=10_000)
    parser.add_argument("--workers", type=int, nargs="+", default=[len(os.sched_getaffinity(0))])
    options = parser.parse_args()
    print("| pairs | where | processes | s | processor s | ms a pair | client MiB | largest worker MiB | report MiB |")
    print("|---|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="imgdiff-scale-") as name:
        folder = Path(name)
        make_pairs(folder, options.pairs)
        for workers in options.workers:
            jobs = ("--jobs", str(workers))
            for where, words in (("local", jobs), ("--cluster local", (*jobs, "--cluster", "local"))):
                run = measured(folder, "report", *words)
                memory = " | ".join(f"{size / MEBIBYTE:.0f}" for size in (run.client, run.worker, run.report))
                each = f"{run.seconds:.1f} | {run.processor:.1f} | {1000 * run.processor / options.pairs:.2f}"
                print(f"| {options.pairs} | {where} | {workers} | {each} | {memory} |", flush=True)
        _print_later(folder, options.pairs)


def _print_later(folder: Path, pairs: int) -> None:
    """Print what is done with a finished report: drawn anew as another, and its failures accepted, for a look."""
    words = {"report --from": ["report", "--from", "report", "--report", "again"]}
    words["accept --dry-run"] = ["accept", "report", "--only", "**", "--dry-run"]
    for name, each in words.items():
        ends_with = 1 if each[0] == "report" else 0
        run = watched([sys.executable, "-m", "pytest_imgdiff", *each], folder, "again", ends_with=ends_with)
        memory = f"{run.client / MEBIBYTE:.0f} | | {run.report / MEBIBYTE:.0f}"
        cost = f"{run.seconds:.1f} | {run.processor:.1f} | {1000 * run.processor / pairs:.2f}"
        print(f"| {pairs} | {name} | 1 | {cost} | {memory} |", flush=True)


if __name__ == "__main__":
    main()
