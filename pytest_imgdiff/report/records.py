"""Comparisons that lie on disk, and the little of each that stays in memory: outcome, order and counts."""

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
"""What could not be judged hides anything; then what changed; new pictures and those gone are mostly meant."""
_UNASSERTED, _WARNED, _UNSETTLED, _PASSED = 6, 7, 8, 9
"""Where those stand that did not fail."""


def outcome_of(record: ComparisonRecord) -> Outcome:
    """Return whether it failed, passed with a warning, or passed.

    A failure that nobody asserted fails no run: it counts as a warning.
    """
    if not record.passed:
        return "failed" if record.asserted else "warned"
    return "warned" if record.warnings or any(score.warned for score in record.scores) else "passed"


def is_unsettled(record: ComparisonRecord) -> bool:
    """Return whether it passed although some pixels are not equal: the rules allow as much."""
    return record.passed and record.written is None and bool(record.differing_pixels)


def worst_departure(record: ComparisonRecord) -> float:
    """Return how far the worst failed score is from alike, 0..1; 0 where none failed."""
    return max((departure(score) for score in record.scores if not score.passed), default=0.0)


class Overview:
    """What reports ask of all comparisons of a run at once; 9 bytes are kept of each, and 4 more of some.

    Args:
        records: the comparisons, in the order of the run.

    Attributes:
        verdicts: how many comparisons there are of each verdict.
        outcomes: how many failed, passed with a warning, and passed.
        failed_verdicts: how many of each verdict failed.
        allowed: how many of each verdict passed without having become a baseline.
        unasserted: how many did not pass, and were not asserted.
        unsettled: how many passed although some pixels are not equal.
        skipped: how many have a rule that was left out because its model is not on this machine.
        unmeasured: why metrics could not be measured, that were to be measured only, and which.
        models: the backend and device of each model that was at work, in words.
        equal: how many have two images whose pixels are equal.
        redrawn: how many failed because nearly all that is drawn differs.
        marked: the numbers of those that have a fingerprint.
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
        self.marked: array[int] = array("I")
        self._places = bytearray()
        self._departures = array("d")
        for record in records:
            self.add(record)

    def add(self, record: ComparisonRecord) -> None:
        """Take the next comparison of the run into account."""
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
        if record.fingerprint is not None:
            self.marked.append(len(self._places))
        passed = _UNSETTLED if is_unsettled(record) else _PASSED
        warned = _WARNED if record.passed else _UNASSERTED
        places = {"failed": GRAVITY[record.verdict], "warned": warned, "passed": passed}
        self._places.append(places[outcome])
        self._departures.append(worst_departure(record) if outcome == "failed" else 0.0)

    def failures(self) -> array[int]:
        """Return the numbers of the comparisons that failed, the worst first; equals keep the order of the run.

        By verdict; then by how far the worst failed score is from alike (`worst_departure`).
        """
        failed = (number for number, place in enumerate(self._places) if place < _UNASSERTED)
        return array("I", sorted(failed, key=lambda number: (self._places[number], -self._departures[number])))

    def not_asserted(self) -> array[int]:
        """Return the numbers of the comparisons that did not pass and were not asserted, in the order of the run."""
        return self._at(_UNASSERTED)

    def warned(self) -> array[int]:
        """Return the numbers of the comparisons that passed with a warning, in the order of the run."""
        return self._at(_WARNED)

    def order(self) -> array[int]:
        """Return the numbers of all comparisons.

        First those that failed, the worst first; then those that nobody asserted, those with a warning, those whose
        pixels are not all equal, and the rest.
        """
        return self.failures() + self._at(_UNASSERTED) + self._at(_WARNED) + self._at(_UNSETTLED) + self._at(_PASSED)

    def passed_unsettled(self) -> array[int]:
        """Return the numbers of those that passed without a warning although some pixels are not equal."""
        return self._at(_UNSETTLED)

    def _at(self, wanted: int) -> array[int]:
        return array("I", (number for number, place in enumerate(self._places) if place == wanted))


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


def in_order(records: Sequence[ComparisonRecord]) -> Sequence[ComparisonRecord]:
    """Return all records, as `Overview.order` orders them."""
    return Chosen(records, overview_of(records).order())


def failures(records: Sequence[ComparisonRecord]) -> Sequence[ComparisonRecord]:
    """Return the failed records with the worst first, as `Overview.failures` orders them."""
    return Chosen(records, overview_of(records).failures())


def not_asserted(records: Sequence[ComparisonRecord]) -> Sequence[ComparisonRecord]:
    """Return the records that did not pass and were not asserted, in the order of the run."""
    return Chosen(records, overview_of(records).not_asserted())


def warned(records: Sequence[ComparisonRecord]) -> Sequence[ComparisonRecord]:
    """Return the records that passed with a warning, in the order of the run."""
    return Chosen(records, overview_of(records).warned())


def unsettled(records: Sequence[ComparisonRecord]) -> Sequence[ComparisonRecord]:
    """Return the records that passed without a warning although some pixels are not equal, in the order of the run."""
    return Chosen(records, overview_of(records).passed_unsettled())
