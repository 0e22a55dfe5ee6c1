"""What a model consists of, as one number: SHA-256 over its files."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

from pytest_imgdiff.errors import ModelError
from pytest_imgdiff.names import printable
from pytest_imgdiff.opening import open_regular

if TYPE_CHECKING:
    from _hashlib import HASH
    from collections.abc import Iterator
    from pathlib import Path

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
        raise ModelError(f"model folder {printable(str(folder))}: a link that leads back into itself")
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
