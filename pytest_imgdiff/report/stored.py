"""Comparisons that lie on disk: a run may have more of them than memory should be taken for."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec

from pytest_imgdiff.errors import ReportError
from pytest_imgdiff.lines import Lines, OnDemand, Spool
from pytest_imgdiff.record import ComparisonRecord
from pytest_imgdiff.report.overview import Overview
from pytest_imgdiff.report.strict_json import strictly_encoded
from pytest_imgdiff.report.text import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")

# Made when nothing else runs: msgspec crashes where two threads are the first to decode a type at the same time.
_RECORD = msgspec.json.Decoder(ComparisonRecord)


class StoredRecords(OnDemand[ComparisonRecord]):
    """Comparisons that are read from their lines whenever they are asked for.

    Args:
        lines: each the JSON of a comparison, as `line_of` makes it.
        overview: of them.
    """

    def __init__(self, lines: Lines, overview: Overview) -> None:
        self.lines = lines
        self.overview = overview

    def __len__(self) -> int:
        return len(self.lines)

    def item(self, number: int) -> ComparisonRecord:
        """Read a comparison.

        Raises:
            ReportError: its line is not what it was.
            OSError: it cannot be read.
        """
        try:
            return _RECORD.decode(self.lines[number])
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            cause = visible(str(error))
            raise ReportError(
                f"the results changed while the report was drawn ({cause}); give each run a report folder of its own"
            ) from error


class RecordSpool(StoredRecords):
    """Comparisons that are put aside one after another."""

    def __init__(self) -> None:
        self._spool = Spool()
        super().__init__(self._spool, Overview())

    def append(self, record: ComparisonRecord) -> None:
        """Put a comparison aside.

        Raises:
            ReportError: it holds what JSON cannot, or the disk is full.
        """
        self._spool.append(line_of(record))
        self.overview.add(record)

    def close(self) -> None:
        """Let go of the comparisons."""
        self._spool.close()


class Chosen(OnDemand[T]):
    """Some of a sequence, read from it when they are asked for.

    Args:
        of: the sequence.
        numbers: of what is chosen, in the order that it is to have.
    """

    def __init__(self, of: Sequence[T], numbers: Sequence[int]) -> None:
        self._of = of
        self._numbers = numbers

    def __len__(self) -> int:
        return len(self._numbers)

    def item(self, number: int) -> T:
        """Return what is chosen at this place."""
        return self._of[self._numbers[number]]


def line_of(record: ComparisonRecord) -> bytes:
    """Return the JSON of a comparison, the same bytes for the same comparison, without the end of a line.

    Raises:
        ReportError: it holds what JSON cannot (NaN, a lone surrogate).
    """
    return strictly_encoded(record, f"comparison {visible(record.name)!r}")


def overview_of(records: Sequence[ComparisonRecord]) -> Overview:
    """Return what reports ask of all comparisons at once; of stored ones it is known, and none is read."""
    return records.overview if isinstance(records, StoredRecords) else Overview(records)
