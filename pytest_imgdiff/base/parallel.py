"""Jobs that run in parallel, a few ahead of the caller: on threads, or on processes where that is safe.

Processes start as copies of this one, with everything imported. They use the cores better than threads do. A decoder
that crashes ends one process, not the run: its current pair fails, all others are compared.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import warnings
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from ctypes import c_bool
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

import cv2

from pytest_imgdiff.base.errors import ImgdiffError
from pytest_imgdiff.base.opening import read_regular

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

    _Outcome = tuple["T | None", Exception | None]
    """What a job returned or raised."""

K = TypeVar("K")
T = TypeVar("T")

_WORTH_PROCESSES = 16
"""For fewer jobs, starting processes costs more than it saves."""
_BATCHES, _LARGEST_BATCH = 16, 16
"""At least this many batches for each process, and at most this many jobs in a batch: a message costs as much as a pair
of small images."""
_IN_HAND = 2
"""Batches of a process: one in progress, one queued."""
_LOOK_EVERY = 0.5
_LOOKS = 10
"""Seconds between two checks of processes that send nothing, and the number of successive checks after which a stopped
one is ended. While the whole job is stopped (Ctrl-Z) there are no checks."""
_MOST_IDLE_DEATHS = 3
_PATIENCE = 5
"""Seconds that a process has to exit by itself."""
_NO_JOB = -1
_STOPPED = (
    "the process that compared this pair was stopped (SIGSTOP) for {} seconds and was ended; find out who stops "
    "processes here and run again"
)
_DIED = (
    "the process that compared this pair died ({}): if memory ran out, lower `memory` or the number of parallel "
    "comparisons; otherwise a decoder crashed on these images: report them"
)
_DIED_IDLE = "processes that compare images die before they compare any ({}): find out what ends them and run again"


class LostProcessError(ImgdiffError):
    """Raised if the process of a job died, or was stopped and did not continue; the message says which."""


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def worth_copies(count: int) -> bool:
    """Return whether this many jobs are worth processes, and these may begin as copies of this one.

    They may on Linux, while this one has a single thread of Python's. The threads of libraries do not matter: NumPy's
    linear algebra and OpenCV start theirs again when they are needed.
    """
    return count >= _WORTH_PROCESSES and sys.platform == "linux" and threading.active_count() == 1


class RunAhead(Generic[K, T]):
    """Runs jobs in parallel, a few ahead of the caller.

    Few results are pending at a time, but each should be small (a record, not pixels).

    Args:
        job: the function that is called with each key.
        keys: in the order in which the caller takes the results; each once.
        workers: the number of parallel jobs; by default the number of cores.
        apart: whether the jobs may run in separate processes, if these are possible and worth it. A job must then have
            no side effects in this process, and its result is pickled. A job whose process dies is not run again;
            others may be.
        meanwhile: called once in this process while the first jobs run in others.
        on_loss: called if a process was lost, after all others were ended and before new ones start: the state that
            the processes share is then unknown.
    """

    def __init__(
        self,
        job: Callable[[K], T],
        keys: Iterable[K],
        workers: int | None = None,
        *,
        apart: bool = False,
        meanwhile: Callable[[], None] | None = None,
        on_loss: Callable[[], object] = lambda: None,
    ) -> None:
        self._keys = listed = list(keys)
        self._next = 0
        self._numbers: dict[K, int] | None = None
        """The keys whose results are pending; built on the first request out of order, to save memory."""
        workers = workers or cores()
        self._opencv_threads = cv2.getNumThreads()
        if workers > 1 and len(listed) > 1:
            cv2.setNumThreads(1)  # parallel pairs keep the cores busy
        self._jobs: _Threads[T] | _Processes[T] = _Threads(lambda number: job(listed[number]), len(listed), workers)
        self._meanwhile: Callable[[], None] | None = None
        if apart and workers > 1 and worth_copies(len(listed)):
            with suppress(ImportError, OSError):  # no semaphores, no shared memory, no more processes
                self._jobs = _Processes(lambda number: job(listed[number]), len(listed), workers, on_loss)
                self._meanwhile = meanwhile

    def result(self, key: K) -> T:
        """Return the result of this job, or raise the exception that it raised.

        Raises:
            KeyError: it was fetched before.
            LostProcessError: its process died, or was stopped and did not continue.
            ImgdiffError: processes die before they run a job.
        """
        number = self._number(key)
        self._jobs.begin(number)
        meanwhile, self._meanwhile = self._meanwhile, None
        if meanwhile is not None:
            meanwhile()
        return self._jobs.result(number)

    def _number(self, key: K) -> int:
        if self._numbers is None:
            if self._next < len(self._keys) and self._keys[self._next] == key:
                self._next += 1
                return self._next - 1
            self._numbers = {key: number for number, key in enumerate(self._keys) if number >= self._next}
        return self._numbers.pop(key)

    def close(self) -> None:
        """Cancel jobs that have not started, and wait for those that have."""
        self._numbers = {}
        self._jobs.close()
        cv2.setNumThreads(self._opencv_threads)


class _Threads(Generic[T]):
    """Numbered jobs on threads of this process."""

    def __init__(self, job: Callable[[int], T], count: int, workers: int) -> None:
        self._job = job
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="imgdiff")
        self._most = 2 * workers
        self._next = iter(range(count))
        self._begun: set[int] = set()
        self._under_way: dict[int, Future[T]] = {}

    def begin(self, number: int) -> None:
        """Start a job, and others while few are in progress."""
        self._submit(number)  # a job out of order goes first
        while len(self._under_way) < self._most and (following := next(self._next, None)) is not None:
            self._submit(following)

    def _submit(self, number: int) -> None:
        if number not in self._begun:
            self._begun.add(number)
            self._under_way[number] = self._pool.submit(self._job, number)

    def result(self, number: int) -> T:
        """Return the result of a started job, or raise its exception."""
        return self._under_way.pop(number).result()

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)


def _outcome(job: Callable[[int], T], number: int) -> _Outcome[T]:
    try:
        return job(number), None
    except Exception as error:  # noqa: BLE001 - raised again by `result`
        return None, error


@dataclass(eq=False)
class _Worker:
    """A process and its batches."""

    process: BaseProcess
    connection: Connection[Sequence[int], list[_Outcome[Any]]]
    place: int
    batches: deque[Sequence[int]] = field(default_factory=deque)
    looks: int = 0
    """The number of successive checks that found it stopped."""


class _Processes(Generic[T]):
    """Numbered jobs on copies of this process.

    Raises:
        ImportError, OSError: the system does not support them.
    """

    def __init__(self, job: Callable[[int], T], count: int, workers: int, on_loss: Callable[[], object]) -> None:
        import multiprocessing

        self._context: Any = multiprocessing.get_context("fork")  # which Windows does not have, nor type checkers there
        self._job = job
        self._on_loss = on_loss
        size = max(1, min(_LARGEST_BATCH, count // (_BATCHES * workers)))
        self._most = _IN_HAND * workers * size
        self._waiting: deque[Sequence[int]] = deque(
            range(start, min(start + size, count)) for start in range(0, count, size)
        )
        self._under_way: set[int] = set()
        self._done: dict[int, _Outcome[T]] = {}
        self._stopped = self._context.RawValue(c_bool, False)  # noqa: FBT003 - its value
        self._current = self._context.RawArray("q", workers)
        """The current job of each process."""
        self._idle_deaths = 0
        self._error: ImgdiffError | None = None
        """Why there is no process any more."""
        self._workers: list[_Worker] = []
        self._start(workers)

    def _start(self, count: int) -> None:
        for place in range(count):
            self._current[place] = _NO_JOB
            ours, theirs = self._context.Pipe()
            foreign = [ours, *(worker.connection for worker in self._workers)]
            process = self._context.Process(target=self._work, args=(place, theirs, foreign), daemon=True)
            with warnings.catch_warnings():
                # Python also warns about the threads of libraries, which do not matter; see `worth_copies`.
                warnings.simplefilter("ignore", DeprecationWarning)
                process.start()
            theirs.close()
            self._workers.append(_Worker(process, ours, place))

    def _work(self, place: int, own: Connection[Any, Any], foreign: Iterable[Connection[Any, Any]]) -> None:
        """Run batches in a worker process until the parent closes the connection or ends."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C and ends this process
        for connection in foreign:  # otherwise no process would see that its connection ends
            connection.close()
        with suppress(EOFError, OSError):
            while True:
                done = []
                for number in own.recv():
                    self._current[place] = number
                    if not self._stopped.value:
                        done.append(_outcome(self._job, number))
                self._current[place] = _NO_JOB
                own.send(done)

    def begin(self, number: int) -> None:
        """Send batches to the processes; this job first, if it is not in progress."""
        if number in self._done and 2 * len(self._under_way) > self._most:
            return
        wanted = None
        if number not in self._done and number not in self._under_way:
            wanted = next(batch for batch in self._waiting if number in batch)
            self._waiting.remove(wanted)
            self._waiting.appendleft(wanted)
        for count in range(1, _IN_HAND + 1):
            for worker in self._workers:
                has_room = len(self._done) + len(self._under_way) < self._most
                if len(worker.batches) < count and self._waiting and (has_room or self._waiting[0] is wanted):
                    self._give(worker, self._waiting.popleft())

    def _give(self, worker: _Worker, batch: Sequence[int]) -> None:
        worker.batches.append(batch)
        self._under_way.update(batch)
        with suppress(OSError):  # it has died, which `_listen` notices
            worker.connection.send(batch)

    def result(self, number: int) -> T:
        """Return the result of a job, or raise its exception."""
        while number not in self._done:
            if self._error is not None:
                raise self._error
            self._listen()
            self.begin(number)
        value, error = self._done.pop(number)
        if error is not None:
            raise error
        return cast("T", value)

    def _listen(self) -> None:
        """Receive results from the processes, and detect lost ones."""
        from multiprocessing.connection import wait

        ready = wait([worker.connection for worker in self._workers], _LOOK_EVERY)
        for worker in self._workers:
            if worker.connection in ready:
                try:
                    done = worker.connection.recv()
                except (EOFError, OSError):
                    self._replace_lost(worker, None)
                    return
                worker.looks = 0
                batch = worker.batches.popleft()
                self._under_way.difference_update(batch)
                self._done.update(zip(batch, done, strict=True))
            elif not ready:
                worker.looks = worker.looks + 1 if _is_stopped(worker.process.pid) else 0
                if worker.looks == _LOOKS:
                    self._replace_lost(worker, _STOPPED.format(round(_LOOK_EVERY * _LOOKS)))
                    return

    def _replace_lost(self, lost: _Worker, cause: str | None) -> None:
        """Record the job of a lost process, and restart all processes: it may have had a shared lock."""
        culprit = self._current[lost.place]
        workers, self._workers = self._workers, []
        for worker in workers:
            if worker is not lost or cause is not None:
                worker.process.kill()
            worker.connection.close()
            worker.process.join()
        how = _how_it_ended(lost.process.exitcode)
        if culprit != _NO_JOB:
            self._done[culprit] = None, LostProcessError(cause or _DIED.format(how))
        else:
            self._idle_deaths += 1
            if self._idle_deaths > _MOST_IDLE_DEATHS:
                self._error = ImgdiffError(_DIED_IDLE.format(how))
                return
        batches = sorted((batch for worker in workers for batch in worker.batches), key=lambda batch: batch[0])
        again = [[number for number in batch if number != culprit] for batch in batches]
        self._waiting.extendleft(batch for batch in reversed(again) if batch)
        self._under_way.clear()
        self._on_loss()
        self._start(len(workers))

    def close(self) -> None:
        self._stopped.value = True
        for worker in self._workers:
            worker.connection.close()
        for worker in self._workers:
            worker.process.join(_PATIENCE)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()


def _how_it_ended(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        with suppress(ValueError):
            return signal.Signals(-exit_code).name
    return f"exit code {exit_code}"


def _is_stopped(process: int | None) -> bool:
    """Return whether a signal stopped a child of this process (a debugger does so otherwise: state ``t``)."""
    try:
        status = read_regular(f"/proc/{process}/stat")
    except OSError:  # it no longer exists
        return False
    return status.rpartition(b")")[2].split()[0] == b"T"
