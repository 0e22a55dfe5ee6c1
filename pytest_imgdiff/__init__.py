"""Say whether two images differ, where, how much and in what sense."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_imgdiff.base.errors import (
        BrokenImageError,
        CaptureError,
        ConfigError,
        ImageAssertionError,
        ImgdiffError,
        MetricError,
    )
    from pytest_imgdiff.base.hookspecs import hookimpl
    from pytest_imgdiff.base.image import Image
    from pytest_imgdiff.base.model import (
        Capturer,
        CaptureSettings,
        Comparison,
        LimitSettings,
        Metric,
        MetricResult,
        Policy,
        Region,
        RegionSettings,
        Rule,
        Score,
        Shot,
        SizePolicy,
        Verdict,
    )
    from pytest_imgdiff.comparison.engine import compare
    from pytest_imgdiff.comparison.registry import Registry

__version__ = "0.1.0"

# Where each public name is found: pytest imports this package in every run, so nothing is imported before its use.
_HOMES = {
    "BrokenImageError": "base.errors",
    "CaptureError": "base.errors",
    "CaptureSettings": "base.model",
    "Capturer": "base.model",
    "Comparison": "base.model",
    "ConfigError": "base.errors",
    "Image": "base.image",
    "ImageAssertionError": "base.errors",
    "ImgdiffError": "base.errors",
    "LimitSettings": "base.model",
    "Metric": "base.model",
    "MetricError": "base.errors",
    "MetricResult": "base.model",
    "Policy": "base.model",
    "Region": "base.model",
    "RegionSettings": "base.model",
    "Registry": "comparison.registry",
    "Rule": "base.model",
    "Score": "base.model",
    "Shot": "base.model",
    "SizePolicy": "base.model",
    "Verdict": "base.model",
    "compare": "comparison.engine",
    "hookimpl": "base.hookspecs",
}

__all__ = [
    "BrokenImageError",
    "CaptureError",
    "CaptureSettings",
    "Capturer",
    "Comparison",
    "ConfigError",
    "Image",
    "ImageAssertionError",
    "ImgdiffError",
    "LimitSettings",
    "Metric",
    "MetricError",
    "MetricResult",
    "Policy",
    "Region",
    "RegionSettings",
    "Registry",
    "Rule",
    "Score",
    "Shot",
    "SizePolicy",
    "Verdict",
    "compare",
    "hookimpl",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
