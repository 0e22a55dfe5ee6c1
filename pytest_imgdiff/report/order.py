"""Which failure to look at first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_imgdiff.report.scores import departure

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_imgdiff.record import ComparisonRecord

GRAVITY = {"broken": 0, "missing": 1, "unmatched": 2, "resized": 3, "different": 4, "match": 5}
"""What could not be compared at all stands before what was compared and differs."""


def worst_first(records: Iterable[ComparisonRecord]) -> list[ComparisonRecord]:
    """Return the records with the worst first; equals keep the order of the run.

    By verdict; then by how far the worst failed score is from alike (`departure`).
    """
    return sorted(records, key=lambda record: (GRAVITY[record.verdict], -_worst_departure(record)))


def _worst_departure(record: ComparisonRecord) -> float:
    return max((departure(score) for score in record.scores if not score.passed), default=0.0)
