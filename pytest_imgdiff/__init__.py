"""Say whether two images differ, where, how much and in what sense."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_imgdiff.engine import compare
    from pytest_imgdiff.errors import (
        BrokenImageError,
        CaptureError,
        ConfigError,
        ImageAssertionError,
        ImgdiffError,
        MetricError,
    )
    from pytest_imgdiff.hookspecs import hookimpl
    from pytest_imgdiff.image import Image
    from pytest_imgdiff.model import (
        Capturer,
        CaptureSettings,
        Comparison,
        MetricResult,
        Policy,
        Region,
        Rule,
        Score,
        Shot,
        SizePolicy,
        Verdict,
    )
    from pytest_imgdiff.registry import Registry

__version__ = "0.1.0"

# Where each public name is found: pytest imports this package in every run, so nothing is imported before its use.
_HOMES = {
    "BrokenImageError": "errors",
    "CaptureError": "errors",
    "CaptureSettings": "model",
    "Capturer": "model",
    "Comparison": "model",
    "ConfigError": "errors",
    "Image": "image",
    "ImageAssertionError": "errors",
    "ImgdiffError": "errors",
    "MetricError": "errors",
    "MetricResult": "model",
    "Policy": "model",
    "Region": "model",
    "Registry": "registry",
    "Rule": "model",
    "Score": "model",
    "Shot": "model",
    "SizePolicy": "model",
    "Verdict": "model",
    "compare": "engine",
    "hookimpl": "hookspecs",
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
    "MetricError",
    "MetricResult",
    "Policy",
    "Region",
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
