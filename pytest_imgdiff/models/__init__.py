"""Models on this machine: from a handle to files that are whole, unchanged and safe to load."""

from __future__ import annotations

from pytest_imgdiff.models.fetching import fetch
from pytest_imgdiff.models.locating import locate
from pytest_imgdiff.models.settings import LocatedModel, ModelSettings

__all__ = ["LocatedModel", "ModelSettings", "fetch", "locate"]
