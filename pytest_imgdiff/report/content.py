"""A run's comparisons, drawn: the rows of the list, and the details shard by shard."""

from __future__ import annotations

import hashlib
from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from pytest_imgdiff.lines import Spool
from pytest_imgdiff.report.changes import same_change
from pytest_imgdiff.report.data import SHARD, Change, Detail, Details, Row, RunData
from pytest_imgdiff.report.details import detail_of
from pytest_imgdiff.report.order import in_order
from pytest_imgdiff.report.rows import NO_COLUMN, row_of
from pytest_imgdiff.report.script import literal, receiving
from pytest_imgdiff.report.stored import Chosen, overview_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pytest_imgdiff.record import ComparisonRecord, RunRecord
    from pytest_imgdiff.report.figures import Pictures
    from pytest_imgdiff.report.view import PageView

RUN_DIGITS = 16
_ROWS = b'"rows":[]'
"""Where the rows stand in the data; within a JSON string the quotation marks would be escaped."""


class Drawn(NamedTuple):
    """What is shown of one comparison."""

    row: Row
    detail: Detail


def shards_of(run: RunRecord, pictures: Pictures) -> Iterator[list[Drawn]]:
    """Draw the comparisons in the order of the list and yield up to `SHARD` of them at a time.

    Raises:
        ReportError: a picture's path leads out of the report's folder.
    """
    drawn = _drawn(run, pictures)
    while shard := list(islice(drawn, SHARD)):
        yield shard


def details_script(number: int, shard: Iterable[Drawn]) -> bytes:
    """Return the script that hands the details of a shard to the page."""
    return receiving("details", Details(number, [each.detail for each in shard]))


def _drawn(run: RunRecord, pictures: Pictures) -> Iterator[Drawn]:
    numbers = {column: index for index, column in enumerate(run.columns)}
    changes = same_change(_fingerprints(run.comparisons))
    for record in in_order(run.comparisons):
        column = numbers.get(record.column or "", NO_COLUMN)
        change = None if record.fingerprint is None else changes.get(record.fingerprint)
        yield Drawn(row_of(record, column, change, pictures), detail_of(record, pictures))


def _fingerprints(records: Sequence[ComparisonRecord]) -> Iterator[str]:
    marked = Chosen(records, overview_of(records).marked)
    return (record.fingerprint for record in marked if record.fingerprint is not None)


class RunScript:
    """The script that hands the list to the page; its rows are put aside as they are drawn.

    Args:
        run: the run.
        view: its page.
    """

    def __init__(self, run: RunRecord, view: PageView) -> None:
        self._run = run
        self._view = view
        self._rows = Spool()
        self._changes: Counter[str] = Counter()

    def add(self, row: Row) -> None:
        """Put the next row aside.

        Raises:
            ReportError: the disk is full.
        """
        self._rows.append(literal(row))
        if row.change is not None:
            self._changes[row.change] += 1

    def close(self) -> None:
        """Let go of the rows."""
        self._rows.close()

    def content(self) -> Iterator[bytes]:
        """Yield the script."""
        before, _, after = receiving("run", self._data()).partition(_ROWS)
        yield before + _ROWS[:-1]
        for index, row in enumerate(self._rows):
            yield b"," + row if index else row
        yield _ROWS[-1:] + after

    def _data(self) -> RunData:
        view = self._view
        return RunData(
            run=self._run.run or _made_up_name(self._run),
            title=view.title,
            headline=view.headline,
            summary=view.summary,
            outcome=view.outcome,
            columns=list(view.columns),
            rows=[],
            changes=[Change(name, size) for name, size in self._changes.most_common() if size > 1],
        )


def _made_up_name(run: RunRecord) -> str:
    """Return what tells a run without a name from others: a hash of what it found."""
    found = ((record.name, record.verdict, record.actual and record.actual.digest) for record in run.comparisons)
    return hashlib.sha256(repr(list(found)).encode("utf-8", "surrogatepass")).hexdigest()[:RUN_DIGITS]
