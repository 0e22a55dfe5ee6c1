"""The pictures of a comparison as the page shows them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING
from urllib.parse import quote

from pytest_imgdiff.errors import ReportError
from pytest_imgdiff.report.text import visible

if TYPE_CHECKING:
    from pytest_imgdiff.record import ComparisonRecord

MAIN_PICTURES = {
    "expected": "Expected",
    "actual": "Actual",
    "mask": "Difference mask",
    "actual_outlined": "Regions outlined",
}
"""Shown side by side, in this order."""
OTHER_PICTURES = {
    "expected_outlined": "Regions outlined in the expected image",
    "overlay": "Difference over the dimmed actual image",
}
ENLARGED_BELOW = 160
"""Pictures smaller than so many pixels in both directions are shown enlarged, pixel by pixel."""
MOST_ENLARGED = 16


@dataclass(frozen=True, slots=True)
class FigureView:
    """One picture.

    Attributes:
        key: its name among the record's artefacts.
        href: relative address, percent-encoded.
        width, height: what it takes on the page in CSS pixels, where there is room; None where the record
            does not say.
        enlarged: how many times it is magnified, 1 for not.
    """

    key: str
    caption: str
    alt: str
    href: str
    width: int | None
    height: int | None
    enlarged: int


def figures(record: ComparisonRecord) -> tuple[tuple[FigureView, ...], tuple[FigureView, ...]]:
    """Return the pictures shown side by side, and those shown on request.

    Raises:
        ReportError: a picture's path is absolute or leads out of the report's folder.
    """
    others = [name for name in OTHER_PICTURES if name in record.artefacts]
    others += sorted(set(record.artefacts) - set(MAIN_PICTURES) - set(OTHER_PICTURES))
    shown = tuple(_figure(record, name) for name in MAIN_PICTURES if name in record.artefacts)
    return shown, tuple(_figure(record, name) for name in others)


def _figure(record: ComparisonRecord, name: str) -> FigureView:
    caption = MAIN_PICTURES.get(name) or OTHER_PICTURES.get(name) or visible(name).replace("_", " ").capitalize()
    if name == "mask" and record.mask_metric is not None:
        caption = f"{caption} ({visible(record.mask_metric)})"
    width, height = _size(record, name)
    enlarged = 1
    if width and height and max(width, height) < ENLARGED_BELOW:
        enlarged = min(MOST_ENLARGED, ENLARGED_BELOW // max(width, height))
    return FigureView(
        key=visible(name),
        caption=caption,
        alt=f"{caption} of {visible(record.name)}",
        href=_address(record, name),
        width=width * enlarged if width else None,
        height=height * enlarged if height else None,
        enlarged=enlarged,
    )


def _size(record: ComparisonRecord, name: str) -> tuple[int | None, int | None]:
    """Return the picture's size in its own pixels, as far as the record knows it."""
    side = {"expected": record.expected, "actual": record.actual}.get(name)
    if side is not None:
        return side.width, side.height
    if name in MAIN_PICTURES or name in OTHER_PICTURES or name.endswith("_heat"):
        return record.compared_width, record.compared_height
    return None, None


def _address(record: ComparisonRecord, name: str) -> str:
    path = record.artefacts[name]
    posix, windows = PurePosixPath(path), PureWindowsPath(path)
    if posix.is_absolute() or windows.drive or windows.root or ".." in windows.parts or not posix.name:
        raise ReportError(
            f"{visible(record.name)}: the picture {visible(name)} is at {visible(path)!r}; "
            "a picture's path is relative to the report's folder and stays within it"
        )
    return quote(path, safe="/", errors="surrogateescape")
