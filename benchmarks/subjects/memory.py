"""Goal 7: peak memory of one pair, and of many at once, beside their decoded size."""

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
    from pathlib import Path

    from benchmarks.bench import Bench

AT_ONCE = 8
IN_FLIGHT = 2**30 / 1e6
"""The default limit of what is decoded at once, in MB."""
_WIDTH = slice(16, 20)
_HEIGHT = slice(20, 24)
"""Where a PNG says its size."""


def measure(bench: Bench) -> Iterator[Row]:
    """Measure pairs one by one, then many large ones in one command."""
    for picture in ("4k-interface", "4k-photo", "page"):
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
    return Row(goal(name), figures, [decoded_megabytes(expected)] * len(figures))


def decoded_megabytes(picture: Path) -> float:
    """Return the size of a pair of this PNG's size decoded, four channels of 8 bits."""
    with picture.open("rb") as file:
        header = file.read(_HEIGHT.stop)
    width, height = (int.from_bytes(header[place], "big") for place in (_WIDTH, _HEIGHT))
    return 2 * width * height * 4 / 1e6


def _in_flight(bench: Bench) -> Row:
    folders = [bench.scratch / "pages" / side for side in ("expected", "actual")]
    for folder, picture in zip(folders, bench.pictures.pair("page"), strict=True):
        folder.mkdir(parents=True, exist_ok=True)
        for index in range(AT_ONCE):
            shutil.copyfile(picture, folder / f"{index}.png")
    command = compare(bench, *folders, "--jobs", str(AT_ONCE))
    figures = [command.run()[1] for _ in range(bench.rounds)]
    return Row(goal("memory/in-flight"), figures, [IN_FLIGHT] * len(figures))
