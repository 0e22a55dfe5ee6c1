"""An archive of a SavedModel, from anybody, to a folder: what no model needs is refused.

The standard library's reader knows safe extraction only since Python 3.12, reads headers of any size into memory, and
does not check a stream's checksum. Ours takes its header format (`tarfile.TarInfo`) and nothing else.
"""

from __future__ import annotations

import gzip
import os
import tarfile
import unicodedata
import zlib
from typing import IO, TYPE_CHECKING

from pytest_imgdiff.errors import ModelError
from pytest_imgdiff.files import sync_folder
from pytest_imgdiff.names import printable
from pytest_imgdiff.opening import open_regular

if TYPE_CHECKING:
    from pathlib import Path

_BLOCK = tarfile.BLOCKSIZE
_BUFFER = 1 << 20
_MEMBERS = 1000
_LONGEST_HEADER = 1 << 16
_LONGEST_NAME = 1000
_DEEPEST = 32
_MOST_DIGITS = 20
_GZIP = b"\x1f\x8b"
_TAR = b"ustar"
_TAR_AT = 257
_SPECIAL_BITS = 0o6000
"""Set-user-id and set-group-id, which run a program as somebody else."""
_KINDS = {
    tarfile.LNKTYPE: "a hard link",
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.FIFOTYPE: "a named pipe",
    tarfile.GNUTYPE_SPARSE: "a sparse file",
}


def unpack(archive: Path, folder: Path, max_bytes: int) -> None:
    """Unpack a tar archive, compressed by gzip or not, into a new folder, and have the disk keep it.

    Args:
        archive: the file; read to its end, so that its checksums are checked.
        folder: is made; its files get the modes that new files get.
        max_bytes: the largest tar stream after decompression.

    Raises:
        ModelError: it is no such archive, is damaged, or holds what no SavedModel holds; in words that do not name it.
            What was unpacked so far stays for the caller to delete.
        OSError: it cannot be read, or the folder not written.
    """
    with open_regular(archive) as stream:
        start = stream.read(_BLOCK)
        stream.seek(0)
        try:
            if start.startswith(_GZIP):
                with gzip.GzipFile(fileobj=stream) as unzipped:
                    _Unpacking(unzipped, folder, max_bytes).run()
            elif start[_TAR_AT:].startswith(_TAR):
                _Unpacking(stream, folder, max_bytes).run()
            else:
                raise ModelError(f"not an archive but {what_it_is(start)}")
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise ModelError(f"the archive is damaged or not whole ({error})") from error


def what_it_is(start: bytes) -> str:
    """Say what a file is that should be something else, from its first bytes."""
    if not start:
        return "empty"
    if start.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer (run: git lfs pull)"
    if start.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml", b"<head", b"<body")):
        return "a web page"
    return f"something that begins with {start[:16]!r}"


class _Unpacking:
    def __init__(self, stream: IO[bytes] | gzip.GzipFile, folder: Path, max_bytes: int) -> None:
        self._stream = stream
        self._folder = folder
        self._left = max_bytes
        self._max_bytes = max_bytes
        self._folders = {folder}
        self._file_names: set[str] = set()
        self._folder_names: set[str] = set()

    def run(self) -> None:
        self._folder.mkdir()
        while (member := self._next_member()) is not None:
            self._unpack(member)
        while self._read_some(_BUFFER):  # to the checksum
            pass
        for folder in self._folders:
            sync_folder(folder)

    def _read_some(self, size: int) -> bytes:
        data = self._stream.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise self._too_large()
        return data

    def _too_large(self) -> ModelError:
        return ModelError(f"larger than {self._max_bytes / 1e6:g} MB when unpacked (--max-megabytes)")

    def _read(self, size: int) -> bytes:
        data = self._read_some(size)
        if len(data) != size:
            raise EOFError("it ends in the middle")
        return data

    def _next_member(self) -> tarfile.TarInfo | None:
        """Return the next file or folder, under its full name; None: the archive's end mark."""
        long_name: str | None = None
        size: int | None = None
        while True:
            block = self._read(_BLOCK)
            if not any(block):
                return None
            try:
                member = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
            except tarfile.HeaderError as error:
                raise ModelError(f"the archive is damaged ({error})") from error
            if member.size < 0:
                raise ModelError("the archive is damaged (negative size)")
            if member.type == tarfile.GNUTYPE_LONGNAME:
                long_name = self._header_data(member).rstrip(b"\0").decode("utf-8", "surrogateescape")
            elif member.type in {tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE}:
                extended = _extended(self._header_data(member))
                long_name = extended.get("path", long_name)
                size = _whole_number(extended["size"]) if "size" in extended else size
            elif member.type == tarfile.XGLTYPE:
                if {"path", "size", "linkpath"} & _extended(self._header_data(member)).keys():
                    raise ModelError("the archive gives one name or size to all its members")
            else:
                member.name = member.name if long_name is None else long_name
                member.size = member.size if size is None else size
                return member

    def _header_data(self, member: tarfile.TarInfo) -> bytes:
        if member.size > _LONGEST_HEADER:
            raise ModelError(f"the archive has a header of {member.size} bytes")
        return self._read(_padded(member.size))[: member.size]

    def _unpack(self, member: tarfile.TarInfo) -> None:
        parts = _safe_parts(member.name)
        shown = printable(member.name)
        if member.type not in {tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.DIRTYPE}:
            raise ModelError(f"the archive holds {_KINDS.get(member.type, 'a member of unknown kind')}: {shown}")
        if member.isfile() and member.mode & _SPECIAL_BITS:
            raise ModelError(f"the archive holds a set-user-id file: {shown}")
        if member.isfile() and not parts:
            raise ModelError(f"the archive holds a file without a name: {shown!r}")
        self._register(parts, shown, is_folder=member.isdir())
        path = self._folder.joinpath(*parts)
        self._make_folder(path if member.isdir() else path.parent)
        if member.isfile():
            self._write(path, member.size)

    def _register(self, parts: list[str], shown: str, *, is_folder: bool) -> None:
        """Refuse what would replace something, also on disks to which upper and lower case are the same."""
        if not parts:
            return
        *above, key = (_comparable("/".join(parts[: end + 1])) for end in range(len(parts)))
        if self._file_names.intersection(above):
            raise ModelError(f"the archive puts a file into a file: {shown}")
        self._folder_names.update(above)
        if key in self._file_names or (key in self._folder_names and not is_folder):
            raise ModelError(f"the archive holds twice: {shown}")
        (self._folder_names if is_folder else self._file_names).add(key)
        if len(self._file_names) + len(self._folder_names) > _MEMBERS:
            raise ModelError(f"the archive holds more than {_MEMBERS} files and folders")

    def _make_folder(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)
        while path not in self._folders:
            self._folders.add(path)
            path = path.parent

    def _write(self, path: Path, size: int) -> None:
        if size > self._left:
            raise self._too_large()
        with path.open("xb") as file:
            left = size
            while left:
                piece = self._read(min(left, _BUFFER))
                file.write(piece)
                left -= len(piece)
            file.flush()
            os.fsync(file.fileno())
        self._read(_padded(size) - size)


def _padded(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK


def _safe_parts(name: str) -> list[str]:
    """Return a member's path below the folder, or refuse it."""
    parts = [part for part in name.split("/") if part not in {"", "."}]
    if name.startswith("/") or ".." in parts or any(c in "\\:" or unicodedata.category(c) == "Cc" for c in name):
        raise ModelError(f"the archive holds a name that may lead out of its folder: {printable(name)}")
    if len(name) > _LONGEST_NAME or len(parts) > _DEEPEST:
        raise ModelError(f"the archive holds a name that is too long or too deep: {printable(name[:60])}...")
    return parts


def _comparable(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _extended(data: bytes) -> dict[str, str]:
    """Return the records of a pax header: ``LENGTH KEY=VALUE`` and a line feed each (POSIX.1-2001, pax)."""
    records = {}
    at = 0
    while at < len(data) and data[at]:
        digits = data[at : at + _MOST_DIGITS].partition(b" ")[0]
        end = at + _whole_number(digits.decode("ascii", "replace"))
        key, equals, value = data[at + len(digits) + 1 : end].partition(b"=")
        if not equals or not value.endswith(b"\n"):
            raise ModelError("the archive is damaged (pax header)")
        records[key.decode("utf-8", "surrogateescape")] = value[:-1].decode("utf-8", "surrogateescape")
        at = end
    if any(key.startswith("GNU.sparse.") for key in records):
        raise ModelError(f"the archive holds {_KINDS[tarfile.GNUTYPE_SPARSE]}")
    return records


def _whole_number(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or len(text) > _MOST_DIGITS:
        raise ModelError("the archive is damaged (pax header)")
    return int(text)
