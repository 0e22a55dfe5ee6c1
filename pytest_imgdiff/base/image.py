"""The normal form of an image, with its metadata; pixels are decoded on first use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.float32] | NDArray[np.float64]
    """(height, width, 4) straight RGBA; integers use their whole range, floats 0..1."""

T = TypeVar("T")


class Rows(Protocol):
    """Pixels that the compiled core decodes row by row: `pytest_imgdiff.images.png_core.CoreRows`."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the pixels."""
        ...

    def take(self, top: int, bottom: int) -> Pixels:
        """Return the rows from ``top`` up to ``bottom``, in the normal form."""
        ...


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """Metadata of an image.

    Attributes:
        label: its name in messages: the path as it was passed, or a word such as ``array``.
        format: ``PNG``, ``JPEG``, ... by content; ``array``, ``PIL image`` or ``figure`` for values.
        width, height: in pixels, after the orientation was applied.
        mode: channels and depth as stored, such as ``RGB 8-bit``, ``gray 16-bit``, ``palette 8-bit``.
        frames: the number of frames or pages in the file.
        frame: the index of this one.
        orientation: the EXIF orientation that was applied, 1 to 8 (1: none).
        icc: SHA-256 of the embedded ICC profile, or None. Colours are never converted by it.
        gamma: the PNG ``gAMA`` value (encoding exponent, such as 0.45455), or None. Never applied.
        cicp: the PNG ``cICP`` value, or None: the codes of ITU-T H.273 for primaries, transfer function, matrix and
            range, such as ``9/16/0/1``. Never applied.
        byte_size: of the encoded file; None for values that were not encoded.
        duration: how long this frame of an animation is shown, in milliseconds, as stored; None for pages and stills.
        loops: how often the animation is played, 0 forever; None if the file does not specify it.
        alone: false if it is one of several frames of a source that are compared together.
        notes: remarks for the reader, such as an extension that does not fit the content.
    """

    label: str
    format: str
    width: int
    height: int
    mode: str
    frames: int = 1
    frame: int = 0
    orientation: int = 1
    icc: str | None = None
    gamma: float | None = None
    cicp: str | None = None
    byte_size: int | None = None
    duration: float | None = None
    loops: int | None = None
    alone: bool = True
    notes: tuple[str, ...] = ()

    def called(self, label: str) -> ImageInfo:
        """Return the metadata of a file with equal bytes and another name, without notes."""
        return ImageInfo(
            label,
            self.format,
            self.width,
            self.height,
            self.mode,
            self.frames,
            self.frame,
            self.orientation,
            self.icc,
            self.gamma,
            self.cicp,
            self.byte_size,
            self.duration,
            self.loops,
            self.alone,
        )


class Image:
    """An image in the normal form, straight RGBA. It is immutable.

    Attributes:
        info: the source and its stored format.
        encoded: the bytes it was decoded from; None if it was never encoded.
        opaque: true if all pixels are known to be fully opaque without reading them.
        stored: its rows, if the compiled core decodes them; None otherwise.
    """

    __slots__ = ("_decode", "_derived", "_pixels", "encoded", "info", "opaque", "stored")

    def __init__(
        self,
        pixels: Pixels | Callable[[], Pixels] | None,
        info: ImageInfo,
        encoded: bytes | None = None,
        *,
        opaque: bool = False,
        stored: Rows | None = None,
    ) -> None:
        """Take the pixels, a function that decodes them on first use, or None and ``stored`` rows."""
        self._decode = pixels if callable(pixels) else None
        self._pixels = None if callable(pixels) else pixels
        self._derived: dict[Callable[[Image], Any], Any] = {}
        self.info: ImageInfo = info
        self.encoded: bytes | None = encoded
        self.opaque: bool = opaque
        self.stored: Rows | None = stored

    @property
    def pixels(self) -> Pixels:
        """(height, width, 4), C-contiguous, read-only; straight (not premultiplied) RGBA.

        ``uint8`` and ``uint16`` use their whole range; ``float32`` and ``float64`` are 0..1. Where alpha is 0 the
        colour is also 0: an invisible colour is not a difference.
        """
        if self._pixels is None:
            self._pixels = self.rows(0, self.info.height) if self._decode is None else self._decode()
        return self._pixels

    def rows(self, top: int, bottom: int) -> Pixels:
        """Return ``pixels[top:bottom]``, and decode only these rows if possible."""
        if self._pixels is None and self.stored is not None:
            return self.stored.take(top, bottom)
        return self.pixels[top:bottom]

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the pixels: ``uint8``, ``uint16``, ``float32`` or ``float64``."""
        return self.pixels.dtype if self.stored is None else self.stored.dtype

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        if self._pixels is None:
            return self.info.width, self.info.height
        return self._pixels.shape[1], self._pixels.shape[0]

    def named(self, info: ImageInfo) -> Image:
        """Return the same image with other metadata; derived values are shared."""
        pixels = (lambda: self.pixels) if self._pixels is None else self._pixels
        image = Image(pixels, info, self.encoded, opaque=self.opaque, stored=self.stored)
        image._derived = self._derived
        return image

    def derived(self, compute: Callable[[Image], T]) -> T:
        """Return ``compute(self)``, computed at most once for this image and shared among the metrics."""
        if compute not in self._derived:
            self._derived[compute] = compute(self)
        value: T = self._derived[compute]
        return value
