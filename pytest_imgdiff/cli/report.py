"""``pytest-imgdiff report``: reports drawn again from their results, alone or several as one."""

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
    """Add what the command takes."""
    parser.description = (
        "Draw a report from results.json; of several, one report with a column for each. Exit code 0: all "
        "passed, 1: some differ, 2: something could not be judged, a run is incomplete, or nothing was compared."
    )
    parser.add_argument(
        "--from",
        dest="sources",
        action="extend",
        nargs="+",
        required=True,
        metavar="RESULTS",
        help="reports' folders, or their results.json; may be given several times",
    )
    parser.add_argument("--report", metavar="DIR", help="the folder to make (default: the one folder it is drawn from)")
    parser.add_argument(
        "--name", action="append", default=[], metavar="LABEL", help="label of a column, once for each --from"
    )
    parser.add_argument(
        "--shards",
        action="store_true",
        help="the results are parts of one run: no columns, and no name twice (runs that know which shard they are "
        "need no such word)",
    )
    parser.add_argument("--title", metavar="TEXT", help="the page's title (default: that of the first results)")
    parser.add_argument("--templates", metavar="DIR", help="templates and assets of your own")
    parser.add_argument("--self-contained", action="store_true", help="write report.html as well: one file, all inside")
    parser.add_argument("--parquet", action="store_true", help="write results.parquet as well: a table for data frames")
    parser.add_argument("--sarif", metavar="FILE", help="write the findings here as well, as SARIF 2.1.0")
    parser.add_argument(
        "--pictures-at", metavar="URL", help="where the folder is published: the Markdown shows images from there"
    )


def run(options: argparse.Namespace) -> int:
    """Draw the report that the command line asks for and print what it says.

    Returns:
        0: every comparison passed. 1: some differ. 2: something could not be judged, nothing was compared, or a run
        is incomplete.

    Raises:
        ImgdiffError: the command cannot be followed; an earlier report in the folder stands as it was.
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
        open_files.pop_all().close()  # the report may take the place of the results that it is drawn from
        open_files.callback(close_results, run)
        return _drawn(run, sources, target, copies, options)


def _drawn(
    run: RunRecord,
    sources: Sequence[_Source],
    target: Path | None,
    copies: Sequence[_Copies],
    options: argparse.Namespace,
) -> int:
    """Draw the merged run and return the exit code."""
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
        print(f"this is shard {run.shard.number}/{run.shard.count} alone")
    for name in run.unrecorded[:MOST_LISTED]:
        print(f"missing: {printable(name)}")
    lost = sum(copy.lost for copy in copies)
    if lost:
        print(f"{counted(lost, 'picture')} that the results name: not there, so that the report is without")
    if directory != folder.asked:
        print(f"{printable(str(folder.asked))} is in use by another run, so the report is elsewhere")
    print(f"report: {printable(str(page))}")
    return _exit_code(run)


def _check(options: argparse.Namespace) -> None:
    if options.name and options.shards:
        raise ConfigError("--name labels columns, and --shards makes none: give one of them")
    if options.name and len(options.name) != len(options.sources):
        raise ConfigError(
            f"--name was given {len(options.name)} times and --from {len(options.sources)} times: name each or none"
        )
    if options.report is None and len(options.sources) > 1:
        raise ConfigError("report: several results become one report of their own: name its folder with --report DIR")
    if options.pictures_at is not None and not options.pictures_at.startswith(("https://", "http://")):
        raise ConfigError(f"--images-at {printable(options.pictures_at)}: must be a URL that starts with https://")


def _root(sources: Sequence[_Source], directory: Path) -> str | None:
    """Return the way from the report's folder to the root of all runs; None if they do not share one."""
    roots = {Path(os.path.realpath(source.folder / source.run.root)) if source.run.root else None for source in sources}
    root = roots.pop() if len(roots) == 1 else None
    return None if root is None else relative(root, Path(os.path.realpath(directory)))


def _become_columns(options: argparse.Namespace, sources: Sequence[_Source]) -> bool:
    """Return whether each run becomes a column; those that know which shard they are become one run.

    Raises:
        ConfigError: shards are to be columns.
    """
    numbered = [source for source in sources if source.run.shard is not None]
    if options.name and numbered:
        raise ConfigError(
            f"--name labels columns, and {printable(str(numbered[0].results))} is a shard: join its shards first"
        )
    return bool(options.name) or (len(sources) > 1 and not options.shards and not numbered)


@dataclass(frozen=True, slots=True)
class _Source:
    """One ``--from``."""

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
        raise ConfigError(f"--from {printable(str(twice))}: given twice")
    labels = options.name or unique_labels([path.parent.parts for path in real])
    return [_Source(path, printable(label), run) for path, label, run in zip(paths, labels, runs, strict=True)]


def _results_path(named: Path) -> Path:
    return named / RESULTS_FILE if named.is_dir() else named


def _target(options: argparse.Namespace, sources: Sequence[_Source]) -> Path | None:
    """Return the folder to make; None if the only report is drawn again in its own.

    Raises:
        ImgdiffError: the folder is in use for something else, or holds, or lies in, what the report is drawn from.
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
                f"--report {label_of(target)} and --from {label_of(source.folder)}: a report of its own "
                "lies neither in nor around what it is drawn from: name another folder"
            )
    ResultsFolder(target, "").check()
    return target


def _require_report(source: _Source) -> None:
    """Refuse to draw a report around results that were put into a folder of something else."""
    if source.results.name != RESULTS_FILE or not (source.folder / PAGE).is_file():
        ResultsFolder(source.folder, "").check()


class _Copies:
    """The images of one source on their way to another folder: only what its records name.

    Every path is looked at when the object is made, before anything is written.

    Args:
        source: where they are.
        open_files: closes the records that are put aside.
        alone: whether the report has no other source; then they need no folder of their own.

    Raises:
        ReportError: a path leads, or could lead, out of the source's folder.
    """

    def __init__(self, source: _Source, open_files: ExitStack, *, alone: bool) -> None:
        self._source = source
        self._prefix = PICTURES if alone else f"{PICTURES}/{safe_name(source.label)}"
        self._files: dict[str, Path] = {}
        self.lost = 0
        """How many images the records name that are not there."""
        records = RecordSpool()
        open_files.callback(records.close)
        for record in source.run.comparisons:
            moved = self._moved(record)
            self.lost += len(record.artefacts) - len(moved.artefacts)
            records.append(moved)
        self.run = msgspec.structs.replace(source.run, comparisons=records)
        """The source's run with the images' new paths; one that is not there is named no longer."""

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
        """Return the file's new path; None if there is no such file, or where it is no image.

        An image has the digest that it should or, where it is only looked at, the name of one that browsers show.
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
    except ImgdiffError as error:  # the report stands all the same
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
