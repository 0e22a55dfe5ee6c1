"""Where two pictures differ perceptibly: colour differences, and what only anti-aliasing made differ."""

from __future__ import annotations

from pytest_imgdiff.perceived.differences import (
    AntiAliasing,
    Differences,
    find_differences,
    find_differences_in_rows,
)
from pytest_imgdiff.perceived.raster import ColourDifference

__all__ = ["AntiAliasing", "ColourDifference", "Differences", "find_differences", "find_differences_in_rows"]
