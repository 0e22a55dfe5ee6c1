"""Pictures that are values of the running program: arrays, PIL images, figures."""

from __future__ import annotations

import io
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from pytest_imgdiff.images.container import Raster, opaque
from pytest_imgdiff.images.gif_blocks import plays_of_gif
from pytest_imgdiff.images.orientation import oriented
from pytest_imgdiff.images.qt import is_qt_image, pixels_of_qt
from pytest_imgdiff.images.ranges import check_unit_range
from pytest_imgdiff.images.unreadable import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO

    import PIL.Image
    from numpy.typing import NDArray

    from pytest_imgdiff.model import FrameChoice

_ACCEPTED = "uint8, uint16, bool, or float in 0.0 to 1.0"
_CHANNELS = {1: "gray", 2: "gray+alpha", 3: "RGB", 4: "RGBA"}
_ORIENTATION_TAG = 274
_LARGEST_16_BIT = 65535
_PLAIN_MODES = frozenset({"1", "L", "LA", "La", "P", "PA", "RGB", "RGBX", "RGBA", "RGBa", "CMYK", "YCbCr"})
"""Modes with 8 bits a sample, which Pillow itself makes RGBA without loss of what can be seen."""


@runtime_checkable
class Figure(Protocol):
    """A matplotlib figure, or anything that saves itself like one."""

    def savefig(self, target: IO[bytes], *, format: str, dpi: str) -> object:  # noqa: A002 - matplotlib's name
        """Write the picture in this format, at the figure's own resolution."""
        ...


def checked_array(array: NDArray[Any]) -> tuple[NDArray[Any], str]:
    """Return a copy of an array, (height, width, channels), and its channels and depth in words.

    Args:
        array: (height, width), or with 1 gray, 2 gray and alpha, 3 RGB or 4 RGBA channels; alpha is straight.
            ``bool`` counts as black and white in 8 bits, ``float16`` becomes ``float32``.

    Raises:
        UnreadableError: its shape, dtype or range is another one; the error names it.
    """
    described = f"{array.dtype} array of shape {array.shape}"
    if isinstance(array, np.ma.MaskedArray):
        raise UnreadableError(f"{described} is masked; give `array.filled(...)`")
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in _CHANNELS):  # noqa: PLR2004 - axes
        first = array.ndim == 3 and array.shape[0] in _CHANNELS  # noqa: PLR2004 - axes
        hint = "; its channels come first: give `.transpose(1, 2, 0)`" if first else ""
        raise UnreadableError(f"{described}; a picture has (height, width) or (height, width, 1 to 4){hint}")
    if not array.size:
        raise UnreadableError(f"{described} is empty")
    values = np.array(_in_normal_depth(array, described), order="C").reshape(*array.shape[:2], -1)
    return values, f"{_CHANNELS[values.shape[2]]} {array.dtype.name}"


def array_of(source: object) -> NDArray[Any] | None:
    """Return the pixels of a value that offers them as an array; None of any other.

    That is a Qt image (``QImage``, ``QPixmap``), and whatever has ``__array__`` or ``__dlpack__``, such as a tensor in
    the memory of the processor.

    Raises:
        UnreadableError: it offers them and does not give them.
    """
    try:
        if is_qt_image(source):
            return pixels_of_qt(source)
        if hasattr(source, "__array__"):
            return np.asanyarray(source)
        if hasattr(source, "__dlpack__"):
            return np.from_dlpack(source)
    except UnreadableError:
        raise
    except Exception as error:  # it is somebody else's code
        raise UnreadableError(
            f"it gives no NumPy array: {type(error).__name__}: {error}; convert it, with `.cpu().numpy()` for instance"
        ) from error
    return None


def raster_of_channels(values: NDArray[Any]) -> Raster:
    """Return what `checked_array` returned as RGBA."""
    channels = _CHANNELS[values.shape[2]]
    if channels == "RGBA":
        return np.array(values)
    if channels == "RGB":
        return opaque(values)
    raster = opaque(values[..., 0])
    if channels == "gray+alpha":
        raster[..., 3] = values[..., 1]
    return raster


def frames_of_picture(picture: PIL.Image.Image, wanted: FrameChoice) -> tuple[int, tuple[str, ...]]:
    """Return how many frames a PIL image has, and notes.

    One from a multi-picture JPEG (MPO) has one where no frame is named, as the file has: the current one, which the
    note says.

    Raises:
        UnreadableError: they cannot be counted.
    """
    try:
        frames = int(getattr(picture, "n_frames", 1))
    except Exception as error:  # Pillow looks through the file, which may be closed or damaged
        raise UnreadableError(
            f"its frames cannot be counted: {type(error).__name__}: {error}; compare it while its file is open, or a "
            ".copy() of it"
        ) from error
    if picture.format == "MPO" and frames > 1 and wanted == "refuse":
        return 1, (f"of its {frames} pictures the current one is compared",)
    return frames, ()


def timing_of_picture(picture: PIL.Image.Image) -> tuple[float | None, int | None]:
    """Return how long the current frame of a PIL image is shown, in milliseconds, and how often the whole is played.

    Each is None where its file does not say.
    """
    duration, loops = picture.info.get("duration"), picture.info.get("loop")
    if picture.format == "GIF":
        loops = plays_of_gif(loops)
    return (
        float(duration) if isinstance(duration, (int, float)) else None,
        loops if isinstance(loops, int) else None,
    )


@contextmanager
def at_frame(picture: PIL.Image.Image, frame: int) -> Iterator[None]:
    """Have a PIL image of several frames stand at one of them, and at its own again afterwards.

    Raises:
        UnreadableError: the frame cannot be reached.
    """
    before = picture.tell()
    if before == frame:  # seeking would undo what the user drew on it
        yield
        return
    try:
        picture.seek(frame)
    except Exception as error:  # Pillow raises almost anything on damaged data
        raise UnreadableError(f"its frame {frame} cannot be reached: {type(error).__name__}: {error}") from error
    try:
        yield
    finally:
        picture.seek(before)


def raster_of_picture(picture: PIL.Image.Image) -> tuple[Raster, str]:
    """Return a PIL image's current frame as RGBA, and its mode in words.

    The EXIF orientation is applied to images that come straight from a file (`Image.open`); of others nobody can
    say whether they were turned already.

    Raises:
        UnreadableError: it does not load, or its mode or range is not read.
    """
    try:
        picture.load()
    except Exception as error:  # Pillow raises almost anything on damaged data
        raise UnreadableError(f"it does not load: {type(error).__name__}: {error}") from error
    if not picture.width or not picture.height:
        raise UnreadableError(f"it has {picture.width} x {picture.height} pixels")
    raster = _raster_of_mode(picture)
    if picture.format is not None:
        raster = oriented(raster, picture.getexif().get(_ORIENTATION_TAG, 1))
    return raster, picture.mode


def saved_figure(figure: Figure) -> bytes:
    """Return the PNG that a figure saves, at its own resolution (``dpi="figure"``) whatever the settings say.

    Raises:
        UnreadableError: saving fails.
    """
    target = io.BytesIO()
    try:
        figure.savefig(target, format="png", dpi="figure")
    except Exception as error:  # drawing runs the user's own code
        raise UnreadableError(f"its savefig() failed: {type(error).__name__}: {error}") from error
    return target.getvalue()


def _in_normal_depth(array: NDArray[Any], described: str) -> NDArray[Any]:
    native = array.dtype.newbyteorder("=")
    if native == np.bool_:
        return array.astype(np.uint8) * np.uint8(255)  # type: ignore[no-any-return]  # NumPy types it Any
    if native in (np.uint8, np.uint16):
        return array.astype(native, copy=False)
    if native in (np.float16, np.float32, np.float64):
        values = array.astype(np.float32 if native == np.float16 else native, copy=False)
        try:
            check_unit_range(values)
        except UnreadableError as error:
            raise UnreadableError(f"{described}: {error.cause}; divide by its full scale, or convert it") from None
        return values
    raise UnreadableError(f"{described}{_range(array)} is not read; give {_ACCEPTED}")


def _range(array: NDArray[Any]) -> str:
    if array.dtype.kind not in "iuf":
        return ""
    return f" with values from {array.min()} to {array.max()}"


def _raster_of_mode(picture: PIL.Image.Image) -> Raster:
    mode = picture.mode
    if mode in _PLAIN_MODES:
        return np.array(picture.convert("RGBA"))
    if mode.startswith("I"):
        values = np.asarray(picture).astype(np.int64)
        if values.min() < 0 or values.max() > _LARGEST_16_BIT:
            raise UnreadableError(f"mode {mode} with values from {values.min()} to {values.max()}; give 0 to 65535")
        raster = opaque(values.astype(np.uint16))
        key = picture.info.get("transparency")
        if isinstance(key, int):
            raster[values == key, 3] = 0
        return raster
    if mode == "F":
        values = np.array(picture, np.float32)
        check_unit_range(values)
        return opaque(values)
    raise UnreadableError(f"mode {mode} is not read; convert it, with `.convert('RGB')` for instance")
