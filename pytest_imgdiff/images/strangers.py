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
    for owner in type(source).__mro__:
        known = _KNOWN.get((owner.__module__.partition(".")[0], owner.__name__))
        if known is not None:
            return known
    return next((advice for name, advice in _BY_METHOD.items() if callable(getattr(source, name, None))), None)


_SCREENSHOT = "this is {}, not a picture of it; pass its screenshot: {}"
_KNOWN = {
    ("pandas", "Styler"): "this is a table, not a picture; pass a screenshot of its to_html() in a browser",
    ("pandas", "DataFrame"): "this is a table, not a picture; pass a figure, or a screenshot of its to_html()",
    ("plotly", "BaseFigure"): "this is a Plotly figure; pass figure.to_image(format='png'), which needs kaleido",
    ("altair", "TopLevelMixin"): "this is an Altair chart; save it as PNG, chart.save('chart.png'), and pass that path",
    ("bokeh", "Model"): "this is a Bokeh model; pass bokeh.io.export.get_screenshot_as_png(model)",
}
"""Package and class."""
_BY_METHOD = {
    "get_figure": "these are axes; pass their figure: ax.figure",
    "get_screenshot_as_png": _SCREENSHOT.format("a browser", "driver.get_screenshot_as_png()"),
    "screenshot": _SCREENSHOT.format("a page or an element", ".screenshot()"),
    "to_image": "this is a figure that draws itself; pass figure.to_image(format='png')",
}
"""Method that such values have."""
