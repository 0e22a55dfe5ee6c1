"""``pytest-imgdiff compare``: two images, two folders, or the scans of imgdiff.yaml, without pytest."""

from __future__ import annotations

import os
import sys
import time
import uuid
from contextlib import closing, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, TextIO

from pytest_imgdiff.base.errors import ConfigError
from pytest_imgdiff.base.memory import Allowance
from pytest_imgdiff.base.opening import read_regular
from pytest_imgdiff.base.parallel import LostProcessError, RunAhead
from pytest_imgdiff.base.project import label_of, refuse_other_settings
from pytest_imgdiff.base.stores import StoredFile, StoreFolder, is_url, location
from pytest_imgdiff.base.text import printable
from pytest_imgdiff.comparison.registry import Registry
from pytest_imgdiff.config import ScanSettings, find_config, load_settings
from pytest_imgdiff.config.settings import assigned, measure_list, merges_metrics
from pytest_imgdiff.images.sniff import EXTENSIONS
from pytest_imgdiff.report import encoded, load_page, summary_line
from pytest_imgdiff.report.files import write_output
from pytest_imgdiff.report.parquet import require_parquet
from pytest_imgdiff.report.records import RecordSpool, line_of, outcome_of, overview_of, read_line
from pytest_imgdiff.report.results_json import RESULTS_START
from pytest_imgdiff.report.words import measured_words, named_line
from pytest_imgdiff.run.baselines import Baselines
from pytest_imgdiff.run.finish import Outcome, model_lines, nothing_compared, run_record, shard_lines, write_all
from pytest_imgdiff.run.journal import ResultsFolder
from pytest_imgdiff.run.pairing import FoundPair, Pair, Scanned, called, prefixes
from pytest_imgdiff.run.session import Workspace
from pytest_imgdiff.run.sharding import parsed_shard, split, split_size

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator, Sequence

    from pytest_imgdiff.base.record import ComparisonRecord, RunRecord

BAR = 30
GLANCE_REPORT = "imgdiff-glance"
"""Where --glance writes its report, so that it does not replace the report of a test run and its decisions."""


def run_compare(options: argparse.Namespace) -> int:
    """Compare, print the verdicts and return the exit code.

    Raises:
        ImgdiffError: an argument or setting is invalid, or the results cannot be written.
    """
    workspace = _workspace(options)
    workspace.policy("")  # reports an invalid --set before anything is compared
    shard = None if options.shard is None else parsed_shard(options.shard, "--shard")
    scanned = _pairs(options, workspace)
    todo, share = scanned.pairs, None
    if shard is not None:
        if options.expected is not None and not _is_folder(location(options.expected, Path())):
            raise ConfigError("--shard needs two folders, not two images")
        todo, share = split(todo, [pair.name for pair in todo], list(map(split_size, todo)), shard)
    if options.cluster is None:  # workers of a cluster have their own models
        workspace.prepare(pair.key for pair in todo)
    if options.json and options.json != "-":
        _refuse_compared(options.json, todo)
    if workspace.results is not None:
        workspace.results.begin()
    words = sys.stderr if options.json == "-" else sys.stdout  # then standard output has only the JSON
    with closing(RecordSpool()) as records:
        progress = _Progress(len(todo), sys.stderr)
        found: Iterable[tuple[ComparisonRecord, bytes | None]]
        if options.cluster is None:
            found = _judged(todo, workspace, options.jobs or workspace.threads(pair.key for pair in todo))
        else:
            found = ((record, None) for record in _on_cluster(todo, workspace, options))
        for record, line in found:
            records.append(record, line)
            if not options.quiet and (options.verbose or outcome_of(record) != "passed" or len(todo) == 1):
                progress.clear()
                print(_line(record, workspace, alone=len(todo) == 1), file=words)
            progress.step()
        progress.clear()
        idle = (
            workspace.settings.idle_overrides([pair.key for pair in scanned.pairs]) if _names_folders(options) else []
        )
        run = run_record(workspace, records, not_compared=scanned.not_compared, shard=share)
        del scanned, todo, found  # the pairs of a large scan take more memory than its records
        return _finish(run, workspace, options, words, idle)


def _workspace(options: argparse.Namespace) -> Workspace:
    here = Path.cwd()
    command_line = assigned(options.set, "--set")
    if options.measure is not None:
        if "measure" in command_line:
            raise ConfigError("--measure and --set measure=... set the same key: use only one of them")
        command_line["measure"] = measure_list(options.measure, "--measure")
    report = options.report or (GLANCE_REPORT if options.glance else None)
    registry = Registry()
    config = Path(options.config) if options.config else find_config(here)
    if not options.config:
        sides = [side for side in (options.expected, options.actual) if side is not None and not is_url(side)]
        refuse_other_settings(config, sides)
    settings = load_settings(config, registry, folder=here)
    if report and settings.report.parquet:
        require_parquet()
    if options.glance:  # the page shows the images of every verdict
        settings = replace(settings, report=replace(settings.report, pictures="all"))
    return Workspace(
        root=here,
        settings=settings,
        registry=registry,
        baselines=Baselines(settings.baselines.folder, settings.baselines.layout),
        results=ResultsFolder(here / report, uuid.uuid4().hex) if report else None,
        command_line=command_line,
        merges_metrics=merges_metrics(options.set),
        allowance=Allowance(settings.memory),
        self_contained=options.self_contained or settings.report.self_contained,
        settings_files=() if settings.path is None else (here / settings.path,),
        glance=options.glance,
    )


def _pairs(options: argparse.Namespace, workspace: Workspace) -> Scanned:
    if options.expected is None:
        if options.include or options.exclude:
            raise ConfigError(
                "--include and --exclude need two folders; set include and exclude in the scans of imgdiff.yaml"
            )
        return _configured(workspace)
    if options.actual is None:
        raise ConfigError("compare: pass two images or two folders, or neither to run the scans of imgdiff.yaml")
    expected, actual = location(options.expected, Path()), location(options.actual, Path())
    if _is_folder(expected) and _is_folder(actual):
        scan = ScanSettings(expected, actual, tuple(options.include), tuple(options.exclude))
        return workspace.scanned(scan, _skipped(workspace))
    if _is_folder(expected) or _is_folder(actual):
        folder, other = (expected, actual) if _is_folder(expected) else (actual, expected)
        if isinstance(other, Path) and not other.exists():
            raise ConfigError(f"{label_of(other)} does not exist")
        raise ConfigError(f"{called(folder)} is a folder and {called(other)} is not; pass two images or two folders")
    if options.include or options.exclude:
        raise ConfigError("--include and --exclude need two folders, not two images")
    return Scanned([_two_images(expected, actual)])


def _two_images(expected: Path | StoreFolder, actual: Path | StoreFolder) -> Pair:
    one, other = (StoredFile(side.url) if isinstance(side, StoreFolder) else side for side in (expected, actual))
    if isinstance(one, StoredFile) and isinstance(other, StoredFile) and one.url == other.url:
        raise ConfigError(f"{one} and {other} are the same object; pass two different images")
    if isinstance(one, Path) and isinstance(other, Path) and one.exists() and other.exists() and one.samefile(other):
        raise ConfigError(f"{label_of(one)} and {label_of(other)} are the same file; pass two different images")
    name = other.as_posix() if isinstance(other, Path) else other.label
    return Pair(printable(name), name, one, other, one)


def _is_folder(place: Path | StoreFolder) -> bool:
    """Return whether it is a folder; in a store, a path without an image's extension is one."""
    if isinstance(place, Path):
        return place.is_dir()
    return place.url.endswith("/") or PurePosixPath(place.url.partition("?")[0]).suffix.lower() not in EXTENSIONS


def _names_folders(options: argparse.Namespace) -> bool:
    """Return whether whole folders are compared; of a part, an override need not match an image."""
    return (
        not options.include
        and not options.exclude
        and (options.expected is None or _is_folder(location(options.expected, Path())))
    )


def _configured(workspace: Workspace) -> Scanned:
    settings = workspace.settings
    if settings.path is None or not settings.scans:
        missing = "there is no imgdiff.yaml in this folder or above it"
        where = missing if settings.path is None else f"{label_of(settings.path)} has no scans"
        raise ConfigError(f"compare: {where}; pass two images or two folders")
    named = zip(settings.scans, prefixes(settings.scans, Path.cwd()), strict=True)
    scanned = [workspace.scanned(scan, _skipped(workspace), prefix) for scan, prefix in named]
    return Scanned(
        [pair for one in scanned for pair in one.pairs], tuple(line for one in scanned for line in one.not_compared)
    )


def _skipped(workspace: Workspace) -> list[Path]:
    return [workspace.settings.report.folder, *(workspace.results.reports() if workspace.results else [])]


def _judged(
    todo: Sequence[Pair | FoundPair], workspace: Workspace, workers: int | None
) -> Iterator[tuple[ComparisonRecord, bytes]]:
    """Yield the record of each pair and its line, which is what the comparing process sends."""
    apart = workspace.may_run_apart(len(todo), (pair.key for pair in todo))
    ahead = RunAhead(
        lambda pair: line_of(workspace.judged(pair)),
        todo,
        workers,
        apart=apart,
        meanwhile=None if workspace.results is None else load_page,
        on_loss=workspace.allowance.share,
    )
    try:
        for pair in todo:
            try:
                line = ahead.result(pair)
            except LostProcessError as error:
                line = line_of(workspace.record(workspace.not_compared(pair, pair.name, str(error)), key=pair.key))
            yield read_line(line), line
    finally:
        ahead.close()


def _on_cluster(
    todo: Sequence[Pair | FoundPair], workspace: Workspace, options: argparse.Namespace
) -> Iterator[ComparisonRecord]:
    from pytest_imgdiff.run.cluster import Cluster, records

    with Cluster(options.cluster, options.jobs, options.cluster_timeout) as cluster:
        cluster.check()
        yield from records(cluster, todo, workspace)


def _line(record: ComparisonRecord, workspace: Workspace, *, alone: bool) -> str:
    if not alone:
        return named_line(record)
    if not record.passed:
        return workspace.failure_text(record)
    return "\n".join([named_line(record), *(f"  measured: {words}" for words in measured_words(record))])


def _finish(
    run: RunRecord, workspace: Workspace, options: argparse.Namespace, words: TextIO, notes: Sequence[str]
) -> int:
    overview = overview_of(run.comparisons)
    nothing = nothing_compared(run)
    outcome = Outcome(
        [summary_line(run), *shard_lines(run), *nothing, *run.not_compared, *model_lines(overview), *notes],
        bool(nothing),
    )
    write_all(workspace, run, outcome)
    if workspace.results is not None:
        workspace.results.release()
    if options.json:
        write_output(encoded(run), options.json, "the results")
    for line in outcome.lines:
        print(line, file=words)
    if outcome.must_fail or overview.verdicts["broken"]:
        return 2
    return 1 if overview.outcomes["failed"] else 0


def _refuse_compared(target: str, todo: Sequence[Pair | FoundPair]) -> None:
    """Raise `ConfigError` if the results would replace a compared image."""
    try:
        status = os.stat(target)  # noqa: PTH116 - as below
        if read_regular(target, len(RESULTS_START)) == RESULTS_START:  # usually of an earlier run
            return
    except OSError:  # it does not exist yet, or cannot be written, which is reported later
        return
    for path in (path for pair in todo for path in pair.sources if not isinstance(path, StoredFile)):
        with suppress(OSError):
            if path is not None and os.path.samestat(os.stat(path), status):  # noqa: PTH116 - many paths, as words
                raise ConfigError(
                    f"--json {printable(target)}: this image is compared; choose another file for the results"
                )


class _Progress:
    """A progress bar on a terminal; nothing elsewhere."""

    def __init__(self, total: int, stream: TextIO) -> None:
        self._total = total
        self._done = 0
        self._began = time.monotonic()
        self._stream = stream if total > 1 and stream.isatty() else None

    def step(self) -> None:
        self._done += 1
        if self._stream is not None:
            filled = BAR * self._done // self._total
            rate = self._done / max(time.monotonic() - self._began, 0.001)
            left = timedelta(seconds=round((self._total - self._done) / rate))
            bar = f"[{'#' * filled}{'.' * (BAR - filled)}] {self._done}/{self._total}"
            self._stream.write(f"\r{bar}, {rate:.0f}/s, {left} left\x1b[K")
            self._stream.flush()

    def clear(self) -> None:
        if self._stream is not None:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
