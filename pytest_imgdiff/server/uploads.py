"""Pictures as they arrive: paired by their names, looked at, and put away under names of ours."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from werkzeug.exceptions import BadRequest, RequestEntityTooLarge, UnsupportedMediaType

from pytest_imgdiff.errors import ImgdiffError
from pytest_imgdiff.images.sniff import sniff
from pytest_imgdiff.images.unreadable import UnreadableError
from pytest_imgdiff.names import printable
from pytest_imgdiff.scan import unique

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from werkzeug.datastructures import FileStorage

    from pytest_imgdiff.server.limits import Limits

_LOOKED_AT = 4096
_DRIVE = re.compile(r"[A-Za-z]:")


@dataclass(frozen=True, slots=True)
class UploadedPair:
    """Two pictures of one name, or one that stands alone.

    Attributes:
        name: what the pair is called: a text to show, never a path.
        key: what imgdiff.yaml's globs are matched against.
        expected, actual: the files, below the upload's folder; None where there is none.
    """

    name: str
    key: str
    expected: Path | None
    actual: Path | None


def stored_pairs(
    expected: Sequence[FileStorage], actual: Sequence[FileStorage], folder: Path, limits: Limits
) -> list[UploadedPair]:
    """Write the pictures of an upload below the folder, as ``expected/0``, ``expected/1``, ..., and pair them.

    One picture on either side is a pair whatever their names; of more, those of one name are.

    Raises:
        BadRequest: there is no picture, a name cannot be meant, or stands twice on one side.
        RequestEntityTooLarge: there are too many.
        UnsupportedMediaType: a file is no picture of a format that is read, by its first bytes.
    """
    sides = {side: _named(files, side, limits) for side, files in (("expected", expected), ("actual", actual))}
    count = sum(map(len, sides.values()))
    if not count:
        raise BadRequest("there is no picture: send files as expected and as actual")
    if count > limits.pictures:
        raise RequestEntityTooLarge(f"{count} pictures; at most {limits.pictures} are taken at once")
    for side, files in sides.items():
        for name, file in files.items():
            _require_picture(file, f"{side} {printable(name)}")
    return _paired({side: _stored(files, folder / side) for side, files in sides.items()})


def _named(files: Sequence[FileStorage], side: str, limits: Limits) -> dict[str, FileStorage]:
    named: dict[str, FileStorage] = {}
    for file in files:
        name = file.filename or ""
        if wrong := _mistake(name, limits):
            raise BadRequest(f"{side}: {printable(name[:100])!r}: {wrong}")
        if name in named:
            raise BadRequest(f"{side}: two pictures are named {printable(name)}")
        named[name] = file
    return named


def _mistake(name: str, limits: Limits) -> str | None:
    """Return what is wrong with a picture's name; it is only shown, and yet nobody means one of these."""
    if not name or len(name) > limits.name_length:
        return f"a name has 1 to {limits.name_length} characters"
    if printable(name) != name:
        return "the name has control characters, or half a character, in it"
    if "\\" in name or _DRIVE.match(name) or any(part in ("", ".", "..") for part in name.split("/")):
        return 'a name is relative, with "/" between folders, without "..", "\\" or a drive'
    return None


def _require_picture(file: FileStorage, label: str) -> None:
    start = file.stream.read(_LOOKED_AT)
    file.stream.seek(0)
    try:
        if sniff(start) == "PDF":  # rendering takes more than a picture's limits allow for
            raise UnsupportedMediaType(f"{label}: PDF: a document, which this server does not render")
    except UnreadableError as error:
        raise UnsupportedMediaType(f"{label}: {error.kind}: {printable(error.cause)}") from None


def _stored(files: Mapping[str, FileStorage], folder: Path) -> dict[str, Path]:
    folder.mkdir(parents=True)
    stored = {}
    for number, (name, file) in enumerate(files.items()):
        stored[name] = folder / str(number)
        try:
            with stored[name].open("xb") as target:
                shutil.copyfileobj(file.stream, target)
        except OSError as error:
            raise ImgdiffError(f"the upload cannot be kept: {error.strerror or error}") from error
    return stored


def _paired(sides: Mapping[str, Mapping[str, Path]]) -> list[UploadedPair]:
    expected, actual = sides["expected"], sides["actual"]
    if len(expected) == len(actual) == 1:
        (name,) = actual
        return [UploadedPair(printable(name), name, *expected.values(), *actual.values())]
    keys = sorted({*expected, *actual})
    names = unique([printable(key) for key in keys])
    return [UploadedPair(name, key, expected.get(key), actual.get(key)) for name, key in zip(names, keys, strict=True)]
