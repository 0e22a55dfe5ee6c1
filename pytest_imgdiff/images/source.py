"""From whatever a caller passes (a path, bytes, an array, a figure) to a source that can be decoded."""

from __future__ import annotations

import inspect
import io
import os
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import IO, TYPE_CHECKING, Any, Literal, Protocol, cast, runtime_checkable

import numpy as np

from pytest_imgdiff.base.errors import BrokenImageError, ImgdiffError, UnreadableError
from pytest_imgdiff.base.image import Image
from pytest_imgdiff.base.opening import open_regular
from pytest_imgdiff.base.stores import StoredFile
from pytest_imgdiff.base.text import printable
from pytest_imgdiff.images.container import Raster, opaque, oriented
from pytest_imgdiff.images.files import read_file, read_stream
from pytest_imgdiff.images.sniff import EXTENSIONS, encoded_text, sniff

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import PIL.Image
    from numpy.typing import NDArray

    from pytest_imgdiff.base.model import FrameChoice

    Load = Callable[[object], object | None]


def refuse_awaitable(source: object) -> None:
    """Reject an awaitable; a coroutine is closed, so that Python does not warn.

    Raises:
        BrokenImageError: It is a coroutine, a task, or any other awaitable.
    """
    if inspect.iscoroutine(source):
        name = source.__qualname__
        source.close()
        raise BrokenImageError("coroutine", "value", f"this is a coroutine ({name}): did you forget await?")
    if inspect.isawaitable(source):
        raise BrokenImageError(type(source).__name__, "value", "this has to be awaited first: did you forget await?")


def advice_about(source: object) -> str | None:
    """Return what to pass instead of a well-known value that is not an image; None for any other value."""
    if isinstance(source, ModuleType):
        figure = "pass a figure, such as plt.gcf()" if hasattr(source, "savefig") else "pass an image"
        return f"this is the module {source.__name__}; {figure}"
    if isinstance(source, (list, tuple)):
        return f"this is a {type(source).__name__} of {len(source)}; pass one image at a time"
    if isinstance(source, type):
        return f"this is the class {source.__name__} itself; pass an instance of it"
    for owner in type(source).__mro__:
        known = _KNOWN.get((owner.__module__.partition(".")[0], owner.__name__))
        if known is not None:
            return known
    return next((advice for name, advice in _BY_METHOD.items() if callable(getattr(source, name, None))), None)


_SCREENSHOT = "this is {}, not an image of it; pass its screenshot: {}"
_CAPTURED = "this is {}; assert_images_similar({}) captures it, and where there is no fixture pass {}"
_PAGE = _CAPTURED.format("a page", "page", "page.screenshot()")
_ELEMENT = _CAPTURED.format("an element of a page", "element", "element.screenshot()")
_WIDGET = _CAPTURED.format("a Qt widget", "widget", "widget.grab()")
_KNOWN = {
    ("pandas", "Styler"): "this is a table, not an image; pass a screenshot of its to_html() in a browser",
    ("pandas", "DataFrame"): "this is a table, not an image; pass a figure, or a screenshot of its to_html()",
    ("plotly", "BaseFigure"): _CAPTURED.format("a Plotly figure", "figure", "figure.to_image(format='png')"),
    ("altair", "TopLevelMixin"): _CAPTURED.format("an Altair chart", "chart", "the path of chart.save('chart.png')"),
    ("bokeh", "Model"): _CAPTURED.format("a Bokeh plot", "plot", "bokeh.io.export.get_screenshot_as_png(plot)"),
    ("pyvista", "BasePlotter"): _CAPTURED.format("a PyVista plotter", "plotter", "plotter.screenshot(return_img=True)"),
    ("pypdfium2", "PdfDocument"): _CAPTURED.format("a PDF document", "document", "the path of its file"),
    ("pypdfium2", "PdfPage"): _CAPTURED.format("a page of a PDF", "page", "page.render().to_pil()"),
    ("PySide6", "QWidget"): _WIDGET,
    ("PySide2", "QWidget"): _WIDGET,
    ("PyQt6", "QWidget"): _WIDGET,
    ("PyQt5", "QWidget"): _WIDGET,
    ("playwright", "Page"): _PAGE,
    ("playwright", "Locator"): _ELEMENT,
    ("playwright", "ElementHandle"): _ELEMENT,
    ("selenium", "WebDriver"): _CAPTURED.format("a browser", "driver", "driver.get_screenshot_as_png()"),
    ("selenium", "WebElement"): _CAPTURED.format("an element of a page", "element", "element.screenshot_as_png"),
}
"""Package and class."""
_BY_METHOD = {
    "get_figure": _CAPTURED.format("a part of a Matplotlib figure", "ax", "its figure: ax.figure"),
    "get_screenshot_as_png": _SCREENSHOT.format("a browser", "driver.get_screenshot_as_png()"),
    "screenshot": _SCREENSHOT.format("a page or an element", ".screenshot()"),
    "to_image": "this is a figure that draws itself; pass figure.to_image(format='png')",
    "_repr_png_": "this draws itself as PNG; pass value._repr_png_()",
}
"""Method that such values have."""


_BINDINGS = frozenset({"PySide6", "PySide2", "PyQt6", "PyQt5"})
_DEEP = ("Grayscale16", "RGB30", "BGR30", "64")
"""Parts of the names of formats with more than 8 bits per channel."""
_FLOATS = "FPx4"


def is_qt_image(source: object) -> bool:
    """Whether this is a ``QImage`` or a ``QPixmap``."""
    return any(
        owner.__name__ in ("QImage", "QPixmap") and owner.__module__.partition(".")[0] in _BINDINGS
        for owner in type(source).__mro__
    )


def pixels_of_qt(source: Any) -> NDArray[Any]:
    """Return (height, width, 4) straight RGBA: ``uint8``, ``uint16`` for deeper formats, ``float32`` for floats.

    Raises:
        UnreadableError: It contains no image.
    """
    image = source.toImage() if hasattr(source, "toImage") else source
    if image.isNull():
        raise UnreadableError("it is empty (isNull()): check the code that loads or paints it")
    formats = getattr(type(image), "Format", type(image))  # PyQt5 has them on the class itself
    name = _format_name(image.format(), formats)
    wanted: Any
    dtype: type[np.generic]
    if _FLOATS in name:
        wanted, dtype = formats.Format_RGBA32FPx4, np.float32
    elif any(word in name for word in _DEEP):
        wanted, dtype = formats.Format_RGBA64, np.uint16
    else:
        wanted, dtype = formats.Format_RGBA8888, np.uint8
    straight = image.convertToFormat(wanted)
    size = straight.sizeInBytes()
    bits = straight.constBits()
    if hasattr(bits, "setsize"):  # PyQt returns an address without a length
        bits.setsize(size)
    values = np.frombuffer(bits, np.uint8, size).reshape(straight.height(), straight.bytesPerLine())
    row = straight.width() * 4 * np.dtype(dtype).itemsize
    pixels: NDArray[Any] = values[:, :row].copy().view(dtype)
    return pixels.reshape(straight.height(), straight.width(), 4)


def _format_name(found: object, formats: Any) -> str:
    """Return Qt's name of a format: ``Format_RGB32``."""
    name = getattr(found, "name", None)
    if isinstance(name, str):
        return name
    return next((name for name in dir(formats) if name.startswith("Format_") and getattr(formats, name) == found), "")


def check_unit_range(values: NDArray[Any]) -> None:
    """Reject floats outside 0..1.

    Raises:
        UnreadableError: A value is NaN, infinite or outside; the error contains the range that was found.
    """
    lowest, highest = float(values.min()), float(values.max())
    if np.isnan(lowest) or np.isnan(highest):
        raise UnreadableError("its values include NaN; float images hold 0.0 to 1.0")
    if lowest < 0 or highest > 1:
        raise UnreadableError(
            f"its {values.dtype} values range from {_digits(lowest)} to {_digits(highest)}; "
            "float images hold 0.0 to 1.0"
        )


def _digits(value: float) -> str:
    """Return the value in few digits, or in all digits if few would look like an allowed value."""
    short = f"{value:g}"
    return short if (0 <= float(short) <= 1) == (0 <= value <= 1) else repr(value)


_ACCEPTED = "uint8, uint16, bool, or float in 0.0 to 1.0"
_CHANNELS = {1: "gray", 2: "gray+alpha", 3: "RGB", 4: "RGBA"}
_ORIENTATION_TAG = 274
_LARGEST_16_BIT = 65535
_PLAIN_MODES = frozenset({"1", "L", "LA", "La", "P", "PA", "RGB", "RGBX", "RGBA", "RGBa", "CMYK", "YCbCr"})
"""Modes with 8 bits per sample, which Pillow converts to RGBA without visible loss."""


@runtime_checkable
class Figure(Protocol):
    """A matplotlib figure, or any object with the same ``savefig`` method."""

    def savefig(self, target: IO[bytes], *, format: str, dpi: str) -> object:  # noqa: A002 - matplotlib's name
        """Write the image in this format, at the figure's own resolution."""
        ...


def checked_array(array: NDArray[Any]) -> tuple[NDArray[Any], str]:
    """Return a copy of an array, (height, width, channels), and its channels and depth in words.

    Args:
        array: (height, width), or with 1 gray, 2 gray and alpha, 3 RGB or 4 RGBA channels; alpha is straight.
            ``bool`` counts as black and white in 8 bits, ``float16`` becomes ``float32``.

    Raises:
        UnreadableError: Its shape, dtype or range is unsupported; the error names it.
    """
    described = f"{array.dtype} array of shape {array.shape}"
    if isinstance(array, np.ma.MaskedArray):
        raise UnreadableError(f"{described} is masked; pass `array.filled(...)`")
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in _CHANNELS):  # noqa: PLR2004 - axes
        first = array.ndim == 3 and array.shape[0] in _CHANNELS  # noqa: PLR2004 - axes
        hint = "; its channels come first: give `.transpose(1, 2, 0)`" if first else ""
        raise UnreadableError(f"{described}; an image has (height, width) or (height, width, 1 to 4){hint}")
    if not array.size:
        raise UnreadableError(f"{described} is empty")
    values = np.array(_in_normal_depth(array, described), order="C").reshape(*array.shape[:2], -1)
    return values, f"{_CHANNELS[values.shape[2]]} {array.dtype.name}"


def array_of(source: object) -> NDArray[Any] | None:
    """Return the pixels of a value that provides them as an array; None for any other value.

    Such values are a Qt image (``QImage``, ``QPixmap``) and objects with ``__array__`` or ``__dlpack__``, such as a
    tensor in the memory of the processor.

    Raises:
        UnreadableError: It does not return the pixels that it provides.
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
    except Exception as error:  # third-party code
        raise UnreadableError(
            f"it cannot be converted to a NumPy array: {type(error).__name__}: {error}; try `.cpu().numpy()`"
        ) from error
    return None


def raster_of_channels(values: NDArray[Any]) -> Raster:
    """Return an array from `checked_array` as RGBA."""
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

    A PIL image from a multi-image JPEG (MPO) has one frame if no frame is chosen, as the file has: the current one,
    which the note says.

    Raises:
        UnreadableError: The frames cannot be counted.
    """
    try:
        frames = int(getattr(picture, "n_frames", 1))
    except Exception as error:  # Pillow reads through the file, which may be closed or damaged
        raise UnreadableError(
            f"its frames cannot be counted: {type(error).__name__}: {error}; compare it while its file is open, or a "
            ".copy() of it"
        ) from error
    if picture.format == "MPO" and frames > 1 and wanted == "refuse":
        return 1, (f"of its {frames} images the current one is compared",)
    return frames, ()


def timing_of_picture(picture: PIL.Image.Image) -> tuple[float | None, int | None]:
    """Return how long a PIL image shows its current frame, in milliseconds, and how often it plays the animation.

    Each is None if the file does not specify it.
    """
    duration, loops = picture.info.get("duration"), picture.info.get("loop")
    if picture.format == "GIF":
        from pytest_imgdiff.images.gif import plays_of_gif  # which imports Pillow

        loops = plays_of_gif(loops)
    return (
        float(duration) if isinstance(duration, (int, float)) else None,
        loops if isinstance(loops, int) else None,
    )


@contextmanager
def at_frame(picture: PIL.Image.Image, frame: int) -> Iterator[None]:
    """Seek a PIL image with several frames to one of them, and back to its own frame afterwards.

    Raises:
        UnreadableError: The frame cannot be reached.
    """
    before = picture.tell()
    if before == frame:  # seeking would undo what the user drew on the image
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

    The EXIF orientation is applied to images directly from a file (`Image.open`); other images may already have been
    rotated.

    Raises:
        UnreadableError: It does not load, or its mode or range is unsupported.
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
    """Return the PNG that a figure saves, at its own resolution (``dpi="figure"``) whatever the settings are.

    Raises:
        UnreadableError: Saving fails.
    """
    target = io.BytesIO()
    try:
        figure.savefig(target, format="png", dpi="figure")
    except Exception as error:  # drawing runs user code
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
    raise UnreadableError(f"{described}{_range(array)} is not supported; pass {_ACCEPTED}")


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
    raise UnreadableError(f"mode {mode} is not supported; convert it, for example with `.convert('RGB')`")


LONGEST_LABEL = 400
"""Maximum characters of an unreadable path in a message: a caller may pass other text as a path."""

SourceKind = Literal["path", "bytes", "file object", "array", "PIL image", "figure", "image"]


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """An image that was found and is not yet decoded.

    Attributes:
        kind: Kind of source that the caller passed.
        label: Its name in messages; printable.
        path: The path as the operating system takes it, if it is a path.
        data: The encoded bytes, if there are any (paths, bytes, file objects, figures).
        pixels: (height, width, channels), a checked copy of an array.
        mode: Channels and depth of an array in words.
        picture: The PIL image, as it was passed.
        image: An image that is already in the normal form.
    """

    kind: SourceKind
    label: str
    path: str | bytes | None = None
    data: bytes | None = None
    pixels: NDArray[Any] | None = None
    mode: str = ""
    picture: PIL.Image.Image | None = None
    image: Image | None = None


def read(source: object, *, load: Load | None = None, root: Path | None = None) -> Source:
    """Find the image of a source; a file is read in full, nothing is decoded.

    Args:
        source: A path (str or PathLike), encoded bytes (never a path), a `StoredFile`, a binary file object, a NumPy
            array, a PIL image, a figure (anything with ``savefig``), an `Image`, a `Source` (returned itself), or
            whatever ``load`` takes.
        load: The plugins' hook, called once for every source that is neither a path nor bytes. Its result is read
            instead of the source.
        root: The folder to which absolute paths are relative in messages and records; without it they are unchanged.

    Raises:
        BrokenImageError: The image cannot be read, or the value is not an image source.
    """
    if isinstance(source, Source):
        return source
    if isinstance(source, (str, os.PathLike)):
        return _read_path(_file_system_path(source), root)
    if isinstance(source, StoredFile):
        return Source("path", source.label, data=source.read())
    if isinstance(source, (bytes, bytearray, memoryview)):
        return Source("bytes", "bytes", data=bytes(source))
    refuse_awaitable(source)
    answer = _asked(source, load)
    if answer is not None and answer is not source:
        return _read_answer(source, answer, root)
    try:
        return _read_value(source, root)
    except UnreadableError as error:
        raise BrokenImageError(_type_label(source), error.kind or "value", error.cause) from error.__cause__


def _read_answer(source: object, answer: object, root: Path | None) -> Source:
    """Read what an `imgdiff_load` hook returned for a value."""
    try:
        return read(answer, root=root)
    except BrokenImageError as error:
        cause = f"the imgdiff_load hook returned {_of_type(answer)}: {error}"
        raise BrokenImageError(_type_label(source), "value", cause) from error.__cause__


def _file_system_path(source: str | os.PathLike[Any]) -> str | bytes:
    try:
        return os.fspath(source)
    except Exception as error:  # __fspath__ is user code
        cause = f"its __fspath__() does not return a path: {type(error).__name__}: {error}"
        raise BrokenImageError(_type_label(source), "path", printable(cause)) from error


def _read_path(path: str | bytes, root: Path | None) -> Source:
    label = _path_label(path, root)
    if not path:
        raise BrokenImageError("''", "path", "the path is empty")
    try:
        return Source("path", label, path=path, data=read_file(path, label))
    except BrokenImageError as error:
        encoded = encoded_text(path) if isinstance(path, str) and not os.path.lexists(path) else None
        if encoded is not None:
            what = {
                "base64": "base64, not a path; pass base64.b64decode(text)",
                "a data: URL": "a data: URL; pass base64.b64decode(text.split(',')[1])",
            }
            raise BrokenImageError("str", "text", f"this text is {what[encoded]}") from None
        if len(label) <= LONGEST_LABEL:
            raise
        raise BrokenImageError(f"{label[:LONGEST_LABEL]}...", error.kind, error.cause) from None


def _path_label(path: str | bytes, root: Path | None) -> str:
    """Return the name of the file for messages, relative to the root: other machines have other folders."""
    name = os.fsdecode(path)
    if root is not None:
        folder = str(root)
        if not os.path.isabs(name):  # noqa: PTH117 - no Path is needed for it
            name = _from_working_directory(name, folder)
        if os.path.isabs(name):  # noqa: PTH117 - the same
            name = _below(name, folder)
    return printable(name)


def _below(name: str, folder: str) -> str:
    """Return the relative path from a folder to an absolute path, with forward slashes."""
    inside = name[len(folder) + 1 :]
    # For most files this replaces `relpath`, which takes as long as reading a small one.
    if not name.startswith(folder + os.sep) or os.path.normpath(inside) != inside:
        try:
            inside = os.path.relpath(name, folder)
        except ValueError:  # on another drive
            inside = Path(name).name
    return inside.replace(os.sep, "/")


def _from_working_directory(name: str, root: str) -> str:
    """Return the absolute path of a relative one below the root, if the root is not the working directory."""
    here = os.getcwd()  # noqa: PTH109 - no Path is needed for it
    if here == root or not name:
        return name
    place = Path(here, name)
    return str(place) if place.is_relative_to(root) else name


def _asked(source: object, load: Load | None) -> object | None:
    if load is None:
        return None
    try:
        return load(source)
    except ImgdiffError:
        raise
    except Exception as error:
        cause = f"the imgdiff_load hook failed: {type(error).__name__}: {error}"
        raise BrokenImageError(_type_label(source), "value", printable(cause)) from error


def _read_value(source: object, root: Path | None) -> Source:
    if isinstance(source, Image):
        return Source("image", source.info.label, image=source)
    if isinstance(source, np.ndarray):
        try:
            pixels, mode = checked_array(source)
        except UnreadableError as error:
            raise UnreadableError(error.cause, "array") from None
        return Source("array", "array", pixels=pixels, mode=mode)
    picture = _pil_image(source)
    if picture is not None:
        return Source("PIL image", _file_name(picture, "filename", root) or "PIL image", picture=picture)
    if isinstance(source, Figure) and not isinstance(source, ModuleType):
        try:
            return Source("figure", "figure", data=saved_figure(source))
        except UnreadableError as error:
            raise UnreadableError(error.cause, "figure") from error.__cause__
    if not (known := advice_about(source)) and (array := array_of(source)) is not None:
        return _read_value(array, root)
    if not known and callable(getattr(source, "read", None)):
        label = _file_name(source, "name", root) or "file object"
        return Source("file object", label, data=read_stream(cast("IO[bytes]", source), label))
    raise UnreadableError(
        known
        or "this is not an image, and nothing captures it: pass a path, encoded bytes, a binary file, an array, a PIL "
        "image or a figure (the fixture also takes pages and elements of Playwright and Selenium, figures of Plotly, "
        "Bokeh and Altair, PyVista plotters, Qt widgets and pypdfium2 documents); for a type of your own write a hook, "
        "imgdiff_capture or imgdiff_load",
        type(source).__name__,
    )


def _pil_image(source: object) -> PIL.Image.Image | None:
    """Return the source if it is a PIL image; if it is, Pillow was already imported."""
    pillow = sys.modules.get("PIL.Image")
    return source if pillow is not None and isinstance(source, pillow.Image) else None


def _file_name(source: object, attribute: str, root: Path | None) -> str | None:
    """Return the name of a file object or PIL image; it can be a number, or empty."""
    name = getattr(source, attribute, None)
    return _path_label(os.fspath(name), root) if isinstance(name, (str, bytes, os.PathLike)) and name else None


def _of_type(value: object) -> str:
    return f"a value of type {type(value).__name__}"


def _type_label(source: object) -> str:
    return "array" if isinstance(source, np.ndarray) else type(source).__name__


_LOOKED_AT = 256
"""Number of first bytes that contain every signature and the list of brands of an AVIF file."""


def is_picture_file(path: Path | StoredFile) -> bool:
    """Return whether a file is meant as an image: by its extension or, without one, by its first bytes.

    A file with an image's extension counts whatever its content; its reader reports what is wrong with it.
    """
    if path.suffix:
        return path.suffix.lower() in EXTENSIONS
    try:
        if isinstance(path, StoredFile):
            return sniff(path.head(_LOOKED_AT)) != "PDF"
        with open_regular(path) as file:
            return sniff(file.read(_LOOKED_AT)) != "PDF"
    except (BrokenImageError, OSError, UnreadableError):
        return False
