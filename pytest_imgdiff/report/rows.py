"""Records as rows of the list."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from pytest_imgdiff.report.data import Row
from pytest_imgdiff.report.figures import thumb
from pytest_imgdiff.report.overview import outcome_of, worst_departure
from pytest_imgdiff.report.scores import differing_pixels, differing_share
from pytest_imgdiff.report.text import visible
from pytest_imgdiff.report.words import element_words, elements_of, kinds_of, verdict_line

if TYPE_CHECKING:
    from pytest_imgdiff.record import ComparisonRecord, ScoreRecord
    from pytest_imgdiff.report.figures import Pictures

ANCHOR_DIGITS = 12
"""Hexadecimal digits of a hash: two of ten thousand names share one once in five million reports."""
NO_COLUMN = -1
MOST_ELEMENTS = 20
"""Elements of one comparison that the search knows."""


def row_of(record: ComparisonRecord, column: int, change: str | None, pictures: Pictures) -> Row:
    """Return the row of a comparison.

    Args:
        record: of the comparison.
        column: the number of the run that it is from; `NO_COLUMN` where runs were not merged.
        change: the group of those that show the same change.
        pictures: where its pictures are.

    Raises:
        ReportError: a picture's path leads out of the report's folder.
    """
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
        share=None if counting is None else differing_share(counting),
        regions=record.region_count,
        kinds=[str(kind) for kind in kinds_of(record)],
        departure=round(worst_departure(record), 6),
        change=change,
        thumb=thumb(record, pictures),
        column=column,
        acceptable=record.accepts is not None,
        alternative=record.accepts is not None and record.accepts.alternative,
        frames=_replaced(record),
        glance=any(score.measured for score in record.scores),
        elements=[element_words(element) for element in elements_of(record)[:MOST_ELEMENTS]],
    )


def _replaced(record: ComparisonRecord) -> int:
    if record.accepts is None:
        return 0
    return 1 if record.expected is None else record.expected.frames


def _counting_score(record: ComparisonRecord) -> ScoreRecord | None:
    """Return the score that counted the differing pixels: that of the mask's metric, then a rule's, then any."""
    counting = [score for score in record.scores if differing_pixels(score) is not None]  # rules come first
    of_mask = (score for score in counting if score.metric == record.mask_metric)
    return next(of_mask, counting[0] if counting else None)


def _anchor(record: ComparisonRecord) -> str:
    """Return what a link to the comparison ends with: made from its name, so that links hold from run to run."""
    text = record.name if record.column is None else f"{record.name}\0{record.column}"
    return f"c-{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:ANCHOR_DIGITS]}"
