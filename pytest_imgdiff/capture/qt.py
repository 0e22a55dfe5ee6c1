"""Widgets of Qt, by PySide or PyQt."""

from __future__ import annotations

import importlib
import time
from typing import TYPE_CHECKING, Any

from pytest_imgdiff.base.errors import CaptureError
from pytest_imgdiff.base.model import Shot

if TYPE_CHECKING:
    from pytest_imgdiff.base.model import CaptureSettings

_STEP = 0.005
"""Seconds between two looks at Qt's events."""


def capturer(target: Any, settings: CaptureSettings) -> QtCapturer:
    """Return what captures a widget."""
    return QtCapturer(target, settings)


class QtCapturer:
    """Captures by the widget's own ``grab``, which needs no visible window.

    Args:
        widget: a ``QWidget`` of PySide or PyQt.
        settings: how to capture it.
    """

    target = "Qt widget"
    live = True
    follows: frozenset[str] = frozenset({"timeout", "scale"})

    def __init__(self, widget: Any, settings: CaptureSettings) -> None:
        self._widget = widget
        self._settings = settings
        self._is_captured = False
        package = next(
            owner.__module__.partition(".")[0] for owner in type(widget).__mro__ if owner.__name__ == "QWidget"
        )
        self._core: Any = importlib.import_module(f"{package}.QtCore")
        self._gui: Any = importlib.import_module(f"{package}.QtGui")

    def capture(self) -> Shot:
        """Return a ``QImage``: one pixel for each pixel of the widget's layout or, by ``scale``, of the screen.

        Raises:
            CaptureError: the widget was deleted, or has no size.
        """
        if self._is_captured:  # the captures of a widget that stands still need no events
            self._core.QCoreApplication.processEvents()
        self._is_captured = True
        try:
            pixmap = self._widget.grab()
            if pixmap.isNull():
                raise CaptureError("the Qt widget has no size: show it, or call its resize() or adjustSize()")
            scale = pixmap.devicePixelRatio() if self._settings.scale == "device" else 1.0
            image = pixmap.toImage() if scale == pixmap.devicePixelRatio() else self._drawn()
        except RuntimeError as error:  # PySide and PyQt raise it for objects that Qt has deleted
            raise CaptureError(f"Qt widget: it cannot be captured any more: {error}") from error
        return Shot(image, scale=scale)

    def pause(self, seconds: float) -> None:
        """Let Qt handle its events: animations go on, and what is loading arrives."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._core.QCoreApplication.processEvents()
            time.sleep(_STEP)

    def _drawn(self) -> Any:
        """Return the widget drawn at one pixel for each of its own: scaling a capture down would blur it."""
        image = self._gui.QImage(self._widget.size(), self._gui.QImage.Format.Format_ARGB32_Premultiplied)
        image.fill(0)
        self._widget.render(image, self._core.QPoint(0, 0))
        return image
