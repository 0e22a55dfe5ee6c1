"""Goal 6: peak memory of one pair, and of many at once."""

from __future__ import annotations

import shutil
import sys
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.attempts import attempted
from benchmarks.commands import compare
from benchmarks.goals import goal
from benchmarks.processes import workers
from benchmarks.table import Row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.bench import Bench

AT_ONCE = 8


def measure(bench: Bench) -> Iterator[Row]:
    """Measure pairs one by one, then many large ones in one command."""
    for picture in ("4k-photo", "page", "4k-interface"):
        name = f"memory/{picture}/one-pair"
        if bench.wanted(name):
            yield attempted(name, partial(_one_pair, bench, name, picture))
    if bench.wanted("memory/in-flight") and not bench.quick:
        yield attempted("memory/in-flight", lambda: _in_flight(bench))


def _one_pair(bench: Bench, name: str, picture: str) -> Row:
    """Measure each time in a process of its own: the next run in one would find memory that is held already."""
    expected, actual = bench.pictures.pair(picture)
    figures = []
    for _ in range(1 if bench.quick else bench.rounds):
        with workers() as start:
            files = {"expected": expected, "actual": actual, "mask": bench.scratch / "ours.png"}
            figures.append(start(sys.executable, "ours.pair", **files).memory())
    return Row(goal(name), figures)


def _in_flight(bench: Bench) -> Row:
    folders = [bench.scratch / "pages" / side for side in ("expected", "actual")]
    for folder, picture in zip(folders, bench.pictures.pair("page"), strict=True):
        folder.mkdir(parents=True, exist_ok=True)
        for index in range(AT_ONCE):
            shutil.copyfile(picture, folder / f"{index}.png")
    command = compare(bench, *folders, "--jobs", str(AT_ONCE))
    figures = [command.run()[1] for _ in range(bench.rounds)]
    return Row(goal("memory/in-flight"), figures)
