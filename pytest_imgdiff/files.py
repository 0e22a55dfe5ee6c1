"""Files written so that a reader, a crash or a full disk never meets half of one."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

TEMPORARY = ".imgdiff-"
"""How the names of files begin that are not yet whole."""


def _umask() -> int:
    """Return the process's file mode mask, which can be read only by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


_UMASK = _umask()  # once, while no other thread writes


def write_atomically(path: Path, data: bytes | Iterable[bytes]) -> None:
    """Write the file whole or not at all: to a temporary file beside it, synced, then renamed over it.

    Folders on the way are made. What stood there before stays until the new content is safely on disk.

    Raises:
        OSError: it could not be written; nothing of it is left behind.
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
    """Make the rename itself last; where folders cannot be opened (Windows) the system does so by itself."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
