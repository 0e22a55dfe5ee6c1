"""A run's comparisons, drawn: the rows of the list, the details shard by shard, and the page without scripts."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_imgdiff.report.data import SHARD, Details, RunData
from pytest_imgdiff.report.details import detail_of
from pytest_imgdiff.report.rows import changes_of, rows_of
from pytest_imgdiff.report.script import receiving

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_imgdiff.record import ComparisonRecord, RunRecord
    from pytest_imgdiff.report.data import Detail, Figure, Row
    from pytest_imgdiff.report.figures import Pictures
    from pytest_imgdiff.report.view import PageView

RUN_DIGITS = 16


@dataclass(slots=True)
class Content:
    """What is shown of the comparisons.

    Attributes:
        rows: in the order of the records.
        shards: scripts, each with the details of up to `SHARD` rows.
        figures: the pictures of each row.
    """

    rows: list[Row] = field(default_factory=list)
    shards: list[bytes] = field(default_factory=list)
    figures: list[list[Figure]] = field(default_factory=list)


def content_of(records: Sequence[ComparisonRecord], columns: Sequence[str], pictures: Pictures) -> Content:
    """Draw the records.

    Raises:
        ReportError: a picture's path leads out of the report's folder.
    """
    content = Content()
    details: list[Detail] = []
    for record, row in zip(records, rows_of(records, columns, pictures), strict=True):
        detail = detail_of(record, pictures)
        content.rows.append(row)
        content.figures.append(detail.figures)
        details.append(detail)
        if len(details) == SHARD or len(content.rows) == len(records):  # ten thousand would take much memory
            content.shards.append(receiving("details", Details(len(content.shards), details)))
            details = []
    return content


def run_data(run: RunRecord, view: PageView, rows: list[Row]) -> RunData:
    """Return what the list needs."""
    return RunData(
        run=run.run or _made_up_name(run),
        title=view.title,
        headline=view.headline,
        summary=view.summary,
        outcome=view.outcome,
        columns=list(view.columns),
        rows=rows,
        changes=changes_of(rows),
    )


def _made_up_name(run: RunRecord) -> str:
    """Return what tells a run without a name from others: a hash of what it found."""
    found = ((record.name, record.verdict, record.actual and record.actual.digest) for record in run.comparisons)
    return hashlib.sha256(repr(list(found)).encode("utf-8", "surrogatepass")).hexdigest()[:RUN_DIGITS]
