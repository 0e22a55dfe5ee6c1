"""Jobs done a few ahead of whoever asks for their results, which come in order: on all cores.

Python lets one thread of a process run at a time, and what compares pictures is made of many short calls: two threads
do the work of one and a half. So where it can be done safely the jobs run on processes, which begin as copies of this
one, with everything imported.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import warnings
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from contextlib import suppress
from ctypes import c_bool
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import cv2

from pytest_imgdiff.base.errors import ImgdiffError
from pytest_imgdiff.base.opening import read_regular

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from multiprocessing.context import ForkContext

K = TypeVar("K")
T = TypeVar("T")

_WORTH_PROCESSES = 16
"""So many jobs take longer than starting processes for them does."""
_BATCHES, _LARGEST_BATCH = 16, 16
"""So many batches for each process at least, and so many jobs in a batch at most: a message costs as much as a pair of
small pictures."""
_DEATH_OF_PARENT = 1  # linux/prctl.h: PR_SET_PDEATHSIG
_DIED = (
    "a process that compared pictures died: it was killed, perhaps for want of memory, or crashed; the setting "
    "`memory` bounds what the pairs under way take together"
)

_LOOK_EVERY = 0.5
_LOOKS = 10
"""Seconds between two looks at the processes, and how many of them in a row find one stopped before it is ended. While
the whole job is stopped (Ctrl-Z) nobody looks."""
_NO_JOB = -1


class StoppedProcessError(ImgdiffError):
    """The process that did a job was stopped and did not go on; the message says so."""


_STOPPED = (
    "the process that compared this pair was stopped (SIGSTOP) for {} seconds and was ended; find out who stops "
    "processes here and run again"
)


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def worth_copies(count: int) -> bool:
    """Return whether so many jobs are worth processes, and these may begin as copies of this one.

    They may on Linux, while this one has a single thread of Python's. The threads of libraries do not matter: NumPy's
    linear algebra and OpenCV start theirs again when they are needed.
    """
    return count >= _WORTH_PROCESSES and sys.platform == "linux" and threading.active_count() == 1


class RunAhead(Generic[K, T]):
    """Does jobs side by side, a few ahead of whoever asks for their results.

    At most twice as many batches of jobs as there are workers are under way or wait to be fetched, so a result should
    be small (a record, not pixels).

    Args:
        job: what to do with each key.
        keys: in the order in which the results will be asked for; each once.
        workers: how many at once; as many as there are cores where omitted.
        apart: whether the jobs may run on processes of their own, where these are possible and worth it. What a job
            does must then not matter to this one, and its result is pickled.
        meanwhile: what this process can do, once, while the first ones run on others.
        on_loss: called before this process does the jobs that are left itself, since one of the others was stopped and
            had to be ended: what it held of what they share is lost.
    """

    def __init__(
        self,
        job: Callable[[K], T],
        keys: Iterable[K],
        workers: int | None = None,
        *,
        apart: bool = False,
        meanwhile: Callable[[], None] | None = None,
        on_loss: Callable[[], None] = lambda: None,
    ) -> None:
        listed = list(keys)
        self._numbers = {key: number for number, key in enumerate(listed)}
        self._workers = workers or cores()
        self._opencv_threads = cv2.getNumThreads()
        if self._workers > 1 and len(listed) > 1:
            cv2.setNumThreads(1)  # the pairs side by side keep the cores busy
        apart = apart and self._workers > 1 and worth_copies(len(listed))
        size = max(1, min(_LARGEST_BATCH, len(listed) // (_BATCHES * self._workers))) if apart else 1
        self._batches = _Batches(job, listed, size)
        processes = _processes(self._batches, self._workers) if apart else None
        self._pool = processes or ThreadPoolExecutor(self._workers, thread_name_prefix="imgdiff")
        self._do: Callable[[int], list[_Outcome[T]]] = self._batches if processes is None else _done_in_copy
        self._meanwhile = None if processes is None else meanwhile
        self._on_loss = on_loss
        self._watch = None if processes is None else _Watch(self._batches.workers)
        self._is_alone = False
        self._next = 0
        self._begun: set[int] = set()
        self._under_way: dict[int, Future[list[_Outcome[T]]]] = {}
        self._unfetched: dict[int, int] = {}

    def result(self, key: K) -> T:
        """Return what came of this job; whatever was raised in it is raised here.

        Raises:
            KeyError: it was fetched before.
            StoppedProcessError: its process was stopped and did not go on.
            ImgdiffError: a process died.
        """
        number = self._numbers.pop(key)
        if not self._is_alone:
            try:
                return self._fetched(number)
            except BrokenExecutor as error:
                if self._watch is None or not self._watch.ended:
                    raise ImgdiffError(_DIED) from error
                self._is_alone = True
                self._on_loss()
        if self._watch is not None and number in self._watch.ended:
            raise StoppedProcessError(_STOPPED.format(round(_LOOK_EVERY * _LOOKS)))
        done: T = self._batches.outcome(number).result()
        return done

    def _fetched(self, number: int) -> T:
        batch, place = divmod(number, self._batches.size)
        self._begin(batch)  # out of order it goes first
        self._fill()
        meanwhile, self._meanwhile = self._meanwhile, None
        if meanwhile is not None:
            meanwhile()
        outcome = self._under_way[batch].result()[place]
        self._unfetched[batch] -= 1
        if not self._unfetched[batch]:
            del self._under_way[batch]
        with suppress(BrokenExecutor):  # this result is here; whoever asks for one that is not will hear of it
            self._fill()
        return outcome.result()

    def _fill(self) -> None:
        while self._next < self._batches.count and len(self._under_way) < 2 * self._workers:
            self._begin(self._next)
            self._next += 1

    def _begin(self, batch: int) -> None:
        if batch not in self._begun:
            self._under_way[batch] = self._pool.submit(self._do, batch)
            self._unfetched[batch] = len(self._batches.numbers(batch))
            self._begun.add(batch)

    def close(self) -> None:
        """Drop what has not begun, and wait for what has."""
        self._batches.stopped.value = True
        self._next = self._batches.count
        self._numbers.clear()
        self._pool.shutdown(wait=True, cancel_futures=True)
        if self._watch is not None:
            self._watch.close()
        cv2.setNumThreads(self._opencv_threads)


@dataclass(frozen=True, slots=True)
class _Outcome(Generic[T]):
    """What a job returned or raised."""

    value: T
    error: Exception | None = None

    def result(self) -> T:
        if self.error is not None:
            raise self.error
        return self.value


class _Batches(Generic[K, T]):
    """A job for each of some keys, which are called by their numbers, so many at a time."""

    def __init__(self, job: Callable[[K], T], keys: Sequence[K], size: int) -> None:
        self._job = job
        self._keys = keys
        self.stopped = c_bool(False)  # noqa: FBT003 - its value
        """Whether what has not begun is dropped; what copies share of it is put in its place."""
        self.size = size
        self.count = -(-len(keys) // size)
        self.workers: _Workers | None = None
        """The processes that do them, if there are any."""

    def numbers(self, batch: int) -> range:
        return range(batch * self.size, min((batch + 1) * self.size, len(self._keys)))

    def __call__(self, batch: int) -> list[_Outcome[T]]:
        return [self.outcome(number) for number in self.numbers(batch) if not self.stopped.value]

    def outcome(self, number: int) -> _Outcome[Any]:
        try:
            return _Outcome(self._job(self._keys[number]))
        except Exception as error:  # noqa: BLE001 - it is raised where the result is asked for
            return _Outcome(None, error)

    def do(self, batch: int) -> list[_Outcome[T]]:
        """Do a batch in a process of its own, which says what it is at."""
        if self.workers is None:
            raise AssertionError(batch)
        done = []
        for number in self.numbers(batch):
            if not self.stopped.value:
                self.workers.say(number)
                done.append(self.outcome(number))
        self.workers.say(_NO_JOB)
        return done


class _Workers:
    """What processes say of themselves, in memory that they share: who they are, and which job they are at."""

    def __init__(self, context: ForkContext, count: int) -> None:
        self._lock = context.Lock()
        self._joined = context.RawValue("i", 0)
        self._processes = context.RawArray("i", count)
        self._jobs = context.RawArray("q", [_NO_JOB] * count)
        self._place = 0

    def join(self) -> None:
        """Take a place, in the process that begins."""
        with self._lock:
            self._place = self._joined.value
            self._joined.value += 1
        self._processes[self._place] = os.getpid()

    def say(self, job: int) -> None:
        """Say, in the process itself, which job it is at."""
        self._jobs[self._place] = job

    def there(self) -> list[tuple[int, int]]:
        """Return each process and the job that it is at."""
        return [(process, job) for process, job in zip(self._processes, self._jobs, strict=True) if process]


class _Watch:
    """Ends processes that were stopped and do not go on: whoever waits for them would wait for ever.

    Attributes:
        ended: the jobs that these processes were at; `_NO_JOB` for one that was at none.
    """

    def __init__(self, workers: _Workers | None) -> None:
        self.ended: set[int] = set()
        self._workers = workers
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._look, name="imgdiff-watch", daemon=True)
        self._thread.start()

    def _look(self) -> None:
        stopped: dict[int, int] = {}
        while self._workers is not None and not self._closed.wait(_LOOK_EVERY):
            for process, job in self._workers.there():
                stopped[process] = stopped.get(process, 0) + 1 if _is_stopped(process) else 0
                if stopped[process] == _LOOKS:
                    self.ended.add(job)
                    with suppress(ProcessLookupError):
                        os.kill(process, signal.SIGKILL)

    def close(self) -> None:
        self._closed.set()
        self._thread.join()


def _is_stopped(process: int) -> bool:
    """Return whether a signal stopped a child of this process (a debugger does so otherwise: state ``t``)."""
    try:
        status = read_regular(f"/proc/{process}/stat")
    except OSError:  # it is gone
        return False
    return status.rpartition(b")")[2].split()[0] == b"T"


def _processes(batches: _Batches[Any, Any], workers: int) -> Executor | None:
    """Return copies of this process that do these jobs; None where the system has not what they need."""
    try:
        import multiprocessing
        from concurrent.futures import ProcessPoolExecutor

        context = multiprocessing.get_context("fork")
        batches.stopped = context.RawValue(c_bool, False)  # noqa: FBT003 - its value
        batches.workers = _Workers(context, workers)
        pool = ProcessPoolExecutor(workers, context, initializer=_begin_in_copy, initargs=(batches, os.getpid()))
        with warnings.catch_warnings():
            # Python warns of the threads of libraries, too: they are no matter, see `worth_copies`.
            warnings.simplefilter("ignore", DeprecationWarning)
            pool.submit(os.getpid)  # they begin with the first job
    except (ImportError, OSError):  # no semaphores, no shared memory, no more processes
        return None
    return pool


_in_copy: list[_Batches[Any, Any]] = []
"""What this process does, if it is such a copy: a batch's number is all that travels."""


def _begin_in_copy(batches: _Batches[Any, Any], parent: int) -> None:
    _in_copy.append(batches)
    if batches.workers is not None:
        batches.workers.join()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for who started it, and ends it
    ctypes.CDLL(None).prctl(_DEATH_OF_PARENT, signal.SIGKILL)  # else it would wait for more work for ever
    if os.getppid() != parent:  # which died before that was said
        os._exit(1)


def _done_in_copy(batch: int) -> list[_Outcome[Any]]:
    return _in_copy[0].do(batch)
