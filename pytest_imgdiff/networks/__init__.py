"""Models on this machine: from a handle to files that are complete, unchanged and safe to load."""

from __future__ import annotations

from pytest_imgdiff.networks.locating import fetch, locate
from pytest_imgdiff.networks.settings import LocatedModel, ModelSettings

__all__ = ["LocatedModel", "ModelSettings", "fetch", "locate"]
