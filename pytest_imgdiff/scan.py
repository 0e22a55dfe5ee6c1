"""Two trees of pictures: paired by name, compared on all cores, handed on in order."""

from __future__ import annotations

import os
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from pytest_imgdiff.baselines import PICTURE_SUFFIXES
from pytest_imgdiff.config import glob_matches
from pytest_imgdiff.errors import ConfigError
from pytest_imgdiff.names import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from pytest_imgdiff.config import ScanSettings

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

    Args:
        expected: the folder of expected pictures.
        actual: the folder of actual ones.
        include: globs; where none are given, every file with a picture's extension.
        exclude: globs of what to leave out.
        skip: folders that are not descended into (the report's own, say).
        prefix: put before each name, to tell several scans apart.

    Raises:
        ConfigError: a folder is missing or cannot be listed, both are the same, or no picture is found in either.
    """
    for side, folder in (("expected", expected), ("actual", actual)):
        if not folder.is_dir():
            what = "is not a folder" if folder.exists() else "does not exist"
            raise ConfigError(f"{printable(str(folder))}: the folder of {side} pictures {what}")
    if expected.samefile(actual):
        raise ConfigError(f"{printable(str(expected))}: the expected and the actual folder are the same one")
    skipped = {folder.resolve() for folder in skip}
    ours = _pictures(expected, include, exclude, skipped)
    theirs = _pictures(actual, include, exclude, skipped)
    if not ours and not theirs:
        patterns = f" that match {', '.join(include)}" if include else ""
        where = f"in {printable(str(expected))} nor in {printable(str(actual))}"
        raise ConfigError(f"no pictures{patterns} {where}: an empty scan proves nothing")
    keys = sorted({*ours, *theirs})
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


def _pictures(folder: Path, include: Sequence[str], exclude: Sequence[str], skipped: set[Path]) -> dict[str, Path]:
    found = {}
    for parent, folders, files in os.walk(folder, onerror=_cannot_list):
        folders[:] = [name for name in folders if Path(parent, name).resolve() not in skipped]
        for name in files:
            path = Path(parent, name)
            key = path.relative_to(folder).as_posix()
            wanted = any(glob_matches(glob, key) for glob in include) if include else _is_picture(path)
            if wanted and not any(glob_matches(glob, key) for glob in exclude):
                found[key] = path
    return found


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in PICTURE_SUFFIXES


def _cannot_list(error: OSError) -> None:
    raise ConfigError(f"{printable(str(error.filename))}: the folder cannot be listed: {error.strerror}")


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class RunAhead(Generic[T]):
    """Does jobs on several threads, a few ahead of whoever asks for their results in order.

    At most twice as many jobs as there are workers are under way or wait to be fetched, so a result should be small (a
    record, not pixels). OpenCV, NumPy and the decoders release the GIL while they work.

    Args:
        jobs: what to do, by name, in the order in which the results will be asked for.
        workers: how many threads; as many as there are cores where omitted.
    """

    def __init__(self, jobs: Mapping[str, Callable[[], T]], workers: int | None = None) -> None:
        self._waiting = dict(jobs)
        self._under_way: dict[str, Future[T]] = {}
        self._workers = workers or cores()
        self._pool = ThreadPoolExecutor(self._workers, thread_name_prefix="imgdiff")

    def result(self, name: str) -> T:
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

    def _submit(self, name: str) -> None:
        self._under_way[name] = self._pool.submit(self._waiting.pop(name))

    def close(self) -> None:
        """Drop what has not begun, and wait for what has."""
        self._waiting.clear()
        self._pool.shutdown(wait=True, cancel_futures=True)
