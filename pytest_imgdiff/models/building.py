"""What comes into the cache is built aside, by one process at a time, and put into its place whole."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_imgdiff.files import sync_folder
from pytest_imgdiff.lock import locked
from pytest_imgdiff.models.cache import Entry, check_trusted
from pytest_imgdiff.models.record import write_record

if TYPE_CHECKING:
    from collections.abc import Iterator

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
