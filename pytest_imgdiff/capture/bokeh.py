"""Bokeh plots, layouts and documents, which Bokeh's own export renders in a browser driven by Selenium."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

from pytest_imgdiff.base.errors import CaptureError
from pytest_imgdiff.base.model import Shot

if TYPE_CHECKING:
    from pytest_imgdiff.base.model import CaptureSettings


def capturer(target: Any, settings: CaptureSettings) -> BokehCapturer:
    """Return what captures a plot, layout or document.

    Raises:
        CaptureError: Selenium is not installed.
    """
    if importlib.util.find_spec("selenium") is None:
        raise CaptureError(
            "a Bokeh plot is rendered in a browser by Selenium, which is not installed: pip install selenium"
        )
    return BokehCapturer(target, settings)


class BokehCapturer:
    """Captures by `bokeh.io.export`, which keeps one headless browser for all plots of the process.

    Args:
        model: a Bokeh model that can be shown, or a document.
        settings: how to capture it; ``timeout`` is how long the plot may take to render.
    """

    target = "Bokeh plot"
    live = False
    follows: frozenset[str] = frozenset({"timeout"})

    def __init__(self, model: Any, settings: CaptureSettings) -> None:
        self._model = model
        self._settings = settings

    def capture(self) -> Shot:
        """Return the exported picture, one pixel for each pixel that the plot names.

        Raises:
            CaptureError: there is no browser that Selenium can drive, or the plot cannot be rendered.
        """
        from bokeh.io import export

        try:
            picture = export.get_screenshot_as_png(self._model, timeout=max(1, round(self._settings.timeout)))
        except Exception as error:  # Bokeh, Selenium and the driver raise errors of many kinds
            if "geckodriver" in str(error):
                raise CaptureError(
                    "a Bokeh plot is rendered in a browser, and Bokeh could start none: install Chromium and "
                    "chromedriver, or Firefox and geckodriver; where tests run as root, also set BOKEH_IN_DOCKER=1"
                ) from error
            reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
            raise CaptureError(f"Bokeh plot: its export failed: {reason}") from error
        return Shot(picture)
