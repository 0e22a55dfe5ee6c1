"""Each bad input read in a process of its own, under limits of time and memory."""

from __future__ import annotations

import os
import pickle
import resource
import signal
import sys
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_imgdiff.base.errors import BrokenImageError
from pytest_imgdiff.images import decode, read

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.bad_images import BadImage

SECONDS = 10
"""Of the processor, so that a busy machine fails nothing."""
HANGS = 60
"""Seconds of the clock."""
MEGABYTES = 1024
_NOBODY = 65534


@dataclass(frozen=True)
class Trial:
    """What became of one bad input.

    Attributes:
        name: of the input.
        outcome: ``BrokenImageError``, or what happened instead.
        label, kind, cause: of the error.
        seconds: of the processor, from `read` to the error.
        megabytes: largest resident memory above that of the process before.
        printed: what was written to standard output and standard error meanwhile.
    """

    name: str
    outcome: str
    label: str
    kind: str
    cause: str
    seconds: float
    megabytes: float
    printed: str


def trials(folder: Path, bad: Mapping[str, BadImage]) -> Iterator[Trial]:
    """Try all inputs, one after the other, each in a fork that runs in their folder."""
    for name, image in bad.items():
        yield _in_a_fork(folder, name, image)


def _in_a_fork(folder: Path, name: str, image: BadImage) -> Trial:
    sys.stdout.flush()
    out, told = os.pipe()
    log_read, log_write = os.pipe()
    child = os.fork()
    if child == 0:
        for stream in (1, 2):
            os.dup2(log_write, stream)
        os.write(told, pickle.dumps(_tried(folder, name, image)))
        os._exit(0)
    for end in (told, log_write):
        os.close(end)
    with os.fdopen(out, "rb") as answer, os.fdopen(log_read, "rb") as log:
        pickled, printed = answer.read(), log.read().decode("utf-8", "replace")
    _, status = os.waitpid(child, 0)
    if not pickled:
        return Trial(name, f"died with status {status}", "", "", "", SECONDS, 0, printed)
    outcome, label, kind, cause, seconds, megabytes = pickle.loads(pickled)  # noqa: S301 - written by our own fork
    return Trial(name, outcome, label, kind, cause, seconds, megabytes, printed)


def _tried(folder: Path, name: str, image: BadImage) -> tuple[str, str, str, str, float, float]:
    os.chdir(folder)
    before = _peak()
    _limit_memory()
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(HANGS)
    if image.during is not None:
        started = threading.Event()
        image.during(started)
        started.wait()
    label = kind = cause = ""
    if image.as_nobody and os.geteuid() == 0:
        os.setgroups([])
        os.setuid(_NOBODY)
    start = time.process_time()
    try:
        decode(read(image.source))
        outcome = "accepted"
    except BrokenImageError as error:
        outcome, label, kind, cause = "BrokenImageError", error.label, error.kind, error.cause
    except BaseException as error:  # noqa: BLE001 - whatever else it is, it is what the test must show
        outcome = f"{name}: {type(error).__name__}: {error}"
    return outcome, label, kind, cause, time.process_time() - start, _peak() - before


def _peak() -> float:
    """Return the largest resident memory of this process so far, in MB; a fork begins with what it inherits."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _limit_memory() -> None:
    """Let an allocation far beyond the limit fail at once, before it disturbs the machine."""
    with open("/proc/self/statm", encoding="ascii") as statm:  # noqa: PTH123 - not a file of ours
        pages = int(statm.read().split()[0])
    limit = pages * os.sysconf("SC_PAGE_SIZE") + 2 * MEGABYTES * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
