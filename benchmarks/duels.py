"""Goals that are ratios of two contenders, measured side by side."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from benchmarks.alternating import alternate
from benchmarks.attempts import PROBLEMS
from benchmarks.goals import goal
from benchmarks.processes import Worker, workers
from benchmarks.table import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from benchmarks.alternating import Contender
    from benchmarks.bench import Bench
    from benchmarks.processes import Workers


@dataclass(frozen=True)
class Measured:
    """The results of the contenders.

    Attributes:
        figures: milliseconds of a run, one figure a round; figures of one position belong to one round.
        results: the result of the last run of each worker.
        problems: why a contender has no figures.
    """

    figures: dict[str, list[float]] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)

    def row(self, name: str, ours: str, theirs: str, scales: tuple[float, float] = (1, 1)) -> Row:
        """Return the row of a goal.

        Args:
            name: of the goal.
            ours: the contender of the numerator.
            theirs: that of the denominator.
            scales: of the two sides' milliseconds.
        """
        problems = {self.problems[side] for side in (ours, theirs) if side in self.problems}
        if problems:
            return Row(goal(name), note="; ".join(sorted(problems)))
        sides = [
            [scale * figure for figure in self.figures[side]]
            for side, scale in zip((ours, theirs), scales, strict=True)
        ]
        return Row(goal(name), *sides, results={side: self.results.get(side) for side in (ours, theirs)})


def fought(makers: Mapping[str, Callable[[Workers], Contender]], rounds: int) -> Measured:
    """Measure the contenders side by side; a failure of one does not affect the others."""
    measured = Measured()
    with workers() as start:
        ready: dict[str, Contender] = {}
        for name, make in makers.items():
            try:
                ready[name] = _proven(make, start)
            except PROBLEMS as problem:  # noqa: PERF203 - its cost is small beside that of a process
                measured.problems[name] = str(problem)
        try:
            measured.figures.update(alternate(ready, rounds))
        except PROBLEMS as problem:
            measured.problems.update(dict.fromkeys(ready, str(problem)))
        measured.results.update({name: each.result for name, each in ready.items() if isinstance(each, Worker)})
    return measured


def _proven(make: Callable[[Workers], Contender], start: Workers) -> Contender:
    contender = make(start)
    contender(1)
    return contender


def duels(
    bench: Bench, pairs: Mapping[str, tuple[str, str]], makers: Mapping[str, Callable[[Workers], Contender]]
) -> list[Row]:
    """Measure the requested goals, all contenders side by side.

    Args:
        bench: with what.
        pairs: for the name of each goal the names of two contenders, ours and theirs.
        makers: for the name of each contender what prepares it.
    """
    asked = {name: sides for name, sides in pairs.items() if bench.wanted(name)}
    if not asked:
        return []
    needed = {side for sides in asked.values() for side in sides}
    measured = fought({name: make for name, make in makers.items() if name in needed}, bench.rounds)
    return [measured.row(name, *sides) for name, sides in asked.items()]
