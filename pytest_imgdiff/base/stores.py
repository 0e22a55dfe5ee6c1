"""Images in object storage and behind URLs: listed, read and checked through fsspec.

`StoreFolder` and `StoredFile` are used in place of the `Path` of a folder or a file. Their dependencies are imported
when the first one is opened.
"""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
import math
import os
import re
import struct
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_imgdiff.base.errors import BaselineError, BrokenImageError, ConfigError
from pytest_imgdiff.base.files import TEMPORARY, write_atomically
from pytest_imgdiff.base.opening import NotRegularError, open_regular, read_regular
from pytest_imgdiff.base.project import label_of
from pytest_imgdiff.base.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import NoReturn

TIMEOUT_VARIABLE = "IMGDIFF_STORE_TIMEOUT"
DEFAULT_TIMEOUT = 60.0
"""Time limit for reading one object, in seconds, including all tries."""
MOST_BYTES = 512 * 1024 * 1024
"""Larger objects are not read: the limit of files, `images.files.MAX_ENCODED_BYTES`."""
_LISTING = 20
"""The time limit of a listing, as a multiple of the limit of an object."""
_TRIES = 4
_FIRST_WAIT = 0.2
"""Seconds before the second try; each further wait is twice as long."""
_LONGEST_MESSAGE = 300

_SIZE = struct.Struct("<q")
_HEX_MD5 = re.compile("[0-9a-f]{32}")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+(?=::|://)")
_LOCAL = re.compile("(?:file|local)://")
_SECRETS = re.compile(
    r"""(?<=://)[^/@:\s'"]*:(?!:|\d+/)(?:(?!::)[^\s'"])*@|(?<=://)[^/@\s'"]*@|[^\s/@:'"]+:[^\s/@'"]+@|\?[^\s'"]*"""
)
"""User and password up to the last ``@`` (keys of S3 may contain ``/``; ``host:80/`` is a port), or a query."""
_PACKAGES = dict.fromkeys(("s3", "s3a"), "s3fs") | dict.fromkeys(("gs", "gcs"), "gcsfs")
_PACKAGES |= dict.fromkeys(("az", "abfs", "abfss"), "adlfs") | dict.fromkeys(("http", "https"), "aiohttp")
_ONE_LISTING = {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss"}
"""Stores that list everything below a prefix, page by page; others are listed folder by folder."""
_RETRY_THEMSELVES = {"s3", "s3a", "gs", "gcs"}
"""Stores whose packages retry by themselves, with pauses, after transient errors."""
_TAGS = ("md5Hash", "ETag", "etag", "CRC", "LastModified", "last_modified", "mtime", "created")
"""Keys that differ between two states of an object; the first one that the store has is used."""
_TIMES = ("LastModified", "last_modified", "updated", "mtime", "created")
"""Keys with the time when an object was written; the first one that the store has is used."""
_MD5 = 16
_TRANSIENT_CODES = (408, 429, 500, 502, 503, 504)
_TRANSIENT_NAMES = {
    *("ClientPayloadError", "ServerDisconnectedError", "ClientConnectorError", "ClientOSError", "IncompleteRead"),
    *("EndpointConnectionError", "ConnectionClosedError", "HTTPClientError", "ResponseStreamingError"),
    *("ReadTimeoutError", "ConnectTimeoutError", "ResponseParserError", "IncompleteReadError"),
}
_CUT_OFF = {"ClientPayloadError", "IncompleteRead", "IncompleteReadError", "ResponseStreamingError"}
MISSING = "missing"
"""The kind of a `BrokenImageError` for an object that does not exist."""
_READ, _WRITTEN, _REMOVED, _LISTED = "read", "written", "removed", "listed"
_REFUSED_CODES = (401, 403)
_NO_CREDENTIALS = ("NoCredentialsError", "PartialCredentialsError", "DefaultCredentialsError")
_MISSING_CODE = 404
_NO_SUCH_RANGE = 416


def is_url(text: str) -> bool:
    """Return whether this is a URL for fsspec and not a path."""
    return _URL.match(text) is not None


def location(text: str, folder: Path) -> Path | StoreFolder:
    """Return the folder that a path or URL names.

    Args:
        text: as the user typed it. ``file://`` and ``local://`` are paths.
        folder: what relative paths start from.
    """
    if "::" not in text and (found := _LOCAL.match(text)):
        from urllib.request import url2pathname  # it imports an HTTP client, and few URLs are of files

        return Path(url2pathname(text[found.end() :]))
    return StoreFolder(text) if is_url(text) else folder / text


def redacted(text: str) -> str:
    """Return the text without user names, passwords and queries of URLs: these may be credentials."""
    return printable(_SECRETS.sub(lambda found: "?..." if found[0].startswith("?") else "", text))


class Listed(NamedTuple):
    """A store's metadata of an object.

    Attributes:
        size: in bytes; None if the store does not say.
        tag: the identity of this state of it; None if the store has none.
    """

    size: int | None
    tag: str | None

    def packed(self) -> bytes:
        """Return a packed form that takes half of the memory."""
        size = -1 if self.size is None else self.size
        if self.tag is None:
            return _SIZE.pack(size)
        digest = bytes.fromhex(self.tag) if _HEX_MD5.fullmatch(self.tag) else None
        return _SIZE.pack(size) + (b"t" + self.tag.encode() if digest is None else b"d" + digest)

    @classmethod
    def unpacked(cls, data: bytes) -> Listed:
        """Return the metadata from the result of `packed`."""
        (size,), kind, tag = _SIZE.unpack_from(data), data[_SIZE.size : _SIZE.size + 1], data[_SIZE.size + 1 :]
        text = tag.hex() if kind == b"d" else tag.decode()
        return cls(None if size < 0 else size, text if kind else None)


@dataclass(eq=False)
class StoreFolder:
    """All objects below a URL."""

    url: str
    _found: dict[str, bytes] = field(default_factory=dict, repr=False)
    """The results of `Listed.packed`, by name."""

    @property
    def label(self) -> str:
        """The name in messages and records, without credentials."""
        return redacted(self.url).rstrip("/")

    def __str__(self) -> str:
        return self.label

    def __reduce__(self) -> tuple[type[StoreFolder], tuple[str]]:
        """Support pickling without the listing."""
        return type(self), (self.url,)

    def __truediv__(self, key: str) -> StoredFile:
        found = self._found.get(key)
        return StoredFile(self.url, key, None if found is None else Listed.unpacked(found))

    def keys(self) -> list[str]:
        """List the names of the objects below the URL, and store the metadata of each.

        Raises:
            ConfigError: it cannot be listed, there is nothing below it, or a name is not a valid file name.
        """
        if "?" in self.url:
            raise ConfigError(f"{self.label}: a URL with a query names one object, not a folder")

        def ask(_: Any, __: str, ___: float) -> dict[str, bytes]:
            return {name: _listed(about).packed() for name, about in _listing(self.url)}

        try:
            found: dict[str, bytes] = _tried(StoredFile(self.url), ask, _LISTED)
        except BrokenImageError as error:
            raise ConfigError(f"{self.label}: the folder cannot be listed: {error.cause}") from None
        if not found:
            raise ConfigError(f"{self.label}: there is nothing there, or no such bucket or folder")
        for key in found:
            if key.startswith("/") or any(part in ("", ".", "..") for part in key.split("/")) or "\\" in key:
                raise ConfigError(f"{self.label}: the object {printable(key)!r} has no name that a file can have")
        self._found = found
        return list(found)


@dataclass(frozen=True, eq=False)
class StoredFile:
    """One object.

    Attributes:
        url: of its folder, or its own.
        key: its name below the URL; None if the URL is its own.
        listed: its metadata in the listing.
    """

    url: str
    key: str | None = None
    listed: Listed | None = None

    @property
    def label(self) -> str:
        """The name in messages and records, without credentials."""
        return redacted(self.url).rstrip("/") + ("" if self.key is None else f"/{printable(self.key)}")

    def __str__(self) -> str:
        return self.label

    @property
    def suffix(self) -> str:
        """The extension of its name."""
        return PurePosixPath(self.key or self.url.partition("?")[0]).suffix

    def size(self) -> int:
        """Return its size in bytes as it was listed; 0 where that is unknown."""
        return 0 if self.listed is None else self.listed.size or 0

    def holds(self, data: bytes) -> bool:
        """Return whether these are its bytes, by the length and MD5 that the store lists.

        True only if the store's tag is the MD5 of the content. An upload in parts, or an object encrypted by a key
        service, has another tag: the result is then False.
        """
        return self.listed is not None and self.listed.size == len(data) and _is_md5(self.listed.tag, data)

    def head(self, count: int) -> bytes:
        """Return its first bytes.

        Raises:
            BrokenImageError: it cannot be read.
        """
        return b"" if self.size() == 0 else self._fetched(min(count, self.size()))

    def fetch(self, most: int) -> bytes:
        """Return its bytes, up to a limit.

        Raises:
            BrokenImageError: it cannot be read.
        """
        return self._fetched(most)

    def write(self, data: bytes) -> None:
        """Write it, and replace existing content.

        Raises:
            BrokenImageError: it cannot be written.
        """

        def put(fs: Any, path: str, limit: float) -> None:
            write = functools.partial(fs.pipe_file, path, data, **({"timeout": limit} if fs.async_impl else {}))
            try:
                write()
            except FileNotFoundError:
                if protocols(fs) & _ONE_LISTING:  # the bucket is missing, and not made here
                    raise
                fs.makedirs(path.rpartition("/")[0], exist_ok=True)
                write()

        _tried(self, put, _WRITTEN)

    def remove(self) -> None:
        """Remove it; it may be removed already.

        Raises:
            BrokenImageError: it cannot be removed.
        """

        def remove(fs: Any, path: str, limit: float) -> None:
            with suppress(FileNotFoundError):
                fs.rm_file(path, **({"timeout": limit} if fs.async_impl else {}))

        _tried(self, remove, _REMOVED)

    def read(self) -> bytes:
        """Return its complete bytes, checked against the listing.

        Raises:
            BrokenImageError: it cannot be read, is too large, is truncated, or changed after it was listed.
        """
        if self.size() > MOST_BYTES:
            raise BrokenImageError(
                self.label, "object", f"it holds {self.size():,} bytes; at most {MOST_BYTES:,} are read"
            )
        if self.listed is None:  # named by its own URL: get the metadata that a listing would have
            return replace(self, listed=self._asked()).read()
        if self.listed.size is None:
            return self._fetched(None)
        data = b"" if self.listed.size == 0 else self._fetched(self.listed.size)
        if not self.holds(data):
            self._require_unchanged(len(data))
        return data

    def _require_unchanged(self, count: int) -> None:
        """Get the current metadata after the content did not match the listing, or had no hash."""
        before, now = self.listed, self._asked()
        if before is None or (now.size is not None and now != before):
            raise BrokenImageError(self.label, "object", "it changed after it was listed; run again when it is whole")
        if count != before.size:
            cause = f"truncated: the store has {before.size:,} bytes of it and sent {count:,}"
            raise BrokenImageError(self.label, "object", cause)

    def _asked(self) -> Listed:
        """Return its current metadata."""

        def ask(fs: Any, path: str, limit: float) -> Listed:
            return _listed(fs.info(path, **({"timeout": limit} if fs.async_impl else {})))

        listed: Listed = _tried(self, ask, _READ)
        return listed

    def _fetched(self, size: int | None) -> bytes:
        """Return its first bytes; all of them if their number is unknown."""

        def fetch(fs: Any, path: str, limit: float) -> bytes:
            if size is None:
                return _all(fs, path, self.label)
            if not fs.async_impl:
                with fs.open(path, "rb") as file:
                    return bytes(file.read(size))
            # A range limits the number of bytes, even if the object has grown.
            try:
                return bytes(fs.cat_file(path, start=0, end=size, timeout=limit)[:size])
            except Exception as error:
                if any(_status(one) == _NO_SUCH_RANGE for one in _chain(error)):
                    return b""  # the object is empty
                raise

        data: bytes = _tried(self, fetch, _READ)
        return data


def _tried(file: StoredFile, ask: Callable[[Any, str, float], Any], act: str) -> Any:
    """Call the store within the time limit, and retry after a pause if it fails for a moment.

    Args:
        file: the object, or the folder to list.
        ask: takes the file system, the path in it, and how many seconds it may take.
        act: what `ask` does: `_READ`, `_WRITTEN`, `_REMOVED` or `_LISTED`.

    Raises:
        BrokenImageError: it failed; the message has the reason.
    """
    limit = time_limit() * (_LISTING if act == _LISTED else 1)
    end = time.monotonic() + limit
    wait = _FIRST_WAIT
    for number in range(1, _TRIES + 1):
        tries = _TRIES
        try:
            fs, root = opened(file.url)
            tries = 1 if protocols(fs) & _RETRY_THEMSELVES else _TRIES
            path = root if file.key is None else f"{root.rstrip('/')}/{file.key}"
            return ask(fs, path, max(end - time.monotonic(), 0.01))
        except ConfigError as error:
            cause = str(error).removeprefix(f"{redacted(file.url)}: ")
            raise BrokenImageError(file.label, "object", cause) from None
        except BrokenImageError:
            raise
        except Exception as error:  # noqa: BLE001 - stores raise whatever they like
            if not _is_transient(error) or number >= tries or time.monotonic() + wait > end:
                kind, cause = _cause(error, act)
                raise BrokenImageError(file.label, kind, cause) from None
        time.sleep(wait)
        wait *= 2
    raise AssertionError(file.label)


class Kept(NamedTuple):
    """An object store's metadata of an object.

    Attributes:
        size: in bytes; None if the store does not say.
        written: when, in seconds since 1970; None if the store does not say.
    """

    size: int | None
    written: float | None


@dataclass(frozen=True)
class ObjectStore:
    """A local folder or a folder of a store that contains named objects."""

    place: Path | StoreFolder

    @property
    def label(self) -> str:
        """The name in messages, without credentials."""
        return label_of(self.place) if isinstance(self.place, Path) else self.place.label

    def objects(self, below: str) -> dict[str, Kept]:
        """List the objects of a folder by their names in the store, the folder's own included; none if it is empty.

        Raises:
            BaselineError: they cannot be listed.
        """
        try:
            if isinstance(self.place, Path):
                return dict(self._files(self.place, below))
            return self._remote(self.place.url, below)
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise BaselineError(f"{self.label}: it cannot be listed: {error.strerror or error}") from None
        except BrokenImageError as error:
            raise BaselineError(f"{self.label}: {error.cause}") from None

    @staticmethod
    def _remote(url: str, below: str) -> dict[str, Kept]:
        def ask(fs: Any, _: str, __: float) -> dict[str, Kept]:
            try:
                found = list(_listing(url, below))
            except FileNotFoundError:
                if protocols(fs) & _ONE_LISTING:  # stores have no folders: only the bucket can be missing
                    raise
                found = []
            return {name: Kept(_listed(about).size, _written(about)) for name, about in found}

        listed: dict[str, Kept] = _tried(StoredFile(url), ask, _LISTED)
        return listed

    def _files(self, place: Path, below: str) -> Iterator[tuple[str, Kept]]:
        def refuse(error: OSError) -> NoReturn:
            raise error

        for folder, _, names in os.walk(place / below, onerror=refuse):
            for name in names:
                if not name.startswith(TEMPORARY):
                    file = Path(folder, name)
                    about = file.stat()
                    yield file.relative_to(place).as_posix(), Kept(about.st_size, about.st_mtime)

    def read(self, name: str, most: int) -> bytes:
        """Return the content of an object, up to a number of bytes.

        Raises:
            BaselineError: it cannot be read.
        """
        try:
            if isinstance(self.place, Path):
                return read_regular(self.place / name, most)
            return StoredFile(self.place.url, name).fetch(most)
        except OSError as error:
            raise BaselineError(f"{label_of(Path(str(self.place), name))}: {error.strerror or error}") from None
        except BrokenImageError as error:
            raise BaselineError(str(error)) from None

    def write(self, name: str, data: bytes) -> None:
        """Write an object completely, and replace existing content.

        Raises:
            BaselineError: it cannot be written.
        """
        try:
            if isinstance(self.place, Path):
                write_atomically(self.place / name, data)
            else:
                StoredFile(self.place.url, name).write(data)
        except OSError as error:
            where = label_of(Path(str(self.place), name))
            raise BaselineError(f"{where}: it cannot be written: {error.strerror or error}") from None
        except BrokenImageError as error:
            raise BaselineError(str(error)) from None

    def remove(self, name: str) -> None:
        """Remove an object; it may be removed already.

        Raises:
            BaselineError: it cannot be removed.
        """
        try:
            if isinstance(self.place, Path):
                (self.place / name).unlink(missing_ok=True)
            else:
                StoredFile(self.place.url, name).remove()
        except OSError as error:
            where = label_of(Path(str(self.place), name))
            raise BaselineError(f"{where}: it cannot be removed: {error.strerror or error}") from None
        except BrokenImageError as error:
            raise BaselineError(str(error)) from None


def _written(about: dict[str, Any]) -> float | None:
    value = next((about[name] for name in _TIMES if about.get(name)), None)
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.replace("Z", "+00:00"))
        except ValueError:
            return None
    if isinstance(value, datetime):
        return value.timestamp()
    return float(value) if isinstance(value, (int, float)) else None


def time_limit() -> float:
    """Return how many seconds reading an object may take.

    Raises:
        ConfigError: the variable is not a number above 0.
    """
    text = os.environ.get(TIMEOUT_VARIABLE, "")
    try:
        limit = float(text) if text else DEFAULT_TIMEOUT
    except ValueError:
        limit = math.nan
    if not 0 < limit < math.inf:
        raise ConfigError(f"{TIMEOUT_VARIABLE}={printable(text)}: expected seconds, a number above 0")
    return limit


def opened(url: str) -> tuple[Any, str]:
    """Return fsspec's file system and the path in it that the URL names. fsspec keeps both for each thread.

    Raises:
        ConfigError: fsspec, or the package of this store, is not installed, nothing knows such URLs, or the file that
            the URL starts from is a FIFO or a device.
    """
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        raise ConfigError(
            f"{redacted(url)}: URLs need the package fsspec: pip install 'pytest-imgdiff[remote]'"
        ) from None
    _require_no_device(url)
    try:
        fs, path = url_to_fs(url, use_listings_cache=False)
    except ImportError as error:
        _refuse_without_package(url, error)
    except ValueError as error:
        raise ConfigError(f"{redacted(url)}: {_shortened(str(error))}") from None
    except Exception as error:
        if _is_transient(error):
            raise
        raise ConfigError(f"{redacted(url)}: the store cannot be opened: {_cause(error)[1]}") from None
    return fs, str(path)


def _require_no_device(url: str) -> None:
    """Reject a URL whose last part is a FIFO or a device of this machine: fsspec would wait for a writer."""
    inner = url.rpartition("::")[2]
    path = inner[found.end() :] if (found := _LOCAL.match(inner)) else inner
    if is_url(path):
        return
    try:
        open_regular(path).close()
    except NotRegularError as error:
        if error.kind != "directory":
            raise ConfigError(f"{redacted(url)}: {error.strerror}") from None
    except (OSError, ValueError):  # opening it reports the error
        return


def protocols(fs: Any) -> set[str]:
    """Return the names that a file system goes by in URLs."""
    return {fs.protocol} if isinstance(fs.protocol, str) else set(fs.protocol)


def _refuse_without_package(url: str, error: ImportError) -> NoReturn:
    names = [found[0] for found in _URL.finditer(url)]
    name = next((name for name in reversed(names) if name in _PACKAGES), names[0])
    package = _PACKAGES.get(name)
    what = f"pip install {package}" if package else _shortened(str(error))
    needs = f"the package {package}" if package else "a package that is not installed"
    raise ConfigError(f"{redacted(url)}: {name}:// needs {needs}: {what}") from None


def _listing(url: str, below: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the objects below a folder of the URL, with their metadata. Names are relative to the URL."""
    fs, root = opened(url)
    # Names of objects are not paths: only the prefix is cut off.
    start = root.rstrip("/") + "/" if root.strip("/") else root
    limit = _LISTING * time_limit()
    folder = f"{start}{below}" if below else root
    if protocols(fs) & _ONE_LISTING:
        found = fs.find(folder, detail=True, timeout=limit)
        while found:  # drop each entry after use: a million of them take a gigabyte
            path, about = found.popitem()
            if about["type"] != "directory" and not path.endswith("/"):
                yield path.removeprefix(start), about
        return
    for _, _, files in fs.walk(folder, detail=True, on_error="raise"):
        for about in files.values():
            yield about["name"].removeprefix(start).lstrip("/"), about


def _listed(about: dict[str, Any]) -> Listed:
    content = about.get("content_settings")
    md5 = content.get("content_md5") if isinstance(content, dict) else getattr(content, "content_md5", None)
    tag = bytes(md5).hex() if md5 else next((_as_text(about[name]) for name in _TAGS if about.get(name)), None)
    size = about.get("size")
    return Listed(None if size is None else int(size), None if tag is None else tag.strip('"'))


def _as_text(tag: Any) -> str:
    """Return a tag as text. Some stores list a time in seconds and give a datetime for a single object."""
    return str(tag.timestamp() if isinstance(tag, datetime) else tag)


def _is_md5(tag: str | None, data: bytes) -> bool:
    if tag is None:
        return False
    try:
        expected = bytes.fromhex(tag)
    except ValueError:
        try:
            expected = base64.b64decode(tag, validate=True)
        except (binascii.Error, ValueError):
            return False
    return len(expected) == _MD5 and hashlib.md5(data, usedforsecurity=False).digest() == expected


def _all(fs: Any, path: str, label: str) -> bytes:
    # If an HTTP server reports no size, only a stream can be limited.
    with fs.open(path, "rb", **({"block_size": 0} if path.startswith("http") else {})) as file:
        pieces: list[bytes] = []
        left = MOST_BYTES + 1
        while left > 0 and (piece := file.read(min(left, 1 << 20))):
            pieces.append(piece)
            left -= len(piece)
    if left <= 0:
        raise BrokenImageError(label, "object", f"it holds more than {MOST_BYTES:,} bytes, which are not read")
    return b"".join(pieces)


def _is_transient(error: BaseException) -> bool:
    return any(
        isinstance(one, ConnectionError) or type(one).__name__ in _TRANSIENT_NAMES or _status(one) in _TRANSIENT_CODES
        for one in _chain(error)
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _status(error: BaseException) -> int | None:
    """Return the HTTP status of an error of botocore, aiohttp or gcsfs."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        code = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    else:
        code = getattr(error, "status", None) or getattr(error, "code", None)
    return code if isinstance(code, int) else None


def _code(error: BaseException) -> str | None:
    """Return the S3 error code of an error."""
    response = getattr(error, "response", None)
    code = response.get("Error", {}).get("Code") if isinstance(response, dict) else None
    return str(code) if code else None


def _cause(error: BaseException, act: str = _READ) -> tuple[str, str]:  # noqa: PLR0911 - a line for each accident
    """Return the kind of an error and its message, without a URL's credentials.

    Args:
        error: what the store raised.
        act: as in `_tried`.
    """
    chain = list(_chain(error))
    statuses = {status for one in chain if (status := _status(one))}
    code = next((code for one in chain if (code := _code(one))), None)
    said = f" ({printable(code)})" if code and not code.isdecimal() else ""
    names = {type(one).__name__ for one in chain}
    if code and "Expired" in code:
        return "no permission", f"the credentials have expired{said}; renew them"
    if names & set(_NO_CREDENTIALS):
        return "no permission", "no credentials for this store were found"
    if any(isinstance(one, PermissionError) for one in chain) or statuses & set(_REFUSED_CODES):
        return "no permission", f"the store refuses it{said}; check the credentials and what they allow"
    if any(isinstance(one, FileNotFoundError) for one in chain) or _MISSING_CODE in statuses:
        return MISSING, f"there is no such object or bucket{said}"
    if any(isinstance(one, TimeoutError) for one in chain) or "FSTimeoutError" in names:
        answered = "send it" if act == _READ else "answer"
        return "time limit", f"the store did not {answered} within {time_limit():g} seconds ({TIMEOUT_VARIABLE})"
    if names & _CUT_OFF:
        return "object", "truncated: the store has more bytes of it than it sent"
    answer = f"status {min(statuses)}, " if statuses else ""
    return "object", f"it cannot be {act}: {answer}{type(error).__name__}: {_shortened(str(error))}"


def _shortened(message: str) -> str:
    text = redacted(" ".join(message.split()))
    return text if len(text) <= _LONGEST_MESSAGE else f"{text[:_LONGEST_MESSAGE]}..."
