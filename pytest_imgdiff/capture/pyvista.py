"""PyVista plotters, drawn off screen by VTK."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_imgdiff.base.errors import CaptureError
from pytest_imgdiff.base.model import Shot

if TYPE_CHECKING:
    from pytest_imgdiff.base.model import CaptureSettings


def capturer(target: Any, settings: CaptureSettings) -> PyVistaCapturer:
    """Return what captures a plotter."""
    return PyVistaCapturer(target, settings)


class PyVistaCapturer:
    """Captures by the plotter's own ``screenshot``. A closed plotter gives the last image that it drew.

    Args:
        plotter: a PyVista plotter.
        settings: how to capture it.
    """

    target = "PyVista plotter"
    live = False
    follows: frozenset[str] = frozenset({"transparent"})

    def __init__(self, plotter: Any, settings: CaptureSettings) -> None:
        self._plotter = plotter
        self._settings = settings

    def capture(self) -> Shot:
        """Return the pixels: (height, width, 3), or 4 with a transparent background, uint8.

        Raises:
            CaptureError: the plotter was neither shown nor made for drawing off screen, or cannot draw.
        """
        try:
            pixels = self._plotter.screenshot(
                return_img=True, transparent_background=True if self._settings.transparent else None
            )
        except Exception as error:  # VTK and the user's own callbacks
            hint = "; make it with pyvista.Plotter(off_screen=True)" if "off_screen" in str(error) else ""
            reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
            raise CaptureError(f"PyVista plotter: its screenshot() failed: {reason}{hint}") from error
        return Shot(pixels)
