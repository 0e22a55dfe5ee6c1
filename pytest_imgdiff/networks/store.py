"""The folder of downloaded models: its path, its entries, their records and digests.

The layout is TensorFlow Hub's, so that each finds the models of the other: a SavedModel folder is named after the
SHA-1 of its handle. This package adds files next to it: ``NAME.imgdiff.json`` records what was fetched, and
``DIGEST.onnx`` is the export of the SavedModel with that digest.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from pytest_imgdiff.base.environment import users_cache
from pytest_imgdiff.base.errors import ModelError
from pytest_imgdiff.base.files import locked, sync_folder, write_atomically
from pytest_imgdiff.base.opening import open_regular, read_regular
from pytest_imgdiff.base.text import printable
from pytest_imgdiff.networks.download import what_it_is

if TYPE_CHECKING:
    from _hashlib import HASH
    from collections.abc import Iterator

    from pytest_imgdiff.networks.settings import ModelSettings


@dataclass(frozen=True, slots=True)
class Entry:
    """One model of a cache.

    Attributes:
        cache: the folder.
        name: the name of the model's folder (or ONNX file) there.
    """

    cache: Path
    name: str

    @property
    def content(self) -> Path:
        """The SavedModel folder, or the ONNX file."""
        return self.cache / self.name

    @property
    def record(self) -> Path:
        """The file with its record, as JSON."""
        return self.cache / f"{self.name}.imgdiff.json"

    @property
    def descriptor(self) -> Path:
        """The file in which TensorFlow Hub stores the handle of a folder."""
        return self.cache / f"{self.name}.descriptor.txt"

    def is_here(self) -> bool:
        """Whether the entry exists; like TensorFlow Hub, an empty folder does not count."""
        return self.content.is_file() or (self.content.is_dir() and any(self.content.iterdir()))


def entry_of_address(cache: Path, handle: str) -> Entry:
    """Return the entry of a downloaded model, named as by TensorFlow Hub."""
    return Entry(cache, hashlib.sha1(handle.encode(), usedforsecurity=False).hexdigest())


def entry_of_export(cache: Path, digest: str) -> Entry:
    """Return the entry of the ONNX form of the SavedModel of this digest."""
    return Entry(cache, f"{digest}.onnx")


def entries(cache: Path) -> list[Entry]:
    """Return the entries of a cache by name, without exports."""
    if not cache.is_dir():
        return []
    folders = [Entry(cache, path.name) for path in sorted(cache.iterdir()) if _is_name(path.name)]
    return [entry for entry in folders if entry.is_here()]


def _is_name(name: str) -> bool:
    return len(name) in {40, 64} and set(name) <= set("0123456789abcdef")


def cache_folder(configured: str | None) -> Path:
    """Return the cache: the configured one, else ``TFHUB_CACHE_DIR``, else the user's own. It may not exist yet.

    Raises:
        ModelError: it is not safe, is not a local folder, or the user has no home folder.
    """
    cache = _configured_folder(configured)
    check_trusted(cache)
    return cache


def _configured_folder(configured: str | None) -> Path:
    if configured is not None:
        return Path(configured)
    if hub := os.environ.get("TFHUB_CACHE_DIR"):
        if "://" in hub:
            raise ModelError(f"TFHUB_CACHE_DIR is {printable(hub)}, not a local folder: pass one with --cache")
        return Path(hub)
    try:
        return users_cache() / "models"
    except RuntimeError as error:
        raise ModelError(
            "this user has no home folder for models: pass a folder with --cache or TFHUB_CACHE_DIR"
        ) from error


def labels_file(configured: str | None) -> Path:
    """Return the path of the names of the classes of ImageNet; the file may be missing.

    Raises:
        ModelError: as for `cache_folder`.
    """
    return cache_folder(configured) / "ImageNetLabels.txt"


def read_only_caches() -> list[Path]:
    """Return the folders that are only read: TensorFlow Hub's default folders of models."""
    folder = Path(tempfile.gettempdir()) / "tfhub_modules"
    # Anybody can make a folder of that name in a temporary folder that is shared: that of another user is not used.
    return [folder] if folder.is_dir() and distrust(folder) is None else []


def check_trusted(cache: Path) -> None:
    """Reject a cache in which another user could replace a model.

    Raises:
        ModelError: another user owns it or everybody may write there; or it is not a folder.
    """
    if (reason := distrust(cache)) is not None:
        raise ModelError(f"the cache {printable(str(cache))} {reason}: fix that, or pass another folder with --cache")


def distrust(cache: Path) -> str | None:
    """Return why an existing folder is not a safe cache; None if it is safe or missing, and on Windows."""
    try:
        status = cache.stat()
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:  # a ValueError: a name that no file can have
        return f"cannot be accessed ({getattr(error, 'strerror', None) or error})"
    if not cache.is_dir():
        return "is not a folder"
    if sys.platform == "win32":
        return None
    if status.st_uid not in {os.geteuid(), 0}:  # root may replace anything anyway
        return f"belongs to another user ({status.st_uid})"
    return "is writable by everyone (chmod o-w)" if status.st_mode & 0o002 else None


_BUFFER = 1 << 20


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file, or of a folder's files, as 64 hexadecimal digits.

    A folder's is taken over each file's name (relative, with ``/``), NUL, its size in decimal, NUL and its bytes, in
    the order of the names' bytes: only the names and contents of the files matter, not when or where they were written.

    Raises:
        OSError: a file cannot be read.
    """
    total = hashlib.sha256()
    if path.is_file():
        _add(total, path)
        return total.hexdigest()
    for name, file in files_of(path):
        total.update(b"%s\0%d\0" % (os.fsencode(name), file.stat().st_size))
        _add(total, file)
    return total.hexdigest()


def _add(total: HASH, path: Path) -> None:
    with open_regular(path) as stream:
        while piece := stream.read(_BUFFER):
            total.update(piece)


def files_of(folder: Path) -> list[tuple[str, Path]]:
    """Return a folder's files with their relative names, sorted by these; links are followed, as TensorFlow does."""
    found = [(path.relative_to(folder).as_posix(), path) for path in _walk(folder, ())]
    return sorted(found, key=lambda item: os.fsencode(item[0]))


def _walk(folder: Path, above: tuple[Path, ...]) -> Iterator[Path]:
    real = folder.resolve()
    if real in above:
        raise ModelError(f"model folder {printable(str(folder))}: a circular link")
    for path in folder.iterdir():
        if path.is_dir():
            yield from _walk(path, (*above, real))
        elif path.is_file():
            yield path


def stamp_of(path: Path) -> dict[str, tuple[int, int]]:
    """Return each file's size in bytes and time of change in nanoseconds: cheap to read, but not a proof."""
    files = [(path.name, path)] if path.is_file() else files_of(path)
    stats = ((name, file.stat()) for name, file in files)
    return {name: (stat.st_size, stat.st_mtime_ns) for name, stat in stats}


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A model's state when it was added to the cache.

    Attributes:
        handle: that of the model, or what it was unpacked or exported from.
        digest: SHA-256 over its files, see `digest_of`.
        files: each file's size in bytes and time of change in nanoseconds.
    """

    handle: str
    digest: str
    files: dict[str, tuple[int, int]]


def write_record(path: Path, handle: str, content: Path) -> str:
    """Record the current content of a SavedModel folder or an ONNX file; return its digest.

    Raises:
        OSError: it cannot be read, or the record not written.
    """
    record = Record(handle, digest_of(content), stamp_of(content))
    write_atomically(path, msgspec.json.format(msgspec.json.encode(record)) + b"\n")
    return record.digest


def read_record(entry: Entry) -> Record | None:
    """Return the record; None if there is none (another program fetched the model).

    Raises:
        ModelError: the record is damaged.
        OSError: it cannot be read.
    """
    try:
        return msgspec.json.decode(read_regular(entry.record), type=Record)
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ModelError(f"{printable(str(entry.record))} is damaged ({error})") from error


def checked_digest(entry: Entry, *, thorough: bool = False) -> str:
    """Return the digest of an entry, after verifying that it is unchanged.

    The files are read only if their sizes or times changed, if there is no record, or if ``thorough``.

    Raises:
        ModelError: it differs from the record.
        OSError: it cannot be read.
    """
    record = read_record(entry)
    if record is not None and not thorough and stamp_of(entry.content) == record.files:
        return record.digest
    digest = digest_of(entry.content)
    if record is not None and record.digest != digest:
        raise ModelError(
            f"{printable(str(entry.content))} has changed since it was cached: SHA-256 {digest[:12]}... instead "
            f"of {record.digest[:12]}..."
        )
    return digest


_LOCK = ".imgdiff-lock"
_WORK = ".imgdiff-tmp"


@contextmanager
def building(entry: Entry, wait: float) -> Iterator[Path]:
    """Hold an entry's lock, and yield a private folder in the cache in which to build the entry.

    A missing cache is created with access for its user only. The folder is deleted afterwards; folders of killed
    processes are also deleted.

    Raises:
        ModelError: the cache is not safe.
        TimeoutError: another process held the lock for ``wait`` seconds.
        OSError: the cache cannot be written to.
    """
    entry.cache.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        entry.cache.mkdir(mode=0o700)
    check_trusted(entry.cache)
    with locked(_lock_of(entry), wait):
        _sweep(entry)
        work = Path(tempfile.mkdtemp(prefix=f"{entry.name}.", suffix=_WORK, dir=entry.cache))
        try:
            yield work
        finally:
            shutil.rmtree(work, ignore_errors=True)


def _lock_of(entry: Entry) -> Path:
    return entry.cache / f"{entry.name}{_LOCK}"


def _sweep(held: Entry) -> None:
    """Delete the folders of killed processes: those of this entry, and of entries that are not locked."""
    for folder in held.cache.glob(f"*{_WORK}"):
        entry = Entry(held.cache, folder.name[: -len(_WORK)].rpartition(".")[0])
        if entry == held:
            shutil.rmtree(folder, ignore_errors=True)
            continue
        with suppress(OSError), locked(_lock_of(entry), wait=0):  # a TimeoutError is one: another process uses it
            shutil.rmtree(folder, ignore_errors=True)


def install(entry: Entry, content: Path, work: Path, handle: str) -> str:
    """Move a built model, which must be synced to disk, to its place and record it; return its digest.

    Call it while the lock is held. Readers see the complete model or none; an existing one is deleted.

    Raises:
        OSError: it could not be moved there.
    """
    entry.record.unlink(missing_ok=True)
    if entry.content.exists():
        entry.content.rename(work / "replaced")
    content.rename(entry.content)
    sync_folder(entry.cache)
    digest = write_record(work / "record.json", handle, entry.content)
    (work / "record.json").rename(entry.record)
    return digest


_GRAPH = "saved_model.pb"
_LONGEST_POINTER = 1024
"""Bytes; a Git LFS pointer has some 130."""


def check_saved_model(folder: Path) -> None:
    """Reject a folder that TensorFlow does not accept as a SavedModel.

    Raises:
        ModelError: the message does not name the folder.
        OSError: it cannot be read.
    """
    graph = folder / _GRAPH
    if not graph.is_file():
        raise ModelError(f"not a SavedModel: it has no {_GRAPH}{_hint(folder)}")
    check_content(graph)
    for variables in folder.glob("variables/*"):
        if variables.is_file() and variables.stat().st_size < _LONGEST_POINTER:
            check_content(variables)


def check_content(path: Path) -> None:
    """Reject a file that is empty or a Git LFS pointer.

    Raises:
        ModelError: it is one.
        OSError: it cannot be read.
    """
    with open_regular(path) as stream:
        start = stream.read(64)
    if not start or start.startswith(b"version https://git-lfs"):
        raise ModelError(f"its {path.name} is {what_it_is(start)}")


def _hint(folder: Path) -> str:
    deeper = sorted(folder.glob(f"*/{_GRAPH}"))
    return f" at its top, but {deeper[0].parent.name}/ has one" if deeper else ""


@contextmanager
def in_one_line(settings: ModelSettings, cache: Path) -> Iterator[None]:
    """Add the model to errors, and the cache if that failed.

    Raises:
        ModelError: instead of an `OSError`, or of a `ModelError` that does not name the model.
    """
    model = f"model {printable(settings.model)}"
    try:
        yield
    except ModelError as error:
        raise ModelError(f"{model}: {error}") from error
    except TimeoutError as error:
        raise ModelError(f"{model}: another process has used it for {settings.timeout:g} s") from error
    except OSError as error:
        words = error.strerror or str(error)
        raise ModelError(f"{model}: the cache {printable(str(cache))} cannot be used: {words}") from error
