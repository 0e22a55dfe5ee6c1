"""Comparisons stored on disk, and the part of each that stays in memory: outcome, order and counts."""

from __future__ import annotations

from array import array
from collections import Counter
from typing import TYPE_CHECKING, Literal, TypeVar

import msgspec

from pytest_imgdiff.base.errors import ReportError
from pytest_imgdiff.base.lines import Lines, OnDemand, Spool
from pytest_imgdiff.base.record import ComparisonRecord
from pytest_imgdiff.base.text import visible
from pytest_imgdiff.report.files import strictly_encoded
from pytest_imgdiff.report.scores import departure, is_skipped

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_imgdiff.base.record import VerdictName


Outcome = Literal["failed", "warned", "passed"]

GRAVITY: dict[VerdictName, int] = {
    "broken": 0,
    "different": 1,
    "resized": 2,
    "missing": 3,
    "unmatched": 4,
    "match": 5,
}
"""Errors come first, because they can hide anything; then changes; new and removed images are mostly intended."""
_UNASSERTED, _WARNED, _UNSETTLED, _PASSED = 6, 7, 8, 9
"""Positions of comparisons that did not fail."""


def outcome_of(record: ComparisonRecord) -> Outcome:
    """Return whether it failed, passed with a warning, or passed.

    A failure that was not asserted does not fail the run: it counts as a warning.
    """
    if not record.passed:
        return "failed" if record.asserted else "warned"
    return "warned" if record.warnings or any(score.warned for score in record.scores) else "passed"


def is_unsettled(record: ComparisonRecord) -> bool:
    """Return whether it passed although some pixels differ."""
    return record.passed and record.written is None and bool(record.differing_pixels)


def worst_departure(record: ComparisonRecord) -> float:
    """Return the largest departure of its failed scores, 0..1; 0 if none failed."""
    return max((departure(score) for score in record.scores if not score.passed), default=0.0)


class Overview:
    """Counts and order of all comparisons of a run. It keeps 9 bytes for each, and 4 more for some.

    Args:
        records: the comparisons, in the order of the run.

    Attributes:
        verdicts: how many comparisons there are of each verdict.
        outcomes: how many failed, passed with a warning, and passed.
        failed_verdicts: how many of each verdict failed.
        allowed: how many of each verdict passed without becoming a baseline.
        unasserted: how many did not pass, and were not asserted.
        unsettled: how many passed although some pixels differ.
        skipped: how many have a rule that was skipped because its model is not on this machine.
        unmeasured: reasons why measured-only metrics have no value, with these metrics.
        models: backend and device of each model in use.
        notices: settings of models that could not be applied, such as a missing device or an unusable cache.
        equal: how many have two images whose pixels are equal.
        redrawn: how many failed because nearly everything drawn differs.
        marked: indices of those that have a fingerprint.
    """

    def __init__(self, records: Iterable[ComparisonRecord] = ()) -> None:
        self.verdicts: Counter[VerdictName] = Counter()
        self.outcomes: Counter[Outcome] = Counter()
        self.failed_verdicts: Counter[VerdictName] = Counter()
        self.allowed: Counter[VerdictName] = Counter()
        self.unasserted = 0
        self.unsettled = 0
        self.skipped = 0
        self.equal = 0
        self.redrawn = 0
        self.unmeasured: dict[str, dict[str, None]] = {}
        self.models: set[str] = set()
        self.notices: dict[str, None] = {}
        self.marked: array[int] = array("I")
        self._places = bytearray()
        self._departures = array("d")
        for record in records:
            self.add(record)

    def add(self, record: ComparisonRecord) -> None:
        """Add the next comparison of the run."""
        outcome = outcome_of(record)
        self.outcomes[outcome] += 1
        self.verdicts[record.verdict] += 1
        if outcome == "failed":
            self.failed_verdicts[record.verdict] += 1
            self.redrawn += record.redrawn
        elif not record.passed:
            self.unasserted += 1
        elif record.written is None:
            self.allowed[record.verdict] += 1
        self.unsettled += is_unsettled(record)
        self.equal += record.equal is not None
        if any(is_skipped(score) for score in record.scores):
            self.skipped += 1
        for score in record.scores:
            if score.measured and score.omitted is not None:
                self.unmeasured.setdefault(score.omitted, {})[score.metric] = None
        for facts in (score.details for score in record.scores if "backend" in score.details):
            self.models.add(f"{facts['backend']}, {facts.get('device')}")
            self.notices |= dict.fromkeys(map(str, facts.get("notices", ())))
        if record.fingerprint is not None:
            self.marked.append(len(self._places))
        passed = _UNSETTLED if is_unsettled(record) else _PASSED
        warned = _WARNED if record.passed else _UNASSERTED
        places = {"failed": GRAVITY[record.verdict], "warned": warned, "passed": passed}
        self._places.append(places[outcome])
        self._departures.append(worst_departure(record) if outcome == "failed" else 0.0)

    def failures(self) -> array[int]:
        """Return the indices of the failed comparisons, the worst first; ties keep the order of the run.

        They are sorted by verdict, then by `worst_departure`.
        """
        failed = (number for number, place in enumerate(self._places) if place < _UNASSERTED)
        return array("I", sorted(failed, key=lambda number: (self._places[number], -self._departures[number])))

    def not_asserted(self) -> array[int]:
        """Return the indices of the comparisons that did not pass and were not asserted, in the order of the run."""
        return self._at(_UNASSERTED)

    def warned(self) -> array[int]:
        """Return the indices of the comparisons that passed with a warning, in the order of the run."""
        return self._at(_WARNED)

    def order(self) -> array[int]:
        """Return the indices of all comparisons.

        First the failures, the worst first; then those not asserted, those with a warning, those with differing pixels,
        and the rest.
        """
        return self.failures() + self._at(_UNASSERTED) + self._at(_WARNED) + self._at(_UNSETTLED) + self._at(_PASSED)

    def passed_unsettled(self) -> array[int]:
        """Return the indices of those that passed without a warning although some pixels differ."""
        return self._at(_UNSETTLED)

    def _at(self, outcome: int) -> array[int]:
        return array("I", (number for number, place in enumerate(self._places) if place == outcome))


T = TypeVar("T")

# Created at import: msgspec crashes if two threads decode a type for the first time at the same time.
_RECORD = msgspec.json.Decoder(ComparisonRecord)


class StoredRecords(OnDemand[ComparisonRecord]):
    """Comparisons that are read from disk on demand.

    Args:
        lines: the JSON of each comparison, as `line_of` returns it.
        overview: of these comparisons.
    """

    def __init__(self, lines: Lines, overview: Overview) -> None:
        self.lines = lines
        self.overview = overview

    def __len__(self) -> int:
        return len(self.lines)

    def item(self, number: int) -> ComparisonRecord:
        """Read a comparison.

        Raises:
            ReportError: its line changed on disk.
            OSError: it cannot be read.
        """
        try:
            return _RECORD.decode(self.lines[number])
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            cause = visible(str(error))
            raise ReportError(
                f"the results changed while the report was drawn ({cause}); use a separate report folder for each run"
            ) from error


class RecordSpool(StoredRecords):
    """Comparisons that are stored on disk one after another."""

    def __init__(self) -> None:
        self._spool = Spool()
        super().__init__(self._spool, Overview())

    def append(self, record: ComparisonRecord, line: bytes | None = None) -> None:
        """Store a comparison.

        Args:
            record: the comparison.
            line: its JSON, if another process has encoded it; default: encode it here.

        Raises:
            ReportError: it contains a value that JSON cannot represent, or the disk is full.
        """
        self._spool.append(line_of(record) if line is None else line)
        self.overview.add(record)

    def close(self) -> None:
        """Delete the stored comparisons."""
        self._spool.close()


class Chosen(OnDemand[T]):
    """Some items of a sequence, read from it on demand.

    Args:
        of: the sequence.
        numbers: indices of the items, in the order to return them.
    """

    def __init__(self, of: Sequence[T], numbers: Sequence[int]) -> None:
        self._of = of
        self._numbers = numbers

    def __len__(self) -> int:
        return len(self._numbers)

    def item(self, number: int) -> T:
        """Return the item at this index of the selection."""
        return self._of[self._numbers[number]]


def line_of(record: ComparisonRecord) -> bytes:
    """Return the JSON of a comparison without a line ending; equal comparisons have equal JSON.

    Raises:
        ReportError: it contains a value that JSON cannot represent (NaN, a lone surrogate).
    """
    return strictly_encoded(record, f"comparison {visible(record.name)!r}")


def read_line(line: bytes) -> ComparisonRecord:
    """Decode a line of `line_of`."""
    return _RECORD.decode(line)


def overview_of(records: Sequence[ComparisonRecord]) -> Overview:
    """Return the overview of the comparisons. Stored ones have it already, so that none is read."""
    return records.overview if isinstance(records, StoredRecords) else Overview(records)


def in_order(records: Sequence[ComparisonRecord]) -> Sequence[ComparisonRecord]:
    """Return all records in the order of `Overview.order`."""
    return Chosen(records, overview_of(records).order())


def failures(records: Sequence[ComparisonRecord]) -> Sequence[ComparisonRecord]:
    """Return the failed records in the order of `Overview.failures`."""
    return Chosen(records, overview_of(records).failures())


def not_asserted(records: Sequence[ComparisonRecord]) -> Sequence[ComparisonRecord]:
    """Return the records that did not pass and were not asserted, in the order of the run."""
    return Chosen(records, overview_of(records).not_asserted())


def warned(records: Sequence[ComparisonRecord]) -> Sequence[ComparisonRecord]:
    """Return the records that passed with a warning, in the order of the run."""
    return Chosen(records, overview_of(records).warned())


def unsettled(records: Sequence[ComparisonRecord]) -> Sequence[ComparisonRecord]:
    """Return the records that passed without a warning although some pixels differ, in the order of the run."""
    return Chosen(records, overview_of(records).passed_unsettled())
