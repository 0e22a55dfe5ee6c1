"""The pictures of a comparison as the page shows them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

import msgspec

from pytest_imgdiff.errors import ReportError
from pytest_imgdiff.report.data import Figure
from pytest_imgdiff.report.text import visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_imgdiff.record import ComparisonRecord, FrameRecord, FrameSideRecord, SideRecord
    from pytest_imgdiff.report.data import Address

MAIN_PICTURES = {"expected": "Expected", "actual": "Actual", "mask": "Difference mask"}
"""Shown first, in this order."""
THUMB = "thumb"
"""The small picture that stands in the list."""
DRIVE = re.compile("[A-Za-z]:")
"""How a path begins on Windows that leaves the folder without a slash."""


class Pictures(Protocol):
    """Where a page finds its pictures."""

    def address(self, path: str) -> Address | None:
        """Return the address of the picture at this path below the report's folder; None where there is none."""

    def pixels(self, path: str) -> str | None:
        """Return the address of the script that holds the picture once more; None where there is none."""

    def attachment(self, path: str) -> str | None:
        """Return the address of another tool's file, such as a trace; None where the page cannot link it."""


class LinkedPictures:
    """Pictures that lie beside the page.

    Args:
        companions: path of a picture to the path of the script that holds it once more.
        directory: the report's folder.
        root: the way from there to the folder that the paths of attachments start from; None where it is unknown.
    """

    def __init__(self, companions: Mapping[str, str], directory: Path, root: str | None) -> None:
        self._companions = companions
        self._directory = directory
        self._root = root

    def address(self, path: str) -> str:
        """Return the path as a relative address; it is not looked whether there is a file."""
        return address_of(path)

    def pixels(self, path: str) -> str | None:
        """Return the address of the picture's companion."""
        companion = self._companions.get(path)
        return None if companion is None else address_of(companion)

    def attachment(self, path: str) -> str | None:
        """Return the address of a file that is there: a trace is written after its test, and perhaps not kept."""
        way = Path(self._root or "", path)
        if not (way.is_absolute() or self._root) or not self._directory.joinpath(way).is_file():
            return None
        return way.as_uri() if way.is_absolute() else address_of(way.as_posix())


def figures(record: ComparisonRecord, pictures: Pictures) -> list[Figure]:
    """Return the pictures of a comparison but for the small one: both sides, the mask, then the others by name.

    Raises:
        ReportError: a picture's path is absolute or leads out of the report's folder.
    """
    names = [name for name in MAIN_PICTURES if name in record.artefacts]
    names += sorted(record.artefacts.keys() - MAIN_PICTURES.keys() - {THUMB})
    return list(_figures(record, names, pictures))


def frame_as_comparison(record: ComparisonRecord, frame: FrameRecord) -> ComparisonRecord:
    """Return the comparison as it would be if it had this frame alone: whatever draws the one draws the other."""
    expected, actual = (
        None if side is None else msgspec.structs.replace(side, frame=frame.frame, **_own(side, own))
        for side, own in ((record.expected, frame.expected), (record.actual, frame.actual))
    )
    return msgspec.structs.replace(
        record,
        verdict=frame.verdict,
        passed=frame.passed,
        reason=frame.reason,
        equal=None,
        expected=expected,
        actual=actual,
        compared_width=frame.compared_width,
        compared_height=frame.compared_height,
        mask_metric=frame.mask_metric,
        scores=frame.scores,
        regions=frame.regions,
        region_count=frame.region_count,
        ignored=frame.ignored,
        artefacts=frame.artefacts,
        differing_pixels=frame.differing_pixels,
        alignment=frame.alignment,
        warnings=[],
        notes=[],
        frames=[],
        frame_count=1,
    )


def _own(side: SideRecord, own: FrameSideRecord) -> dict[str, Any]:
    changes = msgspec.structs.asdict(own)
    if side.byte_size is None:  # then the digest is that of the pixels of another frame
        changes["digest"] = ""
    return changes


def thumb(record: ComparisonRecord, pictures: Pictures) -> Address | None:
    """Return the address of the small picture, None where there is none; raises as `figures`."""
    return pictures.address(picture_path(record, THUMB)) if THUMB in record.artefacts else None


def picture_path(record: ComparisonRecord, name: str) -> str:
    """Return the path of a picture, below the report's folder.

    Raises:
        ReportError: it is absolute, leads out of the folder, or is not in its plainest form.
    """
    path = record.artefacts[name]
    parts = path.replace("\\", "/").split("/")
    if "\0" in path or DRIVE.match(path) or not {"", ".", ".."}.isdisjoint(parts):
        raise ReportError(
            f"{visible(record.name)}: the picture {visible(name)} is at {visible(path)!r}; "
            "a picture's path is relative to the report's folder and stays within it"
        )
    return path


def address_of(path: str) -> str:
    """Return a path below the report's folder as an address: percent-encoded, bytes that are not UTF-8 too.

    Raises:
        ReportError: the path holds a surrogate that stands for no byte; there can be no such file.
    """
    try:
        return quote(path, safe="/", errors="surrogateescape")
    except UnicodeEncodeError as error:
        raise ReportError(f"{visible(path)}: no file can have this name") from error


def _figures(record: ComparisonRecord, names: list[str], pictures: Pictures) -> Iterator[Figure]:
    name_shown = visible(record.name)
    for name in names:
        path = picture_path(record, name)
        address = pictures.address(path)
        if address is None:
            continue
        caption = _caption(record, name)
        width, height = _size(record, name)
        yield Figure(
            visible(name), caption, f"{caption} of {name_shown}", address, width, height, pictures.pixels(path)
        )


def _caption(record: ComparisonRecord, name: str) -> str:
    caption = MAIN_PICTURES.get(name) or visible(name).replace("_", " ").capitalize()
    if name == "mask" and record.mask_metric is not None:
        return f"{caption} ({visible(record.mask_metric)})"
    return caption


def _size(record: ComparisonRecord, name: str) -> tuple[int | None, int | None]:
    """Return the picture's size in its own pixels, as far as the record knows it."""
    side = {"expected": record.expected, "actual": record.actual}.get(name)
    if side is not None:
        return side.width, side.height
    if name == "mask" or name.endswith("_heat"):
        return record.compared_width, record.compared_height
    return None, None
