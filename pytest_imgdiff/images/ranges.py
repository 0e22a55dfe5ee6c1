"""Floats hold 0 to 1 or are refused: nobody can say what 255.0 is meant to be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_imgdiff.images.unreadable import UnreadableError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def check_unit_range(values: NDArray[Any]) -> None:
    """Refuse floats outside 0..1.

    Raises:
        UnreadableError: a value is NaN, infinite or outside; the error names the range that was found.
    """
    lowest, highest = float(values.min()), float(values.max())
    if np.isnan(lowest) or np.isnan(highest):
        raise UnreadableError("its values include NaN; float pictures hold 0.0 to 1.0")
    if lowest < 0 or highest > 1:
        raise UnreadableError(
            f"its {values.dtype} values range from {_told(lowest)} to {_told(highest)}; float pictures hold 0.0 to 1.0"
        )


def _told(value: float) -> str:
    """Return the value in few digits; with all of them where few would read like one that is allowed."""
    short = f"{value:g}"
    return short if (0 <= float(short) <= 1) == (0 <= value <= 1) else repr(value)
