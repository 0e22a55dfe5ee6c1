"""A lock between processes that ends with the process that holds it, however it ends."""

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_BETWEEN_TRIES = 0.05
"""Seconds."""


@contextmanager
def locked(path: Path, wait: float) -> Iterator[None]:
    """Hold the lock of this name; its file is there only while somebody holds it or waits for it.

    The system itself keeps the lock, by the open file: a killed process leaves none behind.

    Raises:
        TimeoutError: somebody else held it for ``wait`` seconds.
        OSError: its file cannot be made.
    """
    handle = _acquire(path, time.monotonic() + wait)
    try:
        yield
    finally:
        with suppress(OSError):  # Windows deletes no open file; the next holder finds it there
            path.unlink()
        os.close(handle)


def hold(path: Path) -> int:
    """Take the lock of this name and return the handle that keeps it until it is closed, or the process ends.

    Raises:
        OSError: its file cannot be made, the file system has no locks, or somebody holds it (BlockingIOError).
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        if _try_to_lock(handle):
            return handle
    except BaseException:
        os.close(handle)
        raise
    os.close(handle)
    raise BlockingIOError


def is_held(path: Path) -> bool:
    """Return whether somebody, this process or another, holds the lock of this name."""
    try:
        handle = hold(path)
    except BlockingIOError:
        return True
    except OSError:
        return False
    os.close(handle)
    return False


def _acquire(path: Path, end: float) -> int:
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            if _try_to_lock(handle) and _is_still(path, handle):
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)
        if time.monotonic() >= end:
            raise TimeoutError
        time.sleep(_BETWEEN_TRIES)


def _is_still(path: Path, handle: int) -> bool:
    """Whether the locked file is the one of that name: its last holder may have deleted it meanwhile."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


if sys.platform == "win32":
    import msvcrt

    def _try_to_lock(handle: int) -> bool:
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _try_to_lock(handle: int) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
