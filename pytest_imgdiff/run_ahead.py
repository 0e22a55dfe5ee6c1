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
from ctypes import c_bool
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import cv2

from pytest_imgdiff.errors import ImgdiffError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

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
    """

    def __init__(
        self,
        job: Callable[[K], T],
        keys: Iterable[K],
        workers: int | None = None,
        *,
        apart: bool = False,
        meanwhile: Callable[[], None] | None = None,
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
        self._next = 0
        self._begun: set[int] = set()
        self._under_way: dict[int, Future[list[_Outcome[T]]]] = {}
        self._unfetched: dict[int, int] = {}

    def result(self, key: K) -> T:
        """Return what came of this job; whatever was raised in it is raised here.

        Raises:
            KeyError: it was fetched before.
            ImgdiffError: a process died.
        """
        number = self._numbers.pop(key)
        batch, place = divmod(number, self._batches.size)
        try:
            self._begin(batch)  # out of order it goes first
            self._fill()
            meanwhile, self._meanwhile = self._meanwhile, None
            if meanwhile is not None:
                meanwhile()
            outcome = self._under_way[batch].result()[place]
            self._unfetched[batch] -= 1
            if not self._unfetched[batch]:
                del self._under_way[batch]
            self._fill()
        except BrokenExecutor as error:
            raise ImgdiffError(_DIED) from error
        if outcome.error is not None:
            raise outcome.error
        return outcome.value

    def _fill(self) -> None:
        while self._next < self._batches.count and len(self._under_way) < 2 * self._workers:
            self._begin(self._next)
            self._next += 1

    def _begin(self, batch: int) -> None:
        if batch not in self._begun:
            self._under_way[batch] = self._pool.submit(self._do, batch)
            self._unfetched[batch] = len(self._batches.keys(batch))
            self._begun.add(batch)

    def close(self) -> None:
        """Drop what has not begun, and wait for what has."""
        self._batches.stopped.value = True
        self._next = self._batches.count
        self._numbers.clear()
        self._pool.shutdown(wait=True, cancel_futures=True)
        cv2.setNumThreads(self._opencv_threads)


@dataclass(frozen=True, slots=True)
class _Outcome(Generic[T]):
    """What a job returned or raised."""

    value: T
    error: Exception | None = None


class _Batches(Generic[K, T]):
    """A job for each of some keys, which are called by their numbers, so many at a time."""

    def __init__(self, job: Callable[[K], T], keys: Sequence[K], size: int) -> None:
        self._job = job
        self._keys = keys
        self.stopped = c_bool(False)  # noqa: FBT003 - its value
        """Whether what has not begun is dropped; what copies share of it is put in its place."""
        self.size = size
        self.count = -(-len(keys) // size)

    def keys(self, batch: int) -> Sequence[K]:
        return self._keys[batch * self.size : (batch + 1) * self.size]

    def __call__(self, batch: int) -> list[_Outcome[T]]:
        return [self._outcome(key) for key in self.keys(batch) if not self.stopped.value]

    def _outcome(self, key: K) -> _Outcome[Any]:
        try:
            return _Outcome(self._job(key))
        except Exception as error:  # noqa: BLE001 - it is raised where the result is asked for
            return _Outcome(None, error)


def _processes(batches: _Batches[Any, Any], workers: int) -> Executor | None:
    """Return copies of this process that do these jobs; None where the system has not what they need."""
    try:
        import multiprocessing
        from concurrent.futures import ProcessPoolExecutor

        context = multiprocessing.get_context("fork")
        batches.stopped = context.RawValue(c_bool, False)  # noqa: FBT003 - its value
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
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for who started it, and ends it
    ctypes.CDLL(None).prctl(_DEATH_OF_PARENT, signal.SIGKILL)  # else it would wait for more work for ever
    if os.getppid() != parent:  # which died before that was said
        os._exit(1)


def _done_in_copy(batch: int) -> list[_Outcome[Any]]:
    return _in_copy[0](batch)
