"""From a page, an element or a figure to an image: what captures each target, found without importing its package."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_imgdiff.base.model import Capturer, CaptureSettings

_HOMES = {
    ("playwright", "Page"): "playwright",
    ("playwright", "Locator"): "playwright",
    ("playwright", "ElementHandle"): "playwright",
    ("playwright", "Frame"): "playwright",
    ("playwright", "FrameLocator"): "playwright",
    ("selenium", "WebDriver"): "selenium",
    ("selenium", "WebElement"): "selenium",
    ("matplotlib", "FigureBase"): "matplotlib",
    ("matplotlib", "Axes"): "matplotlib",
    ("seaborn", "_BaseGrid"): "matplotlib",
    ("plotly", "BaseFigure"): "plotly",
    ("altair", "TopLevelMixin"): "altair",
    ("bokeh", "UIElement"): "bokeh",
    ("bokeh", "Document"): "bokeh",
    ("pyvista", "BasePlotter"): "pyvista",
    ("PySide6", "QWidget"): "qt",
    ("PySide2", "QWidget"): "qt",
    ("PyQt6", "QWidget"): "qt",
    ("PyQt5", "QWidget"): "qt",
    ("pypdfium2", "PdfDocument"): "pdf",
    ("pypdfium2", "PdfPage"): "pdf",
}
"""The top package and name of a class, or of one it inherits from, to the file here that captures its instances.

Each file has a function ``capturer(target, settings)`` that returns a `pytest_imgdiff.base.model.Capturer`.
"""


def is_awaited(target: object) -> bool:
    """Whether the target belongs to an asynchronous API, so that its captures have to be awaited."""
    return any(owner.__module__.startswith("playwright.async_api") for owner in type(target).__mro__)


def capturer_of(target: object, settings: CaptureSettings) -> Capturer | None:
    """Return what captures the target; None where it is an image already, or unknown.

    Args:
        target: anything.
        settings: how to capture it.

    Raises:
        CaptureError: the target is known and cannot be captured with these settings.
    """
    for owner in type(target).__mro__:
        home = _HOMES.get((owner.__module__.partition(".")[0], owner.__name__))
        if home is not None:
            module = importlib.import_module(f"{__name__}.{home}")
            factory = cast("Callable[[object, CaptureSettings], Capturer]", module.capturer)
            return factory(target, settings)
    return None
