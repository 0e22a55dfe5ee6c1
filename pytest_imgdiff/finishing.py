"""The end of a run: what all processes recorded becomes one report, and nothing missing goes unsaid."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_imgdiff import __version__
from pytest_imgdiff.environment import versions
from pytest_imgdiff.errors import ImgdiffError
from pytest_imgdiff.files import write_atomically
from pytest_imgdiff.record import RunRecord, ToolRecord
from pytest_imgdiff.report import append_step_summary, markdown, summary_line, write_report

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pytest_imgdiff.record import ComparisonRecord
    from pytest_imgdiff.results import Merged
    from pytest_imgdiff.workspace import Workspace

MOST_LISTED = 20


@dataclass
class Outcome:
    """What is told at the end.

    Attributes:
        lines: for the terminal.
        must_fail: whether something was not compared or not written, so that the run is no success.
        page: the report's page, where there is one.
    """

    lines: list[str] = field(default_factory=list)
    must_fail: bool = False
    page: Path | None = None


def finish_run(workspace: Workspace, *, complete_selection: bool, prune: bool) -> Outcome:
    """Merge the records of all processes of a pytest run and write the report.

    Args:
        workspace: the run's.
        complete_selection: the whole suite ran and passed, so that a baseline which nobody asked for is unused.
        prune: delete the unused baselines.
    """
    outcome = Outcome()
    if workspace.results is None:
        return outcome
    try:
        merged = workspace.results.merge()
    except ImgdiffError as error:
        return Outcome([str(error)], must_fail=True)
    unused = _unused(workspace, merged) if complete_selection and not merged.unrecorded else []
    run = _run(workspace, merged, [workspace.baselines.relative(path) for path in unused])
    if not run.complete:
        outcome.must_fail = True
    outcome.lines.append(summary_line(run))
    outcome.lines += _listed("baseline written", [record.written for record in run.comparisons if record.written])
    outcome.lines += _pruned(workspace, unused, asked=prune, complete=complete_selection)
    write_all(workspace, run, outcome)
    return outcome


def run_record(
    workspace: Workspace,
    records: Sequence[ComparisonRecord],
    unrecorded: Sequence[str] = (),
    unused: Sequence[str] = (),
    *,
    complete: bool = True,
) -> RunRecord:
    """Return the record of a run with these comparisons."""
    return RunRecord(
        tool=ToolRecord("pytest-imgdiff", __version__, versions()),
        complete=complete and not unrecorded,
        unrecorded=list(unrecorded),
        comparisons=list(records),
        unused_baselines=list(unused),
        title=workspace.settings.report.title,
    )


def write_all(workspace: Workspace, run: RunRecord, outcome: Outcome) -> None:
    """Write results, page and summaries; what cannot be written becomes a line, and the run no success."""
    if workspace.results is None:
        return
    directory = workspace.results.directory
    try:
        outcome.page = write_report(directory, run, templates=workspace.settings.report.templates)
        summary = markdown(run)
        write_atomically(directory / "summary.md", summary.encode())
        append_step_summary(summary, os.environ)
        workspace.registry.reported(run, directory)
    except OSError as error:
        outcome.lines.append(f"{directory}: the report cannot be written: {error.strerror or error}")
        outcome.must_fail = True
    except ImgdiffError as error:
        outcome.lines.append(str(error))
        outcome.must_fail = True
    if outcome.page is not None:
        outcome.lines.append(f"report: {workspace.shown(outcome.page)}")


def _run(workspace: Workspace, merged: Merged, unused: Sequence[str]) -> RunRecord:
    return run_record(workspace, list(merged.records.values()), merged.unrecorded, unused, complete=merged.torn == 0)


def _unused(workspace: Workspace, merged: Merged) -> list[Path]:
    return workspace.baselines.unused(merged.used)


def _pruned(workspace: Workspace, unused: Sequence[Path], *, asked: bool, complete: bool) -> list[str]:
    if asked and not complete:
        return ["no baseline was pruned: only a run of the whole suite that passes tells which are unused"]
    names = [workspace.shown(path) for path in unused]
    if not asked:
        return _listed("unused baseline (delete with --imgdiff-prune)", names)
    for path in unused:
        path.unlink()
    return _listed("unused baseline deleted", names)


def _listed(what: str, names: Sequence[str]) -> list[str]:
    lines = [f"{what}: {name}" for name in names[:MOST_LISTED]]
    if len(names) > MOST_LISTED:
        lines.append(f"{what}: and {len(names) - MOST_LISTED} more")
    return lines
