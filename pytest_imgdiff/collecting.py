"""Scan mode under pytest: one item for each picture in either of two trees."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import pytest

from pytest_imgdiff.baselines import store
from pytest_imgdiff.config import ScanSettings
from pytest_imgdiff.engine import compare
from pytest_imgdiff.errors import ImgdiffError
from pytest_imgdiff.model import Comparison
from pytest_imgdiff.record import ComparisonRecord
from pytest_imgdiff.report import failure_text, properties
from pytest_imgdiff.scan import pairs, prefixes
from pytest_imgdiff.workspace import stored_form

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_imgdiff.run import ImageRun
    from pytest_imgdiff.scan import Pair
    from pytest_imgdiff.workspace import Workspace

Judged = tuple[Comparison, ComparisonRecord]


class PicturesDifferError(Exception):
    """A pair that did not pass; the message is the failure text."""


class PairItem(pytest.Item):
    """One picture of a scan."""

    is_imgdiff_pair = True

    def __init__(self, *, pair: Pair, run: ImageRun, workspace: Workspace, **rest: Any) -> None:
        super().__init__(**rest)
        self.pair = pair
        self.run = run
        self.workspace = workspace

    def compared(self) -> Judged:
        """Compare the pair and return its record, not yet appended to the results."""
        workspace, pair = self.workspace, self.pair
        comparison = compare(
            pair.expected,
            pair.actual,
            workspace.policy(pair.key),
            name=self.nodeid,
            registry=workspace.registry,
            root=workspace.root,
        )
        written = None
        if workspace.may_write(comparison) and comparison.actual is not None:
            store(pair.expected_place, stored_form(comparison.actual))
            written = workspace.shown(pair.expected_place)
        accept = shlex.join(["pytest", *self._selection(), f"--imgdiff-update={_update_for(comparison)}"])
        return comparison, workspace.record(comparison, test=self.nodeid, accept=accept, written=written)

    def _selection(self) -> list[str]:
        scans = self.config.option.imgdiff_scan
        if not scans:
            return [self.nodeid]
        # pytest takes no `folder::name` for a folder.
        words = [word for scan in scans for word in ("--imgdiff-scan", *scan)]
        return [*words, "--imgdiff-only", self.name]

    def runtest(self) -> None:
        """Fail where the pair does."""
        run = self.run
        _, record = run.compared(self)
        run.results.append(record)
        self.user_properties.extend(properties(record))
        if not record.passed:
            text = failure_text(record, directory=run.workspace.shown(run.results.directory))
            raise PicturesDifferError(text)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Show the failure in words; a traceback only for a fault of ours."""
        if isinstance(excinfo.value, (PicturesDifferError, ImgdiffError)):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, None, str]:
        """Return what the item is called where pytest names it."""
        return self.path, None, self.name


def _update_for(comparison: Comparison) -> str:
    return "missing" if comparison.expected is None else "failed"


def is_scan_file(path: Path) -> bool:
    """Return whether a path on pytest's command line is that of an imgdiff configuration."""
    return path.suffix in {".yaml", ".yml"} and "imgdiff" in path.name


class ScanFile(pytest.File):
    """An imgdiff.yaml whose ``scans`` were asked for."""

    def __init__(self, *, run: ImageRun, **rest: Any) -> None:
        super().__init__(**rest)
        self.run = run

    def collect(self) -> Iterator[PairItem]:
        """Collect the pairs of all its scans."""
        workspace = self.run.workspace_of(self.path)
        settings = workspace.settings
        if not settings.scans:
            raise self.CollectError(f"{self.nodeid}: names no scans: add `scans: [{{expected: ..., actual: ...}}]`")
        named = zip(settings.scans, prefixes(settings.scans, self.path.parent), strict=True)
        for scan, prefix in named:
            yield from _items(self, scan, workspace, prefix)


class ScanFolder(pytest.Directory):
    """The folder that ``--imgdiff-scan`` named as EXPECTED."""

    def __init__(self, *, run: ImageRun, actuals: list[Path], **rest: Any) -> None:
        super().__init__(**rest)
        self.run = run
        self.actuals = actuals

    def collect(self) -> Iterator[PairItem]:
        """Collect the pairs of this folder and each ACTUAL that was named with it."""
        scans = [ScanSettings(self.path, actual) for actual in self.actuals]
        for scan, prefix in zip(scans, prefixes(scans, self.config.rootpath), strict=True):
            yield from _items(self, scan, self.run.workspace, prefix)


def _items(parent: ScanFile | ScanFolder, scan: ScanSettings, workspace: Workspace, prefix: str) -> Iterator[PairItem]:
    skip = [parent.run.results.directory]
    try:
        found = pairs(scan.expected, scan.actual, include=scan.include, exclude=scan.exclude, skip=skip, prefix=prefix)
    except ImgdiffError as error:
        raise parent.CollectError(str(error)) from error
    only = parent.config.option.imgdiff_only
    for pair in found:
        if only and pair.name not in only:
            continue
        yield PairItem.from_parent(parent, name=pair.name, pair=pair, run=parent.run, workspace=workspace)


def scan_folder(path: Path, parent: pytest.Collector, run: ImageRun) -> ScanFolder | None:
    """Return the collector of a folder that ``--imgdiff-scan`` named as EXPECTED."""
    config = parent.config
    scans = [[config.invocation_params.dir / folder for folder in scan] for scan in config.option.imgdiff_scan]
    actuals = [actual for expected, actual in scans if _same(expected, path)]
    return ScanFolder.from_parent(parent, path=path, run=run, actuals=actuals) if actuals else None


def _same(one: Path, other: Path) -> bool:
    return one.exists() and one.samefile(other)


def choose_scans(config: pytest.Config) -> None:
    """Let the scans stand for the whole run where no test was named beside them.

    Raises:
        pytest.UsageError: a folder of expected pictures does not exist.
    """
    folders = [config.invocation_params.dir / expected for expected, _ in config.option.imgdiff_scan]
    for folder in folders:
        if not folder.is_dir():
            raise pytest.UsageError(f"--imgdiff-scan: {folder}: there is no such folder of expected pictures")
    if config.args_source is not pytest.Config.ArgsSource.ARGS:
        config.args[:] = list(dict.fromkeys(str(folder) for folder in folders))
