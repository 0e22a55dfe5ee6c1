"""`assert_images_similar`: from a call in a test to a recorded comparison."""

from __future__ import annotations

import atexit
import gc
import os
import shlex
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, overload

import msgspec

from pytest_imgdiff.base.errors import CaptureError, ImageAssertionError, ImgdiffError
from pytest_imgdiff.base.model import Comparison, Policy, Verdict
from pytest_imgdiff.base.project import label_of
from pytest_imgdiff.base.record import record_of
from pytest_imgdiff.base.text import printable
from pytest_imgdiff.capture import is_awaited
from pytest_imgdiff.capture.steady import at_once
from pytest_imgdiff.plugin.subject import Subject, split_masks
from pytest_imgdiff.report import failure_summary, properties
from pytest_imgdiff.run.baselines import ALTERNATIVE, BaselineKey, digest_of_all, in_other_settings
from pytest_imgdiff.run.journal import Claimed, Used
from pytest_imgdiff.run.session import is_storable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Coroutine, Generator, Sequence
    from types import FrameType

    import pytest

    from pytest_imgdiff.base.image import Image
    from pytest_imgdiff.base.record import ComparisonRecord
    from pytest_imgdiff.run.session import Workspace

_CLOCK_REALTIME_COARSE = 5
"""Linux's number of the clock; Python has no name for it."""


def _check_arguments(actual: object, name: object) -> None:
    if actual is None:
        raise ImgdiffError(
            "assert_images_similar(None): must be an image, not None; check that your function returns it"
        )
    if name is not None and (not isinstance(name, str) or not name.strip()):
        raise ImgdiffError(f"assert_images_similar(..., name={name!r}): name must be a non-empty string")


@dataclass(frozen=True)
class TestIdentity:
    """The test that uses the fixture: it determines names of baselines and records.

    Attributes:
        node_id: node id of the pytest item.
        title: the node id in reports; with ``--dist=each`` each worker has a different one.
        selection: argument that selects the test on a command line, in the folder where pytest was started.
        module: the test's file relative to the root folder, without suffix, with forward slashes.
        test: the rest of the node id.
        browser: the value of the test's ``browser_name``, or ``any``.
        attachments: files that another plugin writes when the test ends, by kind: ``trace``, ``video``.
        properties: the item's JUnit properties, to append to.
    """

    __test__ = False  # pytest would collect a class with this name

    node_id: str
    title: str
    selection: str
    module: str
    test: str
    browser: str
    properties: list[tuple[str, object]]
    attachments: tuple[tuple[str, Path], ...] = ()


class ImageAssertion:
    """The value of the fixture ``assert_images_similar``.

    Args:
        workspace: the settings and folders of the run.
        test: the test that uses the fixture.
    """

    def __init__(self, workspace: Workspace, test: TestIdentity) -> None:
        self._workspace = workspace
        self._test = test
        self._calls = 0
        self._unnamed = 0
        self._thread = threading.get_ident()
        self._titles: dict[str, str] = {}
        self._settled: set[str] = set()
        self._failures: list[_Failure] = []
        self._awaited: list[_Awaited] = []
        self._own_baseline = workspace.baselines.folder / workspace.baselines.place(self._key(None, 1))
        self._baseline_before = _state_of(self._own_baseline)
        self._written: set[Path] = set()
        self._started = _file_clock()
        self.records: list[ComparisonRecord] = []

    @overload
    def __call__(
        self, actual: _AwaitedTarget, expected: object | None = None, *, name: str | None = None, **policy: Any
    ) -> Awaitable[Comparison]: ...

    @overload
    def __call__(
        self, actual: object, expected: object | None = None, *, name: str | None = None, **policy: Any
    ) -> Comparison: ...

    def __call__(
        self, actual: object, expected: object | None = None, *, name: str | None = None, **policy: Any
    ) -> Comparison | Awaitable[Comparison]:
        """Assert that an image, a page, an element or a figure is similar to the expected one, or fail the test.

        Args:
            actual: a page, locator or element of a browser, which is captured until it is stable; a figure or
                any object that a plugin's ``imgdiff_capture`` accepts; or an image: a path, encoded bytes, a binary
                file, an array, a PIL image, or any object that a plugin's ``imgdiff_load`` accepts. Arrays are
                (height, width) or (height, width, 1 to 4), ``uint8``, ``uint16``, ``bool``, or float in 0..1.
            expected: the expected image, in the same forms. Default: the stored baseline.
            name: the name of the baseline. Default: the test's own name. You can use it again in the same test until
                a call with it passes: the last comparison counts.
            **policy: settings for this call only, with the keys of imgdiff.yaml: ``metrics={"ssim": {"min": 0.98}}``,
                ``capture={"full_page": True, "mask": [".clock"]}``, ``size="pad"``, ``ignore=[...]``, ...

        Returns:
            The comparison that passed, or an awaitable of it for a page or element of an asynchronous API.

        Raises:
            ImageAssertionError: the two differ, or the call is invalid.
        """
        __tracebackhide__ = True
        line = self._line(sys._getframe(1))  # noqa: SLF001 - the caller's
        return self._given(self._asserted(actual, expected, name, policy, line), line, actual, expected)

    @overload
    def compare(
        self, actual: _AwaitedTarget, expected: object | None = None, *, name: str | None = None, **policy: Any
    ) -> Awaitable[Comparison]: ...

    @overload
    def compare(
        self, actual: object, expected: object | None = None, *, name: str | None = None, **policy: Any
    ) -> Comparison: ...

    def compare(
        self, actual: object, expected: object | None = None, *, name: str | None = None, **policy: Any
    ) -> Comparison | Awaitable[Comparison]:
        """Compare and record without failing the test: use ``.passed``, ``.verdict``, ``.scores``, ``.regions``.

        The arguments are the same as for the call itself.

        Raises:
            ImageAssertionError: the call is invalid.
        """
        __tracebackhide__ = True
        line = self._line(sys._getframe(1))  # noqa: SLF001 - the caller's
        return self._given(self._compared(actual, expected, name, policy, line), line, actual, expected)

    async def _asserted(
        self, actual: object, expected: object | None, name: str | None, policy: dict[str, Any], line: str
    ) -> Comparison:
        __tracebackhide__ = True
        comparison, record = await self._recorded(actual, expected, name, policy, line, asserted=True)
        if record.passed:
            if name is not None and expected is None:
                self._settled.add(name)
            return comparison
        text = f"{self._failure(record)}\n  called at {line}"
        raise self._failed(record, text, failure_summary(record))

    async def _compared(
        self, actual: object, expected: object | None, name: str | None, policy: dict[str, Any], line: str
    ) -> Comparison:
        __tracebackhide__ = True
        return (await self._recorded(actual, expected, name, policy, line, asserted=False))[0]

    def _given(
        self, steps: Coroutine[Any, Any, Comparison], line: str, *targets: object
    ) -> Comparison | Awaitable[Comparison]:
        """Return the comparison or, for a target of an asynchronous API, an awaitable of it."""
        __tracebackhide__ = True
        if any(map(is_awaited, targets)):
            awaited = _Awaited(steps, line)
            self._awaited.append(awaited)
            return awaited
        try:
            comparison: Comparison = at_once(steps)
        except CaptureError as error:  # a plugin's capturer returned an awaitable
            message = f"{error}; a capturer of a hook imgdiff_capture must be synchronous"
        else:
            return comparison
        raise self._failed(self._file_refusal(self._title(None), message), f"{message}\n  called at {line}", message)

    def _line(self, frame: FrameType) -> str:
        """Return the calling line: a test may compare several images, and a traceback would hide the message."""
        return f"{self._workspace.shown(Path(frame.f_code.co_filename))}:{frame.f_lineno}"

    def _failed(self, record: ComparisonRecord, text: str, summary: str | None = None) -> ImageAssertionError:
        """Return the error to raise, and keep it, so that `close` can check whether it was caught."""
        error = ImageAssertionError(text, summary)
        if self._workspace.ended:
            _fail_at_exit(text)
        elsewhere = threading.get_ident() != self._thread
        self._failures.append(_Failure(record, error, _open_raises(), in_thread=elsewhere))
        return error

    def close(self, *, red: bool) -> None:
        """Finish the test's comparisons.

        Args:
            red: the test has failed, so its failures are visible.

        Raises:
            ImageAssertionError: a call failed but the test passed: its error was caught, or raised in another thread or
                in a task that was not awaited.
        """
        self._fail_unawaited()
        failures, self._failures = self._failures, []
        ignored = []
        for failure in failures:
            if any(_has_caught(failure.error, raises) for raises in failure.raises):
                self._replace_record(failure.record, "the test expects this failure (pytest.raises)")
            elif not red:
                ignored.append(failure)
        if ignored:
            raise ImageAssertionError(
                "\n".join(f"{failure.how}: {failure.error}" for failure in ignored), ignored[0].error.summary
            )

    def _fail_unawaited(self) -> None:
        """Record every call that was not awaited as failed."""
        for awaited in self._awaited:
            if not awaited.ended:
                awaited.drop()
                message = (
                    f"called at {awaited.line}: the comparison was not awaited; write await assert_images_similar(...)"
                )
                self._failed(self._file_refusal(self._title(None), message), message)
        self._awaited.clear()

    def expect_failure(self) -> None:
        """Record that the test is expected to fail (xfail): its failures do not fail the run."""
        self._failures.clear()
        for record in self.records:
            if not record.passed and record.asserted:
                self._replace_record(record, "the test is expected to fail (xfail)")

    def _replace_record(self, record: ComparisonRecord, note: str) -> None:
        self._append(msgspec.structs.replace(record, asserted=False, notes=[*record.notes, note]))

    def _failure(self, record: ComparisonRecord) -> str:
        return self._workspace.failure_text(record)

    async def _recorded(
        self,
        actual: object,
        expected: object | None,
        name: str | None,
        policy: dict[str, Any],
        line: str,
        *,
        asserted: bool,
    ) -> tuple[Comparison, ComparisonRecord]:
        __tracebackhide__ = True
        title = self._title(name if expected is None else None)
        earlier = [failure for failure in self._failures if failure.record.name == title]
        try:
            fields = _RecordFields(title, asserted=asserted or bool(earlier))
            comparison, record = await self._judged(actual, expected, name, policy, fields)
        except ImgdiffError as error:
            message = str(error)
        else:
            if record.passed:  # the last comparison with a name counts
                self._failures = [failure for failure in self._failures if failure not in earlier]
            return comparison, record
        # Outside the except block, so that no exception chain is shown.
        text = f"{message}\n  called at {line}"
        raise self._failed(self._file_refusal(title, message), text, message.partition("\n")[0])

    def _title(self, name: str | None) -> str:
        """Return the title of the comparison in the report. A repeated name keeps its title."""
        if name in self._titles and name not in self._settled:
            return self._titles[name]
        self._calls += 1
        title = self._test.title if self._calls == 1 else f"{self._test.title} #{self._calls}"
        if isinstance(name, str):
            self._titles.setdefault(name, title)
        return title

    def _file_refusal(self, title: str, message: str) -> ComparisonRecord:
        """Record a call that could not be judged, so that the report is not green while the test fails."""
        refused = Comparison(title, Verdict.BROKEN, passed=False, policy=Policy(), reason=message)
        record = record_of(refused, test=self._test.title)
        with suppress(ImgdiffError):  # if results cannot be written, the run reports that and fails
            self._append(record)
            self.records.append(record)
        return record

    def _key(self, name: str | None, unnamed: int) -> BaselineKey:
        """Return the key of a baseline: numbered for unnamed comparisons of the test, else by name."""
        test = self._test
        return BaselineKey(test.module, name or test.test, 1 if name else unnamed, test.browser)

    async def _judged(
        self, actual: object, expected: object | None, name: str | None, call: dict[str, Any], fields: _RecordFields
    ) -> tuple[Comparison, ComparisonRecord]:
        workspace = self._workspace
        _check_arguments(actual, name)
        if expected is None and name in self._settled:
            raise ImgdiffError(
                f"name={name!r}: a call with this name has already passed; use another name for each image of a test"
            )
        if name is None:
            self._unnamed += 1
        key = self._key(name, self._unnamed)
        if workspace.baselines.follows_capture(key):
            key = key.captured(await Subject(actual, Policy(), workspace).info())
        overrides_key = workspace.baselines.place(key)
        call, masks = split_masks(call)
        policy = workspace.policy(overrides_key, call)
        policy = replace(policy, capture=replace(policy.capture, mask=(*policy.capture.mask, *masks)))
        fields = replace(fields, key=overrides_key)
        _refuse_same(expected, actual)
        subject = Subject(actual, policy, workspace, call.get("capture"))
        try:
            if expected is not None:
                return await self._judged_by(expected, subject, policy, fields)
            return await self._judged_by_baseline(subject, key, name, fields)
        finally:
            await subject.restore()

    async def _judged_by(
        self, expected: object, subject: Subject, policy: Policy, fields: _RecordFields
    ) -> tuple[Comparison, ComparisonRecord]:
        workspace = self._workspace
        other = Subject(expected, policy, workspace)
        try:
            image = await other.image(fields.title)
        finally:
            await other.restore()
        judged = await subject.judged(
            lambda picture, policy: workspace.compared_with(image, picture, policy, fields.title), fields.title
        )
        return self._filed(_unless_opened_from(expected, subject.given, judged.comparison), fields)

    async def _judged_by_baseline(
        self, subject: Subject, key: BaselineKey, name: str | None, fields: _RecordFields
    ) -> tuple[Comparison, ComparisonRecord]:
        workspace = self._workspace
        owner = self._test.node_id if name is None else f"{self._test.node_id}, name={name!r}"
        place = workspace.baselines.path(key, owner=owner)
        self._append(Claimed(workspace.baselines.relative(place), printable(owner)))
        stored = workspace.baselines.accepted(place)
        for path in stored:
            _refuse_same(path, subject.given)
            self._refuse_overwritten(path)
            self._append(Used(workspace.baselines.relative(path)))
        alternatives = [path for path in stored if ALTERNATIVE.search(path.stem)]
        if len(alternatives) == len(stored):
            stored = []  # alternatives are additional and never replace a baseline
        digest = digest_of_all(stored) if len(stored) > 1 else None  # before anything is overwritten
        judged = await subject.judged(
            lambda picture, policy: workspace.against(stored, picture, policy, fields.title), fields.title
        )
        comparison = judged.comparison
        if not judged.still:
            return self._filed(comparison, fields)
        answer = comparison
        written = None
        if workspace.may_write(comparison) and comparison.actual is not None:
            target = workspace.accept(place, comparison)
            self._append(Used(workspace.baselines.relative(target)))
            written = workspace.named(target)
            self._written.add(target)
            # the message that the next run will show
            answer = workspace.compared_with(target, judged.picture, comparison.policy, fields.title)
            answer = replace(answer, capture=comparison.capture)
        kind = "missing" if not stored else "failed"
        accept = shlex.join([*workspace.command, *workspace.options, f"--imgdiff-update={kind}", self._test.selection])
        if comparison.verdict is Verdict.MISSING:
            reason = self._no_baseline(place, comparison.actual)
            if alternatives:
                reason += f"; {alternatives[0].name} is an alternative, which needs a baseline"
            if others := workspace.baselines.elsewhere(key):
                reason += f"; {in_other_settings(others, key, workspace.shown)}"
            comparison = replace(comparison, reason=reason)
        storable = comparison.actual is None or is_storable(comparison.actual)
        fields = replace(
            fields,
            accept=accept if storable else None,
            written=written,
            baseline=self._acceptable(place, stored, comparison),
            baselines_digest=digest,
        )
        filed, record = self._filed(comparison, fields)
        return (filed if written is None else answer), record

    def _refuse_overwritten(self, baseline: Path) -> None:
        """Reject a baseline that was written during the test, for example by a screenshot, instead of by accepting."""
        state = _state_of(baseline)
        if baseline in self._written or state is None:
            return
        is_own = baseline == self._own_baseline
        if state != self._baseline_before if is_own else state[0] > self._started:
            raise ImgdiffError(
                f"the baseline {self._workspace.shown(baseline)} was written during the test, so the image would "
                "be compared with itself: save the image to another path, and restore the baseline (git checkout)"
            )

    def _no_baseline(self, place: Path, actual: Image | None) -> str:
        if actual is None:
            return f"there is no baseline {self._workspace.shown(place)} yet"
        target = self._workspace.baselines.target(place, actual)
        words = f"there is no baseline {self._workspace.shown(target)} yet"
        if self._workspace.has_store:
            from pytest_imgdiff.run.baseline_store import (
                pull_advice,
            )  # few projects use a store

            if advice := pull_advice(self._workspace.baselines.folder, self._workspace.baselines.relative(target)):
                words += f"; {advice}"
        if is_storable(actual):
            return words
        if not actual.info.alone:
            return f"{words}; a PIL image with {actual.info.frames} frames cannot be stored: pass its file"
        return f"{words}; {actual.dtype} pixels cannot be stored: convert the image to uint8 or uint16"

    def _acceptable(self, place: Path, stored: Sequence[Path], comparison: Comparison) -> Path | None:
        """Return the file that accepting would write; None if a file with another extension exists."""
        if comparison.actual is None:
            return None
        target = self._workspace.baselines.target(place, comparison.actual)
        return target if not stored or stored[0] == target else None

    def _filed(self, comparison: Comparison, fields: _RecordFields) -> tuple[Comparison, ComparisonRecord]:
        record = self._workspace.record(
            self._with_attachments(comparison),
            test=self._test.title,
            asserted=fields.asserted,
            accept=fields.accept,
            written=fields.written,
            baseline=fields.baseline,
            takes_alternatives=True,
            key=fields.key,
        )
        if fields.baselines_digest is not None:
            record = msgspec.structs.replace(record, baselines_digest=fields.baselines_digest)
        self._append(record)
        self.records.append(record)
        self._test.properties.extend(properties(record))
        return comparison, record

    def _with_attachments(self, comparison: Comparison) -> Comparison:
        """Return the comparison with the files that other plugins attach, relative to the root if inside it."""
        capture = comparison.capture
        if capture is None or capture.url is None:
            return comparison
        root = self._workspace.root
        files = {**{what: Path(path) for what, path in capture.attachments.items()}, **dict(self._test.attachments)}
        named = {
            what: (path.relative_to(root) if path.is_relative_to(root) else path).as_posix()
            for what, path in files.items()
        }
        return replace(comparison, capture=msgspec.structs.replace(capture, attachments=named))

    def _append(self, line: ComparisonRecord | Claimed | Used) -> None:
        if self._workspace.results is not None:
            self._workspace.results.append(line)


@dataclass(frozen=True, slots=True)
class _RecordFields:
    """Parts of a comparison's record besides its result."""

    title: str
    asserted: bool
    accept: str | None = None
    written: str | None = None
    baseline: Path | None = None
    key: str | None = None
    baselines_digest: str | None = None


class _AwaitedTarget(Protocol):
    """A page or element of an asynchronous API, for type checkers."""

    async def screenshot(self) -> bytes:
        """Return a PNG image."""
        ...


class _Awaited:
    """The result of a call with an asynchronous target: it must be awaited, or the test fails.

    Attributes:
        line: line of the call.
        ended: whether it was awaited until the end.
    """

    def __init__(self, steps: Coroutine[Any, Any, Comparison], line: str) -> None:
        self._steps = steps
        self._begun = False
        self.line = line
        self.ended = False

    def __await__(self) -> Generator[Any, None, Comparison]:
        self._begun = True
        try:
            comparison = yield from self._steps.__await__()
        except ImageAssertionError:
            self.ended = True
            raise
        self.ended = True
        return comparison

    def drop(self) -> None:
        """Close the coroutine that was not awaited, so that Python does not warn about it."""
        if not self._begun:
            self._steps.close()


@dataclass(frozen=True, slots=True)
class _Failure:
    """A failed call, and the ``pytest.raises`` blocks that were active when it failed."""

    record: ComparisonRecord
    error: ImageAssertionError
    raises: list[Any]
    in_thread: bool

    @property
    def how(self) -> str:
        if self.in_thread:
            return "failed in another thread, so the test could not fail"
        return (
            "failed, but its error was caught, or raised in a task that was not awaited; to compare "
            "without failing, use assert_images_similar.compare(...)"
        )


_failed_too_late: list[str] = []


def _fail_at_exit(text: str) -> None:
    """Make the process fail for a comparison after the end of the run: the exit code can still report it."""
    print(f"after the report was written: {text}", file=sys.stderr)  # noqa: T201 - pytest has ended
    _failed_too_late.append(text)


@atexit.register
def _exit_as_failed() -> None:
    if _failed_too_late:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(1)


def _open_raises() -> list[Any]:
    """Return the active ``with pytest.raises(...)`` and ``with self.assertRaises(...)`` blocks.

    Neither API lists active blocks, so this searches all objects of the process. It only runs after a failure.
    """
    names = {"RaisesContext", "RaisesExc", "RaisesGroup", "_AssertRaisesContext"}
    return [found for found in gc.get_objects() if type(found).__name__ in names]


def _has_caught(error: BaseException, raises: Any) -> bool:
    """Return whether a block caught this error, alone or in a group."""
    info = getattr(raises, "excinfo", None)
    caught = getattr(raises, "exception", None) if info is None else _value_of(info)
    return _contains(caught, error)


def _value_of(info: pytest.ExceptionInfo[BaseException]) -> BaseException | None:
    try:
        return info.value
    except AssertionError:  # the block has caught nothing
        return None


def _contains(caught: BaseException | None, error: BaseException) -> bool:
    return caught is error or any(_contains(inner, error) for inner in getattr(caught, "exceptions", ()))


def _refuse_same(expected: object, actual: object) -> None:
    """Raise if an image is compared with itself.

    Raises:
        ImgdiffError: both are the same object or the same file, also through different paths or links.
    """
    if expected is None:
        return
    one, other = _path_of(expected), _path_of(actual)
    if one is None or other is None:
        memory = _memory_of(expected)
        if expected is actual or (memory is not None and memory == _memory_of(actual)):
            raise ImgdiffError("the image is compared with itself (the same memory): pass another image")
        return
    one, other = os.fsdecode(one), os.fsdecode(other)
    try:
        same = Path(one).samefile(other)
    except (OSError, ValueError):  # the comparison reports unreadable files
        return
    if same:
        names = " and ".join(dict.fromkeys(label_of(Path(path)) for path in (one, other)))
        raise ImgdiffError(f"the image is compared with itself ({names}): pass the path of another file")


def _memory_of(source: object) -> object:
    """Return a value that is equal for two arrays or views with the same values in memory."""
    if isinstance(source, memoryview):
        return id(source.obj)
    if isinstance(source, (bytes, bytearray)):
        return id(source)
    interface = getattr(source, "__array_interface__", None)
    if not isinstance(interface, dict):
        return None
    return tuple(interface.get(key) for key in ("data", "shape", "strides", "typestr"))


def _path_of(source: object) -> str | bytes | None:
    """Return the path of a source that is a path or an open file."""
    if isinstance(source, (str, os.PathLike)):
        with suppress(Exception):  # __fspath__ may run any code; reading the source reports the error
            return os.fspath(source)
    name = getattr(source, "name", None) if callable(getattr(source, "read", None)) else None
    return name if isinstance(name, (str, bytes)) else None


def _unless_opened_from(expected: object, actual: object, comparison: Comparison) -> Comparison:
    """Raise if a PIL image equals the file that it was opened from. A modified image is a different one."""
    paths = [_path_of(side) or getattr(side, "filename", None) or None for side in (expected, actual)]
    if comparison.equal is not None and all(paths):
        _refuse_same(*paths)
    return comparison


def _state_of(path: Path) -> tuple[int, int, int] | None:
    """Return a file's modification time (ns), size and inode; None if it is missing."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _file_clock() -> int:
    """Return the time in ns as file systems record it: Linux uses a coarser clock for it."""
    if sys.platform == "linux":
        return time.clock_gettime_ns(_CLOCK_REALTIME_COARSE)
    return time.time_ns()
