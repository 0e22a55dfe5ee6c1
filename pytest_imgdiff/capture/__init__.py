"""Capturers for pages, elements and figures, found without importing their packages."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from pytest_imgdiff.base.model import Capturer, CaptureSettings

_HOMES = {
    ("playwright", "Page"): "playwright:capturer",
    ("playwright", "Locator"): "playwright:capturer",
    ("playwright", "ElementHandle"): "playwright:capturer",
    ("playwright", "Frame"): "playwright:capturer",
    ("playwright", "FrameLocator"): "playwright:capturer",
    ("selenium", "WebDriver"): "selenium:capturer",
    ("selenium", "WebElement"): "selenium:capturer",
    ("matplotlib", "FigureBase"): "figures:matplotlib_capturer",
    ("matplotlib", "Axes"): "figures:matplotlib_capturer",
    ("seaborn", "_BaseGrid"): "figures:matplotlib_capturer",
    ("plotly", "BaseFigure"): "figures:plotly_capturer",
    ("altair", "TopLevelMixin"): "figures:altair_capturer",
    ("bokeh", "UIElement"): "figures:bokeh_capturer",
    ("bokeh", "Document"): "figures:bokeh_capturer",
    ("pyvista", "BasePlotter"): "figures:pyvista_capturer",
    ("PySide6", "QWidget"): "figures:qt_capturer",
    ("PySide2", "QWidget"): "figures:qt_capturer",
    ("PyQt6", "QWidget"): "figures:qt_capturer",
    ("PyQt5", "QWidget"): "figures:qt_capturer",
    ("pypdfium2", "PdfDocument"): "figures:pdf_capturer",
    ("pypdfium2", "PdfPage"): "figures:pdf_capturer",
}
"""The top package and name of a class, or of one it inherits from, to the module here and its function for it.

The function takes the target and the settings and returns a `pytest_imgdiff.base.model.Capturer`.
"""


def is_awaited(target: object) -> bool:
    """Whether the target belongs to an asynchronous API, so that its captures must be awaited."""
    return any(owner.__module__.startswith("playwright.async_api") for owner in type(target).__mro__)


def capturer_of(target: object, settings: CaptureSettings) -> Capturer | None:
    """Return the capturer of the target; None if it already is an image, or unknown.

    Args:
        target: anything.
        settings: how to capture it.

    Raises:
        CaptureError: the target is known and cannot be captured with these settings.
    """
    for owner in type(target).__mro__:
        home = _HOMES.get((owner.__module__.partition(".")[0], owner.__name__))
        if home is not None:
            module, _, function = home.partition(":")
            factory = getattr(importlib.import_module(f"{__name__}.{module}"), function)
            return cast("Capturer", factory(target, settings))
    return None
