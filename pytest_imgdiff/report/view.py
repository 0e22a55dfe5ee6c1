"""What the templates draw, as plain data between the records and them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from pytest_imgdiff.report.data import Outcome
from pytest_imgdiff.report.stored import overview_of
from pytest_imgdiff.report.text import counted, thousands, visible
from pytest_imgdiff.report.words import (
    VERDICTS,
    counts,
    incompleteness,
    redrawn_line,
    rename_line,
    settings_words,
    summary_line,
)

if TYPE_CHECKING:
    from pytest_imgdiff.record import RunRecord

OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)


@dataclass(frozen=True, slots=True)
class FilterView:
    """How many comparisons there are of one kind."""

    facet: Literal["outcome", "verdict"]
    key: str
    count: str


@dataclass(frozen=True, slots=True)
class PageView:
    """All of a page but for its comparisons; every text is fit to be shown.

    Attributes:
        outcome: ``failed`` as well where nothing was compared or the run is incomplete.
        incompleteness: what an incomplete run lacks, None of a complete one.
        redrawn: that most failures are those of another font renderer; None where they are not.
        unrecorded: what was collected and did not run to its end.
        total: how many comparisons the run holds.
        filters: the kinds that there are.
        renames: baselines that seem to belong to tests that were renamed, in lines.
        not_compared: what the scans left out, in lines.
        columns: the runs that were merged into this one.
        self_contained: whether the page is one file: there is nothing beside it to link to.
    """

    title: str
    outcome: Literal["failed", "passed"]
    headline: str
    summary: str
    incompleteness: str | None
    redrawn: str | None
    unrecorded: tuple[str, ...]
    total: int
    filters: tuple[FilterView, ...]
    columns: tuple[str, ...]
    unused_baselines: tuple[str, ...]
    renames: tuple[str, ...]
    not_compared: tuple[str, ...]
    tool: str
    packages: tuple[tuple[str, str], ...]
    settings: str
    self_contained: bool


def page_view(run: RunRecord, *, self_contained: bool = False) -> PageView:
    """Return the page of a run."""
    failed = overview_of(run.comparisons).outcomes["failed"]
    passed = run.comparisons and not failed and run.complete
    return PageView(
        title=visible(run.title),
        outcome="passed" if passed else "failed",
        headline=_headline(run, failed),
        summary=summary_line(run),
        incompleteness=None if run.complete else incompleteness(run),
        redrawn=redrawn_line(run),
        unrecorded=tuple(visible(name) for name in run.unrecorded),
        total=len(run.comparisons),
        filters=_filters(run),
        columns=tuple(visible(column) for column in run.columns),
        renames=tuple(map(rename_line, run.renames)),
        unused_baselines=tuple(visible(name) for name in run.unused_baselines),
        not_compared=tuple(visible(line) for line in run.not_compared),
        tool=visible(f"{run.tool.name} {run.tool.version}"),
        packages=tuple((visible(name), visible(version)) for name, version in sorted(run.tool.packages.items())),
        settings=settings_words(run),
        self_contained=self_contained,
    )


def _headline(run: RunRecord, failed: int) -> str:
    total = len(run.comparisons)
    if not total:
        return "No image was compared"
    if failed:
        return f"{thousands(failed)} of {counted(total, 'comparison')} failed"
    passed = f"{counted(total, 'comparison')} passed"
    return passed if run.complete else f"{passed}, others did not run"


def _filters(run: RunRecord) -> tuple[FilterView, ...]:
    outcomes = overview_of(run.comparisons).outcomes
    verdicts = counts(run)
    return (
        *(FilterView("outcome", key, thousands(outcomes[key])) for key in OUTCOMES if outcomes[key]),
        *(FilterView("verdict", key, thousands(verdicts[key])) for key in VERDICTS if verdicts[key]),
    )
