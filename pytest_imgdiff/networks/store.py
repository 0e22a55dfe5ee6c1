"""The folder of downloaded models: its place, its entries, their records and digests, and what failed before.

The layout is TensorFlow Hub's own, so that each finds what the other fetched: a SavedModel folder is called after the
SHA-1 of its handle. Ours stand beside it: ``NAME.imgdiff.json`` says what was fetched, ``DIGEST.onnx`` is what the
SavedModel of that digest was exported to.
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
        name: what the model's folder (or ONNX file) is called there.
    """

    cache: Path
    name: str

    @property
    def content(self) -> Path:
        """The SavedModel folder, or the ONNX file."""
        return self.cache / self.name

    @property
    def record(self) -> Path:
        """What is known of it, as JSON."""
        return self.cache / f"{self.name}.imgdiff.json"

    @property
    def descriptor(self) -> Path:
        """The text by which TensorFlow Hub says which handle a folder belongs to."""
        return self.cache / f"{self.name}.descriptor.txt"

    def is_here(self) -> bool:
        """Whether there is anything; TensorFlow Hub takes an empty folder for none, too."""
        return self.content.is_file() or (self.content.is_dir() and any(self.content.iterdir()))


def entry_of_address(cache: Path, handle: str) -> Entry:
    """Return the entry of a downloaded model, as TensorFlow Hub calls it."""
    return Entry(cache, hashlib.sha1(handle.encode(), usedforsecurity=False).hexdigest())


def entry_of_export(cache: Path, digest: str) -> Entry:
    """Return the entry of the ONNX form of the SavedModel of this digest."""
    return Entry(cache, f"{digest}.onnx")


def entries(cache: Path) -> list[Entry]:
    """Return what a cache holds, exports left out, by name."""
    if not cache.is_dir():
        return []
    folders = [Entry(cache, path.name) for path in sorted(cache.iterdir()) if _is_name(path.name)]
    return [entry for entry in folders if entry.is_here()]


def _is_name(name: str) -> bool:
    return len(name) in {40, 64} and set(name) <= set("0123456789abcdef")


def cache_folder(configured: str | None) -> Path:
    """Return the cache: the configured one, else ``TFHUB_CACHE_DIR``, else the user's own. It need not exist yet.

    Raises:
        ModelError: it is not to be trusted, or is not a folder of this machine, or the user has no folder of their own.
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
    """Return where the names of the classes of ImageNet are kept; they need not be there.

    Raises:
        ModelError: as for `cache_folder`.
    """
    return cache_folder(configured) / "ImageNetLabels.txt"


def read_only_caches() -> list[Path]:
    """Return the folders that are looked at and never written to: where TensorFlow Hub keeps models if told nothing."""
    folder = Path(tempfile.gettempdir()) / "tfhub_modules"
    # Anybody can make a folder of that name in a temporary folder that is shared: another's is not looked at.
    return [folder] if folder.is_dir() and distrust(folder) is None else []


def check_trusted(cache: Path) -> None:
    """Refuse a cache in which somebody else could exchange a model.

    Raises:
        ModelError: another user owns it or everybody may write there; or it is not a folder.
    """
    if (reason := distrust(cache)) is not None:
        raise ModelError(f"the cache {printable(str(cache))} {reason}: fix that, or pass another folder with --cache")


def distrust(cache: Path) -> str | None:
    """Return why an existing folder is no safe cache; None: it is, or there is nothing. Windows is not asked."""
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
    if status.st_uid not in {os.geteuid(), 0}:  # root may exchange anything anyway
        return f"belongs to another user ({status.st_uid})"
    return "is writable by everyone (chmod o-w)" if status.st_mode & 0o002 else None


_BUFFER = 1 << 20


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file, or of a folder's files, as 64 hexadecimal digits.

    A folder's is taken over each file's name (relative, with ``/``), NUL, its size in decimal, NUL and its bytes, in
    the order of the names' bytes: what the files are called and hold decides, not when or where they were written.

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
    """Return each file's size in bytes and time of change in nanoseconds: cheap to take, no proof by itself."""
    files = [(path.name, path)] if path.is_file() else files_of(path)
    stats = ((name, file.stat()) for name, file in files)
    return {name: (stat.st_size, stat.st_mtime_ns) for name, stat in stats}


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A model as it was when it came into the cache.

    Attributes:
        handle: what it was fetched as, or unpacked or exported from.
        digest: SHA-256 over its files, see `digest_of`.
        files: each file's size in bytes and time of change in nanoseconds.
    """

    handle: str
    digest: str
    files: dict[str, tuple[int, int]]


def write_record(path: Path, handle: str, content: Path) -> str:
    """Write down what a SavedModel folder or an ONNX file holds now; return its digest.

    Raises:
        OSError: it cannot be read, or the record not written.
    """
    record = Record(handle, digest_of(content), stamp_of(content))
    write_atomically(path, msgspec.json.format(msgspec.json.encode(record)) + b"\n")
    return record.digest


def read_record(entry: Entry) -> Record | None:
    """Return what was written down; None: nothing was (another program fetched the model).

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
    """Return the digest of what an entry holds, after making sure that it is what came into the cache.

    The files are read only where their sizes or times changed, or nothing was written down, or ``thorough``.

    Raises:
        ModelError: it is not what was written down.
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
    """Hold an entry's lock, and give a private folder in the cache in which to build what shall become of it.

    The cache is made, for its user alone, where there is none. The folder is gone afterwards; those of killed processes
    go here, too.

    Raises:
        ModelError: the cache is not to be trusted.
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
    """Delete what killed processes left: the folders of this entry, and of those whose lock nobody holds."""
    for folder in held.cache.glob(f"*{_WORK}"):
        entry = Entry(held.cache, folder.name[: -len(_WORK)].rpartition(".")[0])
        if entry == held:
            shutil.rmtree(folder, ignore_errors=True)
            continue
        with suppress(OSError), locked(_lock_of(entry), wait=0):  # a TimeoutError is one: somebody works there
            shutil.rmtree(folder, ignore_errors=True)


def install(entry: Entry, content: Path, work: Path, handle: str) -> str:
    """Put what was built, and is on disk already, into its place, and write down what it is; return its digest.

    To be called while the lock is held. Readers see the whole of it or nothing; what stood there before is deleted.

    Raises:
        OSError: it could not be put there.
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
    """Refuse a folder that TensorFlow would not take for a SavedModel.

    Raises:
        ModelError: in words that do not name the folder.
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
    """Refuse a file that is empty, or that Git LFS has not yet replaced by what it stands for.

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
    """Name the model, and the cache where that is what failed.

    Raises:
        ModelError: instead of any `OSError`, and of those which do not name the model.
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
