"""What the tests share."""

from __future__ import annotations

import importlib.util
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

from tests import warm
from tests.chromium import browser

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

__all__ = ["browser"]

# A busy machine fails nothing.
settings.register_profile("without deadlines", deadline=None)
settings.load_profile("without deadlines")

pytest_plugins = ["pytester"]

# VTK, which PyVista draws with, is too large for the test extra: its tests run where it is installed.
collect_ignore = [] if importlib.util.find_spec("pyvista") else ["test_capture_pyvista.py"]

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's own folder."""
    return ROOT


@pytest.fixture(scope="session")
def shared_fixtures() -> Path:
    """The folder of images that other projects made; see the README on running the tests."""
    folder = Path(os.environ.get("IMGDIFF_FIXTURES", ROOT.parent / "shared" / "fixtures"))
    if not folder.is_dir():
        pytest.skip(f"there is no folder {folder} (set IMGDIFF_FIXTURES)")
    return folder


@pytest.fixture(autouse=True)
def _not_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests behave alike on a desk and in CI; those about CI set the variable themselves."""
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    # Without bytecode every process that a test starts compiles the whole package again.
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    # The plugins that a user of the fixture has. To import all that are installed takes longer than most of these runs.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTEST_PLUGINS", "pytest_imgdiff.plugin,xdist.plugin,pytest_rerunfailures")


@pytest.fixture
def pytester(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """The project that a test runs; its processes begin with everything imported where they can."""
    with_interpreter = pytester.popen

    def popen(command: Sequence[str], *, stdout: Any, stderr: Any, stdin: Any) -> Any:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path.cwd()), os.environ.get("PYTHONPATH", "")])}
        process = None
        if stdin is pytester.CLOSE_STDIN and "PYTEST_DISABLE_PLUGIN_AUTOLOAD" in environment:
            process = warm.start(command, stdout=stdout.fileno(), stderr=stderr.fileno(), environment=environment)
        return process or with_interpreter(command, stdout=stdout, stderr=stderr, stdin=stdin)

    monkeypatch.setattr(pytester, "popen", popen)
    return pytester


def pytest_configure() -> None:
    """Let the processes that the tests start hear Ctrl-C: a shell's background jobs are started deaf to it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


# In CI everything that a test needs is installed: there a skip hides a test that never ran.
NO_SKIPS = os.environ.get("CI") == "true" and not os.environ.get("IMGDIFF_ALLOW_SKIPS")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, object, object]:
    report = yield
    if call.when != "teardown" and NO_SKIPS and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped in CI: {report.longrepr}"
    return report
