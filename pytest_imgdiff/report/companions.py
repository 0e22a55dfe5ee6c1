"""Pictures once more as scripts: under ``file://`` a page may show a picture and may not read its pixels."""

from __future__ import annotations

from base64 import b64encode
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from pytest_imgdiff.opening import read_regular
from pytest_imgdiff.report.figures import address_of, frame_as_comparison, picture_path
from pytest_imgdiff.report.files import replace_derived
from pytest_imgdiff.report.overview import outcome_of
from pytest_imgdiff.report.script import receiving

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from pytest_imgdiff.record import ComparisonRecord

SIDES = ("expected", "actual")
LARGEST = 4 << 20
"""Bytes of a picture; the script is a third larger, and is read as a whole."""
MOST_TOGETHER = 32 << 20
"""Bytes of all pictures of a report; the worst comparisons come first."""
PLACE = "@DATA@"
"""Percent-encoded addresses do not hold it."""
MEDIA_TYPES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".gif": "image/gif",
    ".bmp": "image/bmp",
    ".avif": "image/avif",
}
"""Of the files that browsers show."""


def companions_of(directory: Path, records: Iterable[ComparisonRecord]) -> dict[str, str]:
    """Return which pictures get a companion, and its path; both below the report's folder.

    These are both sides of what failed or has a warning, as far as there are such files.

    Args:
        directory: the report's folder.
        records: in the order of the list.

    Raises:
        ReportError: a picture's path leads out of the folder.
    """
    chosen: dict[str, str] = {}
    left = MOST_TOGETHER
    for record in records:
        if outcome_of(record) == "passed":
            break  # in the order of the list none after it failed
        for path in _sides(record):
            size = _size(directory / path)
            if path not in chosen and media_type(path) is not None and size is not None and size <= min(LARGEST, left):
                chosen[path] = f"{path}.js"
                left -= size
    return chosen


def _sides(record: ComparisonRecord) -> Iterator[str]:
    """Yield the paths of both sides, those of each frame after those of the whole."""
    for shown in (record, *(frame_as_comparison(record, frame) for frame in record.frames)):
        yield from (picture_path(shown, side) for side in SIDES if side in shown.artefacts)


def write_companions(directory: Path, companions: Mapping[str, str]) -> None:
    """Write the scripts, each beside its picture.

    Raises:
        ReportError: one cannot be written.
    """
    for path, script in companions.items():
        address = data_address(directory, path)
        if address is not None:
            # Base64 holds nothing that a script would have to escape: the long part is put in as it is.
            before, after = receiving("pixels", {"href": address_of(path), "data": PLACE}).split(PLACE.encode())
            replace_derived(directory / script, [before, *address, after])


def data_address(directory: Path, path: str) -> tuple[bytes, bytes] | None:
    """Return the picture as a ``data:`` address; None where it cannot be read or is none that browsers show.

    Returns:
        What it begins with, and the picture in base64: they are megabytes, which are copied no more than they must.
    """
    kind = media_type(path)
    if kind is None:
        return None
    try:
        content = read_regular(directory / path)
    except (OSError, ValueError):
        return None
    return f"data:{kind};base64,".encode("ascii"), b64encode(content)


def media_type(path: str) -> str | None:
    """Return the media type that the file's name says; None where browsers show no such picture."""
    return MEDIA_TYPES.get(PurePosixPath(path).suffix.lower())


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except (OSError, ValueError):  # missing, or a name that no file can have
        return None
