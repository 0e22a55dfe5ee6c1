"""The image comparisons of one pytest run, from their first use to the report, and the items of its scans."""

from __future__ import annotations

import shlex
from base64 import b64encode
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import pytest

from pytest_imgdiff.base.errors import BaselineError, ConfigError, ImageAssertionError, ImgdiffError
from pytest_imgdiff.base.hookspecs import HOOKS
from pytest_imgdiff.base.memory import Allowance
from pytest_imgdiff.base.model import Verdict
from pytest_imgdiff.base.opening import read_regular
from pytest_imgdiff.base.parallel import LostProcessError, RunAhead
from pytest_imgdiff.base.project import label_of, relative
from pytest_imgdiff.base.stores import StoredFile, location, redacted
from pytest_imgdiff.base.text import counted, printable, visible
from pytest_imgdiff.comparison.registry import Registry
from pytest_imgdiff.config import ScanSettings, load_settings
from pytest_imgdiff.config.settings import assigned, measure_list, merges_metrics
from pytest_imgdiff.plugin.fixture import TestIdentity
from pytest_imgdiff.plugin.invocation import (
    chosen_path,
    project_root,
    refuse_other_settings,
    repeated_options,
    scan_options,
    scans,
    settings_file,
    settings_files,
    typed_command,
)
from pytest_imgdiff.report import failure_summary, load_page, properties
from pytest_imgdiff.report.parquet import require_parquet
from pytest_imgdiff.report.records import line_of, read_line
from pytest_imgdiff.run.baselines import ANY, BaselineKey, Baselines, store
from pytest_imgdiff.run.finish import Outcome, finish_run
from pytest_imgdiff.run.journal import (
    Again,
    Collected,
    Finished,
    NotCompared,
    Problem,
    Red,
    ResultsFolder,
    Sharded,
    Unclean,
)
from pytest_imgdiff.run.pairing import called, prefixes, unique
from pytest_imgdiff.run.session import Workspace, stored_form
from pytest_imgdiff.run.sharding import Shard, distinguished, parsed_shard, shard_of_tests, split, split_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from pytest_imgdiff.base.model import Comparison
    from pytest_imgdiff.base.record import ComparisonRecord, ShardRecord
    from pytest_imgdiff.plugin.fixture import ImageAssertion
    from pytest_imgdiff.plugin.invocation import SettingsFile
    from pytest_imgdiff.run.pairing import FoundPair, Pair

# ---- Pictures of failed comparisons, attached to the reports of pytest-html and Allure


RECORDS = pytest.StashKey[list["ComparisonRecord"]]()
"""Comparisons of an item's test. If the test is rerun, only those of the last run."""
ATTACHED = ("expected", "actual", "mask", "thumb")
LARGEST = 8 << 20
"""Most bytes of an attached image; pytest-html embeds it in its page."""


class Attachment(NamedTuple):
    """One image.

    Attributes:
        name: ``tests/test_page.py::test_it: actual``.
        kind: media type.
        extension: file extension without the dot.
        content: bytes of the image.
    """

    name: str
    kind: str
    extension: str
    content: bytes


def show_in_words(report: pytest.TestReport, call: pytest.CallInfo[None]) -> None:
    """Show a failed comparison as its message without a traceback, and its numbers in the short summary."""
    if call.excinfo is None or not report.failed or not isinstance(call.excinfo.value, ImageAssertionError):
        return
    shown = call.excinfo.getrepr(style="value", chain=False)
    if shown.reprcrash is not None:
        shown.reprcrash.message = call.excinfo.value.summary
    report.longrepr = shown


def attach(item: pytest.Item, report: pytest.TestReport, directory: Path) -> None:
    """Attach the images of the item's failed comparisons to the reports that this run writes.

    Args:
        item: the item whose test has finished.
        report: of that test; pytest-html's extras are added to it and sent to the process that writes the page.
        directory: the folder of the imgdiff report.
    """
    takers = [taker for taker in (_of_pytest_html(item.config, report), _of_allure(item.config)) if taker is not None]
    if takers:
        for attachment in _attachments(item.stash.get(RECORDS, []), directory):
            for take in takers:
                take(attachment)


def _attachments(records: list[ComparisonRecord], directory: Path) -> Iterator[Attachment]:
    from pytest_imgdiff.report.html_data import media_type, picture_path  # slow, and needed by few runs

    for record in records:
        if record.passed:
            continue
        for picture in ATTACHED:
            path = picture_path(record, picture) if picture in record.artefacts else ""
            kind = media_type(path)
            if kind is not None and (content := _content(directory / path)) is not None:
                yield Attachment(visible(f"{record.name}: {picture}"), kind, path.rpartition(".")[2].lower(), content)


def _content(path: Path) -> bytes | None:
    """Return the content of the file; None if it is unreadable, which must not affect the test's outcome."""
    try:
        content = read_regular(path, LARGEST + 1)
    except OSError:
        return None
    return content if len(content) <= LARGEST else None


def _of_pytest_html(config: pytest.Config, report: pytest.TestReport) -> Callable[[Attachment], None] | None:
    if not config.pluginmanager.hasplugin("html") or not config.getoption("htmlpath", None):
        return None
    from pytest_html import extras

    def take(attachment: Attachment) -> None:
        # For files, pytest-html builds names from the test's name; bytes are always attached correctly.
        text = b64encode(attachment.content).decode("ascii")
        shown = extras.image(text, attachment.name, attachment.kind, attachment.extension)
        report.extras = [*getattr(report, "extras", []), shown]  # type: ignore[attr-defined]  # pytest-html reads them here

    return take


def _of_allure(config: pytest.Config) -> Callable[[Attachment], None] | None:
    if not config.pluginmanager.hasplugin("allure_listener"):
        return None
    import allure

    def take(attachment: Attachment) -> None:
        allure.attach(attachment.content, attachment.name, attachment.kind, attachment.extension)

    return take


# ---- The run


class PairItem(pytest.Item):
    """One image of a scan."""

    is_imgdiff_pair = True

    def __init__(self, *, pair: Pair | FoundPair, run: ImageRun, workspace: Workspace, **rest: Any) -> None:
        super().__init__(**rest)
        self.pair = pair
        self.run = run
        self.workspace = workspace
        self.is_ahead = False
        """Whether another process compares the pair in advance, so that this item only fetches the result."""
        self.seconds: float | None = None
        """Seconds of a comparison in advance."""

    def line(self) -> bytes:
        """Compare the pair and return its record as a line, the form in which processes send it."""
        return line_of(self.compared())

    def compared(self) -> ComparisonRecord:
        """Compare the pair and return its record. It is not yet in the results."""
        workspace, pair = self.workspace, self.pair
        with workspace.compared(pair, self.nodeid) as judged:
            comparison, written = judged, None
            if workspace.may_write(comparison) and comparison.actual is not None:
                try:
                    if isinstance(pair.expected_place, StoredFile):
                        raise BaselineError(  # noqa: TRY301 - reported like other write errors
                            f"{pair.expected_place}: a scan cannot write to a store; upload the image yourself"
                        )
                    store(pair.expected_place, stored_form(comparison.actual))
                    written = workspace.named(pair.expected_place)
                except BaselineError as error:
                    comparison = replace(judged, verdict=Verdict.BROKEN, passed=False, reason=str(error))
            place = None if comparison.passed else _file(pair.expected_place)
            return workspace.record(
                comparison,
                test=self.nodeid,
                accept=None if place is None else self._accepting(comparison),
                written=written,
                baseline=place,
                key=pair.key,
            )

    def _accepting(self, comparison: Comparison) -> str:
        """Return the command that accepts the change."""
        update = f"--imgdiff-update={_update_for(comparison)}"
        only = f"--imgdiff-only={self.name}"  # a name can contain characters that a node id cannot
        selection = map(redacted, self._selection())
        return shlex.join([*self.workspace.command, *selection, *self.workspace.options, only, update])

    def not_compared(self, reason: str) -> ComparisonRecord:
        """Return the record for a pair that could not be compared."""
        comparison = self.workspace.not_compared(self.pair, self.nodeid, reason)
        return self.workspace.record(comparison, test=self.nodeid, key=self.pair.key)

    def _selection(self) -> list[str]:
        if isinstance(self.parent, ScanFile):
            return [relative(self.parent.path, self.config.invocation_params.dir)]
        return scan_options(self.config)

    def runtest(self) -> None:
        """Fail if the pair fails."""
        run = self.run
        line = run.compared(self)
        record = read_line(line)
        self.seconds = record.seconds if self.is_ahead else None
        run.results.hold(line)
        self.stash[RECORDS] = [record]
        self.user_properties.extend(properties(record))
        if not record.passed:
            text = run.workspace.failure_text(record)
            raise ImageAssertionError(text, failure_summary(record))

    def expect_failure(self) -> None:
        """Record that the pair is expected to fail (xfail): it does not fail the run."""
        for record in self.stash.get(RECORDS, []):
            note = "the test is expected to fail (xfail)"
            self.run.results.append(msgspec.structs.replace(record, asserted=False, notes=[*record.notes, note]))

    def forget(self) -> None:
        """Delete data that only other plugins' reports needed: a run may have a hundred thousand items."""
        if RECORDS in self.stash:
            del self.stash[RECORDS]
        self.user_properties.clear()  # the reports have them

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Return the failure message; with a traceback only for internal errors."""
        if isinstance(excinfo.value, (ImageAssertionError, ImgdiffError)):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Return the item's location and title for pytest."""
        return self.path, 0, self.name


def _file(place: Path | StoredFile) -> Path | None:
    return place if isinstance(place, Path) else None


def _update_for(comparison: Comparison) -> str:
    return "missing" if comparison.expected is None else "failed"


class ScanFile(pytest.File):
    """An imgdiff.yaml whose ``scans`` were requested."""

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
            raise self.CollectError(f"{self.nodeid}: has no scans: add `scans: [{{expected: ..., actual: ...}}]`")
        yield from _items(self, settings.scans, workspace, self.path.parent)


class ScanNode(pytest.Collector):
    """A folder that was passed to ``--imgdiff-scan`` as EXPECTED, with all its ACTUAL folders."""

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
        raise parent.CollectError(
            "--imgdiff-update=alternative is only for baselines of tests; scans have no alternatives"
        )
    skip = parent.run.results.reports()
    found: list[Pair | FoundPair] = []
    try:
        for scan, prefix in zip(scans, prefixes(scans, root), strict=True):
            scanned = workspace.scanned(scan, skip, prefix)
            found += scanned.pairs
            parent.run.not_compared += scanned.not_compared
    except ImgdiffError as error:
        raise parent.CollectError(str(error)) from error
    for name, pair in zip(unique([pair.name for pair in found]), found, strict=True):
        if parent.run.selects(name):
            yield PairItem.from_parent(parent, name=name, pair=pair, run=parent.run, workspace=workspace)


def scanned_items(session: pytest.Session, run: ImageRun) -> list[pytest.Item]:
    """Return the items of all ``--imgdiff-scan`` options.

    Their parent is the session and not the folder, so that a folder with tests is still collected as usual.
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
    """Run only the scans if no tests are specified as well.

    A node id of a scan, such as ``expected::page.png``, is treated as an image name; pytest itself would look for a
    file.

    Raises:
        pytest.UsageError: a folder of expected images does not exist, or one of the two options for a pair of folders
        was passed more often than the other.
    """
    expected, actual = config.option.imgdiff_expected or (), config.option.imgdiff_actual or ()
    if len(expected) != len(actual):
        raise pytest.UsageError(
            f"--imgdiff-expected was passed {len(expected)} times and --imgdiff-actual {len(actual)} times: "
            "a scan needs both"
        )
    places = (location(folder, config.invocation_params.dir) for folder, _ in scans(config))
    folders = [place for place in places if isinstance(place, Path)]
    for folder in folders:
        if not folder.is_dir():
            raise pytest.UsageError(f"--imgdiff-scan: {label_of(folder)}: no such folder")
    if config.args_source is not pytest.Config.ArgsSource.ARGS:
        config.args.clear()
    chosen = [arg for arg in config.args if "::" in arg and _names(arg.partition("::")[0], folders, config)]
    config.args[:] = [arg for arg in config.args if arg not in chosen]
    config.option.imgdiff_only = [*(config.option.imgdiff_only or ()), *(arg.partition("::")[2] for arg in chosen)]


def _names(argument: str, folders: Sequence[Path], config: pytest.Config) -> bool:
    places = (base / argument for base in (config.invocation_params.dir, config.rootpath))
    return any(place.is_dir() and place.samefile(folder) for place in places for folder in folders)


class ImageRun:
    """The part of a run in one process.

    Args:
        config: pytest's.
        run_id: equal in all processes of the run.

    Raises:
        pytest.UsageError: the settings are invalid.
    """

    def __init__(self, config: pytest.Config, run_id: str) -> None:
        self.config = config
        self.is_worker: bool = hasattr(config, "workerinput")
        try:
            self._settings_file = settings_file(config)
            here = config.invocation_params.dir
            folders = [(folder, here / folder) for scan in scans(config) for folder in scan]
            refuse_other_settings(config, folders, self._settings_file)
            self.workspace: Workspace = _workspace(config, run_id, self._settings_file)
            self.results.check()
            self.workspace.policy("any")  # report an invalid option once now, not in every test
        except ImgdiffError as error:
            raise pytest.UsageError(f"imgdiff: {error}") from error
        self._ahead: RunAhead[PairItem, bytes] | None = None
        self._fetched: set[PairItem] = set()
        self._expected: set[str] = set()
        self._found: set[str] = set()
        self._problems: dict[str, None] = {}
        self._idle_overrides: list[str] = []
        self._outcome = Outcome()
        self._shard: ShardRecord | None = None
        self.unclean: set[str] = set()
        """Image tests that did not pass and so may not have used all their baselines."""
        self.red: set[str] = set()
        """Image tests that failed in their last run."""
        self.assertions: dict[str, ImageAssertion] = {}
        """The fixtures of running tests, by node id."""
        self._tried: set[str] = set()
        self.not_compared: list[str] = []
        """What its scans do not compare, one line each; empty if single images were requested."""

    @property
    def results(self) -> ResultsFolder:
        """The results of the run."""
        if self.workspace.results is None:
            raise AssertionError(self)
        return self.workspace.results

    def workspace_of(self, path: Path) -> Workspace:
        """Return the run's workspace with the settings of this imgdiff.yaml.

        Raises:
            pytest.UsageError: they are invalid.
        """
        settings = self.workspace.settings
        if settings.path is not None and path.samefile(settings.path):
            return self.workspace
        try:
            return replace(self.workspace, settings=load_settings(path, self.workspace.registry))
        except ImgdiffError as error:
            raise pytest.UsageError(f"imgdiff: {error}") from error

    def begin(self, items: Sequence[pytest.Item], before: Sequence[pytest.Item]) -> None:
        """Record the image tests to run, and plan the scans' comparisons.

        Args:
            items: all items to run.
            before: the image tests before any was deselected.
        """
        chosen = set(items)
        todo = [item for item in before if item in chosen]
        tests = [item for item in before if not isinstance(item, PairItem)]
        left_out = {self._module(item) for item in tests if item not in chosen} | self._partly_named()
        whole = {self._module(item) for item in tests} - left_out
        if getattr(self.config.option, "lf", False):  # it deselects tests during collection
            whole = set()
        names = {self._policy_name(item) for item in todo}
        misplaced = self._misplaced(item for item in todo if not isinstance(item, PairItem)) or self._sharding_error(
            tests
        )
        if not self.is_worker:  # a worker cannot stop the run, and the main process has checked already
            if misplaced:
                raise pytest.UsageError(misplaced)
            self._refuse_unknown_names()
            self.prepare(names)
            self._idle_overrides = self._idle_overrides_of(before, chosen)
        self._expected = {item.nodeid for item in todo}
        try:
            titles = [self._title(item.nodeid) for item in todo]
            modules = sorted({self._module(item) for item in tests if item in chosen})
            is_all = whole == {self._module(item) for item in tests} and self._runs_whole_suite()
            self.results.append(Collected(titles, sorted(whole), modules, is_all))
            if (shard := self._shard_of(todo, before)) is not None:
                self.results.append(Sharded(shard))
            if self.not_compared and not self.config.option.imgdiff_only:
                self.results.append(NotCompared(self.not_compared))
        except ImgdiffError as error:
            raise pytest.UsageError(f"imgdiff: {error}") from error
        if self.is_worker and (unknown := self._unknown_names()):
            self.results.append(Problem(unknown))
        if misplaced:
            self.results.append(Problem(misplaced, is_usage_error=True))
        jobs = [item for item in todo if isinstance(item, PairItem)]
        # A pytest-xdist worker shares this machine with others, and does not know which item comes next. Pairs that
        # write files are compared when their turn comes, because the run may stop before.
        if jobs and not self.is_worker and self.workspace.update == "none":
            apart = self.workspace.may_run_apart(len(jobs), names)
            threads = self.workspace.threads(names)
            self._ahead = RunAhead(
                PairItem.line,
                jobs,
                threads,
                apart=apart,
                meanwhile=load_page if self.workspace.always_page else None,
                on_loss=self.workspace.allowance.share,
            )

    def keep_shard(self, items: list[pytest.Item]) -> None:
        """Keep only the pairs of the scans that are in the shard of ``--imgdiff-shard``."""
        pairs = [item for item in items if isinstance(item, PairItem)]
        if not pairs:
            return
        names = distinguished([item.pair.name for item in pairs], [item.nodeid for item in pairs])
        shard = parsed_shard(self.config.option.imgdiff_shard, "--imgdiff-shard")
        kept, self._shard = split(pairs, names, [split_size(item.pair) for item in pairs], shard)
        chosen = set(kept)
        left_out = [item for item in pairs if item not in chosen]
        items[:] = [item for item in items if not isinstance(item, PairItem) or item in chosen]
        if left_out:
            self.config.hook.pytest_deselected(items=left_out)

    def _sharding_error(self, tests: Sequence[pytest.Item]) -> str | None:
        """Return the error if ``--imgdiff-shard`` has no pairs, or tests that would run in every shard."""
        if self.config.option.imgdiff_shard is None:
            return None
        if tests:
            return (
                f"--imgdiff-shard splits scans, but {counted(len(tests), 'image test')} would run in every shard: run "
                "the scans separately, and split tests with pytest-split"
            )
        return "--imgdiff-shard splits scans, but this run has none" if self._shard is None else None

    def _shard_of(self, todo: Sequence[pytest.Item], before: Sequence[pytest.Item]) -> ShardRecord | None:
        """Return the shard of this run, from ``--imgdiff-shard`` or the groups of pytest-split."""
        if self._shard is not None:
            return self._shard
        option = self.config.option
        count, number = getattr(option, "splits", None), getattr(option, "group", None)
        if not self.config.pluginmanager.hasplugin("pytestsplitplugin") or not count or not number:
            return None
        names = ("keyword", "markexpr", "deselect", "lf", "imgdiff_only")
        is_chosen = any(getattr(option, name, None) for name in names)
        ids = [item.nodeid for item in before]
        return shard_of_tests(Shard(number, count), len(todo), ids, is_chosen=is_chosen)

    def _policy_name(self, item: pytest.Item) -> str:
        """Return the name that selects the settings of an image test, as far as known before the test runs."""
        if isinstance(item, PairItem):
            return item.pair.key
        key = BaselineKey(self._module(item), item.nodeid.partition("::")[2].replace("::", "."))
        return self.workspace.baselines.place(key)

    def prepare(self, names: Iterable[str] | None = None) -> None:
        """Raise if a required model is not on this machine.

        Args:
            names: names of the images to judge; if unknown, the models of all settings are checked.

        Raises:
            pytest.UsageError: a model is missing or cannot be used.
        """
        try:
            if names is None:
                self.workspace.prepare_all()
            else:
                self.workspace.prepare(names)
        except ImgdiffError as error:
            raise pytest.UsageError(f"imgdiff: {error}") from error

    def _partly_named(self) -> set[str]:
        """Return the modules of tests that were individually specified on the command line."""
        named = (argument.partition("::") for argument in self.config.args)
        paths = (self.config.invocation_params.dir / path for path, colons, _ in named if colons)
        return {_module_of(path, self.workspace.root) for path in paths}

    def _idle_overrides_of(self, items: Sequence[pytest.Item], chosen: set[pytest.Item]) -> list[str]:
        """Return a line for each override that matches no image of complete scans; nothing for a part of them."""
        option = self.config.option
        pairs = [item for item in items if isinstance(item, PairItem) and item in chosen]
        if option.imgdiff_only or option.imgdiff_shard or len(pairs) < len(items):
            return []
        lines = []
        for settings in {id(pair.workspace.settings): pair.workspace.settings for pair in pairs}.values():
            names = [pair.pair.key for pair in pairs if pair.workspace.settings is settings]
            lines += settings.idle_overrides(names)
        return lines

    def _runs_whole_suite(self) -> bool:
        """Return whether all test files below the rootdir were to be collected."""
        option, root = self.config.option, self.config.rootpath
        if any(getattr(option, name, None) for name in ("lf", "ignore", "ignore_glob", "deselect")):
            return False
        if self.config.args_source is pytest.Config.ArgsSource.TESTPATHS:
            return True
        here = self.config.invocation_params.dir
        return any((here / argument).resolve() == root.resolve() for argument in self.config.args)

    def _module(self, item: pytest.Item) -> str:
        return _module_of(item.path, self.workspace.root)

    def _misplaced(self, items: Iterable[pytest.Item]) -> str | None:
        """Return the error if a test is nearer to another imgdiff.yaml than to the one in use."""
        folders = {item.path.parent: relative(item.path, self.config.invocation_params.dir) for item in items}
        try:
            refuse_other_settings(
                self.config, ((what, folder) for folder, what in folders.items()), self._settings_file
            )
        except (pytest.UsageError, ConfigError) as error:
            return str(error)
        return None

    def expect(self, item: pytest.Item) -> None:
        """Record a test that requests the fixture while it runs, so that it is detected if it never ends.

        The test fails if it is nearer to another imgdiff.yaml.
        """
        if misplaced := self._misplaced([item]):
            pytest.fail(misplaced, pytrace=False)
        node_id = item.nodeid
        if node_id not in self._expected:
            self._expected.add(node_id)
            self.results.append(Collected([self._title(node_id)]))
        if node_id in self._tried:
            self.results.append(Again(self._title(node_id)))
        self._tried.add(node_id)

    def _title(self, node_id: str) -> str:
        """Return the title of a test in reports. With ``--dist=each`` each worker runs all tests."""
        worker: dict[str, Any] = getattr(self.config, "workerinput", {})
        return printable(f"{node_id} [{worker['workerid']}]" if worker.get("imgdiff_each") else node_id)

    def note_outcome(self, item: pytest.Item, report: pytest.TestReport) -> None:
        """Record the outcome of a phase of an image test."""
        if report.when == "setup":
            self.red.discard(item.nodeid)
        if report.failed:
            self.red.add(item.nodeid)
        if report.outcome != "passed":
            self.unclean.add(item.nodeid)
        if not (report.skipped and hasattr(report, "wasxfail")):
            return
        assertion = self.assertions.get(item.nodeid)
        if assertion is not None:
            assertion.expect_failure()
        elif isinstance(item, PairItem):
            item.expect_failure()

    def selects(self, name: str) -> bool:
        """Return whether ``--imgdiff-only`` selects this image of a scan."""
        only = self.config.option.imgdiff_only
        if not only:
            return True
        self._found.add(name)
        return name in only

    def _refuse_unknown_names(self) -> None:
        if unknown := self._unknown_names():
            raise pytest.UsageError(unknown)

    def _unknown_names(self) -> str | None:
        unknown = set(self.config.option.imgdiff_only or ()) - self._found
        named = ", ".join(sorted(map(printable, unknown)))
        return f"--imgdiff-only: no scan has an image with this name: {named}" if unknown else None

    def compared(self, item: PairItem) -> bytes:
        """Return the line of a scan's item, from the processes that compare in advance if there are some."""
        if self._ahead is None or item in self._fetched:
            item.is_ahead = False
            return item.line()  # a single item, or a rerun
        self._fetched.add(item)
        item.is_ahead = True
        try:
            return self._ahead.result(item)
        except LostProcessError as error:
            return line_of(item.not_compared(str(error)))

    def finished(self, item: pytest.Item) -> None:
        """Record that an image test finished."""
        try:
            if item.nodeid in self.unclean and not isinstance(item, PairItem):
                self.results.append(Unclean(self._module(item), self._title(item.nodeid)))
            if item.nodeid in self.red:
                self.results.append(Red(self._title(item.nodeid)))
            self.results.append(Finished(self._title(item.nodeid)))
            self.assertions.pop(item.nodeid, None)
        except ImgdiffError as error:
            self._problems[str(error)] = None
        if isinstance(item, PairItem):
            item.forget()
            self._forget_phases(item)

    def _forget_phases(self, item: PairItem) -> None:
        """Delete the reports of a pair's setup and teardown, in which nothing happens.

        pytest searches all reports for each failed test: 20 million steps in a run of ten thousand pairs with a
        thousand failures.
        """
        reporter = self.config.pluginmanager.get_plugin("terminalreporter")
        phases = [] if reporter is None else reporter.stats.get("", [])
        while phases and getattr(phases[-1], "nodeid", None) == item.nodeid:
            phases.pop()

    def identity(self, request: pytest.FixtureRequest) -> TestIdentity:
        """Return the identity of the requesting test, which determines its baselines."""
        node = request.node
        browser = request.getfixturevalue("browser_name") if "browser_name" in request.fixturenames else ANY
        path, colons, test = node.nodeid.partition("::")
        module = self._module(node)
        # Outside the root folder pytest gives equal node ids to files with equal names.
        inside = node.path.is_relative_to(self.config.rootpath)
        node_id = node.nodeid if inside else f"{module}{node.path.suffix}{colons}{test}"
        return TestIdentity(
            node_id=node_id,
            title=self._title(node_id),
            selection=f"{relative(node.path, self.config.invocation_params.dir)}{colons}{test}",
            module=module,
            test=(test or path).replace("::", "."),
            browser=str(browser),
            properties=node.user_properties,
            attachments=_of_playwright(request),
        )

    def finish(self, session: pytest.Session) -> None:
        """Finish this process's part. In the main process, merge all records and write the report."""
        self.workspace.ended = True
        if self._ahead is not None:
            self._ahead.close()
        self.results.close()
        if self.results.lost:
            self._problems[f"{label_of(self.results.directory)}: the results were deleted during the run"] = None
            self._outcome = Outcome(list(self._problems), must_fail=True)
        elif self.is_worker or not self.results.begun:
            return
        else:
            self.results.join()
            self._outcome = finish_run(
                self.workspace,
                prune=self.prune,
                prune_orphans=bool(self.config.option.imgdiff_prune_orphans),
                problems=list(self._problems),
                verbose=getattr(self.config.option, "verbose", 0) > 0,
                notes=self._idle_overrides,
            )
            self.results.release()
        if self._outcome.is_usage_error:
            session.exitstatus = pytest.ExitCode.USAGE_ERROR
        elif self._outcome.must_fail and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        elif self._outcome.is_empty_shard and session.exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED:
            session.exitstatus = pytest.ExitCode.OK

    @property
    def prune(self) -> bool:
        """Return whether to delete unused baselines."""
        return bool(self.config.option.imgdiff_prune or self.config.option.imgdiff_prune_orphans)

    def print_summary(self, terminal: pytest.TerminalReporter) -> None:
        """Print the results, the files written, and the path of the report."""
        if self._outcome.lines:
            terminal.section("imgdiff", sep="-")
            for line in self._outcome.lines:
                terminal.line(line)


def _module_of(path: Path, root: Path) -> str:
    """Return the path of a test file relative to the root folder, without suffix, with forward slashes."""
    return PurePosixPath(relative(path, root)).with_suffix("").as_posix()


def _workspace(config: pytest.Config, run_id: str, in_force: SettingsFile) -> Workspace:
    root = project_root(config, in_force)
    registry = Registry(_plugins(config))
    settings = load_settings(in_force.path, registry, folder=root)
    named = chosen_path(config, "imgdiff_report")
    report = named or settings.report.folder
    baselines = chosen_path(config, "imgdiff_baselines") or settings.baselines.folder
    _require_separate(report, baselines)
    if settings.report.parquet:
        require_parquet()
    if settings.baselines.store is not None and baselines == settings.baselines.folder:
        from pytest_imgdiff.run.baseline_store import (
            require_whole,
        )  # few projects use a store

        require_whole(baselines)
    process = getattr(config, "workerinput", {}).get("workerid", "main")
    return Workspace(
        root=root,
        settings=settings,
        registry=registry,
        baselines=Baselines(baselines, settings.baselines.layout),
        results=ResultsFolder(report, run_id, process),
        update=config.option.imgdiff_update,
        command_line=_command_line(config.option),
        merges_metrics=merges_metrics(config.option.imgdiff_set or ()),
        command=typed_command(config),
        options=repeated_options(config),
        allowance=Allowance(settings.memory),
        always_page=named is not None or config.option.imgdiff_self_contained or settings.report.is_set,
        self_contained=config.option.imgdiff_self_contained or settings.report.self_contained,
        here=config.invocation_params.dir,
        settings_files=tuple(settings_files(config)),
    )


def _command_line(option: Any) -> dict[str, Any]:
    """Return the policy settings from options."""
    settings = assigned(option.imgdiff_set or (), "--imgdiff-set")
    if option.imgdiff_measure is not None:
        if "measure" in settings:
            raise ConfigError("--imgdiff-measure and --imgdiff-set measure=... set the same key: use only one of them")
        settings["measure"] = measure_list(option.imgdiff_measure, "--imgdiff-measure")
    return settings


def _require_separate(report: Path, baselines: Path) -> None:
    """Raise if the report's folder and the baselines' folder overlap: every run empties the report's folder."""
    one, other = report.resolve(), baselines.resolve()
    if one.is_relative_to(other) or other.is_relative_to(one):
        raise ConfigError(
            f"the folders of the report, {label_of(report)}, and of the baselines, {label_of(baselines)}, must not "
            "contain each other"
        )


def _of_playwright(request: pytest.FixtureRequest) -> tuple[tuple[str, Path], ...]:
    """Return the paths where pytest-playwright will write the trace and the video of this test.

    The names are those for a test with one page. Files of passing tests exist only if the option is ``on``.
    """
    names = {"trace": ("--tracing", "trace.zip"), "video": ("--video", "video.webm")}
    kept = {what: file for what, (option, file) in names.items() if request.config.getoption(option, "off") != "off"}
    if not kept:
        return ()
    try:
        folder = request.getfixturevalue("output_path")
    except pytest.FixtureLookupError:  # an old version, or options with these names from another plugin
        return ()
    return tuple((what, request.config.invocation_params.dir / str(folder) / file) for what, file in kept.items())


def _plugins(config: pytest.Config) -> list[object]:
    """Return the registered plugins with an imgdiff hook, including conftest.py files."""
    return [plugin for plugin in config.pluginmanager.get_plugins() if any(hasattr(plugin, hook) for hook in HOOKS)]
