"""What the page shows, as plain data between the records and the templates."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pytest_imgdiff.report.figures import FigureView, figures
from pytest_imgdiff.report.numbers import byte_size, number, percent
from pytest_imgdiff.report.order import worst_first
from pytest_imgdiff.report.scores import limit_checks, measured, value_text
from pytest_imgdiff.report.text import counted, thousands, visible
from pytest_imgdiff.report.words import (
    HEADLINES,
    VERDICTS,
    accept_command,
    counts,
    incompleteness,
    nearest_limits,
    region_words,
    size_choice,
    summary_line,
    verdict_line,
    warned,
)

if TYPE_CHECKING:
    from pytest_imgdiff.record import ComparisonRecord, RunRecord, ScoreRecord, SideRecord

Outcome = Literal["failed", "warned", "passed"]
MOST_REGIONS = 20
"""Rows of a section's table of regions."""
NOTHING = "\N{EN DASH}"
"""In a cell of a side that has no such fact."""
DIGEST_SHOWN = 16
"""Characters of a SHA-256 that tell two files apart at a glance; results.json has them all."""


@dataclass(frozen=True, slots=True)
class RuleView:
    """A row of the table of rules."""

    metric: str
    value: str
    limits: tuple[str, ...]
    margins: tuple[str, ...]
    outcome: Outcome
    verdict: str
    details: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class RegionView:
    """A row of the table of regions."""

    box: str
    area: str
    peak: str


@dataclass(frozen=True, slots=True)
class FactView:
    """A row of the table of both files."""

    name: str
    expected: str
    actual: str
    differs: bool


@dataclass(frozen=True, slots=True)
class ComparisonView:
    """A section of the page, or a row of the table of what passed.

    Attributes:
        anchor: of the section; made from the name, so that links hold from run to run.
        search: what the search box looks in, in lower case.
        line: the verdict line.
        nearest_limits: the limits that would have passed.
        figures: shown side by side.
        more_figures: shown on request.
        hidden_regions: how many regions the table leaves out.
    """

    anchor: str
    name: str
    search: str
    verdict: str
    outcome: Outcome
    headline: str
    line: str
    test: str | None
    written: str | None
    accept: str | None
    size_choice: str | None
    ignored: str | None
    figures: tuple[FigureView, ...]
    more_figures: tuple[FigureView, ...]
    rules: tuple[RuleView, ...]
    nearest_limits: str | None
    regions: tuple[RegionView, ...]
    region_count: str
    hidden_regions: int
    facts: tuple[FactView, ...]
    notes: tuple[str, ...]
    seconds: str


@dataclass(frozen=True, slots=True)
class FilterView:
    """A button that shows only some comparisons."""

    facet: Literal["outcome", "verdict"]
    key: str
    count: str


@dataclass(frozen=True, slots=True)
class PageView:
    """The whole page.

    Attributes:
        outcome: ``failed`` as well where nothing was compared or the run is incomplete.
        failed: the worst first.
        warned, passed: in the order of the run.
    """

    title: str
    outcome: Outcome
    headline: str
    summary: str
    incompleteness: str | None
    unrecorded: tuple[str, ...]
    filters: tuple[FilterView, ...]
    failed: tuple[ComparisonView, ...]
    warned: tuple[ComparisonView, ...]
    passed: tuple[ComparisonView, ...]
    unused_baselines: tuple[str, ...]
    tool: str
    packages: tuple[tuple[str, str], ...]

    @property
    def total(self) -> int:
        """How many comparisons the run holds."""
        return len(self.failed) + len(self.warned) + len(self.passed)


def page_view(run: RunRecord) -> PageView:
    """Return the page of a run.

    Raises:
        ReportError: a picture's path leads out of the report's folder.
    """
    groups: dict[Outcome, list[ComparisonRecord]] = {"failed": [], "warned": [], "passed": []}
    for record in run.comparisons:
        groups[_outcome(record)].append(record)
    failed, warned_ones = groups["failed"], groups["warned"]
    outcome: Outcome = "warned" if warned_ones else "passed"
    if failed or not run.complete or not run.comparisons:
        outcome = "failed"
    return PageView(
        title=visible(run.title),
        outcome=outcome,
        headline=_headline(run, len(failed)),
        summary=summary_line(run),
        incompleteness=None if run.complete else incompleteness(run),
        unrecorded=tuple(visible(name) for name in run.unrecorded),
        filters=_filters(run, {key: len(records) for key, records in groups.items()}),
        failed=tuple(comparison_view(record) for record in worst_first(failed)),
        warned=tuple(comparison_view(record) for record in warned_ones),
        passed=tuple(comparison_view(record) for record in groups["passed"]),
        unused_baselines=tuple(visible(name) for name in run.unused_baselines),
        tool=visible(f"{run.tool.name} {run.tool.version}"),
        packages=tuple((visible(name), visible(version)) for name, version in sorted(run.tool.packages.items())),
    )


def comparison_view(record: ComparisonRecord) -> ComparisonView:
    """Return what the page shows of one comparison; raises as `page_view`."""
    shown, more = figures(record)
    return ComparisonView(
        anchor=f"c-{hashlib.sha256(record.name.encode('utf-8', 'surrogatepass')).hexdigest()[:12]}",
        name=visible(record.name),
        search=visible(f"{record.name} {record.test or ''}").lower(),
        verdict=record.verdict,
        outcome=_outcome(record),
        headline=HEADLINES[record.verdict],
        line=verdict_line(record),
        test=None if record.test is None else visible(record.test),
        written=None if record.written is None else visible(record.written),
        accept=accept_command(record),
        size_choice=size_choice(record),
        ignored=percent(record.ignored, unlike=(1.0,)) if record.ignored else None,
        figures=shown,
        more_figures=more,
        rules=tuple(_rule(score) for score in record.scores),
        nearest_limits=nearest_limits(record),
        regions=tuple(
            RegionView(region_words(region), thousands(region.area), percent(region.peak))
            for region in record.regions[:MOST_REGIONS]
        ),
        region_count=counted(record.region_count, "region"),
        hidden_regions=max(0, record.region_count - MOST_REGIONS),
        facts=_facts(record.expected, record.actual),
        notes=tuple(visible(note) for note in record.notes),
        seconds=f"{number(record.seconds)} s",
    )


def _outcome(record: ComparisonRecord) -> Outcome:
    if not record.passed:
        return "failed"
    return "warned" if warned(record) else "passed"


def _headline(run: RunRecord, failed: int) -> str:
    total = len(run.comparisons)
    if not total:
        return "No image was compared"
    if failed:
        return f"{thousands(failed)} of {counted(total, 'comparison')} failed"
    passed = f"{counted(total, 'comparison')} passed"
    return passed if run.complete else f"{passed}, others did not run"


def _filters(run: RunRecord, outcomes: dict[Outcome, int]) -> tuple[FilterView, ...]:
    by_verdict = counts(run)
    return (
        *(FilterView("outcome", key, thousands(count)) for key, count in outcomes.items() if count),
        *(FilterView("verdict", key, thousands(by_verdict[key])) for key in VERDICTS if by_verdict[key]),
    )


def _rule(score: ScoreRecord) -> RuleView:
    checks = limit_checks(score)
    verdict = "fails" if not score.passed else "passes, with a warning" if score.warned else "passes"
    if score.omitted is not None:
        verdict = "not judged"
    limits = [f"{check.sign_that_holds} {check.limit}" for check in checks]
    margins = [check.margin for check in checks]
    if score.warn is not None:
        sign = "<=" if score.direction == "distance" else ">="
        limits.append(f"{sign} {value_text(score, score.warn)} (warning)")
    return RuleView(
        metric=visible(score.metric),
        value=measured(score),
        limits=tuple(limits),
        margins=tuple(margins),
        outcome="failed" if not score.passed else "warned" if score.warned or score.omitted else "passed",
        verdict=verdict,
        details=tuple((visible(key), _detail(value)) for key, value in sorted(score.details.items())),
    )


def _facts(expected: SideRecord | None, actual: SideRecord | None) -> tuple[FactView, ...]:
    """Return what is known of both files, rows that say something only."""
    if expected is None and actual is None:
        return ()
    sides = [{} if side is None else _facts_of(side) for side in (expected, actual)]
    names = dict.fromkeys([*sides[0], *sides[1]])
    rows = []
    for name in names:
        left, right = (side.get(name, NOTHING) for side in sides)
        differs = left != right and expected is not None and actual is not None and name != "file"
        rows.append(FactView(name, left, right, differs))
    return tuple(rows)


def _facts_of(side: SideRecord) -> dict[str, str]:
    facts = {
        "file": visible(side.label),
        "format": visible(side.format),
        "pixels": f"{side.width} x {side.height}",
        "mode": visible(side.mode),
    }
    if side.byte_size is not None:
        facts["size"] = byte_size(side.byte_size)
    if side.frames > 1:
        facts["frame"] = f"{side.frame} of {side.frames}, counted from 0"
    if side.orientation > 1:
        facts["EXIF orientation"] = f"{side.orientation}, applied"
    if side.gamma is not None:
        facts["gamma"] = f"{number(side.gamma)}, not applied"
    if side.icc is not None:
        facts["ICC profile"] = f"SHA-256 {visible(side.icc)[:DIGEST_SHOWN]}…, not applied"
    facts["SHA-256"] = f"{visible(side.digest)[:DIGEST_SHOWN]}…"
    return facts


def _detail(value: Any) -> str:
    """Return a metric's further fact: a number in few digits, anything else as it stands in the JSON."""
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    if isinstance(value, int):
        return thousands(value)
    if isinstance(value, float):
        return number(value)
    if isinstance(value, dict) and value.keys() >= {"label", "probability"}:  # what a classifier takes a picture for
        return f"{visible(str(value['label']))} {percent(value['probability'])}"
    if isinstance(value, list) and value:
        return ", ".join(_detail(item) for item in value)
    return visible(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
