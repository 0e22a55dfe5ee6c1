"""Where two pictures differ perceptibly: colour differences, and what only anti-aliasing made differ."""

from __future__ import annotations

from pytest_imgdiff.perceived.differences import (
    LARGEST_DELTA,
    AntiAliasing,
    Differences,
    find_differences,
    find_differences_in_rows,
)

__all__ = ["LARGEST_DELTA", "AntiAliasing", "Differences", "find_differences", "find_differences_in_rows"]
