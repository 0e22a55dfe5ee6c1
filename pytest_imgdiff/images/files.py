"""Reading a file's bytes: only from regular files, without waiting, within limits, and unchanged meanwhile."""

from __future__ import annotations

import errno
import os
import time
from typing import IO, TYPE_CHECKING

from pytest_imgdiff.base.errors import BrokenImageError
from pytest_imgdiff.base.opening import NotRegularError, open_descriptor
from pytest_imgdiff.base.text import printable

if TYPE_CHECKING:
    from typing import NoReturn

MAX_ENCODED_BYTES = 512 * 1024 * 1024
"""Larger files are not read: an uncompressed RGBA image of 100 megapixels has 400 MB."""

_KINDS = {
    "directory": "not a file; name the image in it",
    "FIFO": "only regular files are read; a pipe could keep the reader waiting forever",
}
_OTHER_KIND = "only regular files are read"

_CHECKED = b"\x89PNG\r\n\x1a\n"
"""How files begin whose checksums tell whether they were read whole: PNG."""
_LONG = 0.05
"""A read of so many seconds gave others time to write."""
_RECENT = 2.0
"""A file that was written so many seconds ago may be written to again without another time of change: file systems
count it in steps of up to two seconds."""
_PIECE = 1 << 20

_ACCIDENTS = {
    errno.ENOENT: ("missing", "there is no such file"),
    errno.ENOTDIR: ("missing", "a part of the path is a file, not a folder"),
    errno.ELOOP: ("symlink loop", "the symbolic link is circular"),
    errno.EACCES: ("no permission", "this user may not read it"),
    errno.EPERM: ("no permission", "this user may not read it"),
    errno.ENAMETOOLONG: ("path", "the name is longer than the file system allows"),
}


FETCH_LINKED = "fetch its content (`git annex get`, `dvc pull`)"
"""What to do about a symbolic link whose target is not on this machine."""


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
        return _read_unchanged(path, label)
    except NotRegularError as error:
        raise BrokenImageError(label, error.kind, _KINDS.get(error.kind, _OTHER_KIND)) from None
    except OSError as error:
        _refuse_accident(error, label, path)
    except ValueError as error:
        raise BrokenImageError(label, "path", f"invalid file name ({error})") from None


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
            raise BrokenImageError(label, kind, "opened as text; open it with mode 'rb'")
        if not isinstance(piece, (bytes, bytearray, memoryview)):
            raise BrokenImageError(label, kind, f"its read() returned {type(piece).__name__}, not bytes")
        if not piece:
            break
        pieces.append(bytes(piece))
        size += len(piece)
        if size > MAX_ENCODED_BYTES:
            raise BrokenImageError(label, kind, _too_large(f"more than {MAX_ENCODED_BYTES:,}"))
    if not pieces:
        raise BrokenImageError(label, "empty", "nothing left to read; call `seek(0)` first")
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _read_unchanged(path: str | bytes, label: str) -> bytes:
    started = time.monotonic()
    descriptor, before = open_descriptor(path)
    try:
        size = before.st_size
        if size > MAX_ENCODED_BYTES:
            raise BrokenImageError(label, "file", _too_large(f"{size:,}"))
        # One byte more than there should be shows whether it grew; a short read is completed by the loop.
        data = os.read(descriptor, size + 1)
        while len(data) < size and (piece := os.read(descriptor, size + 1 - len(data))):
            data += piece
        is_whole = len(data) == size
        if is_whole and _may_have_changed_unseen(data, before, time.monotonic() - started):
            is_whole = _holds(descriptor, data)
        after = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    if not is_whole or _state(after) != _state(before):
        raise BrokenImageError(
            label, "file", "it changed while it was read; wait until the other process has finished writing"
        )
    return data


def _may_have_changed_unseen(data: bytes, before: os.stat_result, lasted: float) -> bool:
    """Whether a second look is needed to know that all of these bytes were in the file at one time."""
    if data.startswith(_CHECKED):
        return False
    return lasted >= _LONG or time.time() - before.st_mtime < _RECENT


def _holds(descriptor: int, data: bytes) -> bool:
    """Whether the file still holds exactly these bytes."""
    view = memoryview(data)
    os.lseek(descriptor, 0, os.SEEK_SET)
    done = 0
    while piece := os.read(descriptor, _PIECE):
        if view[done : done + len(piece)] != piece:
            return False
        done += len(piece)
    return done == len(data)


def _state(status: os.stat_result) -> tuple[int, ...]:
    # The time of change can be set back, as copying tools do; that of the status, on POSIX systems, cannot. Where
    # another file takes its place, the file that was opened has a name less.
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_nlink


def _too_large(size: str) -> str:
    return f"it holds {size} bytes; at most {MAX_ENCODED_BYTES:,} are read"


def _refuse_accident(error: OSError, label: str, path: str | bytes) -> NoReturn:
    if error.errno == errno.ENOENT and os.path.islink(path):  # noqa: PTH114 - pathlib takes a while to import
        target = printable(os.readlink(os.fsdecode(path)))  # noqa: PTH115 - the same
        cause = f"the symbolic link leads to {target}, which does not exist; {FETCH_LINKED}, or delete the link"
        raise BrokenImageError(label, "dangling link", cause) from None
    kind, cause = _ACCIDENTS.get(
        error.errno or 0, ("file", f"cannot be read: {printable(error.strerror or str(error))}")
    )
    raise BrokenImageError(label, kind, cause) from None
