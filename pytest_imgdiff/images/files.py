"""Reading a file's bytes: only from regular files, without waiting, within limits, and unchanged meanwhile."""

from __future__ import annotations

import errno
import os
import stat
from typing import IO, TYPE_CHECKING

from pytest_imgdiff.errors import BrokenImageError
from pytest_imgdiff.names import printable

if TYPE_CHECKING:
    from typing import NoReturn

MAX_ENCODED_BYTES = 512 * 1024 * 1024
"""Larger files are not read: an uncompressed RGBA picture of 100 megapixels has 400 MB."""

_KINDS = (
    (stat.S_ISDIR, "directory", "not a file; name the picture in it"),
    (stat.S_ISFIFO, "FIFO", "only regular files are read; a pipe could keep the reader waiting for ever"),
    (stat.S_ISSOCK, "socket", "only regular files are read"),
    (stat.S_ISCHR, "device", "only regular files are read"),
    (stat.S_ISBLK, "device", "only regular files are read"),
)

_ACCIDENTS = {
    errno.ENOENT: ("missing", "there is no such file"),
    errno.ENOTDIR: ("missing", "a part of the path is a file, not a folder"),
    errno.ELOOP: ("symlink loop", "the symbolic link leads back to itself"),
    errno.EACCES: ("no permission", "this user may not read it"),
    errno.EPERM: ("no permission", "this user may not read it"),
    errno.ENAMETOOLONG: ("path", "the name is longer than the file system allows"),
}


def read_file(path: str | bytes, label: str) -> bytes:
    """Return the bytes of a regular file.

    Args:
        path: as the operating system takes it; bytes and surrogate-escaped names serve.
        label: how messages call it.

    Raises:
        BrokenImageError: it is missing, no regular file, not readable, larger than `MAX_ENCODED_BYTES`, or
            it changed while it was read.
    """
    try:
        # Looking first keeps devices from being opened at all: opening one can have effects.
        _require_regular(os.stat(path), label)  # noqa: PTH116 - pathlib takes no bytes
        return _read_regular(path, label)
    except OSError as error:
        _refuse_accident(error, label)
    except ValueError as error:
        raise BrokenImageError(label, "path", f"no file can have this name ({error})") from None


def read_stream(stream: IO[bytes], label: str) -> bytes:
    """Return what is left to read of a binary file object; it stays open.

    Raises:
        BrokenImageError: it is opened as text, at its end, not readable, or larger than `MAX_ENCODED_BYTES`.
    """
    kind = "file object"
    pieces: list[bytes] = []
    size = 0
    while True:
        try:
            piece = stream.read(MAX_ENCODED_BYTES + 1 - size)
        except Exception as error:  # the object is the user's: whatever it raises is its cause
            raise BrokenImageError(label, kind, f"reading it failed: {type(error).__name__}: {error}") from error
        if isinstance(piece, str):
            raise BrokenImageError(label, kind, "it is opened as text; open it with mode 'rb'")
        if not isinstance(piece, (bytes, bytearray, memoryview)):
            raise BrokenImageError(label, kind, f"its read() gave {type(piece).__name__}, not bytes")
        if not piece:
            break
        pieces.append(bytes(piece))
        size += len(piece)
        if size > MAX_ENCODED_BYTES:
            raise BrokenImageError(label, kind, _too_large(f"more than {MAX_ENCODED_BYTES:,}"))
    if not pieces:
        raise BrokenImageError(label, "empty", "nothing is left to read; `seek(0)` first where it was read or written")
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _read_regular(path: str | bytes, label: str) -> bytes:
    flags = os.O_RDONLY
    for name in ("O_NONBLOCK", "O_CLOEXEC", "O_NOCTTY", "O_BINARY"):
        flags |= getattr(os, name, 0)
    with open(os.open(path, flags), "rb", buffering=0) as file:  # noqa: PTH123 - a descriptor with flags of its own
        before = os.fstat(file.fileno())
        _require_regular(before, label)
        if before.st_size > MAX_ENCODED_BYTES:
            raise BrokenImageError(label, "file", _too_large(f"{before.st_size:,}"))
        # One byte more than there should be shows whether it grew; a short read is completed by the loop.
        data = file.read(before.st_size + 1)
        while len(data) < before.st_size and (piece := file.read(before.st_size + 1 - len(data))):
            data += piece
        after = os.fstat(file.fileno())
    if len(data) != before.st_size or _state(before) != _state(after):
        raise BrokenImageError(label, "file", "it changed while it was read; wait until its writer has finished")
    return data


def _state(status: os.stat_result) -> tuple[int, int]:
    return status.st_size, status.st_mtime_ns


def _require_regular(status: os.stat_result, label: str) -> None:
    for is_kind, kind, cause in _KINDS:
        if is_kind(status.st_mode):
            raise BrokenImageError(label, kind, cause)
    if not stat.S_ISREG(status.st_mode):
        raise BrokenImageError(label, "special file", "only regular files are read")


def _too_large(size: str) -> str:
    return f"it holds {size} bytes; at most {MAX_ENCODED_BYTES:,} are read"


def _refuse_accident(error: OSError, label: str) -> NoReturn:
    kind, cause = _ACCIDENTS.get(
        error.errno or 0, ("file", f"it cannot be read: {printable(error.strerror or str(error))}")
    )
    raise BrokenImageError(label, kind, cause) from None
