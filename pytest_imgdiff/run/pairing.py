"""Pairing of two folder trees by file name."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Literal, NoReturn

from pytest_imgdiff.base.errors import ConfigError
from pytest_imgdiff.base.project import label_of
from pytest_imgdiff.base.stores import StoredFile, StoreFolder
from pytest_imgdiff.base.text import printable
from pytest_imgdiff.config import glob_matches
from pytest_imgdiff.images import is_picture_file
from pytest_imgdiff.images.sniff import EXTENSIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from pytest_imgdiff.config import ScanSettings


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """Two images to compare.

    Attributes:
        name: printable name.
        key: name in the file system, for globs.
        expected, actual: the files; None if there is none.
        expected_place: path of the expected image, which may not exist.
    """

    name: str
    key: str
    expected: Path | StoredFile | None
    actual: Path | StoredFile | None
    expected_place: Path | StoredFile

    @property
    def sources(self) -> tuple[Path | StoredFile | None, Path | StoredFile | None]:
        """Return both images, to be read."""
        return self.expected, self.actual


@dataclass(frozen=True, slots=True, eq=False)
class FoundPair:
    """A pair from two folders, or a single file from one of them. It takes little memory.

    Attributes:
        name: path below both folders, with forward slashes, printable.
        key: the same path as in the file system, for globs.
        folders: the folders of expected and actual images.
        is_expected, is_actual: whether the file exists there.
    """

    name: str
    key: str
    folders: tuple[Path | StoreFolder, Path | StoreFolder]
    is_expected: bool
    is_actual: bool

    @property
    def expected(self) -> Path | StoredFile | None:
        """The expected image."""
        return self.expected_place if self.is_expected else None

    @property
    def actual(self) -> Path | StoredFile | None:
        """The actual image."""
        return self.folders[1] / self.key if self.is_actual else None

    @property
    def expected_place(self) -> Path | StoredFile:
        """Path of the expected image, which may not exist."""
        return self.folders[0] / self.key

    @property
    def sources(self) -> tuple[str | StoredFile | None, str | StoredFile | None]:
        """Return both images, to be read; paths are strings, as joining a `Path` takes longer than opening the file."""
        expected, actual = self.folders
        return (
            _within(expected, self.key) if self.is_expected else None,
            _within(actual, self.key) if self.is_actual else None,
        )


def _within(folder: Path | StoreFolder, key: str) -> str | StoredFile:
    if isinstance(folder, StoreFolder):
        return folder / key
    return key if (words := str(folder)) == "." else os.path.join(words, key)  # noqa: PTH118 - as above


@dataclass(frozen=True, slots=True, eq=False)
class Scanned:
    """What was found in two folders.

    Attributes:
        pairs: the pairs to compare, sorted by name.
        not_compared: lines about what is not compared: files of other kinds, counted by extension; and pairs of files
            whose names differ only in extension or case.
    """

    pairs: Sequence[Pair | FoundPair]
    not_compared: tuple[str, ...] = ()


def scan_folders(
    expected: Path | StoreFolder,
    actual: Path | StoreFolder,
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    others: Literal["tell", "fail", "ignore"] = "tell",
    skip: Iterable[Path] = (),
    prefix: str = "",
    shown: Callable[[Path | StoreFolder], str] = str,
) -> Scanned:
    """Return the union of both folder trees.

    Symbolic links to folders are followed, unless they lead back to one of their parents.

    Args:
        expected: the folder of expected images.
        actual: the folder of actual images.
        include: globs; default: all files with an image's extension, and those without extension that contain an image
            on either side.
        exclude: globs of files to leave out.
        others: what to do with files of other kinds if ``include`` is empty: ``tell`` reports them, ``fail`` makes
            pairs of them, which cannot be read, and ``ignore`` drops them. Names that start with a dot are always left
            out.
        skip: folders to leave out, such as the report's own.
        prefix: prefix of each name, to distinguish several scans.
        shown: returns the path of a folder for messages.

    Raises:
        ConfigError: a folder is missing or cannot be listed, both are the same, neither contains an image, or both
            sides of a pair are one file through symbolic links. Hard links are allowed.
    """
    for side, folder in (("expected", expected), ("actual", actual)):
        if isinstance(folder, Path) and not folder.is_dir():
            what = "is not a folder" if folder.exists() else "does not exist"
            raise ConfigError(f"{label_of(folder)}: the folder of {side} images {what}")
    if _is_one_folder(expected, actual):
        raise ConfigError(f"{called(expected)}: the expected and the actual folder are the same")
    folders = expected, actual
    # One mapping, and no sets of all keys: a hundred thousand of them are the most that a client keeps in memory.
    reports: list[Path] = []
    found = _files(folders, exclude, {folder.resolve() for folder in skip}, reports)
    keys, other = _images_and_others(found, include, folders)
    if others == "fail":
        keys += other
        other = set()
    keys.sort()
    lines = () if others == "ignore" else tuple(_not_compared(found, keys, other, [*map(shown, folders)]))
    lines += tuple(f"not compared: the report in {label_of(report)}" for report in reports)
    if not keys:
        patterns = f" that match {', '.join(include)}" if include else ""
        where_not = f"in {called(expected)} nor in {called(actual)}"
        left_out = f" with {', '.join(exclude)} left out" if exclude else ""
        instead = f"; {lines[0]}" if lines else ""
        raise ConfigError(f"no images{patterns} {where_not}{left_out}: an empty scan fails{instead}")
    for key in keys:
        # Symbolic links are part of the paths.
        if found[key] & _LINKED and isinstance(expected, Path) and isinstance(actual, Path):
            _refuse_one_file(expected / key, actual / key)
    names = unique([prefix + printable(key) for key in keys])
    places = bytes(map(found.__getitem__, keys))
    found.clear()
    found_pairs = [
        FoundPair(name, key, folders, bool(where & _SIDES[0]), bool(where & _SIDES[1]))
        for name, key, where in zip(names, keys, places, strict=True)
    ]
    return Scanned(found_pairs, lines)


def _not_compared(
    found: Mapping[str, int], keys: Sequence[str], other: set[str], folders: Sequence[str]
) -> Iterator[str]:
    """Yield the lines for `Scanned.not_compared`.

    Args:
        found: as `_files` returns it.
        keys: the images to compare.
        other: files of other kinds.
        folders: the labels of the folders.
    """
    if other:
        kinds = Counter(_kind(key) for key in other for side in _SIDES if found[key] & side)
        counts = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
        places = [
            folder for folder, side in zip(folders, _SIDES, strict=True) if any(found[key] & side for key in other)
        ]
        yield f"not compared: {counts}; in {' and '.join(places)}"
    alone = [key for key, where in found.items() if where & sum(_SIDES) != sum(_SIDES)]
    compared = set(keys) if alone else set()
    stems: tuple[dict[str, list[str]], dict[str, list[str]]] = ({}, {})
    for key in alone:
        if key in compared or key in other:
            side = stems[0] if found[key] & _SIDES[0] else stems[1]
            side.setdefault(key[: len(key) - len(_extension(key))].casefold(), []).append(key)
    for stem in sorted(stems[0].keys() & stems[1].keys()):
        pair = [*stems[0][stem], *stems[1][stem]]
        if len(pair) == 2 and not compared.isdisjoint(pair):  # noqa: PLR2004 - one on either side
            named = " and ".join(f"{folder}/{printable(key)}" for folder, key in zip(folders, pair, strict=True))
            yield f"not paired: {named}: their names differ only in extension or case; rename one of them"


def _kind(key: str) -> str:
    return printable(_extension(key)).lower() or "without extension"


def _extension(key: str) -> str:
    """Return the extension of a name: ``.svg``, or both of ``.png.bak``."""
    path = PurePosixPath(key)
    inner = PurePosixPath(path.stem).suffix
    return inner + path.suffix if inner.lower() in EXTENSIONS else path.suffix


def _is_hidden(key: str) -> bool:
    return any(part.startswith(".") for part in key.split("/"))


def prefixes(scans: Sequence[ScanSettings], root: Path) -> list[str]:
    """Return prefixes that distinguish several scans: the actual folder of each, relative to ``root``."""
    if len(scans) == 1:
        return [""]
    return unique([f"{_relative(scan.actual, root)}/" for scan in scans])


def _relative(path: Path | StoreFolder, root: Path) -> str:
    if isinstance(path, StoreFolder):
        return path.label
    return printable(path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix())


def unique(names: Sequence[str]) -> list[str]:
    """Return the names with ``(2)``, ``(3)``, ... before repeated ones, so that none hides another."""
    if len(set(names)) == len(names):
        return list(names)
    seen: dict[str, int] = {}
    distinguished = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        distinguished.append(name if seen[name] == 1 else f"({seen[name]}) {name}")
    return distinguished


def called(folder: Path | StoreFolder) -> str:
    """Return the path of a folder for messages."""
    return label_of(folder) if isinstance(folder, Path) else folder.label


def _is_one_folder(expected: Path | StoreFolder, actual: Path | StoreFolder) -> bool:
    if isinstance(expected, Path) and isinstance(actual, Path):
        return expected.samefile(actual)
    urls = [folder.url.rstrip("/") for folder in (expected, actual) if isinstance(folder, StoreFolder)]
    return len(urls) > len(set(urls))


_SIDES = (1, 2)
_LINKED = 4
_IN_A_REPORT = {"index.html", "results.json", "pictures"}
"""A folder below a scanned one that contains all of these is a report."""


def _files(
    folders: tuple[Path | StoreFolder, Path | StoreFolder],
    exclude: Sequence[str],
    skipped: set[Path],
    reports: list[Path],
) -> dict[str, int]:
    """Return the files that are not excluded, by key: which folders have them (`_SIDES`), and if a link leads there.

    Reports that are not excluded are added to ``reports``, and their files are left out.
    """
    found: dict[str, int] = {}
    for folder, side in zip(folders, _SIDES, strict=True):
        for key, is_linked in _files_below(folder, skipped):
            if any(glob_matches(glob, key) for glob in exclude):
                continue
            if isinstance(folder, Path) and key.endswith("/"):
                reports.append(folder / key)
            else:
                found[key] = found.get(key, 0) | side | (_LINKED if is_linked else 0)
    return found


def _files_below(folder: Path | StoreFolder, skipped: set[Path]) -> Iterator[tuple[str, bool]]:
    """Yield the key of each file below the folder, and whether a link leads to it; the key of a report ends in "/"."""
    if isinstance(folder, StoreFolder):
        yield from ((key, False) for key in folder.keys())  # noqa: SIM118 - no mapping
        return
    # Path and key of a folder, whether a link leads to it, and its parents including itself.
    todo = [(str(folder), "", False, frozenset({_identity(folder)}))]
    while todo:
        path, prefix, linked, around = todo.pop()
        entries = _entries(path)
        if prefix and sum(entry.name in _IN_A_REPORT for entry in entries) == len(_IN_A_REPORT):
            yield prefix, linked
            continue
        for entry in entries:
            key = prefix + entry.name
            is_linked = linked or entry.is_symlink()
            if not _is_folder(entry):
                yield key, is_linked
            elif Path(entry.path).resolve() not in skipped and (identity := _identity(Path(entry.path))) not in around:
                todo.append((entry.path, f"{key}/", is_linked, around | {identity}))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a circular link: reading it reports the error
        return False


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        _cannot_list(error)


def _identity(folder: Path) -> tuple[int, int]:
    try:
        status = folder.stat()
    except OSError as error:
        _cannot_list(error)
    return status.st_dev, status.st_ino


def _images_and_others(
    found: Mapping[str, int], include: Sequence[str], folders: tuple[Path | StoreFolder, Path | StoreFolder]
) -> tuple[list[str], set[str]]:
    """Return the keys of the images to compare, and those of other files that are not hidden."""
    keys: list[str] = []
    other: set[str] = set()
    for key, where in found.items():
        if _is_selected(key, include, folders, where):
            keys.append(key)
        elif not include and not _is_hidden(key):
            other.add(key)
    return keys, other


def _is_selected(
    key: str, include: Sequence[str], folders: tuple[Path | StoreFolder, Path | StoreFolder], where: int
) -> bool:
    if include:
        return any(glob_matches(glob, key) for glob in include)
    extension = os.path.splitext(key)[1]  # noqa: PTH122 - a `Path` is made of few names only, those without extension
    if len(extension) > 1:
        return extension.lower() in EXTENSIONS
    return any(where & side and is_picture_file(folder / key) for folder, side in zip(folders, _SIDES, strict=True))


def _refuse_one_file(expected: Path, actual: Path) -> None:
    real = os.path.realpath(expected)
    if real == os.path.realpath(actual) and os.path.exists(real):  # noqa: PTH110 - realpath takes links that lead nowhere
        raise ConfigError(
            f"{label_of(expected)} and {label_of(actual)} are the same file through a symbolic link: nothing "
            "could differ; replace the link by a copy, or exclude it"
        )


def _cannot_list(error: OSError) -> NoReturn:
    raise ConfigError(f"{label_of(Path(error.filename))}: the folder cannot be listed: {error.strerror}")
