"""Pictures of Qt, by PySide or PyQt, which are never imported here: whoever has such a value has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_imgdiff.images.unreadable import UnreadableError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BINDINGS = frozenset({"PySide6", "PySide2", "PyQt6", "PyQt5"})
_DEEP = ("Grayscale16", "RGB30", "BGR30", "64")
"""In the names of formats with more than 8 bits a channel."""
_FLOATS = "FPx4"


def is_qt_image(source: object) -> bool:
    """Whether this is a ``QImage`` or a ``QPixmap``."""
    return any(
        owner.__name__ in ("QImage", "QPixmap") and owner.__module__.partition(".")[0] in _BINDINGS
        for owner in type(source).__mro__
    )


def pixels_of_qt(source: Any) -> NDArray[Any]:
    """Return (height, width, 4) straight RGBA: ``uint8``, of deeper formats ``uint16``, of floats ``float32``.

    Raises:
        UnreadableError: it holds no picture.
    """
    image = source.toImage() if hasattr(source, "toImage") else source
    if image.isNull():
        raise UnreadableError("it holds no picture (isNull()): look at what was to load or to paint it")
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
    if hasattr(bits, "setsize"):  # PyQt gives an address without a length
        bits.setsize(size)
    values = np.frombuffer(bits, np.uint8, size).reshape(straight.height(), straight.bytesPerLine())
    row = straight.width() * 4 * np.dtype(dtype).itemsize
    pixels: NDArray[Any] = values[:, :row].copy().view(dtype)
    return pixels.reshape(straight.height(), straight.width(), 4)


def _format_name(found: object, formats: Any) -> str:
    """Return what Qt calls a format: ``Format_RGB32``."""
    name = getattr(found, "name", None)
    if isinstance(name, str):
        return name
    return next((name for name in dir(formats) if name.startswith("Format_") and getattr(formats, name) == found), "")
