"""Code for all browser drivers: the scripts in the page, masked elements, the size of a whole page."""

from __future__ import annotations

import math
import struct
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from pytest_imgdiff.base.captured import CaptureInfo, Element
from pytest_imgdiff.base.errors import CaptureError
from pytest_imgdiff.base.model import Length, RectangleArea, Shot

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_imgdiff.base.geometry import Box
    from pytest_imgdiff.base.model import CaptureSettings, Clip, IgnoreArea

TALLEST = 16_384
"""Pixels: the largest texture of many graphics drivers. Beyond it Chromium may repeat the top of a page."""
_PNG_SIZE = slice(16, 24)
_OVERHANG = 1.0
"""CSS pixels around a masked element that are not compared either: the ink of its text may overhang its box."""

Rectangle = tuple[float, float, float, float]
"""x, y, width and height in CSS pixels of the document."""


@lru_cache(maxsize=8)
def script(action: str) -> str:
    """Return the JavaScript function that contains an action; it takes a list of the action's name and its argument.

    Args:
        action: ``prepare``, ``boxes``, ``info`` or ``restore``, those of page.js; ``elements``, that of elements.js.
    """
    name = "elements.js" if action == "elements" else "page.js"
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def preparation(settings: CaptureSettings, *, is_page: bool, by_script: bool) -> dict[str, Any]:
    """Return the argument of the script's action ``prepare``.

    Args:
        settings: of the capture.
        is_page: whether the target is a page; an element may need to be scrolled into view.
        by_script: whether the script stops animations, hides the caret and adds the style, because the driver
            cannot.
    """
    return {
        "fullPage": is_page and settings.full_page,
        "ofElement": not is_page,
        "timeout": settings.timeout * 1000,
        "freeze": by_script and settings.animations == "disabled",
        "hideCaret": by_script and settings.caret == "hide",
        "style": (settings.style or "") if by_script else "",
    }


def png_size(data: bytes) -> tuple[int, int]:
    """Return width and height of a PNG, from its header."""
    width, height = struct.unpack(">II", data[_PNG_SIZE])
    return width, height


def masked(rectangles: Iterable[Rectangle], shot: Shot) -> tuple[IgnoreArea, ...]:
    """Return the ignore areas of masked elements: whole pixels, those outside of the image left out.

    Each area has `_OVERHANG` around it.

    Args:
        rectangles: the elements' boxes.
        shot: the capture, whose image is PNG bytes.
    """
    width, height = png_size(shot.picture)
    areas = []
    for rectangle in rectangles:
        x, y, across, down = rectangle
        around = (x - _OVERHANG, y - _OVERHANG, across + 2 * _OVERHANG, down + 2 * _OVERHANG)
        left, top, right, bottom = _in_pixels(around, shot)
        left, top, right, bottom = max(left, 0), max(top, 0), min(right, width), min(bottom, height)
        if left < right and top < bottom:
            areas.append(RectangleArea(Length(left), Length(top), Length(right - left), Length(bottom - top)))
    return tuple(areas)


def _in_pixels(rectangle: Rectangle, shot: Shot) -> tuple[int, int, int, int]:
    """Return the corners of a rectangle of the document in pixels of the capture, rounded outward."""
    x, y = (rectangle[0] - shot.origin[0]) * shot.scale, (rectangle[1] - shot.origin[1]) * shot.scale
    right, bottom = x + rectangle[2] * shot.scale, y + rectangle[3] * shot.scale
    return math.floor(x), math.floor(y), math.ceil(right), math.ceil(bottom)


def in_document(boxes: Sequence[Box], shot: Shot) -> list[list[float]]:
    """Return boxes in pixels of the capture as x, y, width and height in CSS pixels of the document."""
    scale = shot.scale
    return [
        [shot.origin[0] + box.x / scale, shot.origin[1] + box.y / scale, box.width / scale, box.height / scale]
        for box in boxes
    ]


def elements_from(answers: Sequence[dict[str, Any] | None]) -> list[Element | None]:
    """Return the result of the script's action ``elements`` for each box."""
    return [None if answer is None else Element(**answer) for answer in answers]


def info_from(
    found: dict[str, Any], target: str, browser: str, version: str, unmatched_masks: Sequence[str]
) -> CaptureInfo:
    """Return the metadata of a page.

    Args:
        found: the result of the script's action ``prepare``.
        target: the name of the target.
        browser: its name.
        version: of the browser.
        unmatched_masks: selectors of masks that matched no element.
    """
    width, height = found["viewport"]
    return CaptureInfo(
        target=target,
        url=found["url"],
        title=found["title"],
        viewport=(width, height),
        device_scale=found["deviceScale"],
        browser=browser,
        browser_version=version,
        color_scheme=found["colorScheme"],
        unmatched_masks=list(unmatched_masks),
    )


def check_whole(data: bytes, found: dict[str, Any], scale: float) -> None:
    """Check that a capture of a whole page has all of it.

    Args:
        data: the PNG.
        found: the result of the script's action ``prepare``.
        scale: pixels for each CSS pixel.

    Raises:
        CaptureError: the browser cut the page off, or repeated its top.
    """
    _, height = png_size(data)
    wanted = round(found["size"][1] * scale)
    if height < min(wanted, TALLEST) or (wanted > TALLEST and (height < wanted - 1 or _repeats(data))):
        raise CaptureError(
            f"the page is {wanted:,} px tall, and the browser captured less: it may have a limit of {TALLEST:,} px; "
            "capture elements of the page, or parts of it with capture={'full_page': True, 'clip': {...}}"
        )


def is_cut(data: bytes, clip: Clip, scale: float) -> bool:
    """Return whether a capture is smaller than its clip, because the clip extends beyond the page.

    Args:
        data: the PNG.
        clip: what was to be captured.
        scale: pixels for each CSS pixel.
    """
    width, height = png_size(data)
    return width < math.floor(clip.width * scale) or height < math.floor(clip.height * scale)


def _repeats(data: bytes) -> bool:
    """Return whether the rows below the limit repeat those of the top."""
    from pytest_imgdiff import images

    pixels = images.decode(images.read(data))[0].pixels
    rest = pixels[TALLEST:]
    top = pixels[: len(rest)]
    return bool((rest == top[: len(rest)]).all()) and bool((top != top[0]).any())
