"""The page without scripts, as its template draws it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_imgdiff.report.content import Content
    from pytest_imgdiff.report.data import Address, Outcome, Row

HEADINGS: dict[Outcome, str] = {"failed": "Failed", "warned": "Passed with a warning", "passed": "Passed"}


class PlainRow(NamedTuple):
    """A comparison: its row of the list, and a word and an address for each picture."""

    row: Row
    pictures: Sequence[tuple[str, Address]]


@dataclass(frozen=True, slots=True)
class PlainGroup:
    """The comparisons of one outcome."""

    outcome: Outcome
    heading: str
    rows: Sequence[PlainRow]


def plain_groups(content: Content) -> list[PlainGroup]:
    """Return the groups that hold anything, the failures first."""
    groups: dict[Outcome, list[PlainRow]] = {outcome: [] for outcome in HEADINGS}
    for row, figures in zip(content.rows, content.figures, strict=True):
        pictures = [(figure.key.replace("_", " "), figure.href) for figure in figures]
        groups[row.outcome].append(PlainRow(row, pictures))
    return [PlainGroup(outcome, HEADINGS[outcome], rows) for outcome, rows in groups.items() if rows]
