"""Plotly figures, which Kaleido renders in a Chrome of its own."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

from pytest_imgdiff.base.errors import CaptureError
from pytest_imgdiff.base.model import Shot

if TYPE_CHECKING:
    from pytest_imgdiff.base.model import CaptureSettings


def capturer(target: Any, settings: CaptureSettings) -> PlotlyCapturer:  # noqa: ARG001 - it follows none
    """Return what captures a figure.

    Raises:
        CaptureError: Kaleido is not installed.
    """
    if importlib.util.find_spec("kaleido") is None:
        raise CaptureError("a Plotly figure is rendered by Kaleido, which is not installed: pip install kaleido")
    return PlotlyCapturer(target)


class PlotlyCapturer:
    """Captures by the figure's own ``to_image``.

    Args:
        figure: a Plotly figure.
    """

    target = "Plotly figure"
    live = False
    follows: frozenset[str] = frozenset()

    def __init__(self, figure: Any) -> None:
        self._figure = figure

    def capture(self) -> Shot:
        """Return a PNG of the size that the figure's layout names.

        Raises:
            CaptureError: Kaleido finds no Chrome, or cannot render the figure.
        """
        try:
            return Shot(self._figure.to_image(format="png"))
        except Exception as error:  # Kaleido, its browser and Plotly's checks raise errors of many kinds
            if "chrome" in str(error).lower():
                raise CaptureError(
                    "a Plotly figure is rendered in Chrome, which Kaleido did not find or could not start: install "
                    "Chrome or Chromium, or run plotly_get_chrome, or set BROWSER_PATH to its executable"
                ) from error
            reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
            raise CaptureError(f"Plotly figure: its to_image() failed: {reason}") from error
