"""pytest's door to imgdiff: options, hooks and the fixture.

pytest imports this file in every run of everybody's suite. It imports pytest alone; whatever does the work is
imported by the hook or fixture that needs it.
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


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options ``--imgdiff-*`` and the ini keys ``imgdiff_*``."""
    group = parser.getgroup("imgdiff", "image comparison")
    group.addoption(
        "--imgdiff-scan",
        nargs=2,
        action="append",
        metavar=("EXPECTED", "ACTUAL"),
        help="Compare two folders, one test for each picture in either; may be given several times.",
    )
    group.addoption(
        "--imgdiff-expected",
        action="append",
        metavar="DIR",
        help="--imgdiff-expected=E --imgdiff-actual=A is --imgdiff-scan E A, also for folders outside of the project.",
    )
    group.addoption("--imgdiff-actual", action="append", metavar="DIR", help="See --imgdiff-expected.")
    group.addoption(
        "--imgdiff-only",
        action="append",
        metavar="NAME",
        help="Of a scan, compare only the picture of this name; may be given several times.",
    )
    group.addoption(
        "--imgdiff-shard",
        metavar="K/N",
        help="Of all scans, compare the K-th of N shards; `pytest-imgdiff report` joins them.",
    )
    group.addoption(
        "--imgdiff-update",
        choices=("none", "missing", "failed", "alternative", "all"),
        default="none",
        help="Accept actual images as baselines: where there is none (missing), where the comparison failed (missing "
        "ones too), the same as alternatives beside the baseline, or always.",
    )
    group.addoption(
        "--imgdiff-update-in-ci",
        action="store_true",
        help="Allow --imgdiff-update and --imgdiff-prune although CI is set.",
    )
    group.addoption(
        "--imgdiff-prune", action="store_true", help="After a complete run, delete the baselines that no test used."
    )
    group.addoption(
        "--imgdiff-prune-orphans",
        action="store_true",
        help="The same, and delete stored pictures that belong to no test file: it is gone, or the layout has changed. "
        "The whole suite must have run and passed.",
    )
    group.addoption(
        "--imgdiff-config",
        metavar="FILE",
        help="The configuration (default: the nearest imgdiff.yaml, from the folder of the tests upward).",
    )
    group.addoption("--imgdiff-report", metavar="DIR", help="Where results and report go (default: imgdiff-report).")
    group.addoption(
        "--imgdiff-self-contained",
        action="store_true",
        help="Write the report as one HTML file, too: report.html, with its pictures inside.",
    )
    group.addoption("--imgdiff-baselines", metavar="DIR", help="Where baselines are stored (default: baselines).")
    group.addoption(
        "--imgdiff-set",
        action="append",
        metavar="KEY=VALUE",
        help="Set a key of imgdiff.yaml for this run, such as metrics.ssim.min=0.98 or size=pad; may be given several "
        "times.",
    )
    group.addoption(
        "--imgdiff-measure",
        metavar="METRICS",
        help="Measure these as well, without limits, and report them: names such as orb,ssim,classification.",
    )
    parser.addini("imgdiff_config", "The configuration file, relative to the rootdir.")
    parser.addini("imgdiff_report", "Where results and report go, relative to the rootdir.")
    parser.addini("imgdiff_baselines", "Where baselines are stored, relative to the rootdir.")


def pytest_configure(config: pytest.Config) -> None:
    """Refuse what must not be, and let a scan alone stand for the whole run."""
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

        refuse_lost_ini_file(config)
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
    """Return what the image comparisons of this run share, made on first use."""
    if RUN not in config.stash:
        from pytest_imgdiff.plugin.run import ImageRun

        config.stash[RUN] = ImageRun(config, config.stash[RUN_ID])
    return config.stash[RUN]


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Print the versions that can change a result, and the settings file in force."""
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
    """Give every pytest-xdist worker the identifier of the run."""
    node.workerinput["imgdiff_run"] = node.config.stash[RUN_ID]
    node.workerinput["imgdiff_each"] = node.config.getoption("dist", None) == "each"


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> ScanFile | None:
    """Collect the scans of an imgdiff.yaml that was named on the command line."""
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
    """Add the pairs of ``--imgdiff-scan``, and note what there was before anything is deselected."""
    if _has_scans(config):
        from pytest_imgdiff.plugin.run import scanned_items

        items += scanned_items(session, image_run(config))
    if config.option.imgdiff_shard is not None:
        image_run(config).keep_shard(items)
    before = [item for item in items if is_image_test(item)]
    yield
    config.stash[COLLECTED] = before


def is_image_test(item: pytest.Item) -> bool:
    """Return whether the item is a pair of a scan, or a test that asks for the fixture."""
    return FIXTURE in getattr(item, "fixturenames", ()) or getattr(item, "is_imgdiff_pair", False)


@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Say which image tests are to run, so that one that never does is missed."""
    config = session.config
    before = config.stash.get(COLLECTED, [])
    if (
        before or config.option.imgdiff_only or config.option.imgdiff_shard is not None
    ) and not config.option.collectonly:
        image_run(config).begin(session.items, before)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Say that an image test ran to its end."""
    outcome = yield
    if is_image_test(item):
        image_run(item.config).finished(item)
    return outcome


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Take note of how an image test ended, and show a failed comparison in its own words.

    The report of a pair that was compared ahead of its item has the time of the comparison: JUnit XML and
    ``--durations`` take it from there.
    """
    report = yield
    if RUN not in item.config.stash or not is_image_test(item):
        return report
    if report.when == "call" and (seconds := getattr(item, "seconds", None)) is not None:
        report.duration = seconds
    from pytest_imgdiff.plugin.attachments import attach, show_in_words

    run = item.config.stash[RUN]
    show_in_words(report, call)
    run.note_outcome(item, report)
    if report.when == "call":
        attach(item, report, run.results.directory)
    return report


def pytest_sessionstart(session: pytest.Session) -> None:
    """Refuse a faulty configuration before the collection, or a worker of pytest-xdist, stumbles over it."""
    config = session.config
    if config.pluginmanager.hasplugin("dsession") and _has_settings(config):
        image_run(config).prepare()  # only the workers will know which tests there are
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
    except ConfigError:  # of which `image_run` says more
        return True


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """Take note of a worker that compared images, or that died and may have."""
    if error or getattr(node, "workeroutput", {}).get("imgdiff"):
        image_run(node.config).results.join()  # the worker's lock ends with the worker


@pytest.hookimpl(wrapper=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None, object, object]:
    """Merge what all processes recorded, and write the report, even if Ctrl-C breaks off what other plugins do here.

    pytest-xdist waits here for its workers to end, which a second Ctrl-C interrupts.
    """
    config = session.config
    if hasattr(config, "workeroutput"):
        config.workeroutput["imgdiff"] = RUN in config.stash
    try:
        return (yield)
    finally:
        if session.exitstatus in _BROKEN_OFF and config.pluginmanager.hasplugin("dsession"):
            # The workers may have had no time to say whether they compared images: their files say so.
            image_run(config)
        if RUN in config.stash:
            config.stash[RUN].finish(session)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print what became of the images, what was written, and where the report is."""
    if RUN in config.stash:
        config.stash[RUN].print_summary(terminalreporter)


@pytest.fixture
def assert_images_similar(request: pytest.FixtureRequest) -> Generator[ImageAssertion, None, None]:
    """Assert that a picture looks as it should.

    ``assert_images_similar(actual, expected=None, *, name=None, **policy)`` compares with ``expected`` or, without
    one, with the stored baseline; it returns the comparison or fails the test.
    """
    from pytest_imgdiff.plugin.attachments import RECORDS
    from pytest_imgdiff.plugin.fixture import ImageAssertion

    run = image_run(request.config)
    run.expect(request.node)
    assertion = ImageAssertion(run.workspace, run.identity(request))
    run.assertions[request.node.nodeid] = assertion
    request.node.stash[RECORDS] = assertion.records
    yield assertion
    assertion.close(red=request.node.nodeid in run.red)
