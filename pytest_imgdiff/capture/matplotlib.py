"""Matplotlib figures, axes, and the grids of seaborn."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from pytest_imgdiff.base.errors import CaptureError
from pytest_imgdiff.base.model import Shot

if TYPE_CHECKING:
    from pytest_imgdiff.base.model import CaptureSettings


def capturer(target: Any, settings: CaptureSettings) -> MatplotlibCapturer:
    """Return what captures a figure; axes, a subfigure or a seaborn grid stand for their whole figure.

    Raises:
        CaptureError: the axes were removed from their figure.
    """
    figure = target if hasattr(target, "savefig") else getattr(target, "figure", None)
    while figure is not None and not hasattr(figure, "savefig"):  # subfigures lie in a figure, or in one another
        figure = figure.figure
    if figure is None:
        raise CaptureError("these Matplotlib axes are in no figure any more; capture them before they are removed")
    return MatplotlibCapturer(figure, settings)


class MatplotlibCapturer:
    """Captures by ``savefig`` with the Agg renderer, whatever backend is in use; the figure stays as it is.

    Args:
        figure: a figure, or an object that saves itself like one.
        settings: how to capture it.
    """

    target = "Matplotlib figure"
    live = False
    follows: frozenset[str] = frozenset({"dpi", "transparent"})

    def __init__(self, figure: Any, settings: CaptureSettings) -> None:
        self._figure = figure
        self._settings = settings

    def capture(self) -> Shot:
        """Return a PNG without metadata, at the figure's own resolution or at ``dpi``.

        Raises:
            CaptureError: the figure cannot be drawn.
        """
        file = io.BytesIO()
        options: dict[str, Any] = {"transparent": True} if self._settings.transparent else {}
        try:
            self._figure.savefig(
                file,
                format="png",
                backend="agg",
                dpi=self._settings.dpi or "figure",
                metadata={"Software": None},
                **options,
            )
        except Exception as error:  # drawing runs the user's own code
            raise CaptureError(f"Matplotlib figure: its savefig() failed: {type(error).__name__}: {error}") from error
        return Shot(file.getvalue())
