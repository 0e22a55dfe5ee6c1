"""Measurements that may fail: a failure becomes the note of a row, and other rows are still measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.goals import goal
from benchmarks.processes import MeasuringError
from benchmarks.rivals import UnavailableError
from benchmarks.table import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

PROBLEMS = (UnavailableError, MeasuringError)


def attempted(name: str, measured: Callable[[], Row]) -> Row:
    """Return the measured row, or one with the reason for the failure."""
    try:
        return measured()
    except PROBLEMS as problem:
        return Row(goal(name), note=str(problem))


def all_attempted(names: Iterable[str], measured: Callable[[], list[Row]]) -> list[Row]:
    """Return the rows that are measured together, or one for each name with the reason for the failure."""
    try:
        return measured()
    except PROBLEMS as problem:
        return [Row(goal(name), note=str(problem)) for name in names]
