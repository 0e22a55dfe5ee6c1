"""Rounds in which every contender runs once, each round starting with a different one."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

Contender = Callable[[int], float]
"""Runs a number of times in a row and returns the mean milliseconds of a run."""

SAMPLE_MS = 60.0
"""What is shorter is run several times in a row: a single run of a few milliseconds is the machine's noise."""
MOST_RUNS = 25


def alternate(contenders: Mapping[str, Contender], rounds: int) -> dict[str, list[float]]:
    """Measure the contenders side by side.

    Args:
        contenders: by name; each is run once before the rounds, which warms caches and says how often it runs in one.
        rounds: how many.

    Returns:
        For each name the milliseconds of a run, one figure a round: figures of one position belong to one round.
    """
    names = list(contenders)
    runs = {name: runs_in_a_round(contenders[name](1)) for name in names}
    figures: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(rounds if names else 0):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            figures[name].append(contenders[name](runs[name]))
    return figures


def runs_in_a_round(milliseconds: float) -> int:
    """Return the number of runs of this length for one figure."""
    return min(MOST_RUNS, max(1, math.ceil(SAMPLE_MS / max(milliseconds, 1e-6))))
