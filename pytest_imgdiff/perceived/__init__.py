"""Where two pictures differ perceptibly: colour differences, and what only anti-aliasing made differ.

The door opens on first use: the options of a metric can be checked without NumPy and OpenCV.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from pytest_imgdiff.perceived.differences import Differences, find_differences, find_differences_in_rows

__all__ = ["AntiAliasing", "ColourDifference", "Differences", "find_differences", "find_differences_in_rows"]

AntiAliasing = Literal["ignore", "count"]
ColourDifference = Literal["oklab", "yiq"]
"""How the colours of two pixels are compared: as pixelmatch 8.0 does, or as 7.2 does."""


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.differences"), name)
