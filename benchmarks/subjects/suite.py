"""Goal 6: what pytest itself costs in a scan of very many tiny pairs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from benchmarks.attempts import attempted
from benchmarks.commands import compare, scan
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
"""The goals are for so many; where fewer are measured the figures are extrapolated, and say so."""

IMPORT = """
import time
import pytest
started = time.perf_counter()
import pytest_imgdiff.plugin
print(1000 * (time.perf_counter() - started))
"""
IDLE = """
import pytest


class Idle(pytest.Item):
    def runtest(self):
        pass


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(session, items):
    items[:] = [Idle.from_parent(session, name=f"{index // 1000:03}/{index % 1000:03}.png") for index in range(COUNT)]
"""
"""As many items of pytest's own as there are pairs: what any suite of that size costs."""


def measure(bench: Bench) -> Iterator[Row]:
    """Measure collecting, running, what an item costs, memory, and the import."""
    few, *more = bench.pictures.tiny_counts
    note = "" if few == MANY else f"of {few} pairs, extrapolated"
    if bench.wanted("suite/collected"):
        yield attempted("suite/collected", lambda: _collected(bench, few, note))
    if bench.wanted("suite/done") or bench.wanted("suite/overhead"):
        yield from _done(bench, few, note)
    if bench.wanted("suite/memory") and more:
        yield attempted("suite/memory", lambda: _memory(bench, few, more[0]))
        yield attempted("suite/memory-compare", lambda: _memory_of_compare(bench, few, more[0]))
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


def _memory(bench: Bench, few: int, many: int) -> Row:
    """Return what each further pair takes, beside what each further item of pytest's own takes, in kB."""
    ours = [scan(bench, *_sides(bench, count)).run()[1] for count in (few, many)]
    theirs = [_idle(bench, count).run()[1] for count in (few, many)]
    growth = [_growth(few, many, figures) for figures in (ours, theirs)]
    return Row(goal("suite/memory"), growth[:1], growth[1:], note=_peaks(few, many, ours))


def _memory_of_compare(bench: Bench, few: int, many: int) -> Row:
    report = bench.scratch / "compare-report"
    figures = [compare(bench, *_sides(bench, count), "--quiet", "--report", report).run()[1] for count in (few, many)]
    return Row(goal("suite/memory-compare"), [_growth(few, many, figures)], note=_peaks(few, many, figures))


def _growth(few: int, many: int, figures: list[float]) -> float:
    """Return kilobytes a pair, of the megabytes that few and many of them take."""
    return 1000 * (figures[1] - figures[0]) / (many - few)


def _peaks(few: int, many: int, figures: list[float]) -> str:
    return f"{figures[0]:.0f} MB at {few} pairs, {figures[1]:.0f} MB at {many}"


def _idle(bench: Bench, count: int) -> Command:
    folder = bench.scratch / f"idle-{count}"
    folder.mkdir(exist_ok=True)
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    (folder / "conftest.py").write_text(IDLE.replace("COUNT", str(count)), encoding="utf-8")
    return Command(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "."],
        folder=folder,
        variables={"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
    )
