"""Values that are often given for a picture and are none: what each is, and what to pass in its place."""

from __future__ import annotations

import inspect
from types import ModuleType

from pytest_imgdiff.errors import BrokenImageError


def refuse_awaitable(source: object) -> None:
    """Refuse what still has to be awaited; a coroutine is closed, so that no warning of Python's follows.

    Raises:
        BrokenImageError: it is a coroutine, a task, or anything else to be awaited.
    """
    if inspect.iscoroutine(source):
        name = source.__qualname__
        source.close()
        raise BrokenImageError("coroutine", "value", f"this is a coroutine ({name}): did you forget await?")
    if inspect.isawaitable(source):
        raise BrokenImageError(type(source).__name__, "value", "this has to be awaited first: did you forget await?")


def advice_about(source: object) -> str | None:
    """Return what to pass in place of a well-known value that is no picture; None of any other value."""
    if isinstance(source, ModuleType):
        figure = "pass a figure, such as plt.gcf()" if hasattr(source, "savefig") else "pass a picture"
        return f"this is the module {source.__name__}; {figure}"
    if isinstance(source, (list, tuple)):
        return f"this is a {type(source).__name__} of {len(source)}; pass one picture at a time"
    if isinstance(source, type):
        return f"this is the class {source.__name__} itself; pass an instance of it"
    for owner in type(source).__mro__:
        known = _KNOWN.get((owner.__module__.partition(".")[0], owner.__name__))
        if known is not None:
            return known
    return next((advice for name, advice in _BY_METHOD.items() if callable(getattr(source, name, None))), None)


_SCREENSHOT = "this is {}, not a picture of it; pass its screenshot: {}"
_CAPTURED = "this is {}; assert_images_similar({}) captures it, and where there is no fixture pass {}"
_PAGE = _CAPTURED.format("a page", "page", "page.screenshot()")
_ELEMENT = _CAPTURED.format("an element of a page", "element", "element.screenshot()")
_WIDGET = _CAPTURED.format("a Qt widget", "widget", "widget.grab()")
_KNOWN = {
    ("pandas", "Styler"): "this is a table, not a picture; pass a screenshot of its to_html() in a browser",
    ("pandas", "DataFrame"): "this is a table, not a picture; pass a figure, or a screenshot of its to_html()",
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
