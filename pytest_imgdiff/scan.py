"""Two trees of pictures: paired by name, compared on all cores, handed on in order."""

from __future__ import annotations

import os
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Generic, NoReturn, TypeVar

from pytest_imgdiff.config import glob_matches
from pytest_imgdiff.errors import ConfigError
from pytest_imgdiff.images import is_picture_file
from pytest_imgdiff.names import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from pytest_imgdiff.config import ScanSettings

K = TypeVar("K")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Pair:
    """Two pictures of one name, or one that stands alone.

    Attributes:
        name: the path below both folders, with forward slashes, printable.
        key: the same as the file system has it, for globs.
        expected, actual: the files; None where there is none.
        expected_place: where the expected picture stands, or would.
    """

    name: str
    key: str
    expected: Path | None
    actual: Path | None
    expected_place: Path


def pairs(
    expected: Path,
    actual: Path,
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    skip: Iterable[Path] = (),
    prefix: str = "",
) -> list[Pair]:
    """Return the union of both trees, sorted by name.

    Folders that are symbolic links are followed, and left out where they lead back to one that they stand in.

    Args:
        expected: the folder of expected pictures.
        actual: the folder of actual ones.
        include: globs; where none are given, every file with a picture's extension, and those without any that hold
            a picture on either side.
        exclude: globs of what to leave out.
        skip: folders that are not descended into (the report's own, say).
        prefix: put before each name, to tell several scans apart.

    Raises:
        ConfigError: a folder is missing or cannot be listed, both are the same, no picture is found in either, or
            both sides of a pair are one file by symbolic links. Hard links are honest: equal bytes, twice.
    """
    for side, folder in (("expected", expected), ("actual", actual)):
        if not folder.is_dir():
            what = "is not a folder" if folder.exists() else "does not exist"
            raise ConfigError(f"{printable(str(folder))}: the folder of {side} pictures {what}")
    if expected.samefile(actual):
        raise ConfigError(f"{printable(str(expected))}: the expected and the actual folder are the same one")
    skipped = {folder.resolve() for folder in skip}
    ours, theirs = (_files(folder, exclude, skipped) for folder in (expected, actual))
    keys = sorted(key for key in {*ours, *theirs} if _is_wanted(key, include, (ours.get(key), theirs.get(key))))
    if not keys:
        patterns = f" that match {', '.join(include)}" if include else ""
        where = f"in {printable(str(expected))} nor in {printable(str(actual))}"
        raise ConfigError(f"no pictures{patterns} {where}: an empty scan proves nothing")
    for key in keys:
        _refuse_one_file(ours.get(key), theirs.get(key))
    names = unique([prefix + printable(key) for key in keys])
    return [
        Pair(name, key, ours.get(key), theirs.get(key), expected / key) for name, key in zip(names, keys, strict=True)
    ]


def prefixes(scans: Sequence[ScanSettings], root: Path) -> list[str]:
    """Return what tells the names of several scans apart: the actual folder of each, relative to ``root``."""
    if len(scans) == 1:
        return [""]
    return unique([f"{_relative(scan.actual, root)}/" for scan in scans])


def _relative(path: Path, root: Path) -> str:
    return printable(path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix())


def unique(names: Sequence[str]) -> list[str]:
    """Return the names, with ``(2)``, ``(3)``, ... before those that stood there already: none may hide another."""
    seen: dict[str, int] = {}
    told_apart = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        told_apart.append(name if seen[name] == 1 else f"({seen[name]}) {name}")
    return told_apart


def _files(folder: Path, exclude: Sequence[str], skipped: set[Path]) -> dict[str, Path]:
    """Return the files below the folder that are not excluded, by their keys."""
    found = {}
    inside = {str(folder): frozenset({_identity(folder)})}  # a folder to those that it stands in, itself too
    for parent, folders, files in os.walk(folder, onerror=_cannot_list, followlinks=True):
        around = inside.pop(parent)
        below = {name: Path(parent, name) for name in folders}
        below = {name: path for name, path in below.items() if path.resolve() not in skipped}
        below = {name: path for name, path in below.items() if _identity(path) not in around}
        folders[:] = below
        inside.update((os.path.join(parent, name), around | {_identity(path)}) for name, path in below.items())  # noqa: PTH118 - as os.walk joins them
        for name in files:
            path = Path(parent, name)
            key = path.relative_to(folder).as_posix()
            if not any(glob_matches(glob, key) for glob in exclude):
                found[key] = path
    return found


def _identity(folder: Path) -> tuple[int, int]:
    try:
        status = folder.stat()
    except OSError as error:
        _cannot_list(error)
    return status.st_dev, status.st_ino


def _is_wanted(key: str, include: Sequence[str], files: tuple[Path | None, Path | None]) -> bool:
    if include:
        return any(glob_matches(glob, key) for glob in include)
    return any(is_picture_file(file) for file in files if file is not None)


def _refuse_one_file(expected: Path | None, actual: Path | None) -> None:
    if expected is None or actual is None:
        return
    real = os.path.realpath(expected)
    if real == os.path.realpath(actual) and os.path.exists(real):  # noqa: PTH110 - realpath takes links that lead nowhere
        raise ConfigError(
            f"{printable(str(expected))} and {printable(str(actual))} are the same file by a symbolic link: nothing "
            "could differ; put a copy in its place, or exclude it"
        )


def _cannot_list(error: OSError) -> NoReturn:
    raise ConfigError(f"{printable(str(error.filename))}: the folder cannot be listed: {error.strerror}")


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class RunAhead(Generic[K, T]):
    """Does jobs on several threads, a few ahead of whoever asks for their results in order.

    At most twice as many jobs as there are workers are under way or wait to be fetched, so a result should be small (a
    record, not pixels). OpenCV, NumPy and the decoders release the GIL while they work.

    Args:
        jobs: what to do, by any key, in the order in which the results will be asked for.
        workers: how many threads; as many as there are cores where omitted.
    """

    def __init__(self, jobs: Mapping[K, Callable[[], T]], workers: int | None = None) -> None:
        self._waiting = dict(jobs)
        self._under_way: dict[K, Future[T]] = {}
        self._workers = workers or cores()
        self._pool = ThreadPoolExecutor(self._workers, thread_name_prefix="imgdiff")

    def result(self, name: K) -> T:
        """Return what came of this job; whatever was raised in it is raised here.

        Raises:
            KeyError: it was fetched before.
        """
        if name in self._waiting:  # out of order: it goes first
            self._submit(name)
        self._fill()
        result = self._under_way.pop(name).result()
        self._fill()
        return result

    def _fill(self) -> None:
        while self._waiting and len(self._under_way) < 2 * self._workers:
            self._submit(next(iter(self._waiting)))

    def _submit(self, name: K) -> None:
        self._under_way[name] = self._pool.submit(self._waiting.pop(name))

    def close(self) -> None:
        """Drop what has not begun, and wait for what has."""
        self._waiting.clear()
        self._pool.shutdown(wait=True, cancel_futures=True)
