"""What the image comparisons of one pytest run share, from the first use of it to the report."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_imgdiff.baselines import Baselines
from pytest_imgdiff.collecting import Judged, PairItem, is_scan_file
from pytest_imgdiff.config import find_config, load_settings
from pytest_imgdiff.config.assignments import assigned
from pytest_imgdiff.errors import ImgdiffError
from pytest_imgdiff.finishing import Outcome, finish_run
from pytest_imgdiff.fixture import TestIdentity
from pytest_imgdiff.names import printable
from pytest_imgdiff.registry import HOOKS, Registry
from pytest_imgdiff.results import Collected, Finished, ResultsFolder
from pytest_imgdiff.scan import RunAhead
from pytest_imgdiff.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Sequence


class ImageRun:
    """One process's share of a run.

    Args:
        config: pytest's.
        run_id: the same in all processes of the run.

    Raises:
        pytest.UsageError: the settings cannot be followed.
    """

    def __init__(self, config: pytest.Config, run_id: str) -> None:
        self.config = config
        self.is_worker = hasattr(config, "workerinput")
        try:
            self.workspace = _workspace(config, run_id)
        except ImgdiffError as error:
            raise pytest.UsageError(f"imgdiff: {error}") from error
        self._ahead: RunAhead[Judged] | None = None
        self._fetched: set[str] = set()
        self._outcome = Outcome()

    @property
    def results(self) -> ResultsFolder:
        """The results of the run."""
        if self.workspace.results is None:
            raise AssertionError(self)
        return self.workspace.results

    def workspace_of(self, path: Path) -> Workspace:
        """Return the run's workspace with the settings of this imgdiff.yaml.

        Raises:
            pytest.UsageError: they cannot be followed.
        """
        settings = self.workspace.settings
        if settings.path is not None and path.samefile(settings.path):
            return self.workspace
        try:
            return replace(self.workspace, settings=load_settings(path, self.workspace.registry))
        except ImgdiffError as error:
            raise pytest.UsageError(f"imgdiff: {error}") from error

    def begin(self, items: Sequence[pytest.Item], ids: list[str]) -> None:
        """Say which image tests are to run, and plan the scans' comparisons."""
        try:
            self.results.append(Collected([printable(name) for name in ids]))
        except ImgdiffError as error:
            raise pytest.UsageError(f"imgdiff: {error}") from error
        jobs = {item.nodeid: item.compared for item in items if isinstance(item, PairItem)}
        if jobs and not self.is_worker:
            # A worker of pytest-xdist is one of several on this machine already, and is not told what comes next.
            self._ahead = RunAhead(jobs)

    def compared(self, item: PairItem) -> Judged:
        """Return the comparison of a scan's item, from the threads that run ahead where there are some."""
        if self._ahead is None or item.nodeid in self._fetched:
            return item.compared()  # alone, or once more (a rerun)
        self._fetched.add(item.nodeid)
        return self._ahead.result(item.nodeid)

    def finished(self, node_id: str) -> None:
        """Say that an image test ran to its end."""
        self.results.append(Finished(printable(node_id)))

    def identity(self, request: pytest.FixtureRequest) -> TestIdentity:
        """Return by what name the test of this request asks for its baselines."""
        node = request.node
        browser = request.getfixturevalue("browser_name") if "browser_name" in request.fixturenames else "any"
        path, _, test = node.nodeid.partition("::")
        return TestIdentity(
            node_id=node.nodeid,
            module=path.rpartition(".")[0] or path,
            test=test.replace("::", "."),
            browser=str(browser),
            properties=node.user_properties,
        )

    def finish(self, session: pytest.Session) -> None:
        """End this process's share; in the process that the user started, merge all and write the report."""
        if self._ahead is not None:
            self._ahead.close()
        if self.is_worker or not self.results.begun:
            return
        self._outcome = finish_run(self.workspace, complete_selection=_ran_everything(session), prune=self.prune)
        if self._outcome.must_fail and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    @property
    def prune(self) -> bool:
        """Whether unused baselines are to be deleted."""
        return bool(self.config.option.imgdiff_prune)

    def print_summary(self, terminal: pytest.TerminalReporter) -> None:
        """Print what became of the images, what was written, and where the report is."""
        if self._outcome.lines:
            terminal.section("imgdiff", sep="-")
            for line in self._outcome.lines:
                terminal.line(line)


def _ran_everything(session: pytest.Session) -> bool:
    """Return whether the run was of the whole suite, nothing left out, nothing failed and nothing skipped."""
    config = session.config
    option = config.option
    narrowed = (
        config.args_source is pytest.Config.ArgsSource.ARGS
        or option.keyword
        or option.markexpr
        or option.deselect
        or option.ignore
        or option.ignore_glob
        or getattr(option, "lf", False)
        or getattr(option, "stepwise", False)
    )
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:  # -p no:terminal: nobody counted
        return False
    left_out = any(reporter.stats.get(outcome) for outcome in ("deselected", "skipped", "xfailed", "failed", "error"))
    return not narrowed and not left_out and session.exitstatus == pytest.ExitCode.OK


def _workspace(config: pytest.Config, run_id: str) -> Workspace:
    root = config.rootpath
    registry = Registry(_plugins(config))
    settings = load_settings(_config_file(config), registry, folder=root)
    report = _chosen(config, "imgdiff_report") or settings.report.folder
    baselines = _chosen(config, "imgdiff_baselines") or settings.baselines.folder
    process = getattr(config, "workerinput", {}).get("workerid", "main")
    return Workspace(
        root=root,
        settings=settings,
        registry=registry,
        baselines=Baselines(baselines, settings.baselines.layout),
        results=ResultsFolder(report, run_id, process),
        update=config.option.imgdiff_update,
        command_line=assigned(config.option.imgdiff_set or (), "--imgdiff-set"),
    )


def _plugins(config: pytest.Config) -> list[object]:
    """Return what pytest has registered, conftest.py files above all, that gives an imgdiff hook."""
    return [plugin for plugin in config.pluginmanager.get_plugins() if any(hasattr(plugin, hook) for hook in HOOKS)]


def _config_file(config: pytest.Config) -> Path | None:
    """Return the configuration that was named, as an option or as the one thing to run, or the root folder's."""
    chosen = _chosen(config, "imgdiff_config")
    if chosen is not None:
        return chosen
    named = [config.invocation_params.dir / arg for arg in map(_path_of, config.args) if is_scan_file(arg)]
    return named[0] if len(named) == 1 and named[0].is_file() else find_config(config.rootpath)


def _chosen(config: pytest.Config, name: str) -> Path | None:
    """Return the path that the command line (relative to where it was typed) or the ini file (to the rootdir) names."""
    option, ini = getattr(config.option, name), config.getini(name)
    if option:
        return config.invocation_params.dir / str(option)
    return config.rootpath / str(ini) if ini else None


def _path_of(argument: str) -> Path:
    return Path(argument.partition("::")[0])
