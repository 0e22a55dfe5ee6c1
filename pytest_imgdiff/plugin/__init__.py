"""pytest plugin: options, hooks and the fixture.

pytest imports this file in every run, also in projects that do not use the plugin. So it imports only pytest; hooks and
the fixture import the modules that they need.
"""

from __future__ import annotations

import os
import uuid
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from pytest_imgdiff.plugin.fixture import ImageAssertion
    from pytest_imgdiff.plugin.run import ImageRun, ScanFile

FIXTURE = "assert_images_similar"
RUN = pytest.StashKey["ImageRun"]()
RUN_ID = pytest.StashKey[str]()
COLLECTED = pytest.StashKey["list[pytest.Item]"]()
_BROKEN_OFF = (pytest.ExitCode.INTERRUPTED, pytest.ExitCode.INTERNAL_ERROR)


_OPTIONS: dict[str, dict[str, Any]] = {
    "--imgdiff-scan": {
        "nargs": 2,
        "action": "append",
        "metavar": ("EXPECTED", "ACTUAL"),
        "help": "Compare two folders, with one test for each image. Repeat the option for more folders.",
    },
    "--imgdiff-expected": {
        "action": "append",
        "metavar": "DIR",
        "help": "With --imgdiff-actual=A: the same as --imgdiff-scan, also for folders outside the project.",
    },
    "--imgdiff-actual": {"action": "append", "metavar": "DIR", "help": "See --imgdiff-expected."},
    "--imgdiff-only": {
        "action": "append",
        "metavar": "NAME",
        "help": "In scans, compare only the image with this name. Repeat the option for more images.",
    },
    "--imgdiff-shard": {
        "metavar": "K/N",
        "help": "Compare only shard K of N of all scans. `pytest-imgdiff report` joins the shards.",
    },
    "--imgdiff-update": {
        "choices": ("none", "missing", "failed", "alternative", "all"),
        "default": "none",
        "help": "Accept actual images as baselines: if the baseline is missing (missing), if the comparison failed "
        "(failed, missing ones included), as an additional accepted image (alternative), or always (all).",
    },
    "--imgdiff-update-in-ci": {
        "action": "store_true",
        "help": "Allow --imgdiff-update and --imgdiff-prune even if the environment variable CI is set.",
    },
    "--imgdiff-prune": {
        "action": "store_true",
        "help": "After a complete run, delete the baselines that no test used.",
    },
    "--imgdiff-prune-orphans": {
        "action": "store_true",
        "help": "Like --imgdiff-prune, and also delete stored images that belong to no existing test file. "
        "The complete test suite must run and pass.",
    },
    "--imgdiff-config": {
        "metavar": "FILE",
        "help": "Settings file (default: the nearest imgdiff.yaml, searched upward from the folder of the tests).",
    },
    "--imgdiff-report": {"metavar": "DIR", "help": "Folder of the results and the report (default: imgdiff-report)."},
    "--imgdiff-self-contained": {
        "action": "store_true",
        "help": "Also write report.html: the report as a single HTML file with embedded images.",
    },
    "--imgdiff-baselines": {"metavar": "DIR", "help": "Folder of the baselines (default: baselines)."},
    "--imgdiff-set": {
        "action": "append",
        "metavar": "KEY=VALUE",
        "help": "Set a key of imgdiff.yaml for this run, such as metrics.ssim.min=0.98 or size=pad. Repeat the option "
        "for more keys.",
    },
    "--imgdiff-measure": {
        "metavar": "METRICS",
        "help": "Also measure and report these metrics, without limits: names such as orb,ssim,classification.",
    },
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options ``--imgdiff-*`` and the ini keys ``imgdiff_*``."""
    group = parser.getgroup("imgdiff", "image comparison")
    for name, attributes in _OPTIONS.items():
        group.addoption(name, **attributes)
    parser.addini("imgdiff_config", "Settings file, relative to the rootdir.")
    parser.addini("imgdiff_report", "Folder of the results and the report, relative to the rootdir.")
    parser.addini("imgdiff_baselines", "Folder of the baselines, relative to the rootdir.")


def pytest_configure(config: pytest.Config) -> None:
    """Reject invalid options, and let a scan replace the default test paths."""
    worker: dict[str, Any] = getattr(config, "workerinput", {})
    config.stash[RUN_ID] = worker.get("imgdiff_run") or uuid.uuid4().hex
    option = config.option
    if (
        option.imgdiff_update != "none" or option.imgdiff_prune or option.imgdiff_prune_orphans
    ) and not option.imgdiff_update_in_ci:
        from pytest_imgdiff.base.environment import in_ci

        if in_ci(os.environ):
            raise pytest.UsageError(
                "baselines are not changed in CI (the environment variable CI is set): run this on your machine and "
                "commit the result, or add --imgdiff-update-in-ci"
            )
    if option.imgdiff_shard is not None:
        from pytest_imgdiff.base.errors import ConfigError
        from pytest_imgdiff.run.sharding import parsed_shard

        try:
            parsed_shard(option.imgdiff_shard, "--imgdiff-shard")
        except ConfigError as error:
            raise pytest.UsageError(str(error)) from error
    if _may_move_rootdir(config):
        from pytest_imgdiff.plugin.invocation import refuse_lost_ini_file

        with_values = {name: attributes for name, attributes in _OPTIONS.items() if "metavar" in attributes}
        refuse_lost_ini_file(config, {name: attributes.get("nargs", 1) for name, attributes in with_values.items()})
    if _has_scans(config):
        from pytest_imgdiff.plugin.run import choose_scans

        choose_scans(config)


def _may_move_rootdir(config: pytest.Config) -> bool:
    return any(str(word).startswith("--imgdiff-") for word in config.invocation_params.args) or (
        "--imgdiff-" in os.environ.get("PYTEST_ADDOPTS", "")
    )


def _has_scans(config: pytest.Config) -> bool:
    option = config.option
    return bool(option.imgdiff_scan or option.imgdiff_expected or option.imgdiff_actual)


def image_run(config: pytest.Config) -> ImageRun:
    """Return the state that the image comparisons of this run share; created on first use."""
    if RUN not in config.stash:
        from pytest_imgdiff.plugin.run import ImageRun

        config.stash[RUN] = ImageRun(config, config.stash[RUN_ID])
    return config.stash[RUN]


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Report the versions that can affect results, and the settings file in use."""
    from pytest_imgdiff import __version__
    from pytest_imgdiff._core import described
    from pytest_imgdiff.base.environment import opencv_warning, versions
    from pytest_imgdiff.plugin.invocation import settings_line

    named = ", ".join(f"{name} {version}" for name, version in versions().items())
    warning = opencv_warning()
    settings = settings_line(config)
    return [
        f"imgdiff: {__version__} (core: {described()}; {named})",
        settings,
        *([f"imgdiff: warning: {warning}"] if warning else []),
    ]


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Pass the identifier of the run to each pytest-xdist worker."""
    node.workerinput["imgdiff_run"] = node.config.stash[RUN_ID]
    node.workerinput["imgdiff_each"] = node.config.getoption("dist", None) == "each"


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> ScanFile | None:
    """Collect the scans of an imgdiff.yaml that was passed as an argument."""
    if file_path.suffix not in {".yaml", ".yml"} or not parent.session.isinitpath(file_path):
        return None
    from pytest_imgdiff.base.text import is_scan_file

    if not is_scan_file(file_path.name):
        return None
    from pytest_imgdiff.plugin.run import ScanFile

    return ScanFile.from_parent(parent, path=file_path, run=image_run(parent.config))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(
    session: pytest.Session, config: pytest.Config, items: list[pytest.Item]
) -> Generator[None, None, None]:
    """Add the pairs of ``--imgdiff-scan``, and record the tests before any is deselected."""
    if _has_scans(config):
        from pytest_imgdiff.plugin.run import scanned_items

        items += scanned_items(session, image_run(config))
    if config.option.imgdiff_shard is not None:
        image_run(config).keep_shard(items)
    before = [item for item in items if is_image_test(item)]
    yield
    config.stash[COLLECTED] = before


def is_image_test(item: pytest.Item) -> bool:
    """Return whether the item is a pair of a scan, or a test that uses the fixture."""
    return FIXTURE in getattr(item, "fixturenames", ()) or getattr(item, "is_imgdiff_pair", False)


@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Record the image tests to run, so that one that never finishes is detected."""
    config = session.config
    before = config.stash.get(COLLECTED, [])
    if (
        before or config.option.imgdiff_only or config.option.imgdiff_shard is not None
    ) and not config.option.collectonly:
        image_run(config).begin(session.items, before)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Record that an image test finished."""
    outcome = yield
    if is_image_test(item):
        image_run(item.config).finished(item)
    return outcome


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Record the outcome of an image test, and show a failed comparison as its message.

    A pair that was compared before its item has the time of that comparison in its report, for JUnit XML and
    ``--durations``.
    """
    report = yield
    if RUN not in item.config.stash or not is_image_test(item):
        return report
    if report.when == "call" and (seconds := getattr(item, "seconds", None)) is not None:
        report.duration = seconds
    from pytest_imgdiff.plugin.run import attach, show_in_words

    run = item.config.stash[RUN]
    show_in_words(report, call)
    run.note_outcome(item, report)
    if report.when == "call":
        attach(item, report, run.results.directory)
    return report


def pytest_sessionstart(session: pytest.Session) -> None:
    """Reject invalid settings before the collection or a pytest-xdist worker fails on them."""
    config = session.config
    if config.pluginmanager.hasplugin("dsession") and _has_settings(config):
        image_run(config).prepare()  # only the workers know the tests
    elif _names_scans(config):
        image_run(config)


def _names_scans(config: pytest.Config) -> bool:
    from pytest_imgdiff.base.text import is_scan_file

    return _has_scans(config) or any(is_scan_file(arg.partition("::")[0]) for arg in config.args)


def _has_settings(config: pytest.Config) -> bool:
    from pytest_imgdiff.base.hookspecs import HOOKS

    option = config.option
    named = [
        option.imgdiff_config,
        option.imgdiff_set,
        option.imgdiff_measure,
        option.imgdiff_report,
        option.imgdiff_baselines,
        option.imgdiff_only,
    ]
    named += [config.getini(name) for name in ("imgdiff_config", "imgdiff_report", "imgdiff_baselines")]
    if any(hasattr(plugin, hook) for plugin in config.pluginmanager.get_plugins() for hook in HOOKS):
        return True
    if any(named):
        return True
    from pytest_imgdiff.base.errors import ConfigError
    from pytest_imgdiff.plugin.invocation import settings_file

    try:
        return settings_file(config).path is not None
    except ConfigError:  # `image_run` reports it
        return True


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """Record that a worker has ended, perhaps by a crash."""
    if error or getattr(node, "workeroutput", {}).get("imgdiff"):
        image_run(node.config).results.join()  # the worker's lock ends with the worker


@pytest.hookimpl(wrapper=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None, object, object]:
    """Merge the records of all processes and write the report, even if Ctrl-C interrupts other plugins here.

    pytest-xdist waits here for its workers; a second Ctrl-C interrupts it.
    """
    config = session.config
    if hasattr(config, "workeroutput"):
        config.workeroutput["imgdiff"] = RUN in config.stash
    try:
        return (yield)
    finally:
        if session.exitstatus in _BROKEN_OFF and config.pluginmanager.hasplugin("dsession"):
            # Workers may have been killed before they could report; their record files show what they compared.
            image_run(config)
        if RUN in config.stash:
            config.stash[RUN].finish(session)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the results, the files written, and the path of the report."""
    if RUN in config.stash:
        config.stash[RUN].print_summary(terminalreporter)


@pytest.fixture
def assert_images_similar(request: pytest.FixtureRequest) -> Generator[ImageAssertion, None, None]:
    """Assert that an image matches the expected one.

    ``assert_images_similar(actual, expected=None, *, name=None, **policy)`` compares with ``expected`` or, by default,
    with the stored baseline. It returns the comparison, or fails the test.
    """
    from pytest_imgdiff.plugin.fixture import ImageAssertion
    from pytest_imgdiff.plugin.run import RECORDS

    run = image_run(request.config)
    run.expect(request.node)
    assertion = ImageAssertion(run.workspace, run.identity(request))
    run.assertions[request.node.nodeid] = assertion
    request.node.stash[RECORDS] = assertion.records
    yield assertion
    assertion.close(red=request.node.nodeid in run.red)
