"""Two sources decoded together, for what can be done for both at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_imgdiff.errors import BrokenImageError
from pytest_imgdiff.freed_memory import keep_freed_memory
from pytest_imgdiff.images.decoding import Images, check_stored, open_source
from pytest_imgdiff.images.png_bands import BandedRows
from pytest_imgdiff.images.png_core import CoreRows
from pytest_imgdiff.images.unreadable import UnreadableError
from pytest_imgdiff.limits import DEFAULT_MAX_PIXELS
from pytest_imgdiff.views import side_by_side

if TYPE_CHECKING:
    from pytest_imgdiff.images.source import Source
    from pytest_imgdiff.model import FrameChoice

    Decoded = Images | BrokenImageError
    """The images of a source, or what is wrong with it."""

_WORTH_A_THREAD = 64 * 1024
"""Bytes of the smaller file from which on reading its picture takes longer than starting a thread for it."""


def decode_pair(
    expected: Source | None,
    actual: Source | None,
    *,
    frames: FrameChoice = "refuse",
    max_pixels: int = DEFAULT_MAX_PIXELS,
    memory: int | None = None,
    dpi: int | None = None,
    at_once: bool = True,
) -> tuple[Decoded, Decoded]:
    """Decode each of two sources as `pytest_imgdiff.images.decode` does; of one that is None there are no images.

    Several frames are `Frames`: decoded, and found to be damaged, as they are iterated over.

    Args:
        expected: what `pytest_imgdiff.images.read` returned, or None.
        actual: likewise.
        frames: as in `pytest_imgdiff.images.decode`.
        max_pixels: likewise.
        memory: bytes that the pair may take; a picture that takes more is refused before it is decoded.
        dpi: of the pages of a PDF; None for that of `pytest_imgdiff.images.pdf`.
        at_once: do so on a thread each. The decoders leave Python alone while they work, so that two cores can.
    """
    keep_freed_memory()

    def opened(source: Source | None) -> Decoded:
        try:
            return () if source is None else open_source(source, frames, max_pixels, memory, dpi)
        except BrokenImageError as error:
            return error

    encoded = [len(source.data) for source in (expected, actual) if source is not None and source.data is not None]
    if at_once and min(encoded, default=0) >= _WORTH_A_THREAD:
        pair = side_by_side(lambda: opened(expected), lambda: opened(actual))
    else:
        pair = opened(expected), opened(actual)
    if _are_sound_together(*pair, memory):
        return pair
    return _sound(expected, pair[0]), _sound(actual, pair[1])


def _are_sound_together(expected: Decoded, actual: Decoded, memory: int | None) -> bool:
    """Read two pictures side by side where that saves work; False: each has to be read by itself."""
    if not isinstance(expected, tuple) or not isinstance(actual, tuple):
        return False
    stored = [image.stored for image in (*expected, *actual)]
    if len(stored) != 2 or not isinstance(stored[0], (BandedRows, CoreRows)):  # noqa: PLR2004 - one of each
        return False
    # Besides them stand in memory, for a while, the same rows in one piece and the pixels that are made of them.
    stored[0].most_kept = None if memory is None else memory // 4
    try:
        return stored[0].unlike(stored[1]) is not None
    except (UnreadableError, MemoryError):
        return False


def _sound(source: Source | None, images: Decoded) -> Decoded:
    if source is None or isinstance(images, BrokenImageError):
        return images
    try:
        return check_stored(source, images)
    except BrokenImageError as error:
        return error
