"""The page without scripts, as its template draws it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, overload

import msgspec

from pytest_imgdiff.lines import Lines, Spool
from pytest_imgdiff.report.data import Address, Outcome, Row  # noqa: TC001 - msgspec reads the annotations

if TYPE_CHECKING:
    from pytest_imgdiff.report.content import Drawn

HEADINGS: dict[Outcome, str] = {"failed": "Failed", "warned": "Passed with a warning", "passed": "Passed"}


class PlainRow(NamedTuple):
    """A comparison: its row of the list, and a word and an address for each picture."""

    row: Row
    pictures: list[tuple[str, Address]]


_PLAIN_ROW = msgspec.json.Decoder(PlainRow)


class PlainRows(Sequence[PlainRow]):
    """Rows that were put aside, read when the template comes to them."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines

    def __len__(self) -> int:
        return len(self._lines)

    @overload
    def __getitem__(self, number: int) -> PlainRow: ...

    @overload
    def __getitem__(self, number: slice) -> list[PlainRow]: ...

    def __getitem__(self, number: int | slice) -> PlainRow | list[PlainRow]:
        """Read a row."""
        if isinstance(number, slice):
            return [_PLAIN_ROW.decode(line) for line in self._lines[number]]
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
        pictures = [(figure.key.replace("_", " "), figure.href) for figure in drawn.detail.figures]
        self._spools[drawn.row.outcome].append(msgspec.json.encode(PlainRow(drawn.row, pictures)))

    def close(self) -> None:
        """Let go of the comparisons."""
        for spool in self._spools.values():
            spool.close()

    def groups(self) -> list[PlainGroup]:
        """Return the groups that hold anything, the failures first."""
        found = ((outcome, self._spools[outcome]) for outcome in HEADINGS)
        return [PlainGroup(outcome, HEADINGS[outcome], PlainRows(spool)) for outcome, spool in found if spool]
