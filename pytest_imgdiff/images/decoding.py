"""Decoding of a source, or the two sources of a pair, to images in the normal form, and its memory use."""

from __future__ import annotations

import functools
import hashlib
import importlib
import io
import os
import struct
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING, Any, cast

import cv2
import numpy as np

from pytest_imgdiff.base.errors import BrokenImageError, ImgdiffError, UnreadableError
from pytest_imgdiff.base.image import Image, ImageInfo
from pytest_imgdiff.base.memory import DEFAULT_MAX_PIXELS
from pytest_imgdiff.base.text import printable
from pytest_imgdiff.images.container import full_scale, normal, oriented
from pytest_imgdiff.images.png_core import CoreRows
from pytest_imgdiff.images.png_structure import SIGNATURE
from pytest_imgdiff.images.sniff import EXTENSIONS, KINDS, Format, sniff
from pytest_imgdiff.images.source import (
    at_frame,
    frames_of_picture,
    raster_of_channels,
    raster_of_picture,
    timing_of_picture,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import PIL.Image
    from numpy.typing import NDArray

    from pytest_imgdiff.base.image import Pixels
    from pytest_imgdiff.base.model import FrameChoice
    from pytest_imgdiff.images.container import Container, Page
    from pytest_imgdiff.images.counting import Asked
    from pytest_imgdiff.images.source import Source

_FIRST_TURNED = 5
"""EXIF orientations from this one on swap width and height."""
_NOT_A_PATH = "; bytes are always encoded data: give a path as str or Path"


class Frames:
    """Several frames of one source, decoded one after another on each iteration; none is kept.

    Args:
        count: Number of frames.
        decoded: Starts decoding. The iterator yields one frame at a time and raises `BrokenImageError` at a damaged
            frame.
    """

    def __init__(self, count: int, decoded: Callable[[], Iterator[Image]]) -> None:
        self._count = count
        self._decoded = decoded

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Image]:
        return self._decoded()


Images = tuple[Image, ...] | Frames
"""The images of one source: at most one decoded image, or several frames that are decoded one at a time."""

if TYPE_CHECKING:
    Decoded = Images | BrokenImageError
    """The images of a source, or its error."""


def decode(
    source: Source, *, frames: FrameChoice = "refuse", max_pixels: int = DEFAULT_MAX_PIXELS
) -> tuple[Image, ...]:
    """Decode a source into the normal form of `Image`.

    Args:
        source: The result of `read`.
        frames: The index of one frame of an animated or multi-page file, or ``all``; ``refuse`` accepts only files with
            one frame. A source with one frame also accepts ``0`` and ``all``.
        max_pixels: The largest width x height that is decoded. All frames that must be decoded count together; in an
            animation this includes those before the chosen one. Checked before decoding.

    Returns:
        One image, or one per frame.

    Raises:
        BrokenImageError: It is not one complete, readable image, has more frames or pixels than allowed, or
            does not have the frame.
    """
    images = _decoded(source, frames, max_pixels, _from_file)
    return tuple(images) if isinstance(images, Frames) else _require_rows(source, images)


def _require_rows(source: Source, images: tuple[Image, ...]) -> tuple[Image, ...]:
    """Return images of this source, unless the rows of one are missing or damaged.

    Raises:
        BrokenImageError: Rows are missing or damaged.
    """
    try:
        return _checked(images)
    except Exception as error:  # noqa: BLE001 - as in `_decoded`
        raise _refusal(source, "PNG", error) from _informative_cause(error)


def _checked(images: tuple[Image, ...]) -> tuple[Image, ...]:
    for image in images:
        if isinstance(image.stored, CoreRows):
            image.stored.check()
    return images


def check(
    source: Source,
    *,
    frames: FrameChoice = "refuse",
    max_pixels: int = DEFAULT_MAX_PIXELS,
    memory: int | None = None,
    dpi: int | None = None,
) -> Images:
    """Return the images of `decode`, or raise its errors, but decode pixels only when they are read.

    All chunks of a PNG are read, and its rows are inflated; formats that only their decoder can check are decoded.
    Several frames are checked as they are iterated over.
    """
    return _decoded(source, frames, max_pixels, functools.partial(_checked_file, memory=memory, dpi=dpi))


def _decoded(
    source: Source,
    frames: FrameChoice,
    max_pixels: int,
    from_file: Callable[[Source, Format, bytes, FrameChoice, int], Images],
) -> Images:
    if source.image is not None:
        return (source.image,)
    kind: str = source.kind
    try:
        if source.picture is not None:
            return _from_picture(source, source.picture, frames, max_pixels)
        if source.data is None:
            _chosen(frames, 1)
            return (_from_array(source, max_pixels),)
        kind = found = sniff(source.data)
        return from_file(source, found, source.data, frames, max_pixels)
    except Exception as error:  # noqa: BLE001 - any exception of a decoder is a broken image, never a traceback
        raise _refusal(source, kind, error) from _informative_cause(error)


def _refusal(source: Source, kind: str, error: Exception) -> BrokenImageError:
    """Return the error of a source, in the words of the exception that its decoder raised."""
    if isinstance(error, UnreadableError):
        is_text = (source.kind, error.kind) == ("bytes", "text") and "base64" not in error.cause
        hint = _NOT_A_PATH if is_text else ""
        return BrokenImageError(source.label, error.kind or kind, printable(error.cause + hint))
    if isinstance(error, MemoryError):
        return BrokenImageError(source.label, kind, "there is not enough memory to decode it")
    if isinstance(error, (OverflowError, struct.error)):
        return BrokenImageError(source.label, kind, "damaged: it contains an impossible size or offset")
    return BrokenImageError(source.label, kind, printable(f"it cannot be decoded ({type(error).__name__}: {error})"))


def _informative_cause(error: Exception) -> BaseException | None:
    """Return the exception that contains more information than the error."""
    if isinstance(error, UnreadableError):
        return error.__cause__
    return None if isinstance(error, MemoryError) else error


def _from_array(source: Source, max_pixels: int) -> Image:
    values = cast("NDArray[Any]", source.pixels)
    height, width = values.shape[:2]
    _check_size(width, height, max_pixels)
    return Image(normal(raster_of_channels(values)), ImageInfo(source.label, source.kind, width, height, source.mode))


def _from_picture(source: Source, picture: PIL.Image.Image, frames: FrameChoice, max_pixels: int) -> Images:
    count, notes = frames_of_picture(picture, frames)
    indices = _chosen(frames, count)

    def decoded() -> Iterator[Image]:
        total = 0
        for index in indices:
            with nullcontext() if count == 1 else at_frame(picture, index):
                _check_size(*picture.size, max_pixels)
                total += picture.width * picture.height
                _check_sum(total, len(indices), max_pixels)
                raster, mode = raster_of_picture(picture)
                duration, loops = timing_of_picture(picture) if count > 1 else (None, None)
            height, width = raster.shape[:2]
            info = ImageInfo(
                source.label,
                source.kind,
                width,
                height,
                mode,
                frames=count,
                frame=index,
                notes=notes,
                duration=duration,
                loops=loops,
                alone=len(indices) == 1,
            )
            yield Image(normal(raster), info)

    return _one_or_several(source, source.kind, len(indices), decoded)


def _from_file(
    source: Source,
    found: Format,
    data: bytes,
    frames: FrameChoice,
    max_pixels: int,
    memory: int | None = None,
    dpi: int | None = None,
) -> Images:
    container = _container(found, data, frames, dpi)
    indices = _chosen(frames, len(container.pages), "pages" if found == "PDF" else "frames")
    _check_total(container, indices, max_pixels)
    rows = container.rows()
    if rows is not None:
        page = container.pages[0]
        info = _info(source, found, container, 0, (page.width, page.height))
        return (Image(None, info, data, opaque=page.opaque, stored=rows),)
    _check_memory(container, indices, memory)

    def decoded() -> Iterator[Image]:
        for index, raster in zip(indices, container.decode(indices), strict=True):
            page = container.pages[index]
            pixels = normal(oriented(raster, page.orientation), opaque=page.opaque)
            size = pixels.shape[1], pixels.shape[0]
            yield Image(pixels, _info(source, found, container, index, size), data, opaque=page.opaque)

    return _one_or_several(source, found, len(indices), decoded)


def _one_or_several(source: Source, kind: str, count: int, decoded: Callable[[], Iterator[Image]]) -> Images:
    """Return one image decoded, and several as `Frames`, so that a document is never in memory as a whole."""
    if count == 1:
        return tuple(decoded())

    def one_at_a_time() -> Iterator[Image]:
        try:
            yield from decoded()
        except Exception as error:  # noqa: BLE001 - as above
            raise _refusal(source, kind, error) from _informative_cause(error)

    return Frames(count, one_at_a_time)


def _container(found: Format, data: bytes, frames: FrameChoice, dpi: int | None) -> Container:
    if found == "PDF":
        from pytest_imgdiff.images.pdf import open_pdf

        return open_pdf(data, dpi)
    container = _opener(found)(data)
    if frames != "refuse" and container.whole is not None:
        return container.whole()
    return container


def _checked_file(
    source: Source,
    found: Format,
    data: bytes,
    frames: FrameChoice,
    max_pixels: int,
    memory: int | None = None,
    dpi: int | None = None,
) -> Images:
    container = _container(found, data, frames, dpi)
    if container.check is None:
        images = _from_file(source, found, data, frames, max_pixels, memory, dpi)
        return images if isinstance(images, Frames) else _checked(images)
    indices = _chosen(frames, len(container.pages))
    _check_total(container, indices, max_pixels)
    container.check()
    page = container.pages[0]
    size = (page.height, page.width) if page.orientation >= _FIRST_TURNED else (page.width, page.height)

    def pixels() -> Pixels:
        (image,) = _from_file(source, found, data, frames, max_pixels)
        return image.pixels

    return (Image(pixels, _info(source, found, container, 0, size), data, opaque=page.opaque),)


@functools.cache
def _opener(found: Format) -> Callable[[bytes], Container]:
    module, _, function = str(KINDS[found].opener).partition(":")
    opener: Callable[[bytes], Container] = getattr(importlib.import_module(f"{__package__}.{module}"), function)
    return opener


def _info(source: Source, found: Format, container: Container, index: int, size: tuple[int, int]) -> ImageInfo:
    page = container.pages[index]
    return ImageInfo(
        label=source.label,
        format="figure" if source.kind == "figure" else found,
        width=size[0],
        height=size[1],
        mode=page.mode,
        frames=len(container.pages),
        frame=index,
        orientation=page.orientation,
        icc=hashlib.sha256(page.icc).hexdigest() if page.icc else None,
        gamma=container.gamma,
        cicp=container.cicp,
        duration=page.duration,
        loops=container.loops,
        byte_size=None if source.data is None else len(source.data),
        notes=container.notes + _extension_notes(source, found),
    )


def _check_total(container: Container, indices: Sequence[int], max_pixels: int) -> None:
    """Reject more pixels than allowed, in one page or in all that must be decoded."""
    decoded = range(indices[-1] + 1) if container.cumulative else indices
    total = 0
    for index in decoded:
        page = container.pages[index]
        _check_size(page.width, page.height, max_pixels)
        total += page.width * page.height
    _check_sum(total, len(decoded), max_pixels)


def _check_memory(container: Container, indices: Sequence[int], memory: int | None) -> None:
    """Reject a frame that takes more memory than a pair may, before it is decoded."""
    if memory is None:
        return
    copies = KINDS[container.format].copies
    largest = max(bytes_of(container.pages[index]) for index in indices)
    needed = 2 * copies * largest
    if needed > memory:
        raise UnreadableError(
            f"decoding it and one more of its size takes about {in_mebibytes(needed)}, more than `memory` allows "
            f"({in_mebibytes(memory)}); it was not decoded; increase `memory` if this size is intended"
        )


def bytes_of(page: Page) -> int:
    """Return how many bytes the pixels of a page take in the normal form."""
    bits = next((int(word.removesuffix("-bit")) for word in page.mode.split() if word.endswith("-bit")), 8)
    width = 1 if bits <= 8 else 2 if bits <= 16 else bits // 8  # noqa: PLR2004 - bits of a byte, and of two
    if page.mode.endswith("float"):
        width = max(4, width)
    return 4 * width * page.width * page.height


def in_mebibytes(size: int) -> str:
    """Return a number of bytes as it is written in messages."""
    return f"{-(-size // (1 << 20)):,} MiB".replace(",", " ")


def _check_sum(total: int, frames: int, max_pixels: int) -> None:
    if total > max_pixels:
        raise UnreadableError(
            f"its {frames} frames up to the last one wanted have {total:,} pixels in total, more than "
            f"{max_pixels:,}; choose an earlier frame or increase `limits.megapixels`"
        )


def _chosen(frames: FrameChoice, count: int, parts: str = "frames") -> Sequence[int]:
    if frames == "all":
        return range(count)
    if frames == "refuse":
        if count > 1:
            raise UnreadableError(
                f"it has {count} {parts}; choose one (`frames: 0`) or compare all of them (`frames: all`)"
            )
        return (0,)
    if not 0 <= frames < count:
        raise UnreadableError(f"it has no {parts[:-1]} {frames}; its {parts} are 0 to {count - 1}")
    return (frames,)


def _check_size(width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise UnreadableError(
            f"{width} x {height} pixels are {width * height:,}, more than {max_pixels:,}; it was not decoded; "
            "increase `limits.megapixels` if this size is intended"
        )


def _extension_notes(source: Source, found: Format) -> tuple[str, ...]:
    if source.path is None:
        return ()
    extension = os.path.splitext(os.fsdecode(source.path))[1].lower()  # noqa: PTH122 - the path may be bytes
    named = EXTENSIONS.get(extension)
    return (f"named {extension}, but holds {found}",) if named not in (None, found) else ()


_CHANNELS = 4
_HEADER = struct.Struct(">8s8xIIB")
_DEEP = 16
_FORMATS = ("JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000")


def decoded_size(source: Source | None) -> int:
    """Return about how many bytes the image's pixels take in the normal form.

    The estimate only serves to share memory: it is 0 if there is no file, or its header does not contain the size.
    """
    data = None if source is None else source.data
    if data is None:
        return 0
    try:
        if data.startswith(SIGNATURE):
            _, width, height, depth = _HEADER.unpack_from(data)
            return _size(width, height, 2 if depth == _DEEP else 1)
        if data[:1] == b"P":  # Netpbm: hardly more than its samples
            return len(data) * _CHANNELS
        import PIL.Image  # not needed for PNGs

        with PIL.Image.open(io.BytesIO(data), formats=_FORMATS) as picture:
            deep = picture.mode.startswith(("I", "F"))
            return _size(picture.width, picture.height, 4 if deep else 1)
    except Exception:  # noqa: BLE001 - reading the file in full reports the error
        return 0


def working_size(expected: Source | None, actual: Source | None) -> int:
    """Return about how many bytes reading a pair takes: the pixels, and the same amount while they are created."""
    return 2 * (decoded_size(expected) + decoded_size(actual))


def _size(width: int, height: int, depth: int) -> int:
    return width * height * _CHANNELS * depth


def decode_pair(
    expected: Source | None,
    actual: Source | None,
    *,
    frames: FrameChoice = "refuse",
    max_pixels: int = DEFAULT_MAX_PIXELS,
    memory: int | None = None,
    dpi: int | None = None,
    asked: Asked | None = None,
) -> tuple[Decoded, Decoded]:
    """Decode each of two sources as `pytest_imgdiff.images.decode` does; None has no images.

    Two PNGs that the compiled core supports are read in parallel. Several frames are `Frames`: they are decoded, and
    found to be damaged, as they are iterated over.

    Args:
        expected: The result of `pytest_imgdiff.images.read`, or None.
        actual: The same for the actual image.
        frames: As in `pytest_imgdiff.images.decode`.
        max_pixels: As in `pytest_imgdiff.images.decode`.
        memory: Bytes that the pair may take; a larger image is rejected before it is decoded.
        dpi: Resolution of the pages of a PDF; None for the default of `pytest_imgdiff.images.pdf`.
        asked: What to count in two opaque PNGs while they are read; nothing if None.
    """
    from_file = functools.partial(_from_file, memory=memory, dpi=dpi)

    def opened(source: Source | None) -> Decoded:
        try:
            return () if source is None else _decoded(source, frames, max_pixels, from_file)
        except BrokenImageError as error:
            return error

    def sound(source: Source | None, images: Decoded) -> Decoded:
        if source is None or not isinstance(images, tuple):
            return images
        try:
            return _require_rows(source, images)
        except BrokenImageError as error:
            return error

    pair = opened(expected), opened(actual)
    rows = [side[0].stored if isinstance(side, tuple) and side else None for side in pair]
    if isinstance(rows[0], CoreRows):
        # Pixels are created in addition to the rows that are kept.
        with suppress(MemoryError):
            most_kept = None if memory is None else memory // 4
            if asked is None or not _can_be_counted(pair, asked) or rows[0].count(rows[1], asked, most_kept) is None:
                rows[0].unlike(rows[1], most_kept)
    return sound(expected, pair[0]), sound(actual, pair[1])


def _can_be_counted(pair: tuple[Decoded, Decoded], asked: Asked) -> bool:
    """Whether the core counts as the metrics do: sums of opaque images do not include alpha."""
    return not asked.sums or all(isinstance(side, tuple) and bool(side) and side[0].opaque for side in pair)


# ---- From pixels in the normal form to PNG


def encode_png(pixels: Pixels) -> bytes:
    """Return a PNG that decodes to exactly these pixels, with the fewest channels that can represent them.

    Args:
        pixels: (height, width, 4) straight RGBA of uint8 or uint16 in the normal form. Opaque images are written
            as gray or RGB.

    Raises:
        ImgdiffError: The pixels are floats, which PNG cannot store, or larger than PNG allows.
    """
    if pixels.dtype not in (np.uint8, np.uint16):
        raise ImgdiffError(
            f"PNG cannot hold {pixels.dtype} pixels without loss; convert the image to uint8 or uint16 "
            "(`np.rint(image * 65535).astype(np.uint16)`)"
        )
    try:
        _, encoded = cv2.imencode(".png", _fewest_channels(pixels))
    except cv2.error as error:
        raise ImgdiffError(f"an image of {pixels.shape[1]} x {pixels.shape[0]} pixels cannot be PNG: {error}") from None
    return encoded.tobytes()


def _fewest_channels(pixels: Pixels) -> NDArray[Any]:
    """Return gray, BGR or BGRA, in OpenCV's order of colours."""
    if (pixels[..., 3] != full_scale(pixels.dtype)).any():
        return cv2.cvtColor(pixels, cv2.COLOR_RGBA2BGRA)
    red, green, blue = pixels[..., 0], pixels[..., 1], pixels[..., 2]
    if (red == green).all() and (green == blue).all():
        return np.ascontiguousarray(red)
    return cv2.cvtColor(pixels, cv2.COLOR_RGBA2BGR)
