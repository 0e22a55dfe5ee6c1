"""Uploads that wait, are judged one at a time, and are kept for a while."""

from __future__ import annotations

import secrets
import shutil
import threading
import time
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from werkzeug.exceptions import NotFound, TooManyRequests

from pytest_imgdiff.errors import ImgdiffError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import Any

    from pytest_imgdiff.server.limits import Limits
    from pytest_imgdiff.server.uploads import UploadedPair

State = Literal["waiting", "running", "done", "failed"]


class CancelledError(Exception):
    """The job was cancelled while it ran."""


@dataclass(eq=False)
class Job:
    """One upload.

    Attributes:
        id: what its address holds; nobody guesses it.
        folder: its own; what was uploaded, and ``report``.
        pairs: what to compare.
        changes: what it changes of imgdiff.yaml's policy.
        glance: whether every pair is measured to be seen at a glance as well.
        state: how far it is.
        done: pairs judged.
        line: the result, or what went wrong, in one line.
        passed: whether all pairs did.
        seen: when it was last looked at, by the monotonic clock.
        cancelled: set to have it end early.
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
        """Count one more pair as judged.

        Raises:
            CancelledError: nobody waits for the others.
        """
        self.done += 1
        if self.cancelled.is_set():
            raise CancelledError


class Jobs:
    """All jobs of a server, and the thread that judges them.

    Args:
        folder: where each has its own.
        judge: compares a job's pairs, calls `Job.step` after each and writes the report; returns whether all passed
            and the result in one line.
        limits: how many may wait and are kept.
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
        """Give the identifier and the folder of a job to be; its place is kept while the upload comes in.

        The folder is removed where the upload fails.

        Raises:
            TooManyRequests: too many wait already.
        """
        self._expire()
        with self._changed:
            under_way = self._arriving + sum(job.state in ("waiting", "running") for job in self._jobs.values())
            if self._closed or under_way >= self._limits.waiting:
                raise TooManyRequests(f"{under_way} uploads wait already; try again when one is judged")
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
        """Have a job judged when its turn comes."""
        with self._changed:
            self._jobs[job.id] = job
            self._waiting.append(job)
            self._changed.notify()

    def get(self, name: str) -> Job:
        """Return a job, which keeps it for longer.

        Raises:
            NotFound: there is none of that name, or none any more.
        """
        job = self._jobs.get(name)
        if job is None:
            raise NotFound("there is no such job here; results are kept for a while only")
        job.seen = time.monotonic()
        return job

    def ahead(self, job: Job) -> int:
        """Return how many jobs are judged before this one."""
        with self._changed:
            if job not in self._waiting:
                return 0
            running = sum(other.state == "running" for other in self._jobs.values())
            return running + self._waiting.index(job)

    def remove(self, job: Job) -> None:
        """Have it end, and delete all of it."""
        job.cancelled.set()
        with self._changed:
            self._jobs.pop(job.id, None)
            if job in self._waiting:
                self._waiting.remove(job)
            running = job.state == "running"
        if not running:  # else its own thread does when it has ended
            shutil.rmtree(job.folder, ignore_errors=True)

    def close(self) -> None:
        """End whatever runs, and wait for it; nothing is begun any more."""
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
            shutil.rmtree(job.folder / side, ignore_errors=True)  # the report has what is to be seen
        if job.cancelled.is_set():
            shutil.rmtree(job.folder, ignore_errors=True)

    def _expire(self) -> None:
        """Remove the finished jobs that are old, or too many."""
        with self._changed:
            finished = sorted(
                (job for job in self._jobs.values() if job.state in ("done", "failed")), key=lambda job: job.seen
            )
        oldest = time.monotonic() - self._limits.kept_seconds
        surplus = max(0, len(finished) - self._limits.kept)
        for index, job in enumerate(finished):
            if index < surplus or job.seen < oldest:
                self.remove(job)
