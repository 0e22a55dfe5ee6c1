"""Images and thumbnails of a comparison, created only if a report or a failure needs them."""

from __future__ import annotations

import hashlib
import logging
import os
import struct
import threading
import zlib
from functools import partial
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import simplejpeg

from pytest_imgdiff._core import CORE
from pytest_imgdiff.base.derived import full_value, halved, rgb_on_white, strips, without_alpha
from pytest_imgdiff.base.files import TEMPORARY
from pytest_imgdiff.base.geometry import Box
from pytest_imgdiff.base.image import Image
from pytest_imgdiff.base.record import digest_of
from pytest_imgdiff.base.text import safe_name
from pytest_imgdiff.images import encode_png
from pytest_imgdiff.images.sniff import KINDS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from pytest_imgdiff.base.geometry import Mask
    from pytest_imgdiff.base.image import Pixels
    from pytest_imgdiff.base.model import Comparison, Heat, Region

    Drawing = NDArray[np.uint8]


WIDTH, HEIGHT = 320, 200
"""Largest size of a thumbnail, in pixels."""
MOST_SHOWN = 1280
"""Most columns to show of a larger image, unless its largest region is wider."""
MOST_OUTLINES = 50
OUTLINE = (255, 0, 102)
QUALITY = 70


def thumbnail(image: Image, regions: tuple[Region, ...]) -> bytes:
    """Return a JPEG of the image around its largest region, with the regions outlined.

    A WebP would be a quarter smaller but take ten times as long.

    Args:
        image: the image to show.
        regions: the largest first; without regions, the top left of the image is shown.
    """
    window = _window(image.size, regions[0].box if regions else Box(0, 0, *image.size))
    shown = _shown(image, window)
    scale = min(1.0, WIDTH / window.width, HEIGHT / window.height)
    if scale < 1:
        shown = _reduced(shown, max(1, round(window.width * scale)), max(1, round(window.height * scale)))
    small = _rgb8(shown)
    for region in regions[:MOST_OUTLINES]:
        _outline(small, region.box, window, scale)
    encoded: bytes = simplejpeg.encode_jpeg(small, QUALITY, colorspace="RGB", colorsubsampling="422")
    return encoded


def _reduced(pixels: NDArray[Any], width: int, height: int) -> NDArray[Any]:
    """Return the image at that size; each pixel is the mean of the pixels it replaces."""
    times = min(pixels.shape[0] // height, pixels.shape[1] // width).bit_length() - 1
    pixels = halved(pixels, times)
    if pixels.shape[:2] != (height, width):
        pixels = np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA))
    return pixels


def _window(size: tuple[int, int], box: Box) -> Box:
    """Return the part of the image to show: as wide as allowed, with the box in its middle."""
    width = min(size[0], max(MOST_SHOWN, box.width * 5 // 4))
    height = min(size[1], max(width * HEIGHT // WIDTH, min(box.height * 5 // 4, width * 2)))
    x = min(max(0, box.x + box.width // 2 - width // 2), size[0] - width)
    y = min(max(0, box.y + min(box.height, height) // 2 - height // 2), size[1] - height)
    return Box(x, y, width, height)


def _shown(image: Image, window: Box) -> NDArray[Any]:
    """Return that part of the image, over white. The alpha of an opaque one is removed after scaling."""
    pixels = image.rows(window.y, window.y + window.height)[:, window.x : window.x + window.width]
    return pixels if image.opaque else rgb_on_white(Image(pixels, image.info))


def _rgb8(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """Return a writable (height, width, 3) ``uint8`` array."""
    if pixels.dtype != np.uint8:
        pixels = np.rint(pixels * (255 / full_value(pixels.dtype))).clip(0, 255).astype(np.uint8)
    return without_alpha(pixels) if pixels.shape[2] == 4 else np.array(pixels, np.uint8, order="C")  # noqa: PLR2004 - RGBA


def _outline(small: NDArray[np.uint8], box: Box, window: Box, scale: float) -> None:
    """Draw a frame around the region, within the image."""
    left, top = int((box.x - window.x) * scale) - 2, int((box.y - window.y) * scale) - 2
    right = int((box.x + box.width - window.x) * scale) + 2
    bottom = int((box.y + box.height - window.y) * scale) + 2
    height, width = small.shape[:2]
    if right < 0 or bottom < 0 or left >= width or top >= height:
        return
    cv2.rectangle(small, (max(left, 0), max(top, 0)), (min(right, width - 1), min(bottom, height - 1)), OUTLINE, 1)


FOLDER = "pictures"
PARTING = "~"
"""Separator between the name of a comparison and of its image; safe names do not contain it."""
DIGITS = 32
"""Digits of a SHA-256 in an image's name: 128 bits do not collide."""

_log = logging.getLogger(__name__)
_SHOWN_BY_BROWSERS: dict[str, str] = {name: kind.extension[1:] for name, kind in KINDS.items() if kind.media_type}


def write_artefacts(comparison: Comparison, report: Path, *, of_frame: bool = False) -> dict[str, str]:
    """Write all images of this comparison below ``report / "pictures"``.

    The two images are named by their content, so that equal images are stored once.

    Args:
        comparison: of one frame or page.
        report: the report's folder.
        of_frame: whether it is one of several frames of a pair. Then all its images are named by content: a pair with
            alternatives is judged several times, and their frames must not overwrite one another.

    Returns:
        The key of each image and its path relative to ``report``, with forward slashes; the keys are those of
        `pytest_imgdiff.base.record.ComparisonRecord.artefacts`.

    Raises:
        OSError: an image could not be written.
    """
    paths = {}
    for side, image in (("expected", comparison.expected), ("actual", comparison.actual)):
        if image is not None:
            paths[side] = keep(report, *_unchanged(image))
    # All in one folder: creating a folder for each comparison takes longer than writing the files.
    stem = f"{FOLDER}/{safe_name(comparison.name)}"
    for name, (extension, encode) in _drawn(comparison).items():
        data = encode()
        if data is not None and of_frame:
            paths[name] = keep(report, extension, data, hashlib.sha256(data).hexdigest())
        elif data is not None:
            paths[name] = f"{stem}{PARTING}{name}.{extension}"
            _written(report / paths[name], data)
    return paths


def keep(report: Path, extension: str, data: bytes, digest: str) -> str:
    """Store the bytes below the report's folder, named by their digest, unless they exist already.

    Args:
        report: the report's folder.
        extension: file extension, without a dot.
        data: the bytes.
        digest: their SHA-256.

    Returns:
        The path relative to ``report``, with forward slashes.

    Raises:
        OSError: they could not be written.
    """
    path = f"{FOLDER}/{digest[:DIGITS]}.{extension}"
    target = report / path
    if not target.is_file():
        # Through a temporary name, because another process may store the same image.
        partial = target.with_name(f"{TEMPORARY}{os.getpid()}-{threading.get_ident()}")
        _written(partial, data)
        partial.replace(target)
    return path


def _written(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except FileNotFoundError:  # the first file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def _drawn(comparison: Comparison) -> dict[str, tuple[str, Callable[[], bytes | None]]]:
    """Return functions that draw the difference images."""
    pictures: dict[str, tuple[str, Callable[[], bytes | None]]] = {}
    if comparison.equal is not None:
        return pictures
    shown = comparison.actual or comparison.expected
    if comparison.compared is not None:
        shown = comparison.compared[1]
    if shown is not None and (comparison.regions or _fits(shown, comparison.policy.memory)):
        # Deleted parts only have a position in the expected image.
        regions = tuple(region for region in comparison.regions if region.kind != "deleted")
        pictures["thumb"] = "jpg", partial(thumbnail, shown, regions)
    if comparison.mask is not None:
        pictures["mask"] = "png", partial(one_bit_png, comparison.mask)
    for metric, result in comparison.results.items():
        if result.heat is not None and result.heat.dtype != np.uint8:
            pictures[f"{metric}_heat"] = "png", partial(_heat_png, result.heat)
        for name, draw in result.drawings.items():
            pictures[safe_name(name)] = "png", partial(_drawing_png, name, draw)
    return pictures


def _fits(image: Image, memory: int) -> bool:
    """Return whether the image is within the limits for decoding."""
    width, height = image.size
    return 2 * 4 * image.dtype.itemsize * width * height <= memory


def _unchanged(image: Image) -> tuple[str, bytes, str]:
    """Return the image's own bytes if browsers show the format, else a PNG.

    Returns:
        The extension, the bytes and their SHA-256.
    """
    encoded = image.encoded
    if encoded is not None and image.info.format in _SHOWN_BY_BROWSERS and image.info.frames == 1:
        return _SHOWN_BY_BROWSERS[image.info.format], encoded, image.derived(digest_of)
    data = encode_png(_displayable(image.pixels))
    return "png", data, hashlib.sha256(data).hexdigest()


def _displayable(pixels: Pixels) -> Pixels:
    if pixels.dtype.kind != "f":
        return pixels
    shown = np.empty(pixels.shape, np.uint16)
    for rows in strips(pixels):
        shown[rows] = np.rint(pixels[rows] * full_value(np.dtype(np.uint16)))
    return shown


def coloured(heat: Heat) -> Drawing:
    """Return heat as colours: black for no difference, through purple and orange, to pale yellow at the largest."""
    peak = float(heat.max()) or 1.0
    levels = np.rint(heat * (255 / peak)).astype(np.uint8)
    colours = cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO)
    return np.asarray(cv2.cvtColor(colours, cv2.COLOR_BGR2RGB), np.uint8)


def one_bit_png(mask: Mask) -> bytes:
    """Return the mask as a 1-bit PNG (PNG, third edition, 2025), white where it is true."""
    height, width = mask.shape
    if CORE is not None:
        png = CORE.mask_png(np.ascontiguousarray(mask), width, height)
        if png is not None:
            return bytes(png)
    rows = np.packbits(mask, axis=1)
    filtered = np.zeros((height, rows.shape[1] + 1), np.uint8)
    filtered[:, 1:] = rows
    data = zlib.compress(filtered.tobytes(), 1)
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _heat_png(heat: Heat) -> bytes:
    return _png(coloured(heat))


def _drawing_png(name: str, draw: Callable[[], Drawing]) -> bytes | None:
    """Draw an image of a metric. An error in a metric's drawing code does not affect the verdict."""
    try:
        return _png(draw())
    except Exception as error:  # noqa: BLE001 - it is logged, and costs a picture only
        _log.warning("the image %s could not be drawn: %s: %s", name, type(error).__name__, error)
        return None


def _png(drawing: Drawing) -> bytes:
    return bytes(cv2.imencode(".png", cv2.cvtColor(drawing, cv2.COLOR_RGB2BGR))[1])
