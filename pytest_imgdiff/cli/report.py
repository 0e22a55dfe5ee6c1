"""``pytest-imgdiff report``: write a report from one or more results.json."""

from __future__ import annotations

import hashlib
import os
import sys
import uuid
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from pytest_imgdiff.base.errors import ConfigError, ImgdiffError, ReportError
from pytest_imgdiff.base.files import OutsideError, path_below
from pytest_imgdiff.base.opening import read_regular
from pytest_imgdiff.base.project import label_of, relative
from pytest_imgdiff.base.text import counted, printable, safe_name
from pytest_imgdiff.report import (
    append_step_summary,
    close_results,
    markdown,
    open_results,
    summary_line,
    write_report,
)
from pytest_imgdiff.report.files import replace_derived, replace_file
from pytest_imgdiff.report.html import PAGE
from pytest_imgdiff.report.html_data import media_type
from pytest_imgdiff.report.merge import Part, merged, unique_labels
from pytest_imgdiff.report.parquet import require_parquet, write_parquet
from pytest_imgdiff.report.records import RecordSpool, overview_of
from pytest_imgdiff.report.results_json import RESULTS_FILE
from pytest_imgdiff.report.sarif import SARIF_FILE, sarif
from pytest_imgdiff.run.finish import MOST_LISTED
from pytest_imgdiff.run.journal import ResultsFolder

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from pytest_imgdiff.base.record import ComparisonRecord, RunRecord

PICTURES = "pictures"
_PASSED, _DIFFER, _OTHERWISE = 0, 1, 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.description = (
        "Write a report from one or more results.json; several become columns of one report. Exit code 0: all "
        "passed, 1: different, 2: an image was not compared, a run is incomplete, or there are no comparisons."
    )
    parser.add_argument(
        "--from",
        dest="sources",
        action="extend",
        nargs="+",
        required=True,
        metavar="RESULTS",
        help="folders of reports, or their results.json; can be repeated",
    )
    parser.add_argument("--report", metavar="DIR", help="the folder to write (default: the folder of the only RESULTS)")
    parser.add_argument(
        "--name", action="append", default=[], metavar="LABEL", help="label of a column; once for each RESULTS"
    )
    parser.add_argument(
        "--shards",
        action="store_true",
        help="merge the results as parts of one run, without columns (not needed for numbered shards)",
    )
    parser.add_argument(
        "--title", metavar="TEXT", help="the title of the page (default: the title of the first RESULTS)"
    )
    parser.add_argument("--templates", metavar="DIR", help="a folder with your own templates and assets")
    parser.add_argument(
        "--self-contained", action="store_true", help="also write report.html: one file with all images"
    )
    parser.add_argument("--parquet", action="store_true", help="also write results.parquet: a table for data frames")
    parser.add_argument("--sarif", metavar="FILE", help="also write the findings to FILE, as SARIF 2.1.0")
    parser.add_argument(
        "--pictures-at", metavar="URL", help="the address where the folder is published, for the images in the Markdown"
    )


def run(options: argparse.Namespace) -> int:
    """Write the report and print its summary.

    Returns:
        0: every comparison passed. 1: some differ. 2: an image was not compared, there are no comparisons, or a run is
        incomplete.

    Raises:
        ImgdiffError: an argument or a results.json is invalid; an earlier report in the folder is unchanged.
    """
    _check(options)
    if options.parquet:
        require_parquet()
    with ExitStack() as open_files:
        sources = _sources(options, open_files)
        target = _target(options, sources)
        alone = len(sources) == 1
        copies = [] if target is None else [_Copies(source, open_files, alone=alone) for source in sources]
        runs = [source.run for source in sources] if target is None else [copy.run for copy in copies]
        are_columns = _become_columns(options, sources)
        columns = [source.label if are_columns else None for source in sources]
        parts = [
            Part(run, str(source.results), column) for run, source, column in zip(runs, sources, columns, strict=True)
        ]
        run = merged(parts, options.title, keeps_shard=target is None or are_columns)
        open_files.pop_all().close()  # the report may replace the results that it is written from
        open_files.callback(close_results, run)
        return _drawn(run, sources, target, copies, options)


def _drawn(
    run: RunRecord,
    sources: Sequence[_Source],
    target: Path | None,
    copies: Sequence[_Copies],
    options: argparse.Namespace,
) -> int:
    """Write the report of the merged run and return the exit code."""
    folder = ResultsFolder(sources[0].folder if target is None else target, uuid.uuid4().hex)
    if target is not None:
        folder.begin()
    directory = folder.directory
    run = msgspec.structs.replace(run, root=_root(sources, directory))
    for copy in copies:
        copy.write(directory)
    page = _write(run, directory, options)
    if options.parquet:
        write_parquet(directory, run)
    folder.release()
    print(summary_line(run))
    if run.shard is not None:
        print(f"this is only shard {run.shard.number}/{run.shard.count}")
    for name in run.unrecorded[:MOST_LISTED]:
        print(f"missing: {printable(name)}")
    for line in run.not_compared:
        print(line)
    lost = sum(copy.lost for copy in copies)
    if lost:
        print(f"{counted(lost, 'image')} of the results missing or changed; not in the report")
    if directory != folder.requested:
        print(f"{printable(str(folder.requested))} is in use by another run; the report is in another folder")
    print(f"report: {printable(str(page))}")
    return _exit_code(run)


def _check(options: argparse.Namespace) -> None:
    if options.name and options.shards:
        raise ConfigError("--name and --shards exclude each other: shards have no columns")
    if options.name and len(options.name) != len(options.sources):
        raise ConfigError(
            f"--name: {len(options.name)} labels for {len(options.sources)} results; pass one for each, or none"
        )
    if options.report is None and len(options.sources) > 1:
        raise ConfigError("report: several results need a new folder; pass it with --report DIR")
    if options.pictures_at is not None and not options.pictures_at.startswith(("https://", "http://")):
        raise ConfigError(f"--pictures-at {printable(options.pictures_at)}: must be a URL that starts with https://")


def _root(sources: Sequence[_Source], directory: Path) -> str | None:
    """Return the relative path from the report's folder to the root of all runs; None if the roots differ."""
    roots = {Path(os.path.realpath(source.folder / source.run.root)) if source.run.root else None for source in sources}
    root = roots.pop() if len(roots) == 1 else None
    return None if root is None else relative(root, Path(os.path.realpath(directory)))


def _become_columns(options: argparse.Namespace, sources: Sequence[_Source]) -> bool:
    """Return whether each run becomes a column; shards become one run.

    Raises:
        ConfigError: ``--name`` was passed for shards.
    """
    numbered = [source for source in sources if source.run.shard is not None]
    if options.name and numbered:
        raise ConfigError(
            f"--name labels columns, and {printable(str(numbered[0].results))} is a shard; merge the shards first"
        )
    return bool(options.name) or (len(sources) > 1 and not options.shards and not numbered)


@dataclass(frozen=True, slots=True)
class _Source:
    """The results of one ``--from``."""

    results: Path
    label: str
    run: RunRecord

    @property
    def folder(self) -> Path:
        return self.results.parent


def _sources(options: argparse.Namespace, open_files: ExitStack) -> list[_Source]:
    paths = [_results_path(Path(name)) for name in options.sources]
    runs = []
    for path in paths:
        runs.append(open_results(path))
        open_files.callback(close_results, runs[-1])
    real = [Path(os.path.realpath(path)) for path in paths]
    if len(set(real)) < len(real):
        twice = next(path for path, own in zip(paths, real, strict=True) if real.count(own) > 1)
        raise ConfigError(f"--from {printable(str(twice))}: passed twice")
    labels = options.name or unique_labels([path.parent.parts for path in real])
    return [_Source(path, printable(label), run) for path, label, run in zip(paths, labels, runs, strict=True)]


def _results_path(named: Path) -> Path:
    return named / RESULTS_FILE if named.is_dir() else named


def _target(options: argparse.Namespace, sources: Sequence[_Source]) -> Path | None:
    """Return the folder to write; None if the only report is written again in its own folder.

    Raises:
        ImgdiffError: the folder contains other files, or it contains or is in the folder of a source.
    """
    if options.report is None:
        _require_report(sources[0])
        return None
    target = Path(options.report)
    real = Path(os.path.realpath(target))
    for source in sources:
        folder = Path(os.path.realpath(source.folder))
        if folder == real and len(sources) == 1:
            _require_report(source)
            return None
        if folder.is_relative_to(real) or real.is_relative_to(folder):
            raise ConfigError(
                f"--report {label_of(target)} and --from {label_of(source.folder)}: these folders must "
                "be separate; choose another folder"
            )
    ResultsFolder(target, "").check()
    return target


def _require_report(source: _Source) -> None:
    """Raise `ReportError` if the results are not in the folder of a report."""
    if source.results.name != RESULTS_FILE or not (source.folder / PAGE).is_file():
        ResultsFolder(source.folder, "").check()


class _Copies:
    """The images of one source to copy to another folder: only those that its records name.

    The constructor checks every path, before anything is written.

    Args:
        source: the results and their folder.
        open_files: closes the stored records.
        alone: whether the report has no other source; then the images need no folder of their own.

    Raises:
        ReportError: a path is, or could be, outside the source's folder.
    """

    def __init__(self, source: _Source, open_files: ExitStack, *, alone: bool) -> None:
        self._source = source
        self._prefix = PICTURES if alone else f"{PICTURES}/{safe_name(source.label)}"
        self._files: dict[str, Path] = {}
        self.lost = 0
        """The number of images that the records name and that are missing."""
        records = RecordSpool()
        open_files.callback(records.close)
        for record in source.run.comparisons:
            moved = self._moved(record)
            self.lost += len(record.artefacts) - len(moved.artefacts)
            records.append(moved)
        self.run = msgspec.structs.replace(source.run, comparisons=records)
        """The source's run with the images' new paths; missing images are left out."""

    def write(self, directory: Path) -> None:
        """Copy the files below the directory, each whole or not at all.

        Raises:
            ReportError: one cannot be read or written.
        """
        for path, origin in self._files.items():
            replace_derived(directory / path, _content(origin))

    def _moved(self, record: ComparisonRecord) -> ComparisonRecord:
        paths = {name: self._path(path, record) for name, path in record.artefacts.items()}
        artefacts = {name: path for name, path in paths.items() if path is not None}
        accepts = record.accepts
        if accepts is not None:
            moved = self._path(accepts.source, record, digest=accepts.digest)
            accepts = None if moved is None else msgspec.structs.replace(accepts, source=moved)
        return msgspec.structs.replace(record, artefacts=artefacts, accepts=accepts)

    def _path(self, path: str, record: ComparisonRecord, digest: str | None = None) -> str | None:
        """Return the file's new path; None if the file is missing or not the image.

        An image to accept must have the recorded digest; other images must have an extension that browsers show.
        """
        try:
            origin = path_below(self._source.folder, path)
        except OutsideError as error:
            raise ReportError(
                f"{printable(str(self._source.results))}: {record.name}: the image {printable(path)!r}: {error}"
            ) from error
        if not origin.is_file():
            return None
        if digest is None and media_type(path) is None:
            return None
        if digest is not None and hashlib.sha256(_content(origin)).hexdigest() != digest:
            return None
        moved = f"{self._prefix}/{path.removeprefix(f'{PICTURES}/')}"
        self._files[moved] = origin
        return moved


def _content(path: Path) -> bytes:
    try:
        return read_regular(path)
    except OSError as error:
        raise ReportError(f"{label_of(path)}: cannot be read: {error.strerror or error}") from error


def _write(run: RunRecord, directory: Path, options: argparse.Namespace) -> Path:
    templates = None if options.templates is None else Path(options.templates)
    page = write_report(directory, run, templates=templates, self_contained=options.self_contained)
    published = options.pictures_at
    if published is not None and not published.endswith("/"):
        published += "/"
    replace_file(directory / "summary.md", markdown(run, pictures=published or "").encode())
    findings = sarif(run)
    for path in _sarif_files(directory, options):
        replace_file(path, findings)
    try:
        append_step_summary(markdown(run, pictures=published), os.environ)
    except ImgdiffError as error:  # the report is written nevertheless
        print(str(error), file=sys.stderr)
    return page


def _sarif_files(directory: Path, options: argparse.Namespace) -> Iterator[Path]:
    yield directory / SARIF_FILE
    if options.sarif is not None:
        yield Path(options.sarif)


def _exit_code(run: RunRecord) -> int:
    overview = overview_of(run.comparisons)
    if not run.complete or not run.comparisons or overview.failed_verdicts["broken"]:
        return _OTHERWISE
    return _DIFFER if overview.outcomes["failed"] else _PASSED
