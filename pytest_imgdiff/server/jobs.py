"""The queue of uploads, which are compared one at a time and kept for some time; and the server's shared state."""

from __future__ import annotations

import re
import secrets
import shutil
import threading
import time
import uuid
from collections import deque
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Literal

from werkzeug.exceptions import BadRequest, NotFound, RequestEntityTooLarge, TooManyRequests, UnsupportedMediaType

from pytest_imgdiff.base.errors import ImgdiffError, ReportError, UnreadableError
from pytest_imgdiff.base.memory import Allowance
from pytest_imgdiff.base.model import MEGA, LimitSettings
from pytest_imgdiff.base.parallel import RunAhead
from pytest_imgdiff.base.text import printable
from pytest_imgdiff.comparison.engine import compare
from pytest_imgdiff.images import Source, read
from pytest_imgdiff.images.sniff import sniff
from pytest_imgdiff.report import summary_line
from pytest_imgdiff.run.baselines import Baselines
from pytest_imgdiff.run.finish import Outcome, run_record, write_all
from pytest_imgdiff.run.journal import ResultsFolder
from pytest_imgdiff.run.pairing import unique
from pytest_imgdiff.run.session import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import Any

    from werkzeug.datastructures import FileStorage

    from pytest_imgdiff.base.record import ComparisonRecord
    from pytest_imgdiff.comparison.registry import Registry
    from pytest_imgdiff.config import Settings
    from pytest_imgdiff.report.templates import Templates
    from pytest_imgdiff.server.http import Gate, Limits

State = Literal["waiting", "running", "done", "failed"]


class CancelledError(Exception):
    """The job was cancelled while it ran."""


@dataclass(eq=False)
class Job:
    """One upload.

    Attributes:
        id: random part of its URL, which cannot be guessed.
        folder: its own folder, with the uploaded files and ``report``.
        pairs: the pairs to compare.
        changes: changes to the policy of imgdiff.yaml.
        glance: whether each pair is also measured for the glance.
        state: progress of the job.
        done: number of compared pairs.
        line: the result or the error, in one line.
        passed: whether all pairs passed.
        seen: time of the last request for it, by the monotonic clock.
        cancelled: set to stop it early.
    """

    id: str
    folder: Path
    pairs: Sequence[UploadedPair]
    changes: Mapping[str, Any]
    glance: bool = False
    state: State = "waiting"
    done: int = 0
    line: str = ""
    passed: bool = False
    seen: float = field(default_factory=time.monotonic)
    cancelled: threading.Event = field(default_factory=threading.Event)

    @property
    def report(self) -> Path:
        """The folder of its report."""
        return self.folder / "report"

    def step(self) -> None:
        """Count one more compared pair.

        Raises:
            CancelledError: the job was cancelled.
        """
        self.done += 1
        if self.cancelled.is_set():
            raise CancelledError


class Jobs:
    """All jobs of a server, and the thread that runs them.

    Args:
        folder: parent of the jobs' folders.
        judge: compares a job's pairs, calls `Job.step` after each and writes the report; returns whether all passed,
            and the result in one line.
        limits: how many jobs may wait, and how many are kept.
    """

    def __init__(self, folder: Path, judge: Callable[[Job], tuple[bool, str]], limits: Limits) -> None:
        self._folder = folder
        self._judge = judge
        self._limits = limits
        self._jobs: dict[str, Job] = {}
        self._waiting: deque[Job] = deque()
        self._changed = threading.Condition()
        self._arriving = 0
        self._closed = False
        self._worker = threading.Thread(target=self._work, name="imgdiff-jobs", daemon=True)
        self._worker.start()

    @contextmanager
    def arriving(self) -> Iterator[tuple[str, Path]]:
        """Create the id and the folder for a new job. Its place in the queue is reserved during the upload.

        The folder is removed if the upload fails.

        Raises:
            TooManyRequests: the queue is full.
        """
        self._expire()
        with self._changed:
            under_way = self._arriving + sum(job.state in ("waiting", "running") for job in self._jobs.values())
            if self._closed or under_way >= self._limits.waiting:
                raise TooManyRequests(f"{under_way} uploads are waiting; try again later")
            self._arriving += 1
        name = secrets.token_hex(16)
        folder = self._folder / name
        try:
            folder.mkdir(mode=0o700)
            yield name, folder
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        finally:
            with self._changed:
                self._arriving -= 1

    def submit(self, job: Job) -> None:
        """Add a job to the queue."""
        with self._changed:
            self._jobs[job.id] = job
            self._waiting.append(job)
            self._changed.notify()

    def get(self, name: str) -> Job:
        """Return a job, and extend how long it is kept.

        Raises:
            NotFound: there is no such job, or it was removed.
        """
        job = self._jobs.get(name)
        if job is None:
            raise NotFound("no such job; results are deleted after a while")
        job.seen = time.monotonic()
        return job

    def ahead(self, job: Job) -> int:
        """Return the number of jobs before this one in the queue."""
        with self._changed:
            if job not in self._waiting:
                return 0
            running = sum(other.state == "running" for other in self._jobs.values())
            return running + self._waiting.index(job)

    def remove(self, job: Job) -> None:
        """Cancel the job, and delete its files."""
        job.cancelled.set()
        with self._changed:
            self._jobs.pop(job.id, None)
            if job in self._waiting:
                self._waiting.remove(job)
            running = job.state == "running"
        if not running:  # else its own thread removes it at the end
            shutil.rmtree(job.folder, ignore_errors=True)

    def close(self) -> None:
        """Cancel the running job, wait for it, and start no others."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            for job in self._jobs.values():
                job.cancelled.set()
            self._changed.notify()
        self._worker.join()

    def _work(self) -> None:
        while (job := self._next()) is not None:
            self._run(job)
            self._expire()

    def _next(self) -> Job | None:
        with self._changed:
            while not self._waiting and not self._closed:
                self._changed.wait()
            if self._closed:
                return None
            job = self._waiting.popleft()
            job.state = "running"
            return job

    def _run(self, job: Job) -> None:
        state: State = "failed"
        try:
            job.passed, job.line = self._judge(job)
            state = "done"
        except CancelledError:
            job.line = "cancelled"
        except ImgdiffError as error:
            job.line = str(error)
        except Exception as error:  # noqa: BLE001 - one upload never ends the server
            job.line = f"internal error; please report it: {type(error).__name__}: {error}"
        finally:
            job.seen = time.monotonic()
            job.state = state
        for side in ("expected", "actual"):
            shutil.rmtree(job.folder / side, ignore_errors=True)  # the report contains the images it needs
        if job.cancelled.is_set():
            shutil.rmtree(job.folder, ignore_errors=True)

    def _expire(self) -> None:
        """Remove finished jobs that are old or too many."""
        with self._changed:
            finished = sorted(
                (job for job in self._jobs.values() if job.state in ("done", "failed")), key=lambda job: job.seen
            )
        oldest = time.monotonic() - self._limits.kept_seconds
        surplus = max(0, len(finished) - self._limits.kept)
        for index, job in enumerate(finished):
            if index < surplus or job.seen < oldest:
                self.remove(job)


def judged(job: Job, settings: Settings, registry: Registry, limits: Limits) -> tuple[bool, str]:
    """Compare a job's pairs on all cores and write the report into its folder.

    Returns:
        Whether all passed, and the summary in one line.

    Raises:
        ImgdiffError: a model is missing, the policy is invalid, or the report cannot be written.
        CancelledError: the job was cancelled.
    """
    workspace = _workspace(job, settings, registry)
    keys = [pair.key for pair in job.pairs]
    workspace.prepare(keys)
    ahead = RunAhead(partial(_record, workspace, limits), job.pairs, workspace.threads(keys))
    records = []
    try:
        for pair in job.pairs:
            records.append(ahead.result(pair))
            job.step()
    finally:
        ahead.close()
    run = run_record(workspace, records)
    outcome = Outcome()
    write_all(workspace, run, outcome)
    if outcome.must_fail:
        raise ReportError("; ".join(outcome.lines))
    return all(record.passed for record in records), summary_line(run)


def _workspace(job: Job, settings: Settings, registry: Registry) -> Workspace:
    # For a single pair both images are always kept; for folders, equal images are not.
    pictures: Literal["all", "different"] = "all" if len(job.pairs) == 1 else "different"
    report = replace(settings.report, pictures=pictures, title="Uploaded images")
    results = ResultsFolder(job.report, uuid.uuid4().hex)
    results.begin()
    return Workspace(
        root=job.folder,
        settings=replace(settings, report=report),
        registry=registry,
        baselines=Baselines(settings.baselines.folder, settings.baselines.layout),
        results=results,
        command_line=job.changes,
        allowance=Allowance(settings.memory),
        here=settings.folder,
        glance=job.glance,
        settings_files=() if settings.path is None else (settings.folder / settings.path.name,),
    )


def _record(workspace: Workspace, limits: Limits, pair: UploadedPair) -> ComparisonRecord:
    policy = workspace.policy(pair.key)
    policy = replace(policy, limits=LimitSettings(min(policy.limits.megapixels, limits.pixels / MEGA)))
    with ExitStack() as stack:
        comparison = compare(
            _source(pair.expected, f"expected {pair.name}"),
            _source(pair.actual, f"actual {pair.name}"),
            policy,
            name=pair.name,
            registry=workspace.registry,
            keep_frame=workspace.keep_frame,
            room=lambda size: stack.enter_context(workspace.allowance.of(size)),
        )
        return workspace.record(comparison)


def _source(file: Path | None, label: str) -> Source | None:
    """Return the image with its uploaded name, not the name of its file here."""
    return None if file is None else replace(read(file), kind="bytes", label=label, path=None)


_LOOKED_AT = 4096
_DRIVE = re.compile(r"[A-Za-z]:")


@dataclass(frozen=True, slots=True)
class UploadedPair:
    """Two images with one name, or a single one.

    Attributes:
        name: the name to show; never used as a path.
        key: the name that the globs of imgdiff.yaml are matched against.
        expected, actual: the files, below the upload's folder; None if missing.
    """

    name: str
    key: str
    expected: Path | None
    actual: Path | None


def stored_pairs(
    expected: Sequence[FileStorage], actual: Sequence[FileStorage], folder: Path, limits: Limits
) -> list[UploadedPair]:
    """Write the images of an upload below the folder, as ``expected/0``, ``expected/1``, ..., and pair them.

    One image on each side form a pair regardless of their names; otherwise equal names do.

    Raises:
        BadRequest: there is no image, or a name is invalid or occurs twice on one side.
        RequestEntityTooLarge: there are too many images.
        UnsupportedMediaType: the first bytes of a file are not a supported image format.
    """
    sides = {side: _named(files, side, limits) for side, files in (("expected", expected), ("actual", actual))}
    count = sum(map(len, sides.values()))
    if not count:
        raise BadRequest("no images: send files in the fields expected and actual")
    if count > limits.pictures:
        raise RequestEntityTooLarge(f"{count} images; at most {limits.pictures} are allowed")
    for side, files in sides.items():
        for name, file in files.items():
            _require_picture(file, f"{side} {printable(name)}")
    return _paired({side: _stored(files, folder / side) for side, files in sides.items()})


def _named(files: Sequence[FileStorage], side: str, limits: Limits) -> dict[str, FileStorage]:
    named: dict[str, FileStorage] = {}
    for file in files:
        name = file.filename or ""
        if wrong := _name_error(name, limits):
            raise BadRequest(f"{side}: {printable(name[:100])!r}: {wrong}")
        if name in named:
            raise BadRequest(f"{side}: duplicate name {printable(name)}")
        named[name] = file
    return named


def _name_error(name: str, limits: Limits) -> str | None:
    """Return what is wrong with an image's name. Names are only shown, but these are never intended."""
    if not name or len(name) > limits.name_length:
        return f"the name must have 1 to {limits.name_length} characters"
    if printable(name) != name:
        return "the name contains control characters or a lone surrogate"
    if "\\" in name or _DRIVE.match(name) or any(part in ("", ".", "..") for part in name.split("/")):
        return 'the name must be a relative path with "/", without "..", "\\" or a drive'
    return None


def _require_picture(file: FileStorage, label: str) -> None:
    start = file.stream.read(_LOOKED_AT)
    file.stream.seek(0)
    try:
        if sniff(start) == "PDF":  # rendering a page can exceed the limits for images
            raise UnsupportedMediaType(f"{label}: PDF: unsupported by this server")
    except UnreadableError as error:
        raise UnsupportedMediaType(f"{label}: {error.kind}: {printable(error.cause)}") from None


def _stored(files: Mapping[str, FileStorage], folder: Path) -> dict[str, Path]:
    folder.mkdir(parents=True)
    stored = {}
    for number, (name, file) in enumerate(files.items()):
        stored[name] = folder / str(number)
        try:
            with stored[name].open("xb") as target:
                shutil.copyfileobj(file.stream, target)
        except OSError as error:
            raise ImgdiffError(f"the upload cannot be stored: {error.strerror or error}") from error
    return stored


def _paired(sides: Mapping[str, Mapping[str, Path]]) -> list[UploadedPair]:
    expected, actual = sides["expected"], sides["actual"]
    if len(expected) == len(actual) == 1:
        (name,) = actual
        return [UploadedPair(printable(name), name, *expected.values(), *actual.values())]
    keys = sorted({*expected, *actual})
    names = unique([printable(key) for key in keys])
    return [UploadedPair(name, key, expected.get(key), actual.get(key)) for name, key in zip(names, keys, strict=True)]


@dataclass(frozen=True, eq=False)
class Service:
    """Shared state of one server.

    Attributes:
        report: the report's folder; None if no report is served.
        root: base folder of baselines.
        settings: from imgdiff.yaml.
        registry: the known metrics.
        templates: of the pages, and their assets.
        gate: checks requests.
        jobs: the uploads.
        limits: of the server.
        accepting: lock for writing baselines: two requests at the same time would verify what the other changes.
    """

    report: Path | None
    root: Path
    settings: Settings
    registry: Registry
    templates: Templates
    gate: Gate
    jobs: Jobs
    limits: Limits
    accepting: threading.Lock = field(default_factory=threading.Lock)
