"""Goal 5: what pytest itself costs in a scan of very many tiny pairs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from benchmarks.attempts import all_attempted, attempted
from benchmarks.commands import compare, ours, scan
from benchmarks.duels import fought
from benchmarks.goals import goal
from benchmarks.processes import Command
from benchmarks.table import Row

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.bench import Bench
    from benchmarks.processes import Worker, Workers

MANY = 10_000
"""The number of pairs in the goals; figures measured with fewer are extrapolated, and marked."""

MEMORY = ("suite/client", "suite/accept", "suite/report")

IMPORT = """
import time
import pytest
started = time.perf_counter()
import pytest_imgdiff.plugin
print(1000 * (time.perf_counter() - started))
"""


def measure(bench: Bench) -> Iterator[Row]:
    """Measure collecting, running, what an item costs, memory, and the import."""
    few, *more = bench.pictures.tiny_counts
    note = "" if few == MANY else f"of {few} pairs, extrapolated"
    if bench.wanted("suite/collected"):
        yield attempted("suite/collected", lambda: _collected(bench, few, note))
    if bench.wanted("suite/done") or bench.wanted("suite/overhead"):
        yield from _done(bench, few, note)
    if bench.wanted("suite/tiny"):
        yield attempted("suite/tiny", lambda: _tiny(bench, few))
    if more and any(map(bench.wanted, MEMORY)):
        yield from all_attempted(MEMORY, lambda: _memory(bench, more[0]))
    if bench.wanted("suite/import"):
        yield attempted("suite/import", lambda: _import(bench))


def _sides(bench: Bench, count: int) -> tuple[Path, Path]:
    return bench.pictures.tiny(count, "expected"), bench.pictures.tiny(count, "actual")


def _collected(bench: Bench, count: int, note: str) -> Row:
    command = scan(bench, *_sides(bench, count), "--collect-only")
    command.run()
    figures = [MANY / count * command.run()[0] / 1000 for _ in range(bench.rounds)]
    return Row(goal("suite/collected"), figures, note=note)


def _import(bench: Bench) -> Row:
    command = Command([sys.executable, "-c", IMPORT], folder=bench.scratch)
    figures = []
    for _ in range(bench.rounds + 1):
        command.run()
        figures.append(float(command.said))
    return Row(goal("suite/import"), figures[1:])  # the first one finds nothing compiled


def _done(bench: Bench, count: int, note: str) -> Iterator[Row]:
    expected, actual = _sides(bench, count)

    def bare(start: Workers) -> Worker:
        return start(sys.executable, "ours.folder", expected=expected, actual=actual)

    measured = fought({"pytest": lambda _: scan(bench, expected, actual), "bare": bare}, bench.rounds)
    whole, alone = (measured.figures.get(name, []) for name in ("pytest", "bare"))
    problem = "; ".join(measured.problems.values())
    yield Row(goal("suite/done"), [ms * MANY / count / 1000 for ms in whole], note=problem or note)
    beyond = [(one - other) / count for one, other in zip(whole, alone, strict=False)]
    yield Row(goal("suite/overhead"), beyond, note=problem or note)


def _tiny(bench: Bench, count: int) -> Row:
    """Return how long a pair takes of many; starting the command is shared by all."""
    command = compare(bench, *_sides(bench, count), "--quiet")
    command.run()
    return Row(goal("suite/tiny"), [command.run()[0] / count for _ in range(bench.rounds)])


def _memory(bench: Bench, count: int) -> list[Row]:
    """Return what the process of each command takes at most, of very many pairs."""
    report, again = bench.scratch / "many", bench.scratch / "many-again"
    expected, actual = _sides(bench, count)
    project = expected.parent  # `accept` replaces files below the folder of the run only
    commands = {
        "suite/client": ours(bench, "compare", expected, actual, "--quiet", "--report", report, folder=project),
        "suite/accept": ours(bench, "accept", report, "--only", "*", "--dry-run", folder=project),
        "suite/report": ours(bench, "report", "--from", report, "--report", again),
    }
    return [Row(goal(name), [command.run()[1]]) for name, command in commands.items()]
