"""Which comparison to look at first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_imgdiff.report.scores import departure
from pytest_imgdiff.report.words import warned

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_imgdiff.record import ComparisonRecord

GRAVITY = {"broken": 0, "different": 1, "resized": 2, "missing": 3, "unmatched": 4, "match": 5}
"""What could not be judged hides anything; then what changed; new pictures and those gone are mostly meant."""


def in_order(records: Sequence[ComparisonRecord]) -> list[ComparisonRecord]:
    """Return all records: the failed ones with the worst first, those with a warning, those that passed."""
    failed = worst_first(record for record in records if not record.passed)
    passed = (record for record in records if record.passed)
    return [*failed, *sorted(passed, key=lambda record: not warned(record))]


def worst_first(records: Iterable[ComparisonRecord]) -> list[ComparisonRecord]:
    """Return the records with the worst first; equals keep the order of the run.

    By verdict; then by how far the worst failed score is from alike (`worst_departure`).
    """
    return sorted(records, key=lambda record: (GRAVITY[record.verdict], -worst_departure(record)))


def worst_departure(record: ComparisonRecord) -> float:
    """Return how far the worst failed score is from alike, 0..1; 0 where none failed."""
    return max((departure(score) for score in record.scores if not score.passed), default=0.0)
