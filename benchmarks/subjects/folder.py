"""Goal 3: a folder of pairs of 1280x720, by our command and by pytest, beside odiff on as many processes as cores."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from benchmarks.attempts import attempted
from benchmarks.commands import compare, scan
from benchmarks.duels import duels, fought
from benchmarks.goals import MIXES, goal
from benchmarks.machine import cores
from benchmarks.processes import CODES, Command
from benchmarks.table import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from benchmarks.alternating import Contender
    from benchmarks.bench import Bench
    from benchmarks.processes import Worker, Workers

GOAL_PAIRS = 200
"""The number of pairs in the goals; with fewer, start-up dominates."""


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

    pairs = {f"folder/{mix}/compare": ("compare", "xargs odiff"), f"folder/{mix}/pytest": ("pytest", "xargs odiff")}
    makers: dict[str, Callable[[Workers], Contender]] = {
        "compare": lambda _: compare(bench, expected, actual, *json),
        "xargs odiff": lambda _: xargs(bench, expected, actual),
        "pytest": lambda _: scan(bench, expected, actual),
    }
    note = "" if bench.pictures.pairs == GOAL_PAIRS else f"of {bench.pictures.pairs} pairs only"
    rows = []
    if mix == "different":
        pairs["folder/different/blazediff"] = ("compare", "blazediff")
        makers["blazediff"] = blazediff
        if bench.wanted("folder/different/report"):
            rows.append(attempted("folder/different/report", lambda: _report(bench, expected, actual, *json)))
    return [replace(row, note=row.note or note) for row in (*duels(bench, pairs, makers), *rows)]


def _report(bench: Bench, expected: Path, actual: Path, *options: str | Path) -> Row:
    """Return by how many milliseconds a pair it takes longer with a report."""
    makers: dict[str, Callable[[Workers], Contender]] = {
        "without": lambda _: compare(bench, expected, actual, *options),
        "with": lambda _: compare(bench, expected, actual, *options, "--report", bench.scratch / "report"),
    }
    measured = fought(makers, bench.rounds)
    sides = (measured.figures.get(name, []) for name in ("with", "without"))
    more = [(longer - shorter) / bench.pictures.pairs for longer, shorter in zip(*sides, strict=False)]
    return Row(goal("folder/different/report"), more, note="; ".join(measured.problems.values()))


def xargs(bench: Bench, expected: Path, actual: Path) -> Command:
    """Return odiff with its anti-aliasing rule, which ours has too, over two folders; it writes nothing."""
    names = sorted(path.name for path in expected.iterdir())
    feed = "".join(f"{expected / name}\0{actual / name}\0--antialiasing\0" for name in names)
    words: list[str | Path] = ["xargs", "-0", "-P", str(cores()), "-n", "3", bench.rivals.odiff]
    return Command(words, folder=bench.scratch, feed=feed, codes=CODES["xargs"])
