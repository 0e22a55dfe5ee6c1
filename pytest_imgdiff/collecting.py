"""Scan mode under pytest: one item for each picture in either of two trees."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from pytest_imgdiff.attachments import RECORDS
from pytest_imgdiff.baselines import store
from pytest_imgdiff.config import ScanSettings
from pytest_imgdiff.errors import BaselineError, ImageAssertionError, ImgdiffError
from pytest_imgdiff.invocation import scan_options, scans
from pytest_imgdiff.model import Verdict
from pytest_imgdiff.project import label_of, relative
from pytest_imgdiff.report import failure_summary, properties
from pytest_imgdiff.scan import called, prefixes, scan_folders, unique
from pytest_imgdiff.stores import StoredFile, location, redacted
from pytest_imgdiff.workspace import stored_form

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_imgdiff.model import Comparison
    from pytest_imgdiff.record import ComparisonRecord
    from pytest_imgdiff.run import ImageRun
    from pytest_imgdiff.scan import FoundPair, Pair
    from pytest_imgdiff.workspace import Workspace


class PairItem(pytest.Item):
    """One picture of a scan."""

    is_imgdiff_pair = True

    def __init__(self, *, pair: Pair | FoundPair, run: ImageRun, workspace: Workspace, **rest: Any) -> None:
        super().__init__(**rest)
        self.pair = pair
        self.run = run
        self.workspace = workspace
        self.seconds: float | None = None
        """What the comparison took where it was made ahead of this item, which then only fetches it."""

    def compared(self) -> ComparisonRecord:
        """Compare the pair and return its record, not yet appended to the results."""
        workspace, pair = self.workspace, self.pair
        with workspace.compared(pair, self.nodeid) as judged:
            comparison, written = judged, None
            if workspace.may_write(comparison) and comparison.actual is not None:
                try:
                    if isinstance(pair.expected_place, StoredFile):
                        raise BaselineError(  # noqa: TRY301 - told like any other that cannot be written
                            f"{pair.expected_place}: a scan writes nothing into a store; copy the picture there"
                        )
                    store(pair.expected_place, stored_form(comparison.actual))
                    written = workspace.named(pair.expected_place)
                except BaselineError as error:
                    comparison = replace(judged, verdict=Verdict.BROKEN, passed=False, reason=str(error))
            update = f"--imgdiff-update={_update_for(comparison)}"
            only = f"--imgdiff-only={self.name}"  # a name may hold whatever a node id cannot
            accept = shlex.join(
                [*workspace.command, *map(redacted, self._selection()), *workspace.options, only, update]
            )
            return workspace.record(
                comparison,
                test=self.nodeid,
                accept=None if isinstance(pair.expected_place, StoredFile) else accept,
                written=written,
                baseline=_file(pair.expected_place),
                key=pair.key,
            )

    def not_compared(self, reason: str) -> ComparisonRecord:
        """Return the record of the pair where it could not be compared."""
        comparison = self.workspace.not_compared(self.pair, self.nodeid, reason)
        return self.workspace.record(comparison, test=self.nodeid, key=self.pair.key)

    def _selection(self) -> list[str]:
        if isinstance(self.parent, ScanFile):
            return [relative(self.parent.path, self.config.invocation_params.dir)]
        return scan_options(self.config)

    def runtest(self) -> None:
        """Fail where the pair does."""
        run = self.run
        record = run.compared(self)
        run.results.hold(record)
        self.stash[RECORDS] = [record]
        self.user_properties.extend(properties(record))
        if not record.passed:
            text = run.workspace.failure_text(record)
            raise ImageAssertionError(text, failure_summary(record))

    def expect_failure(self) -> None:
        """Record that the pair is expected to fail (xfail): then it fails no run."""
        for record in self.stash.get(RECORDS, []):
            note = "the test is expected to fail (xfail)"
            self.run.results.append(msgspec.structs.replace(record, asserted=False, notes=[*record.notes, note]))

    def forget(self) -> None:
        """Let go of what only other plugins' reports of this item needed: a run may have a hundred thousand items."""
        if RECORDS in self.stash:
            del self.stash[RECORDS]
        self.user_properties.clear()  # the reports have them

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Show the failure in words; a traceback only for a fault of ours."""
        if isinstance(excinfo.value, (ImageAssertionError, ImgdiffError)):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Return what the item is called where pytest names it."""
        return self.path, 0, self.name


def _file(place: Path | StoredFile) -> Path | None:
    return place if isinstance(place, Path) else None


def _update_for(comparison: Comparison) -> str:
    return "missing" if comparison.expected is None else "failed"


class ScanFile(pytest.File):
    """An imgdiff.yaml whose ``scans`` were asked for."""

    def __init__(self, *, run: ImageRun, **rest: Any) -> None:
        super().__init__(**rest)
        self.run = run

    def collect(self) -> Iterator[PairItem]:
        """Collect the pairs of all its scans."""
        try:
            workspace = self.run.workspace_of(self.path)
        except pytest.UsageError as error:
            raise self.CollectError(str(error)) from None
        settings = workspace.settings
        if not settings.scans:
            raise self.CollectError(f"{self.nodeid}: names no scans: add `scans: [{{expected: ..., actual: ...}}]`")
        yield from _items(self, settings.scans, workspace, self.path.parent)


class ScanNode(pytest.Collector):
    """A folder that ``--imgdiff-scan`` named as EXPECTED, with each ACTUAL that was named with it."""

    def __init__(self, *, run: ImageRun, scans: list[ScanSettings], **rest: Any) -> None:
        super().__init__(**rest)
        self.run = run
        self.scans = scans

    def collect(self) -> Iterator[PairItem]:
        """Collect the pairs of all scans of this folder."""
        yield from _items(self, self.scans, self.run.workspace, self.run.workspace.root)


def _items(
    parent: ScanFile | ScanNode, scans: Sequence[ScanSettings], workspace: Workspace, root: Path
) -> Iterator[PairItem]:
    if workspace.update == "alternative":
        raise parent.CollectError("--imgdiff-update=alternative is for baselines of tests: a scan has no alternatives")
    skip = parent.run.results.reports()
    found: list[Pair | FoundPair] = []
    try:
        for scan, prefix in zip(scans, prefixes(scans, root), strict=True):
            scanned = scan_folders(
                scan.expected,
                scan.actual,
                include=scan.include,
                exclude=scan.exclude,
                others=scan.others,
                skip=skip,
                prefix=prefix,
                shown=workspace.shown,
            )
            found += scanned.pairs
            parent.run.not_compared += scanned.not_compared
    except ImgdiffError as error:
        raise parent.CollectError(str(error)) from error
    for name, pair in zip(unique([pair.name for pair in found]), found, strict=True):
        if parent.run.asks_for(name):
            yield PairItem.from_parent(parent, name=name, pair=pair, run=parent.run, workspace=workspace)


def scanned_items(session: pytest.Session, run: ImageRun) -> list[pytest.Item]:
    """Return the items of all ``--imgdiff-scan``.

    They hang below the session, not below their folders: a folder that holds tests as well stays one of tests.
    """
    config = session.config
    here = config.invocation_params.dir
    folders: dict[Path | str, list[ScanSettings]] = {}
    for expected, actual in scans(config):
        scan = ScanSettings(location(expected, here), location(actual, here))
        key = scan.expected if isinstance(scan.expected, Path) else expected
        folders.setdefault(key, []).append(scan)
    items: list[pytest.Item] = []
    for named in folders.values():
        folder = named[0].expected
        name = run.workspace.named(folder) if isinstance(folder, Path) else called(folder)
        node = ScanNode.from_parent(session, name=name, nodeid=name, run=run, scans=named)
        items += session.genitems(node)
    return items


def choose_scans(config: pytest.Config) -> None:
    """Let the scans stand for the whole run where no test was named beside them.

    A node id of a scan, such as ``expected::page.png``, is taken for the name of a picture: pytest itself would look
    for a file.

    Raises:
        pytest.UsageError: a folder of expected pictures does not exist, or one of the two options that name a pair
            of folders was given more often than the other.
    """
    expected, actual = config.option.imgdiff_expected or (), config.option.imgdiff_actual or ()
    if len(expected) != len(actual):
        raise pytest.UsageError(
            f"--imgdiff-expected was given {len(expected)} times and --imgdiff-actual {len(actual)} times: "
            "a scan needs both"
        )
    places = (location(folder, config.invocation_params.dir) for folder, _ in scans(config))
    folders = [place for place in places if isinstance(place, Path)]
    for folder in folders:
        if not folder.is_dir():
            raise pytest.UsageError(f"--imgdiff-scan: {label_of(folder)}: there is no such folder of expected pictures")
    if config.args_source is not pytest.Config.ArgsSource.ARGS:
        config.args.clear()
    chosen = [arg for arg in config.args if "::" in arg and _names(arg.partition("::")[0], folders, config)]
    config.args[:] = [arg for arg in config.args if arg not in chosen]
    config.option.imgdiff_only = [*(config.option.imgdiff_only or ()), *(arg.partition("::")[2] for arg in chosen)]


def _names(argument: str, folders: Sequence[Path], config: pytest.Config) -> bool:
    places = (base / argument for base in (config.invocation_params.dir, config.rootpath))
    return any(place.is_dir() and place.samefile(folder) for place in places for folder in folders)
