"""Measurements as rows: medians, ratios within a round, met or missed."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from benchmarks.goals import Goal

HEADINGS = ("goal", "what", "ours", "beside", "theirs", "ratio (min..max)", "limit", "")


@dataclass(frozen=True)
class Row:
    """One goal as it was measured.

    Attributes:
        goal: the goal.
        ours: our figures, one a round, in the goal's unit.
        theirs: the rival's, of the same rounds; empty where the goal has no rival.
        note: a remark; the reason if nothing was measured.
        results: the results of the two sides, by name.
    """

    goal: Goal
    ours: Sequence[float] = ()
    theirs: Sequence[float] = ()
    note: str = ""
    results: Mapping[str, Any] = field(default_factory=dict)
    held: list[float] = field(init=False)
    """The values compared with the limit, one a round: the ratios, or our own figures if there is no rival."""

    def __post_init__(self) -> None:
        held = list(self.ours)
        if self.goal.rival is not None:
            held = [our / their for our, their in zip(self.ours, self.theirs, strict=True)]
        object.__setattr__(self, "held", held)

    @property
    def verdict(self) -> str:
        """``met`` or ``MISSED`` by the median; ``shown`` where there is no limit, ``not measured`` without figures."""
        if not self.held:
            return "not measured"
        if self.goal.limit is None:
            return "shown"
        return "met" if median(self.held) <= self.goal.limit else "MISSED"

    def as_json(self) -> dict[str, Any]:
        """Return all figures, ready for JSON."""
        goal = self.goal
        return {
            "name": goal.name,
            "goal": goal.number,
            "says": goal.says,
            "rival": goal.rival,
            "unit": goal.unit,
            "limit": goal.limit,
            "ours": list(self.ours),
            "theirs": list(self.theirs),
            "held": {"median": median(self.held), "min": min(self.held), "max": max(self.held)} if self.held else None,
            "verdict": self.verdict,
            "note": self.note,
            "results": dict(self.results),
        }

    def cells(self) -> tuple[str, ...]:
        """Return one string for each of `HEADINGS`."""
        goal = self.goal
        said = (str(goal.number), goal.says)
        limit = "" if goal.limit is None else figure(goal.limit)
        verdict = f"{self.verdict}: {self.note}" if self.note else self.verdict
        if not self.held:
            return (*said, "", goal.rival or "", "", "", limit, verdict)
        spread = f"{figure(median(self.held))} ({figure(min(self.held))}..{figure(max(self.held))})"
        if goal.rival is None:
            return (*said, f"{spread} {goal.unit}".rstrip(), "", "", "", f"{limit} {goal.unit}".rstrip(), verdict)
        ours, theirs = (f"{figure(median(side))} {goal.unit}" for side in (self.ours, self.theirs))
        return (*said, ours, goal.rival, theirs, spread, limit, verdict)


def completed(rows: Iterable[Row], goals: Iterable[Goal], note: str) -> list[Row]:
    """Return the rows in the order of the goals, with a row of this note for each goal that has none."""
    by_name = {row.goal.name: row for row in rows}
    return [by_name.get(goal.name) or Row(goal, note=note) for goal in goals]


def figure(value: float) -> str:
    """Return a number in three digits; whole from 100 on, in powers of ten below a thousandth."""
    if value >= 100:  # noqa: PLR2004 - digits after the point say nothing from there on
        return f"{value:.0f}"
    return f"{value:.3g}"


def markdown(rows: Sequence[Row], without: Sequence[Row] = ()) -> str:
    """Return the rows as a table that reads well in a terminal and is Markdown.

    Args:
        rows: what was measured.
        without: the same goals, measured without the compiled core: what was held to the limit stands in a column.
    """
    lines = [HEADINGS, *(row.cells() for row in rows)]
    if without:
        medians = (figure(median(row.held)) if row.held else "" for row in without)
        lines = [(*line[:-1], more, line[-1]) for line, more in zip(lines, ("without the core", *medians), strict=True)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    texts = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    ]
    return "\n".join([texts[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *texts[1:]])
