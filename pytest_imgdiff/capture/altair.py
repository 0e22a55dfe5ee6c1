"""Altair charts, which vl-convert renders without a browser."""

from __future__ import annotations

import importlib.util
import io
from typing import TYPE_CHECKING, Any

from pytest_imgdiff.base.errors import CaptureError
from pytest_imgdiff.base.model import Shot

if TYPE_CHECKING:
    from pytest_imgdiff.base.model import CaptureSettings

_CSS_DPI = 72
"""The resolution at which vl-convert makes one pixel of each pixel that the chart names."""


def capturer(target: Any, settings: CaptureSettings) -> AltairCapturer:
    """Return what captures a chart.

    Raises:
        CaptureError: vl-convert is not installed.
    """
    if importlib.util.find_spec("vl_convert") is None:
        raise CaptureError(
            "an Altair chart is rendered by vl-convert, which is not installed: pip install vl-convert-python"
        )
    return AltairCapturer(target, settings)


class AltairCapturer:
    """Captures by the chart's own ``save``.

    Args:
        chart: an Altair chart.
        settings: how to capture it.
    """

    target = "Altair chart"
    live = False
    follows: frozenset[str] = frozenset({"dpi"})

    def __init__(self, chart: Any, settings: CaptureSettings) -> None:
        self._chart = chart
        self._settings = settings

    def capture(self) -> Shot:
        """Return a PNG: at 72 dpi one pixel for each pixel that the chart names, otherwise in proportion.

        Raises:
            CaptureError: the chart cannot be rendered.
        """
        file = io.BytesIO()
        try:
            self._chart.save(file, format="png", ppi=self._settings.dpi or _CSS_DPI)
        except Exception as error:  # Altair checks the chart here, and vl-convert runs Vega
            reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
            raise CaptureError(f"Altair chart: its save() failed: {reason}") from error
        return Shot(file.getvalue())
