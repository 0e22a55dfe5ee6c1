"""`assert_images_similar`: one call from a test's value to a recorded comparison."""

from __future__ import annotations

import shlex
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_imgdiff import images
from pytest_imgdiff.baselines import BaselineKey
from pytest_imgdiff.engine import compare
from pytest_imgdiff.errors import BrokenImageError, ImgdiffError
from pytest_imgdiff.model import Comparison, Policy, Verdict
from pytest_imgdiff.names import printable
from pytest_imgdiff.report import properties
from pytest_imgdiff.results import Claimed, Used
from pytest_imgdiff.workspace import is_storable, stored_form

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

    from pytest_imgdiff.image import Image
    from pytest_imgdiff.record import ComparisonRecord
    from pytest_imgdiff.workspace import Workspace


def _check_arguments(actual: object, name: object) -> None:
    if actual is None:
        raise ImgdiffError("assert_images_similar(None): there is no picture; did a helper forget to return it?")
    if name is not None and (not isinstance(name, str) or not name.strip()):
        raise ImgdiffError(f"assert_images_similar(..., name={name!r}): a name is a text, and not empty")


@dataclass(frozen=True)
class TestIdentity:
    """Who asks: what baselines are named by and records are filed under.

    Attributes:
        node_id: of the pytest item.
        selection: what chooses it on a command line, in the folder where pytest was started.
        module: the test's file relative to the root folder, without suffix, with forward slashes.
        test: the rest of the node id.
        browser: the test's browser, or ``any``.
        properties: the item's JUnit properties, appended to.
    """

    __test__ = False  # pytest collects classes of this name

    node_id: str
    selection: str
    module: str
    test: str
    browser: str
    properties: list[tuple[str, object]]


class ImageAssertion:
    """The value of the fixture ``assert_images_similar``."""

    def __init__(self, workspace: Workspace, test: TestIdentity) -> None:
        self._workspace = workspace
        self._test = test
        self._calls = 0
        self._unnamed = 0
        self._thread = threading.get_ident()
        self._failed_elsewhere: list[str] = []
        self.records: list[ComparisonRecord] = []

    def __call__(
        self, actual: object, expected: object | None = None, *, name: str | None = None, **policy: Any
    ) -> Comparison:
        """Assert that the picture looks as it should; the test fails where it does not.

        Args:
            actual: the picture: a path, encoded bytes, a binary file, an array, a PIL image, a matplotlib figure,
                or whatever a plugin's ``imgdiff_load`` takes.
            expected: what it should look like, likewise; the stored baseline where omitted.
            name: what the baseline is called, in place of the test's own name.
            **policy: settings for this call alone, with the keys of imgdiff.yaml: ``metrics={"ssim": {"min": 0.98}}``,
                ``size="pad"``, ``ignore=[...]``, ...

        Returns:
            The comparison that passed.
        """
        __tracebackhide__ = True
        comparison, record = self._recorded(actual, expected, name, policy)
        if not record.passed:
            text = f"{self._failure(record)}\n  called at {self._line(sys._getframe(1))}"  # noqa: SLF001 - the caller's
            self._tell_elsewhere(text)
            pytest.fail(text, pytrace=False)
        return comparison

    def compare(
        self, actual: object, expected: object | None = None, *, name: str | None = None, **policy: Any
    ) -> Comparison:
        """Compare and record without failing the test: look at ``.passed``, ``.verdict``, ``.scores``, ``.regions``.

        The arguments are those of the call itself.
        """
        __tracebackhide__ = True
        return self._recorded(actual, expected, name, policy)[0]

    def _line(self, frame: FrameType) -> str:
        """Return the line of the test: it may compare several pictures, and a traceback would hide the words."""
        return f"{self._workspace.shown(Path(frame.f_code.co_filename))}:{frame.f_lineno}"

    def _tell_elsewhere(self, text: str) -> None:
        """Keep what fails in another thread for the end of the test."""
        if threading.get_ident() != self._thread:
            self._failed_elsewhere.append(text)

    def close(self) -> None:
        """Fail the test for what failed in another thread, where nobody hears an exception."""
        if self._failed_elsewhere:
            pytest.fail("in another thread: " + "\n".join(self._failed_elsewhere), pytrace=False)

    def _failure(self, record: ComparisonRecord) -> str:
        return self._workspace.failure_text(record)

    def _recorded(
        self, actual: object, expected: object | None, name: str | None, policy: dict[str, Any]
    ) -> tuple[Comparison, ComparisonRecord]:
        __tracebackhide__ = True
        self._calls += 1
        title = self._test.node_id if self._calls == 1 else f"{self._test.node_id} #{self._calls}"
        try:
            return self._judged(actual, expected, name, policy, title)
        except ImgdiffError as error:
            message = str(error)
        self._file_refusal(title, message)
        self._tell_elsewhere(message)
        pytest.fail(message, pytrace=False)  # outside of the handler, so that no chain of exceptions is shown

    def _file_refusal(self, title: str, message: str) -> None:
        """Record what was asked for and could not be judged: no report is to be green beside a red test."""
        refused = Comparison(title, Verdict.BROKEN, passed=False, policy=Policy(), reason=message)
        with suppress(ImgdiffError):  # where results cannot be written, the run says so, and is no success
            self._filed(refused, accept=None, written=None, baseline=None)

    def _judged(
        self, actual: object, expected: object | None, name: str | None, call: dict[str, Any], title: str
    ) -> tuple[Comparison, ComparisonRecord]:
        workspace, test = self._workspace, self._test
        _check_arguments(actual, name)
        if name is None:
            self._unnamed += 1
        # One baseline for each unnamed comparison of the test, numbered; one for each name.
        key = BaselineKey(test.module, name or test.test, 1 if name else self._unnamed, test.browser)
        policy = workspace.policy(workspace.baselines.place(key), call)
        if expected is not None:
            comparison = self._compared(expected, actual, policy, title)
            return self._filed(comparison, accept=None, written=None, baseline=None)
        place = workspace.baselines.path(key, owner=title)
        self._append(Claimed(workspace.baselines.relative(place), printable(title), test.browser))
        stored = workspace.baselines.accepted(place)
        for path in stored:
            self._append(Used(workspace.baselines.relative(path)))
        comparison = self._against(stored, actual, policy, title)
        written = None
        if workspace.may_write(comparison) and comparison.actual is not None:
            target = workspace.baselines.accept(place, comparison.actual, stored_form(comparison.actual))
            self._append(Used(workspace.baselines.relative(target)))
            written = workspace.named(target)
        kind = "missing" if not stored else "failed"
        accept = shlex.join(["pytest", *workspace.options, f"--imgdiff-update={kind}", test.selection])
        if comparison.verdict is Verdict.MISSING:
            comparison = replace(comparison, reason=self._no_baseline(place, comparison.actual))
        baseline = self._acceptable(place, stored, comparison)
        storable = comparison.actual is None or is_storable(comparison.actual)
        return self._filed(comparison, accept=accept if storable else None, written=written, baseline=baseline)

    def _no_baseline(self, place: Path, actual: Image | None) -> str:
        if actual is None:
            return f"there is no baseline {self._workspace.shown(place)} yet"
        words = f"there is no baseline {self._workspace.shown(self._workspace.baselines.target(place, actual))} yet"
        if is_storable(actual):
            return words
        if not actual.info.alone:
            return f"{words}, and {actual.info.frames} frames of a PIL image cannot be stored as one: give its file"
        return f"{words}, and {actual.dtype} pixels cannot be stored as one: convert the picture to uint8 or uint16"

    def _acceptable(self, place: Path, stored: Sequence[Path], comparison: Comparison) -> Path | None:
        """Return the one file that accepting would write; None where another format's file would be in its way."""
        if comparison.actual is None:
            return None
        target = self._workspace.baselines.target(place, comparison.actual)
        return target if not stored or stored[0] == target else None

    def _against(self, stored: Sequence[Path], actual: object, policy: Policy, title: str) -> Comparison:
        """Compare with the baseline, then with its alternatives until one of them passes."""
        workspace = self._workspace
        # A file object can be read only once; what cannot be read at all, the comparison says.
        with suppress(BrokenImageError):
            actual = images.read(actual, load=workspace.registry.load, root=workspace.root)
        first: Comparison | None = None
        candidates: Sequence[Path | None] = stored or [None]
        for path in candidates:
            comparison = self._compared(path, actual, policy, title)
            if comparison.passed:
                return comparison
            if first is None:
                first = comparison
        if first is None:
            raise AssertionError(title)
        if len(stored) > 1:
            return replace(first, notes=(*first.notes, f"{len(stored) - 1} alternative baselines do not match either"))
        return first

    def _compared(self, expected: object | None, actual: object, policy: Policy, title: str) -> Comparison:
        workspace = self._workspace
        return compare(
            expected,
            actual,
            policy,
            name=title,
            registry=workspace.registry,
            root=workspace.root,
            keep_frame=workspace.keep_frame,
        )

    def _filed(
        self, comparison: Comparison, *, accept: str | None, written: str | None, baseline: Path | None
    ) -> tuple[Comparison, ComparisonRecord]:
        record = self._workspace.record(
            comparison, test=self._test.node_id, accept=accept, written=written, baseline=baseline
        )
        self._append(record)
        self.records.append(record)
        self._test.properties.extend(properties(record))
        return comparison, record

    def _append(self, line: ComparisonRecord | Claimed | Used) -> None:
        if self._workspace.results is not None:
            self._workspace.results.append(line)
