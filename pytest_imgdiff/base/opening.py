"""Opening files that a user named: regular files only, without waiting."""

from __future__ import annotations

import errno
import os
import stat
from typing import IO

_ONLY = "only regular files are read"
_KINDS = (
    (stat.S_ISDIR, "directory", "a directory, not a file"),
    (stat.S_ISFIFO, "FIFO", f"a FIFO; {_ONLY}, as a pipe could keep the reader waiting forever"),
    (stat.S_ISSOCK, "socket", f"a socket; {_ONLY}"),
    (stat.S_ISCHR, "device", f"a device; {_ONLY}"),
    (stat.S_ISBLK, "device", f"a device; {_ONLY}"),
)
_PIECE = 1 << 20
_FLAGS = os.O_RDONLY
for _name in ("O_NONBLOCK", "O_CLOEXEC", "O_NOCTTY", "O_BINARY"):
    _FLAGS |= getattr(os, _name, 0)


class NotRegularError(OSError):
    """Raised if a path is not that of a regular file; `strerror` says what it is.

    Attributes:
        kind: ``directory``, ``FIFO``, ``socket``, ``device`` or ``special file``.
    """

    def __init__(self, kind: str, words: str, path: str | bytes | os.PathLike[str]) -> None:
        super().__init__(errno.EINVAL, words, os.fspath(path))
        self.kind = kind


def open_regular(path: str | bytes | os.PathLike[str]) -> IO[bytes]:
    """Open a regular file, unbuffered, for reading bytes. It never waits for a writer.

    Args:
        path: as the operating system takes it; symbolic links are followed.

    Raises:
        NotRegularError: it is a directory, FIFO, socket or device.
        OSError: it cannot be opened.
        ValueError: no file can have this name.
    """
    descriptor, _ = open_descriptor(path)
    return open(descriptor, "rb", buffering=0)  # noqa: PTH123 - a descriptor; the caller closes the file


def open_descriptor(path: str | bytes | os.PathLike[str]) -> tuple[int, os.stat_result]:
    """Open a regular file as `open_regular` does, and return its descriptor and status.

    Raises:
        NotRegularError, OSError, ValueError: as `open_regular` raises them.
    """
    # Check first, so that no device is opened: opening one can have side effects.
    _require_regular(os.stat(path), path)  # noqa: PTH116 - pathlib does not support bytes, and is slow to import
    descriptor = os.open(path, _FLAGS)
    try:
        status = os.fstat(descriptor)
        _require_regular(status, path)  # it may have been replaced
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor, status


def read_regular(path: str | bytes | os.PathLike[str], most: int | None = None) -> bytes:
    """Return the content of a regular file, at most its first ``most`` bytes.

    Raises:
        NotRegularError, OSError, ValueError: as `open_regular` raises them.
    """
    with open_regular(path) as file:
        pieces: list[bytes] = []
        left = os.fstat(file.fileno()).st_size + 1 if most is None else most  # one more byte detects the end
        while left > 0 and (piece := file.read(left)):
            pieces.append(piece)
            left = max(left - len(piece), _PIECE if most is None else 0)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _require_regular(status: os.stat_result, path: str | bytes | os.PathLike[str]) -> None:
    if stat.S_ISREG(status.st_mode):
        return
    for is_kind, kind, words in _KINDS:
        if is_kind(status.st_mode):
            raise NotRegularError(kind, words, path)
    raise NotRegularError("special file", f"a special file; {_ONLY}", path)
