"""Atomic writes, paths that must stay inside a folder, and a lock between processes."""

from __future__ import annotations

import os
import re
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_imgdiff.base.errors import ImgdiffError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

TEMPORARY = ".imgdiff-"
"""The prefix of the names of incomplete files."""


def _umask() -> int:
    """Return the process's file mode mask, which can be read only by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


_UMASK = _umask()  # once, while no other thread writes


def write_atomically(path: Path, data: bytes | Iterable[bytes]) -> None:
    """Write the file completely or not at all: to a temporary file next to it, which is synced and renamed.

    Missing folders are created. The old content is kept until the new content is on disk.

    Raises:
        OSError: it could not be written; no part of it is left.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=TEMPORARY, suffix=".tmp", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.writelines([data] if isinstance(data, bytes) else data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.chmod(_usual_mode(path))
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def _usual_mode(path: Path) -> int:
    """Return the mode that the file has, or that a new one would get (mkstemp's is private)."""
    with suppress(FileNotFoundError):
        return path.stat().st_mode & 0o777
    return 0o666 & ~_UMASK


def sync_folder(folder: Path) -> None:
    """Make a rename durable; where folders cannot be opened (Windows) the system does so by itself."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


_DRIVE = re.compile(r"[A-Za-z]:")


class OutsideError(ImgdiffError):
    """Raised if a path leads, or could lead, out of its folder; the message says how."""


def path_below(folder: Path, relative: str) -> Path:
    """Return the target of a relative path, after checking that neither its parts nor a symbolic link leave the folder.

    Symbolic links that stay inside are followed, except for the last part of the path: replacing that file replaces the
    link.

    Args:
        folder: the folder; it may be a symbolic link itself.
        relative: the path below it, with forward slashes; the file may be missing.

    Raises:
        OutsideError: it is empty or absolute, contains ``..``, a backslash, a drive or a control character, or it is or
            goes through a symbolic link that leads out of the folder.
    """
    if wrong := path_mistake(relative):
        raise OutsideError(wrong)
    real = Path(os.path.realpath(folder))
    path = real.joinpath(*relative.split("/"))
    parent = Path(os.path.realpath(path.parent))
    if not parent.is_relative_to(real) or not Path(os.path.realpath(path)).is_relative_to(real):
        raise OutsideError(f"a symbolic link leads out of {folder}")
    return parent / path.name


def path_mistake(relative: str) -> str | None:
    """Return what is wrong with a path below a folder, on any system; None if nothing is."""
    parts = relative.split("/")
    mistakes = {
        "the path is empty": not relative,
        "the path has a control character in it": not relative.isprintable()
        and any(ord(character) < ord(" ") or ord(character) == 0x7F for character in relative),  # noqa: PLR2004 - DEL
        "the path has half a character in it, which no file name has": not _is_whole(relative),
        "the path has a backslash in it, which is a folder's end on one system and a letter on another": "\\"
        in relative,
        "the path names a drive": _DRIVE.match(relative) is not None or (os.name == "nt" and ":" in relative),
        "the path is absolute": relative.startswith("/"),
        'the path has an empty part, "." or ".." in it': any(part in {"", ".", ".."} for part in parts),
    }
    return next((words for words, applies in mistakes.items() if applies), None)


def _is_whole(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate
        return False
    return True


# ---- A lock that ends with the process that holds it, however it ends


_BETWEEN_TRIES = 0.05
"""Seconds."""


@contextmanager
def locked(path: Path, wait: float) -> Iterator[None]:
    """Take the lock of this name; its file exists only while a process has the lock or waits for it.

    The operating system keeps the lock with the open file, so a killed process leaves none.

    Raises:
        TimeoutError: another process had it for ``wait`` seconds.
        OSError: its file cannot be made.
    """
    handle = _acquire(path, time.monotonic() + wait)
    try:
        yield
    finally:
        with suppress(OSError):  # Windows cannot delete an open file; the next holder uses it
            path.unlink()
        os.close(handle)


def hold(path: Path) -> int:
    """Take the lock of this name and return the handle that keeps it until it is closed, or the process ends.

    Raises:
        OSError: its file cannot be created, the file system has no locks, or another process has it (BlockingIOError).
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
    """Return whether this process or another one has the lock of this name."""
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
    """Whether the locked file is the one of that name: the process that had it may have deleted it."""
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
