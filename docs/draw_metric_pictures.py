"""Draws docs/pictures/metric_*.jpg: for each metric what it sees and what it misses, on scikit-image's photographs.

Run from the repository's root with the packages of the extra ``test``: ``python docs/draw_metric_pictures.py``
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import matplotlib as mpl
import numpy as np
import skimage.data
from matplotlib.figure import Figure

from pytest_imgdiff.base.image import Image, ImageInfo
from pytest_imgdiff.comparison.registry import METRICS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_imgdiff.base.model import MetricResult

    Picture = NDArray[np.uint8]
    """(height, width, 3) RGB."""

FOLDER = Path(__file__).parent / "pictures"
SIZE = (300, 200)


@dataclass(frozen=True, eq=False)
class Case:
    """One picture of the documentation: a pair, the metrics that judge it, and what the pair shows."""

    file: str
    says: str
    expected: Picture
    actual: Picture
    metrics: tuple[str, ...]


def photograph(name: str) -> Picture:
    """Return a photograph of scikit-image at the size of the pictures."""
    return cv2.resize(getattr(skimage.data, name)(), SIZE, interpolation=cv2.INTER_AREA)


def as_jpeg(picture: Picture, quality: int) -> Picture:
    """Return the picture after a JPEG file of that quality."""
    _, encoded = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.ascontiguousarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR)[..., ::-1])


def with_badge(picture: Picture) -> Picture:
    """Return the picture with a red badge in a corner."""
    return cv2.circle(picture.copy(), (278, 22), 10, (230, 0, 40), -1, cv2.LINE_AA)


def brighter(picture: Picture, levels: float) -> Picture:
    """Return the picture with every channel raised."""
    return np.clip(picture + np.float64(levels), 0, 255).round().astype(np.uint8)


def recoloured(picture: Picture) -> Picture:
    """Return the picture in other hues of the same brightness."""
    luma, red, blue = cv2.split(cv2.cvtColor(picture, cv2.COLOR_RGB2YCrCb))
    return cv2.cvtColor(cv2.merge([luma, blue, red]), cv2.COLOR_YCrCb2RGB)


def tinted(picture: Picture) -> Picture:
    """Return the picture with a rectangle that is bluer at the same brightness."""
    luma, red, blue = cv2.split(cv2.cvtColor(picture, cv2.COLOR_RGB2YCrCb))
    blue[60:140, 90:210] += 12
    return cv2.cvtColor(cv2.merge([luma, red, blue]), cv2.COLOR_YCrCb2RGB)


def moved(picture: Picture) -> Picture:
    """Return the picture moved to the right and down."""
    movement = np.array([[1, 0, 6], [0, 1, 4]], np.float64)
    return cv2.warpAffine(picture, movement, SIZE, borderMode=cv2.BORDER_REFLECT)


def faint_word(picture: Picture) -> Picture:
    """Return the picture with a word that is darker by 18 levels."""
    ink = np.zeros(picture.shape[:2], np.uint8)
    cv2.putText(ink, "DRAFT", (25, 130), cv2.FONT_HERSHEY_DUPLEX, 2.4, 255, 6, cv2.LINE_AA)
    return np.where(ink[..., None] > 0, brighter(picture, -18), picture)


def turned(picture: Picture) -> Picture:
    """Return the picture turned by a few degrees and moved."""
    movement = cv2.getRotationMatrix2D((SIZE[0] / 2, SIZE[1] / 2), 7, 1.05)
    movement[:, 2] += (8, -5)
    return cv2.warpAffine(picture, movement, SIZE, borderMode=cv2.BORDER_REFLECT)


def cases() -> list[Case]:
    """Return what the documentation shows."""
    cup, cat, face = photograph("coffee"), photograph("chelsea"), photograph("astronaut")
    one_level = cat.copy()
    one_level[60:140, 90:210, 2] += 1
    rough = as_jpeg(cup, 8)
    error = float(np.mean((rough.astype(np.float64) - cup) ** 2))
    hashes = ("phash", "dhash", "ahash", "whash")
    return [
        Case("pixel_match_sees", "one level of blue in a rectangle", cat, one_level, ("pixel_match",)),
        Case(
            "pixel_match_misses",
            "how much: JPEG quality 95",
            cat,
            as_jpeg(cat, 95),
            ("pixel_match",),
        ),
        Case("perceptual_sees", "a new badge", cup, with_badge(cup), ("perceptual",)),
        Case("perceptual_misses", "a watermark fainter than its threshold", face, faint_word(face), ("perceptual",)),
        Case("ssim_sees", "lost detail", cat, cv2.GaussianBlur(cat, (0, 0), 2), ("ssim",)),
        Case("ssim_misses", "other hues of equal brightness", face, recoloured(face), ("ssim",)),
        Case("ciede2000_sees", "a tint of the same brightness", cat, tinted(cat), ("ciede2000", "perceptual")),
        Case("ciede2000_misses", "two levels more, everywhere", cup, brighter(cup, 2), ("ciede2000", "mae")),
        Case("shift_sees", "the picture moved by 6 and 4 pixels", cat, moved(cat), ("shift", "ssim")),
        Case("shift_misses", "a new badge", cup, with_badge(cup), ("shift",)),
        Case("diffimg_sees", "a picture that became brighter", face, brighter(face, 25), ("mae", "diffimg")),
        Case("diffimg_misses", "a new badge, all but nothing in the mean", cup, with_badge(cup), ("mae", "diffimg")),
        Case("psnr_sees", "JPEG quality 8", cup, rough, ("mse", "psnr")),
        Case("psnr_misses", "the kind: an even tint, the same error", cup, brighter(cup, error**0.5), ("mse", "psnr")),
        Case("orb_sees", "the same picture, turned and moved", cat, turned(cat), ("orb", "ssim")),
        Case("orb_misses", "colour: other hues", cup, recoloured(cup), ("orb",)),
        Case("hashes_sees", "another picture", cat, face, hashes),
        Case("hashes_misses", "a new badge", cup, with_badge(cup), hashes),
    ]


def measured(case: Case) -> dict[str, MetricResult]:
    """Return what each metric says of a case."""
    pair = [image_of(picture) for picture in (case.expected, case.actual)]
    results = {}
    for name in case.metrics:
        module, _, attribute = METRICS[name].partition(":")
        metric: Any = getattr(importlib.import_module(module), attribute)()
        results[name] = metric.measure(*pair, None)
    return results


def image_of(picture: Picture) -> Image:
    """Return RGB pixels in the normal form."""
    pixels = np.dstack([picture, np.full(picture.shape[:2], 255, np.uint8)])
    info = ImageInfo(label="array", format="array", width=SIZE[0], height=SIZE[1], mode="RGB 8-bit")
    return Image(pixels, info)


def painted(case: Case, result: MetricResult) -> tuple[str, Picture]:
    """Return what the metric paints, or else where the pair differs at all."""
    if result.drawings:
        ((name, draw),) = result.drawings.items()
        return name, draw()
    if result.heat is not None:
        heat = result.heat / (255 if result.heat.dtype == np.uint8 else max(result.heat.max(), 1 / 255))
        return "heat", (mpl.colormaps["inferno"](np.sqrt(heat))[..., :3] * 255).astype(np.uint8)
    return "difference (the metric paints none)", cv2.absdiff(case.expected, case.actual)


def draw(case: Case) -> None:
    """Write one case's picture and print its values."""
    results = measured(case)
    values = ", ".join(f"{name} {result.value:.5g} {result.unit}" for name, result in results.items())
    third = painted(case, next(iter(results.values())))
    tiles = [("expected", case.expected), ("actual", case.actual), third]
    figure = Figure(figsize=(9.6, 2.75), dpi=100, layout="constrained")
    widths = [tile.shape[1] / tile.shape[0] for _, tile in tiles]
    for axes, (title, tile) in zip(figure.subplots(1, 3, width_ratios=widths), tiles, strict=True):
        axes.imshow(tile, interpolation="nearest")
        axes.set_title(title, fontsize=9)
        axes.set_axis_off()
    figure.suptitle(f"{case.says}: {values}", fontsize=11)
    figure.savefig(FOLDER / f"metric_{case.file}.jpg", pil_kwargs={"quality": 85})
    print(f"{case.file:20} {values}")


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for each in cases():
        draw(each)
