"""The end of a run: the records of all processes become one report, and everything missing is reported."""

from __future__ import annotations

import os
import shlex
import uuid
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from pytest_imgdiff import __version__
from pytest_imgdiff._core import described
from pytest_imgdiff.base.environment import versions
from pytest_imgdiff.base.errors import ImgdiffError
from pytest_imgdiff.base.files import write_atomically
from pytest_imgdiff.base.project import label_of, relative
from pytest_imgdiff.base.record import RunRecord, ToolRecord
from pytest_imgdiff.base.text import counted, printable, thousands, visible
from pytest_imgdiff.report import append_step_summary, markdown, summary_line, write_report, write_results
from pytest_imgdiff.report.parquet import write_parquet
from pytest_imgdiff.report.records import not_asserted, overview_of, unsettled, warned
from pytest_imgdiff.report.results_json import RESULTS_FILE
from pytest_imgdiff.report.sarif import SARIF_FILE, sarif
from pytest_imgdiff.report.words import named_line, redrawn_line, rename_line
from pytest_imgdiff.run.baselines import RanModules
from pytest_imgdiff.run.renames import find_renames

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_imgdiff.base.record import ComparisonRecord, ShardRecord
    from pytest_imgdiff.report.records import Overview
    from pytest_imgdiff.run.baselines import Survey
    from pytest_imgdiff.run.journal import Merged
    from pytest_imgdiff.run.session import Workspace

MOST_LISTED = 20


@dataclass
class Outcome:
    """What to print and return at the end.

    Attributes:
        lines: for the terminal.
        must_fail: whether something was not compared or not written, so that the run fails.
        page: the report's page, if there is one.
        is_empty_shard: whether the run is a shard without pairs, which is not a failure.
        is_usage_error: whether workers of pytest-xdist found invalid usage that only they could see.
    """

    lines: list[str] = field(default_factory=list)
    must_fail: bool = False
    page: Path | None = None
    is_empty_shard: bool = False
    is_usage_error: bool = False


def finish_run(
    workspace: Workspace,
    *,
    prune: bool,
    prune_orphans: bool = False,
    problems: Sequence[str] = (),
    verbose: bool = False,
    notes: Sequence[str] = (),
) -> Outcome:
    """Merge the records of all processes of a pytest run and write the report.

    Args:
        workspace: the run's.
        prune: delete unused baselines.
        prune_orphans: also delete those that belong to no test file.
        problems: errors in this process during the run.
        verbose: list comparisons that passed with differing pixels.
        notes: lines that change no outcome.
    """
    if workspace.results is None:
        return Outcome()
    try:
        merged = workspace.results.merge()
    except ImgdiffError as error:
        return Outcome([*problems, str(error)], must_fail=True)
    with closing(merged.lines):
        outcome = _finished(workspace, merged, [*problems, *merged.problems], verbose=verbose)
        outcome.lines += [*notes, *_idle_overrides(workspace, merged)]
        survey = _survey(workspace, merged)
        orphans = [] if _why_orphans_are_kept(merged) else survey.orphans
        renames = find_renames(workspace, merged, survey)
        offered = {workspace.root / rename.old for rename in renames}
        survey.unused = [path for path in survey.unused if path not in offered]
        orphans = [path for path in orphans if path not in offered]
        survey.orphans = [path for path in survey.orphans if path not in offered]
        if renames:
            report = shlex.quote(workspace.shown(workspace.results.directory))
            outcome.lines += _listed("renamed test?", [rename_line(rename) for rename in renames])
            outcome.lines.append(f"rename them: pytest-imgdiff accept {report} --renames")
        if prune:
            _prune(workspace, survey, _why_orphans_are_kept(merged), outcome, orphans_too=prune_orphans)
        else:
            names = [workspace.shown(path) for path in survey.unused]
            outcome.lines += _listed("unused baseline (delete with --imgdiff-prune)", names)
        if not prune_orphans:
            names = [workspace.shown(path) for path in orphans]
            outcome.lines += _listed("belongs to no test file (delete with --imgdiff-prune-orphans)", names)
        unused = [workspace.baselines.relative(path) for path in sorted([*survey.unused, *orphans])]
        run = msgspec.structs.replace(_run(workspace, merged, unused), renames=renames)
        write_all(workspace, run, outcome)
        return outcome


def _finished(workspace: Workspace, merged: Merged, problems: Sequence[str], *, verbose: bool) -> Outcome:
    shared = _shared_baselines(merged)
    run = _run(workspace, merged, [])
    undetected = [
        f"failed, but its test passed: {named_line(record)} (the call was in another process, or after the test)"
        for record in merged.undetected()
    ]
    problems = [*problems, *shared, *undetected, *nothing_compared(run)]
    outcome = Outcome([summary_line(run), *problems], must_fail=bool(problems or not run.complete))
    if workspace.has_store and merged.owners:
        from pytest_imgdiff.run.baseline_store import stale_line  # few projects use a store

        if line := stale_line(workspace.baselines.folder, workspace.settings.folder):
            outcome.lines.append(line)
    if line := redrawn_line(run):
        outcome.lines.append(line)
    outcome.lines += shard_lines(run)
    outcome.lines += run.not_compared
    outcome.is_empty_shard = run.shard is not None and run.shard.here == 0
    outcome.is_usage_error = merged.is_usage_error
    outcome.lines += _named("not asserted", not_asserted(run.comparisons))
    outcome.lines += _named("passes with a warning", warned(run.comparisons))
    if verbose:
        outcome.lines += _named("passes, not equal", unsettled(run.comparisons))
    written = [workspace.shown(workspace.root / name) for name in merged.written]
    outcome.lines += _listed("baseline written", written)
    if written and workspace.has_store:
        from pytest_imgdiff.run.baseline_store import PUSH_LINE  # few projects use a store

        outcome.lines.append(PUSH_LINE)
    outcome.lines += model_lines(merged.records.overview)
    return outcome


def _idle_overrides(workspace: Workspace, merged: Merged) -> list[str]:
    """Return a line for each override that matches no image of a whole suite.

    Nothing if a part of it ran, or if there are scans, which may be run apart from the tests.
    """
    settings = workspace.settings
    if not settings.overrides or settings.scans or not merged.is_whole_suite:
        return []
    if merged.torn or not set(merged.collected) <= merged.finished:
        return []
    return settings.idle_overrides([record.key for record in merged.records if record.key is not None])


def nothing_compared(run: RunRecord) -> list[str]:
    """Return a line if every comparison lacks its actual image: `unmatched: allow` is meant for only some of them."""
    unmatched = overview_of(run.comparisons).verdicts["unmatched"]
    if not unmatched or unmatched < len(run.comparisons):
        return []
    return ["no actual image was found, so nothing was compared: check the path of the folder of actual images"]


def _shared_baselines(merged: Merged) -> list[str]:
    """Return a line for each baseline that several comparisons share, which can happen across processes."""
    return [
        f"{' and '.join(owners)} share the baseline {place}: pass another name=... to one of them"
        for place, owners in merged.owners.items()
        if len(owners) > 1
    ]


def run_record(
    workspace: Workspace,
    records: Sequence[ComparisonRecord],
    unrecorded: Sequence[str] = (),
    unused: Sequence[str] = (),
    *,
    not_compared: Iterable[str] = (),
    complete: bool = True,
    shard: ShardRecord | None = None,
) -> RunRecord:
    """Return the record of a run with these comparisons."""
    return RunRecord(
        tool=ToolRecord("pytest-imgdiff", __version__, {**versions(), "core": described()}),
        complete=complete and not unrecorded,
        unrecorded=list(unrecorded),
        comparisons=records,
        unused_baselines=list(unused),
        not_compared=list(not_compared),
        settings=[_settings_name(path, workspace) for path in workspace.settings_files],
        root=None if workspace.results is None else _root(workspace.root, workspace.results.directory),
        title=workspace.settings.report.title,
        run=uuid.uuid4().hex if workspace.results is None else workspace.results.run,
        shard=shard,
    )


def shard_lines(run: RunRecord) -> list[str]:
    """Return a line with the shard of the run; empty for a complete run."""
    shard = run.shard
    if shard is None:
        return []
    of = "" if shard.whole is None else f" of {thousands(shard.whole)}"
    return [f"shard {shard.number}/{shard.count}: {thousands(shard.here)}{of}; join all with `pytest-imgdiff report`"]


def _settings_name(path: Path, workspace: Workspace) -> str:
    """Return the name of a settings file for the report, without folders of this machine."""
    inside = path.is_relative_to(workspace.root)
    return printable(relative(path, workspace.root if inside else workspace.here or workspace.root))


def _root(root: Path, directory: Path) -> str | None:
    """Return the path from the report's folder to the root; None if there is none, or JSON cannot represent it."""
    way = relative(root, directory)
    return None if Path(way).is_absolute() or printable(way) != way else way


def write_all(workspace: Workspace, run: RunRecord, outcome: Outcome) -> None:
    """Write results, summaries and the page if needed. What cannot be written adds a line and fails the run."""
    if workspace.results is None:
        return
    directory = workspace.results.directory
    try:
        templates = workspace.settings.report.templates
        if workspace.always_page or outcome.must_fail or _needs_attention(run):
            outcome.page = write_report(directory, run, templates=templates, self_contained=workspace.self_contained)
        else:
            write_results(directory, run)
        if workspace.settings.report.parquet:
            write_parquet(directory, run)
        write_atomically(directory / "summary.md", markdown(run, pictures="").encode())
        write_atomically(directory / SARIF_FILE, sarif(run))
        _call_report_hooks(workspace, run, directory)
    except OSError as error:
        outcome.lines.append(f"{label_of(directory)}: the report cannot be written: {error.strerror or error}")
        outcome.must_fail = True
    except ImgdiffError as error:
        outcome.lines.append(str(error))
        outcome.must_fail = True
    else:
        _write_step_summary(markdown(run), outcome)
    requested = workspace.results.requested
    if requested != directory:
        outcome.lines.append(
            f"{workspace.shown(requested)} is in use by another run, so the results of this run are in "
            f"{workspace.shown(directory)}"
        )
    if outcome.page is not None:
        outcome.lines.append(f"report: {workspace.shown(outcome.page)}")
    elif not outcome.must_fail:
        outcome.lines.append(f"results: {workspace.shown(directory / RESULTS_FILE)}")


def _needs_attention(run: RunRecord) -> bool:
    """Return whether a comparison may need a person's attention or decision."""
    outcomes = overview_of(run.comparisons).outcomes
    return not run.complete or bool(outcomes["failed"] or outcomes["warned"] or run.renames)


def _call_report_hooks(workspace: Workspace, run: RunRecord, directory: Path) -> None:
    """Pass the run to plugins, with the comparisons as a list, which they may modify."""
    if workspace.registry.extended:
        run = msgspec.structs.replace(run, comparisons=list(run.comparisons))
    workspace.registry.reported(run, directory)


def _write_step_summary(summary: str, outcome: Outcome) -> None:
    try:
        append_step_summary(summary, os.environ)
    except ImgdiffError as error:  # the results are written anyway
        outcome.lines.append(str(error))


def _run(workspace: Workspace, merged: Merged, unused: Sequence[str]) -> RunRecord:
    return run_record(
        workspace,
        merged.records,
        merged.unrecorded,
        unused,
        not_compared=merged.not_compared,
        complete=merged.torn == 0,
        shard=merged.shard,
    )


def _survey(workspace: Workspace, merged: Merged) -> Survey:
    ran = RanModules(
        collected=merged.collected_modules,
        whole=merged.modules,
        unclean=merged.unclean,
        claimed=merged.owners,
        is_stopped=not set(merged.collected) <= merged.finished or merged.torn > 0,
    )
    survey = workspace.baselines.survey(merged.used, ran, workspace.root)
    if survey.orphans:  # a test may use one as its expected image
        named = {record.expected.label for record in merged.records if record.expected is not None}
        known = {_absolute(workspace.root / name) for name in named}
        survey.orphans = [path for path in survey.orphans if _absolute(path) not in known]
    return survey


def _absolute(path: Path) -> str:
    return os.path.abspath(path)  # noqa: PTH100 - links stay


def _why_orphans_are_kept(merged: Merged) -> str | None:
    """Return why the run cannot decide that a stored image belongs to no test; None if it can."""
    if not merged.is_whole_suite:
        return "only a part of the test suite was selected"
    if not set(merged.collected) <= merged.finished or merged.torn:
        return "the run stopped early"
    if merged.unclean:
        return "a test did not pass"
    return None if merged.used else "no test of the run has a stored baseline here"


def _prune(workspace: Workspace, survey: Survey, reason: str | None, outcome: Outcome, *, orphans_too: bool) -> None:
    """Delete unused baselines, and report what was checked, what was not, and why."""
    doomed = [*survey.unused, *(survey.orphans if orphans_too and reason is None else ())]
    failures = [failure for path in doomed if (failure := _deletion(path)) is not None]
    outcome.lines += failures
    outcome.must_fail = outcome.must_fail or bool(failures)
    deleted = [workspace.shown(path) for path in doomed if not os.path.lexists(path)]
    outcome.lines += _listed("unused baseline deleted", deleted)
    looked_at = counted(survey.looked_at, "stored image")
    outcome.lines.append(
        f"pruning checked {looked_at}: {thousands(len(survey.unused))} unused"
        if survey.looked_at
        else "pruning checked no stored image"
    )
    left = dict(survey.left)
    if survey.orphans and reason is not None:
        left[f"they belong to no test file, and {reason}"] = survey.orphans
    for why, files in left.items():
        first = workspace.shown(files[0])
        outcome.lines.append(f"pruning did not check {counted(len(files), 'stored image')}: {why}; the first: {first}")


def _deletion(path: Path) -> str | None:
    """Delete the file; return the error if that fails."""
    try:
        path.unlink()
    except OSError as error:
        return f"{label_of(path)}: the unused baseline cannot be deleted: {error.strerror}"
    return None


def model_lines(overview: Overview) -> list[str]:
    """Return lines about models: each backend and device, settings that failed, and why other models did not run."""
    lines = sorted(f"models: {model}" for model in overview.models)
    lines += _listed("models", [visible(notice) for notice in overview.notices])
    return [*lines, *(f"{', '.join(names)}: {cause}" for cause, names in overview.unmeasured.items())]


def _named(what: str, records: Sequence[ComparisonRecord]) -> list[str]:
    """Return a line for each of the first records, and one with the number of the others."""
    first = [named_line(record) for record in records[:MOST_LISTED]]
    return _listed(what, first, len(records))


def _listed(what: str, names: Sequence[str], count: int | None = None) -> list[str]:
    """Return a line for each of the first names, and one with the number of the others."""
    more = (len(names) if count is None else count) - MOST_LISTED
    lines = [f"{what}: {name}" for name in names[:MOST_LISTED]]
    if more > 0:
        lines.append(f"{what}: and {more} more")
    return lines
