"""The page without scripts, as its template draws it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from pytest_imgdiff.lines import Lines, OnDemand, Spool
from pytest_imgdiff.report.data import Address, Outcome, Row  # noqa: TC001 - msgspec reads the annotations

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_imgdiff.report.content import Drawn

HEADINGS: dict[Outcome, str] = {"failed": "Failed", "warned": "Passed with a warning", "passed": "Passed"}


class PlainRow(NamedTuple):
    """A comparison: its row of the list, and a word and an address for each picture."""

    row: Row
    pictures: list[tuple[str, Address]]


_PLAIN_ROW = msgspec.json.Decoder(PlainRow)


class PlainRows(OnDemand[PlainRow]):
    """Rows that were put aside, read when the template comes to them."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines

    def __len__(self) -> int:
        return len(self._lines)

    def item(self, number: int) -> PlainRow:
        """Read a row."""
        return _PLAIN_ROW.decode(self._lines[number])


@dataclass(frozen=True, slots=True)
class PlainGroup:
    """The comparisons of one outcome."""

    outcome: Outcome
    heading: str
    rows: Sequence[PlainRow]


class PlainGroups:
    """The comparisons by outcome, put aside as they are drawn."""

    def __init__(self) -> None:
        self._spools: dict[Outcome, Spool] = {outcome: Spool() for outcome in HEADINGS}

    def add(self, drawn: Drawn) -> None:
        """Put the next comparison aside.

        Raises:
            ReportError: the disk is full.
        """
        detail = drawn.detail
        pictures = [(figure.key.replace("_", " "), figure.href) for figure in detail.figures]
        pictures += [
            (f"{frame.words} {figure.key.replace('_', ' ')}", figure.href)
            for frame in detail.frames
            if frame.frame != detail.frame
            for figure in frame.figures
        ]
        self._spools[drawn.row.outcome].append(msgspec.json.encode(PlainRow(drawn.row, pictures)))

    def close(self) -> None:
        """Let go of the comparisons."""
        for spool in self._spools.values():
            spool.close()

    def groups(self) -> list[PlainGroup]:
        """Return the groups that hold anything, the failures first."""
        found = ((outcome, self._spools[outcome]) for outcome in HEADINGS)
        return [PlainGroup(outcome, HEADINGS[outcome], PlainRows(spool)) for outcome, spool in found if spool]
