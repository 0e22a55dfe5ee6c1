"""Goal 2: a folder of pairs of 1280x720, by our command and by pytest, beside odiff on as many processes as cores."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from benchmarks.commands import compare, scan
from benchmarks.duels import duels
from benchmarks.goals import MIXES
from benchmarks.machine import cores
from benchmarks.processes import CODES, Command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from benchmarks.alternating import Contender
    from benchmarks.bench import Bench
    from benchmarks.processes import Worker, Workers
    from benchmarks.table import Row

GOAL_PAIRS = 200
"""Of so many the goals are; of fewer, starting up is too much."""


def measure(bench: Bench) -> Iterator[Row]:
    """Measure mix by mix."""
    for mix in MIXES:
        yield from _measured(bench, mix)


def _measured(bench: Bench, mix: str) -> list[Row]:
    expected, actual = (bench.pictures.folder(mix, side) for side in ("expected", "actual"))
    json: tuple[str | Path, ...] = ("--json", bench.scratch / "records.json")

    def blazediff(start: Workers) -> Worker:
        bench.rivals.require("blazediff")
        return start(bench.rivals.python, "blazediff_calls.folder", expected=expected, actual=actual)

    pairs = {
        f"folder/{mix}/compare": ("compare", "xargs odiff"),
        f"folder/{mix}/pytest": ("pytest", "xargs odiff"),
        f"folder/{mix}/report": ("compare with report", "compare"),
    }
    if mix == "different":
        pairs["folder/different/blazediff"] = ("compare", "blazediff")
    makers: dict[str, Callable[[Workers], Contender]] = {
        "compare": lambda _: compare(bench, expected, actual, *json),
        "xargs odiff": lambda _: xargs(bench, expected, actual),
        "pytest": lambda _: scan(bench, expected, actual),
        "compare with report": lambda _: compare(bench, expected, actual, *json, "--report", bench.scratch / "report"),
        "blazediff": blazediff,
    }
    note = "" if bench.pictures.pairs == GOAL_PAIRS else f"of {bench.pictures.pairs} pairs only"
    return [replace(row, note=row.note or note) for row in duels(bench, pairs, makers)]


def xargs(bench: Bench, expected: Path, actual: Path) -> Command:
    """Return odiff with its anti-aliasing rule, which ours has too, over two folders; it writes nothing."""
    names = sorted(path.name for path in expected.iterdir())
    feed = "".join(f"{expected / name}\0{actual / name}\0--antialiasing\0" for name in names)
    words: list[str | Path] = ["xargs", "-0", "-P", str(cores()), "-n", "3", bench.rivals.odiff]
    return Command(words, folder=bench.scratch, feed=feed, codes=CODES["xargs"])
