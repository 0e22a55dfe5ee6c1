"""Records as rows of the list."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import TYPE_CHECKING

from pytest_imgdiff.report.changes import same_change
from pytest_imgdiff.report.data import Change, Row
from pytest_imgdiff.report.figures import thumb
from pytest_imgdiff.report.order import worst_departure
from pytest_imgdiff.report.scores import differing_pixels
from pytest_imgdiff.report.text import visible
from pytest_imgdiff.report.words import verdict_line, warned

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_imgdiff.record import ComparisonRecord, ScoreRecord
    from pytest_imgdiff.report.data import Outcome
    from pytest_imgdiff.report.figures import Pictures

ANCHOR_DIGITS = 12
"""Hexadecimal digits of a hash: two of ten thousand names share one once in five million reports."""
NO_COLUMN = -1


def rows_of(records: Sequence[ComparisonRecord], columns: Sequence[str], pictures: Pictures) -> Iterator[Row]:
    """Yield a row for each record.

    Raises:
        ReportError: a picture's path leads out of the report's folder.
    """
    numbers = {column: index for index, column in enumerate(columns)}
    changes = same_change(records)
    for record, change in zip(records, changes, strict=True):
        yield _row(record, numbers.get(record.column or "", NO_COLUMN), change, pictures)


def changes_of(rows: Sequence[Row]) -> list[Change]:
    """Return the groups that show the same change, the largest first."""
    sizes = Counter(row.change for row in rows if row.change is not None)
    return [Change(name, size) for name, size in sizes.most_common() if size > 1]


def outcome_of(record: ComparisonRecord) -> Outcome:
    """Return whether it failed, passed with a warning, or passed."""
    if not record.passed:
        return "failed"
    return "warned" if warned(record) else "passed"


def _row(record: ComparisonRecord, column: int, change: str | None, pictures: Pictures) -> Row:
    counting = _counting_score(record)
    return Row(
        anchor=_anchor(record),
        name=visible(record.name),
        verdict=record.verdict,
        outcome=outcome_of(record),
        line=verdict_line(record),
        test=visible(record.test or ""),
        fails=[visible(score.metric) for score in record.scores if not score.passed],
        pixels=None if counting is None else differing_pixels(counting),
        share=None if counting is None else counting.value,
        regions=record.region_count,
        departure=round(worst_departure(record), 6),
        change=change,
        thumb=thumb(record, pictures),
        column=column,
        acceptable=record.accepts is not None,
    )


def _counting_score(record: ComparisonRecord) -> ScoreRecord | None:
    """Return the score that counted the differing pixels: that of the mask's metric before any other."""
    counting = [score for score in record.scores if differing_pixels(score) is not None]
    of_mask = (score for score in counting if score.metric == record.mask_metric)
    return next(of_mask, counting[0] if counting else None)


def _anchor(record: ComparisonRecord) -> str:
    """Return what a link to the comparison ends with: made from its name, so that links hold from run to run."""
    text = record.name if record.column is None else f"{record.name}\0{record.column}"
    return f"c-{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:ANCHOR_DIGITS]}"
