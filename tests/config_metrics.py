"""Small metrics with every kind of limit and option, and what looks them up: values for the parameter ``metrics``."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import msgspec

from pytest_imgdiff.base.errors import ImgdiffError

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


@dataclass(frozen=True)
class Perceptual:
    """A distance that counts pixels."""

    threshold: Share = 0.1
    antialiasing: bool = False
    radius: Annotated[int, msgspec.Meta(ge=1)] = 1

    name: ClassVar[str] = "perceptual"
    direction: ClassVar[str] = "distance"
    perfect: ClassVar[float] = 0.0
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    counts_pixels: ClassVar[bool] = True
    unit: ClassVar[str] = "share"
    heat_threshold: ClassVar[str] = "zero"


@dataclass(frozen=True)
class Ssim:
    """A similarity."""

    window: Literal["uniform", "gaussian"] = "uniform"
    size: int = 7

    name: ClassVar[str] = "ssim"
    direction: ClassVar[str] = "similarity"
    perfect: ClassVar[float] = 1.0
    bounds: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    counts_pixels: ClassVar[bool] = False
    unit: ClassVar[str] = "index"
    heat_threshold: ClassVar[str] = "otsu"

    def __post_init__(self):
        if self.size % 2 == 0:
            raise ValueError(f"a window of {self.size} pixels has no middle")


@dataclass(frozen=True)
class Psnr:
    """A similarity whose largest value is that of equal pictures."""

    name: ClassVar[str] = "psnr"
    direction: ClassVar[str] = "similarity"
    perfect: ClassVar[float] = 1000.0
    bounds: ClassVar[tuple[float, float]] = (0.0, float("inf"))
    unit: ClassVar[str] = "dB"
    heat_threshold: ClassVar[str] = "none"


@dataclass(frozen=True)
class Weighted:
    """A metric of a plugin: no upper bound, a required option."""

    weights: tuple[float, float, float]

    name: ClassVar[str] = "weighted"
    direction: ClassVar[str] = "distance"
    perfect: ClassVar[float] = 0.0
    bounds: ClassVar[tuple[float, float]] = (0.0, float("inf"))
    unit: ClassVar[str] = "levels"
    heat_threshold: ClassVar[str] = "none"


class Lookup:
    """Knows metrics by name, as the registry does."""

    def __init__(self, *classes: Any) -> None:
        self._classes = {metric.name: metric for metric in classes}

    def names(self) -> list[str]:
        return sorted([*self._classes, "lpips"])

    def metric_class(self, name: str) -> type:
        if name == "lpips":
            raise ImgdiffError("the metric lpips needs a package; run: pip install pytest-imgdiff[lpips]")
        if name not in self._classes:
            near = difflib.get_close_matches(name, self.names(), n=1)
            raise ImgdiffError(f'unknown metric "{name}"' + (f'; did you mean "{near[0]}"?' if near else ""))
        return self._classes[name]


METRICS = Lookup(Perceptual, Ssim, Psnr, Weighted)
