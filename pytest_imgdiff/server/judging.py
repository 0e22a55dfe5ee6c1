"""One upload, compared and reported as any other run is."""

from __future__ import annotations

import uuid
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Literal

from pytest_imgdiff.allowance import Allowance
from pytest_imgdiff.baselines import Baselines
from pytest_imgdiff.engine import compare
from pytest_imgdiff.errors import ReportError
from pytest_imgdiff.finishing import Outcome, run_record, write_all
from pytest_imgdiff.images import Source, read, working_size
from pytest_imgdiff.report import summary_line
from pytest_imgdiff.results import ResultsFolder
from pytest_imgdiff.run_ahead import RunAhead
from pytest_imgdiff.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_imgdiff.config import Settings
    from pytest_imgdiff.record import ComparisonRecord
    from pytest_imgdiff.registry import Registry
    from pytest_imgdiff.server.jobs import Job
    from pytest_imgdiff.server.limits import Limits
    from pytest_imgdiff.server.uploads import UploadedPair


def judged(job: Job, settings: Settings, registry: Registry, limits: Limits) -> tuple[bool, str]:
    """Compare a job's pairs on all cores and write the report into its folder.

    Returns:
        Whether all passed, and the summary in one line.

    Raises:
        ImgdiffError: a model is not here, the policy cannot be followed, or the report cannot be written.
        CancelledError: the job was cancelled meanwhile.
    """
    workspace = _workspace(job, settings, registry)
    keys = [pair.key for pair in job.pairs]
    workspace.prepare(keys)
    workspace.allowance.side_by_side = len(job.pairs) > 1
    ahead = RunAhead(partial(_record, workspace, limits), job.pairs, workspace.threads(keys))
    records = []
    try:
        for pair in job.pairs:
            records.append(ahead.result(pair))
            job.step()
    finally:
        ahead.close()
    run = run_record(workspace, records)
    outcome = Outcome()
    write_all(workspace, run, outcome)
    if outcome.must_fail:
        raise ReportError("; ".join(outcome.lines))
    return all(record.passed for record in records), summary_line(run)


def _workspace(job: Job, settings: Settings, registry: Registry) -> Workspace:
    # Of two pictures both are looked at, whatever became of them; of folders, what was equal is of no interest.
    wanted: Literal["all", "different"] = "all" if len(job.pairs) == 1 else "different"
    report = replace(settings.report, pictures=wanted, title="Uploaded pictures")
    results = ResultsFolder(job.report, uuid.uuid4().hex)
    results.begin()
    return Workspace(
        root=job.folder,
        settings=replace(settings, report=report),
        registry=registry,
        baselines=Baselines(settings.baselines.folder, settings.baselines.layout),
        results=results,
        command_line=job.changes,
        allowance=Allowance(settings.memory),
        here=settings.folder,
        glance=job.glance,
        settings_files=() if settings.path is None else (settings.folder / settings.path.name,),
    )


def _record(workspace: Workspace, limits: Limits, pair: UploadedPair) -> ComparisonRecord:
    policy = workspace.policy(pair.key)
    policy = replace(policy, max_pixels=min(policy.max_pixels, limits.pixels))
    with workspace.allowance.of(working_size(pair.expected, pair.actual)):
        comparison = compare(
            _source(pair.expected, f"expected {pair.name}"),
            _source(pair.actual, f"actual {pair.name}"),
            policy,
            name=pair.name,
            registry=workspace.registry,
            at_once=not workspace.allowance.side_by_side,
            keep_frame=workspace.keep_frame,
        )
        return workspace.record(comparison)


def _source(file: Path | None, label: str) -> Source | None:
    """Return the picture under the name it was uploaded with, whatever its file is called here."""
    return None if file is None else replace(read(file), kind="bytes", label=label, path=None)
