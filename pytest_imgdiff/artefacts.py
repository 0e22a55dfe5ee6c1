"""The pictures of a comparison: drawn and written only where a report or a failure asks for them."""

from __future__ import annotations

import logging
import struct
import zlib
from functools import partial
from typing import TYPE_CHECKING

import cv2
import numpy as np

from pytest_imgdiff.files import write_atomically
from pytest_imgdiff.images import encode_png
from pytest_imgdiff.names import safe_name
from pytest_imgdiff.views import full_value, rgb_on_white

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from pytest_imgdiff.model import Comparison, Heat, Image, Mask, Pixels, Region

    Drawing = NDArray[np.uint8]

FOLDER = "pictures"
OUTLINE = (255, 0, 102)
DIFFERENCE = (230, 0, 60)
MOST_OUTLINES = 500
"""Beyond so many boxes an outline shows nothing that the mask does not."""

_log = logging.getLogger(__name__)
_SHOWN_BY_BROWSERS = {"PNG": "png", "JPEG": "jpg", "WebP": "webp", "GIF": "gif", "BMP": "bmp", "AVIF": "avif"}


def write_artefacts(comparison: Comparison, report: Path) -> dict[str, str]:
    """Write every picture that this comparison has, below ``report / "pictures"``.

    Returns:
        The name of each picture and its path relative to ``report``, with forward slashes; the names are those of
        `pytest_imgdiff.record.ComparisonRecord.artefacts`.

    Raises:
        OSError: a picture could not be written.
    """
    folder = f"{FOLDER}/{safe_name(comparison.name)}"
    paths = {}
    for name, (extension, encode) in _pictures(comparison).items():
        data = encode()
        if data is not None:
            paths[name] = f"{folder}/{name}.{extension}"
            write_atomically(report / paths[name], data)
    return paths


def _pictures(comparison: Comparison) -> dict[str, tuple[str, Callable[[], bytes | None]]]:
    pictures: dict[str, tuple[str, Callable[[], bytes | None]]] = {}
    for side, image in (("expected", comparison.expected), ("actual", comparison.actual)):
        if image is not None:
            pictures[side] = _as_found(image)
    if comparison.compared is None or comparison.equal is not None:
        return pictures
    expected, actual = comparison.compared
    if comparison.mask is not None:
        mask, regions = comparison.mask, comparison.regions
        pictures["mask"] = "png", lambda: one_bit_png(mask)
        pictures["overlay"] = "png", lambda: _png(overlay(actual, mask))
        pictures["expected_outlined"] = "png", lambda: _png(outlined(expected, regions))
        pictures["actual_outlined"] = "png", lambda: _png(outlined(actual, regions))
    for metric, result in comparison.results.items():
        if result.heat is not None and result.heat.dtype != np.uint8:
            pictures[f"{metric}_heat"] = "png", partial(_heat_png, result.heat)
        for name, draw in result.drawings.items():
            pictures[safe_name(name)] = "png", partial(_drawing_png, name, draw)
    return pictures


def _as_found(image: Image) -> tuple[str, Callable[[], bytes]]:
    """Return the picture's own bytes where a browser shows them, else a PNG of what was read."""
    encoded = image.encoded
    if encoded is not None and image.info.format in _SHOWN_BY_BROWSERS and image.info.frames == 1:
        return _SHOWN_BY_BROWSERS[image.info.format], lambda: encoded
    return "png", lambda: encode_png(_displayable(image.pixels))


def _displayable(pixels: Pixels) -> Pixels:
    if pixels.dtype.kind != "f":
        return pixels
    shown: Pixels = np.rint(pixels * full_value(np.dtype(np.uint16))).astype(np.uint16)
    return shown


def rgb8(image: Image) -> Drawing:
    """Return the image over white as (height, width, 3) ``uint8``, for drawing on."""
    pixels = image.derived(rgb_on_white)
    if pixels.dtype == np.uint8:
        return np.array(pixels)
    drawing: Drawing = np.rint(pixels * (255 / full_value(pixels.dtype))).astype(np.uint8)
    return drawing


def outlined(image: Image, regions: tuple[Region, ...]) -> Drawing:
    """Return the picture with a frame around each region, drawn outside of what differs."""
    drawing = rgb8(image)
    right, bottom = drawing.shape[1] - 2, drawing.shape[0] - 2
    for region in regions[:MOST_OUTLINES]:
        box = region.box
        corner = max(box.x - 3, 1), max(box.y - 3, 1)  # the frame stays in the picture
        opposite = min(box.x + box.width + 2, right), min(box.y + box.height + 2, bottom)
        cv2.rectangle(drawing, corner, opposite, (255, 255, 255), 4)
        cv2.rectangle(drawing, corner, opposite, OUTLINE, 2)
    return drawing


def overlay(actual: Image, mask: Mask) -> Drawing:
    """Return the actual picture in faint gray with the differing pixels in full colour over it."""
    gray = cv2.cvtColor(rgb8(actual), cv2.COLOR_RGB2GRAY)
    faint = cv2.addWeighted(gray, 0.3, gray, 0, 178)
    drawing = np.array(cv2.cvtColor(faint, cv2.COLOR_GRAY2RGB), np.uint8)
    drawing[mask] = DIFFERENCE
    return drawing


def coloured(heat: Heat) -> Drawing:
    """Return heat as colours: black where alike, through purple and orange, to pale yellow at the largest."""
    peak = float(heat.max()) or 1.0
    levels = np.rint(heat * (255 / peak)).astype(np.uint8)
    colours = cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO)
    return np.asarray(cv2.cvtColor(colours, cv2.COLOR_BGR2RGB), np.uint8)


def one_bit_png(mask: Mask) -> bytes:
    """Return the mask as a PNG of one bit a pixel (PNG, third edition, 2025), white where it is true."""
    height, width = mask.shape
    rows = np.packbits(mask, axis=1)
    filtered = np.zeros((height, rows.shape[1] + 1), np.uint8)
    filtered[:, 1:] = rows
    deflate = zlib.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, zlib.Z_RLE)
    data = deflate.compress(filtered.tobytes()) + deflate.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _heat_png(heat: Heat) -> bytes:
    return _png(coloured(heat))


def _drawing_png(name: str, draw: Callable[[], Drawing]) -> bytes | None:
    """Draw what a metric offers; a metric may be anybody's code, and one that cannot draw has judged all the same."""
    try:
        return _png(draw())
    except Exception as error:  # noqa: BLE001 - it is logged, and costs a picture only
        _log.warning("the picture %s could not be drawn: %s: %s", name, type(error).__name__, error)
        return None


def _png(drawing: Drawing) -> bytes:
    return bytes(cv2.imencode(".png", cv2.cvtColor(drawing, cv2.COLOR_RGB2BGR))[1])
