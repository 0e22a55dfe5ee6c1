"""One archive over the network: the compressed form of TensorFlow Hub's protocol, within its limits.

The standard library follows redirects from https to http and does not limit a download. This module checks each step,
counts the bytes, and closes the connection when the time limit is reached.
"""

from __future__ import annotations

import contextlib
import functools
import gzip
import http.client
import os
import socket
import ssl
import tarfile
import threading
import time
import unicodedata
import urllib.error
import urllib.request
import zlib
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit, urlunsplit

from pytest_imgdiff.base.errors import ModelError
from pytest_imgdiff.base.files import sync_folder
from pytest_imgdiff.base.opening import open_regular
from pytest_imgdiff.base.text import printable
from pytest_imgdiff.networks.settings import is_loopback

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path

    from typing_extensions import Self


_PIECE = 1 << 16
_REDIRECTS = 10
_REDIRECTED = {301, 302, 303, 307, 308}


def compressed_form(address: str) -> str:
    """Return the URL of a model's archive: with ``tf-hub-format=compressed`` in its query."""
    parts = urlsplit(address)
    query = [*parse_qsl(parts.query, keep_blank_values=True), ("tf-hub-format", "compressed")]
    return urlunsplit(parts._replace(query=urlencode(query)))


def download(address: str, target: IO[bytes], *, connect_timeout: float, timeout: float, max_bytes: int) -> None:
    """Write the response of a URL to the target.

    Redirects are followed to https only; from http, which `check_address` lets pass for the loopback interface alone,
    also to http there. Proxies are taken from the environment.

    Args:
        address: of the model, checked.
        target: where the bytes go.
        connect_timeout: seconds without data from a server, while connecting and afterwards.
        timeout: seconds after which the download is cancelled. The name lookup of the server counts, but cannot be
            cancelled.
        max_bytes: the largest number of bytes.

    Raises:
        ModelError: the download failed; the message is one line that does not name the model.
        OSError: the target cannot be written.
    """
    with (
        _Deadline(connect_timeout, timeout) as deadline,
        contextlib.closing(_pieces(address, deadline, max_bytes)) as pieces,
    ):
        for piece in pieces:
            target.write(piece)


class _Deadline:
    """Closes every connection when the time is over, even if a server still sends a few bytes."""

    def __init__(self, connect_timeout: float, timeout: float) -> None:
        self.connect_timeout = connect_timeout
        self.timeout = timeout
        self.is_over = False
        self._end = time.monotonic() + timeout
        self._timer = threading.Timer(timeout, self._cut)
        self._timer.daemon = True
        self._guard = threading.Lock()
        self._watched: list[socket.socket] = []

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        self._timer.join()
        for connection in self._watched:
            connection.close()

    def connect(self, address: tuple[str, int], *_: object) -> socket.socket:
        """Return a connection to one of the server's addresses; http.client would allow each of them the whole time."""
        host, port = address
        known = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        end = min(time.monotonic() + self.connect_timeout, self._end)
        error: OSError = TimeoutError()
        for left, (family, kind, protocol, _name, number) in zip(range(len(known), 0, -1), known, strict=True):
            remaining = end - time.monotonic()
            if remaining <= 0:
                break
            connection = socket.socket(family, kind, protocol)
            try:
                connection.settimeout(remaining / left)
                connection.connect(number)
                self._watch(connection)
            except OSError as failure:
                connection.close()
                error = failure
            else:
                connection.settimeout(self.connect_timeout)
                return connection
        raise error

    def _watch(self, connection: socket.socket) -> None:
        """Keep a second handle of the connection: TLS takes the first for its own."""
        with self._guard:
            if self.is_over:
                raise TimeoutError
            self._watched.append(connection.dup())

    def _cut(self) -> None:
        with self._guard:
            self.is_over = True
            for connection in self._watched:
                with contextlib.suppress(OSError):  # closed by the other side
                    connection.shutdown(socket.SHUT_RDWR)


class _Handler(urllib.request.AbstractHTTPHandler):
    """Opens http and https URLs, and returns every response unchanged."""

    def __init__(self, deadline: _Deadline) -> None:
        super().__init__()
        self._deadline = deadline

    def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(functools.partial(self._connection, http.client.HTTPConnection), request)

    def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        secure = functools.partial(http.client.HTTPSConnection, context=ssl.create_default_context())
        return self.do_open(functools.partial(self._connection, secure), request)

    def _connection(
        self, make: Callable[..., http.client.HTTPConnection], host: str, **options: Any
    ) -> http.client.HTTPConnection:
        connection = make(host, **options)
        # Where http.client keeps the function that connects, before it asks proxies and speaks TLS.
        connection._create_connection = self._deadline.connect  # type: ignore[attr-defined] # noqa: SLF001 - no public way
        return connection

    http_request = https_request = urllib.request.AbstractHTTPHandler.do_request_


def _pieces(address: str, deadline: _Deadline, max_bytes: int) -> Generator[bytes, None, None]:
    """Yield the archive's bytes; convert every network error into a one-line message."""
    try:
        with _answer(address, deadline) as response:
            yield from _body(response, deadline, max_bytes)
    except (OSError, http.client.HTTPException) as error:
        if deadline.is_over:
            raise _too_long(deadline) from error
        raise ModelError(_words(error, deadline)) from error


def _answer(address: str, deadline: _Deadline) -> http.client.HTTPResponse:
    opener = urllib.request.OpenerDirector()
    for handler in (urllib.request.ProxyHandler(), _Handler(deadline), urllib.request.UnknownHandler()):
        opener.add_handler(handler)
    opener.addheaders = [("User-Agent", "pytest-imgdiff")]
    url = compressed_form(address)
    for _ in range(_REDIRECTS + 1):
        response: http.client.HTTPResponse = opener.open(url, timeout=deadline.connect_timeout)
        if response.status == http.client.OK:
            return response
        with response:
            if response.status not in _REDIRECTED:
                raise ModelError(_refusal(response, url))
            url = _next(url, response.headers.get("Location", ""))
    raise ModelError(f"redirected more than {_REDIRECTS} times")


def _next(url: str, location: str) -> str:
    try:
        following = urljoin(url, location)
        parts = urlsplit(following)
        host = parts.hostname
    except ValueError as error:
        raise ModelError("redirect target is not a valid URL") from error
    here = f"{parts.scheme}://{host or ''}"  # the rest may contain secrets
    if not location or not host:
        raise ModelError(f"redirect target is not a valid URL ({printable(here)})")
    if parts.scheme == "https" or (parts.scheme == "http" == urlsplit(url).scheme and is_loopback(host)):
        return following
    raise ModelError(f"redirected to {printable(here)}, but only https:// is allowed")


def _refusal(response: http.client.HTTPResponse, url: str) -> str:
    answer = f"{response.status} {printable(response.reason)}".strip()
    host = urlsplit(url).hostname
    if response.status in {http.client.NOT_FOUND, http.client.GONE}:
        return f"{host} has no such model ({answer})"
    return f"{host} answered {answer}"


def _body(response: http.client.HTTPResponse, deadline: _Deadline, max_bytes: int) -> Iterator[bytes]:
    promised = response.length
    too_large = ModelError(f"larger than {max_bytes / 1e6:g} MB (--max-megabytes)")
    if promised is not None and promised > max_bytes:
        raise too_large
    received = 0
    while piece := response.read1(_PIECE):
        received += len(piece)
        if received > max_bytes:
            raise too_large
        yield piece
    if deadline.is_over:
        raise _too_long(deadline)
    if promised is not None and received != promised:
        raise ModelError(f"the download ended after {received} of {promised} bytes")


def _too_long(deadline: _Deadline) -> ModelError:
    return ModelError(f"the download took longer than {deadline.timeout:g} s (--timeout)")


def _words(error: OSError | http.client.HTTPException, deadline: _Deadline) -> str:
    """Return a message for a network error."""
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, TimeoutError):
        return f"the server did not respond for {deadline.connect_timeout:g} s (--connect-timeout)"
    if isinstance(cause, http.client.IncompleteRead):
        return "the download ended early"
    if isinstance(cause, socket.gaierror):
        return f"unknown host ({cause.strerror})"
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"the server's certificate is not trusted ({cause.verify_message})"
    words = printable(str(getattr(cause, "strerror", None) or cause))
    return f"the download failed: {words or type(cause).__name__}"


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
"""Set-user-id and set-group-id, which run a program as another user."""
_KINDS = {
    tarfile.LNKTYPE: "a hard link",
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.FIFOTYPE: "a named pipe",
    tarfile.GNUTYPE_SPARSE: "a sparse file",
}


def unpack(archive: Path, folder: Path, max_bytes: int) -> None:
    """Unpack a tar archive, compressed by gzip or not, into a new folder, and sync it to disk.

    Args:
        archive: the file; read to its end, so that its checksums are checked.
        folder: is created; its files get the modes that new files get.
        max_bytes: the largest tar stream after decompression.

    Raises:
        ModelError: it is not such an archive, is damaged, or contains something that no SavedModel has; the message
            does not name it. The caller must delete what was unpacked.
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
                raise ModelError(f"not an archive, but {what_it_is(start)}")
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise ModelError(f"the archive is damaged or incomplete ({error})") from error


def what_it_is(start: bytes) -> str:
    """Return the type of an unexpected file, from its first bytes."""
    if not start:
        return "empty"
    if start.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer (run: git lfs pull)"
    if start.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml", b"<head", b"<body")):
        return "a web page"
    return f"data that starts with {start[:16]!r}"


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
            raise EOFError("it is truncated")
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
                    raise ModelError("the archive has a global header with a name or size")
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
            raise ModelError(f"the archive contains {_KINDS.get(member.type, 'a member of unknown kind')}: {shown}")
        if member.isfile() and member.mode & _SPECIAL_BITS:
            raise ModelError(f"the archive contains a set-user-id file: {shown}")
        if member.isfile() and not parts:
            raise ModelError(f"the archive contains a file without a name: {shown!r}")
        self._register(parts, shown, is_folder=member.isdir())
        path = self._folder.joinpath(*parts)
        self._make_folder(path if member.isdir() else path.parent)
        if member.isfile():
            self._write(path, member.size)

    def _register(self, parts: list[str], shown: str, *, is_folder: bool) -> None:
        """Reject a member that would replace another one, also on disks that ignore case."""
        if not parts:
            return
        *above, key = (_comparable("/".join(parts[: end + 1])) for end in range(len(parts)))
        if self._file_names.intersection(above):
            raise ModelError(f"the archive has a file below another file: {shown}")
        self._folder_names.update(above)
        if key in self._file_names or (key in self._folder_names and not is_folder):
            raise ModelError(f"the archive contains a duplicate path: {shown}")
        (self._folder_names if is_folder else self._file_names).add(key)
        if len(self._file_names) + len(self._folder_names) > _MEMBERS:
            raise ModelError(f"the archive contains more than {_MEMBERS} files and folders")

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
    """Return a member's path below the folder, or raise an error."""
    parts = [part for part in name.split("/") if part not in {"", "."}]
    if name.startswith("/") or ".." in parts or any(c in "\\:" or unicodedata.category(c) == "Cc" for c in name):
        raise ModelError(f"the archive contains a path that leads out of its folder: {printable(name)}")
    if len(name) > _LONGEST_NAME or len(parts) > _DEEPEST:
        raise ModelError(f"the archive contains a path that is too long or too deep: {printable(name[:60])}...")
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
        raise ModelError(f"the archive contains {_KINDS[tarfile.GNUTYPE_SPARSE]}")
    return records


def _whole_number(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or len(text) > _MOST_DIGITS:
        raise ModelError("the archive is damaged (pax header)")
    return int(text)
