"""A report whose pictures have known pixels, for the tests of the viewer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import msgspec
import numpy as np

from pytest_imgdiff.report import write_report
from tests.report_records import HOSTILE_NAMES, different, equal, perceptual, region, run_of, side, uncompared

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from pytest_imgdiff.base.record import ComparisonRecord

    Picture = NDArray[np.uint8]

WIDTH, HEIGHT = 400, 300
BOX = (240, 180, 60, 40)
"""x, y, width and height of what differs in "page"."""
SMALL = (20, 30, 9, 5)
TALL = 4000


def gradient(width: int = WIDTH, height: int = HEIGHT) -> Picture:
    """Return (height, width, 3) RGB in which the colour of a pixel tells its place."""
    y, x = np.mgrid[:height, :width]
    return np.dstack([x % 256, y % 256, (x // 256 * 16 + y // 256) % 256]).astype(np.uint8)


def painted(picture: Picture, box: tuple[int, int, int, int], colour: tuple[int, ...]) -> Picture:
    x, y, width, height = box
    copy = picture.copy()
    copy[y : y + height, x : x + width] = colour
    return copy


def difference(first: Picture, second: Picture) -> Picture:
    """Return (height, width), 255 where the two differ."""
    return np.where((first != second).any(axis=2), 255, 0).astype(np.uint8)


def illustrated(report: Path, record: ComparisonRecord, **pictures: Picture) -> ComparisonRecord:
    """Write the pictures and return the record that names them, and their sizes."""
    folder = f"pictures/{len(list(report.glob('pictures/*')))}"
    (report / folder).mkdir(parents=True)
    changes: dict[str, Any] = {"artefacts": {}}
    for name, pixels in pictures.items():
        path = f"{folder}/{name}.png"
        order = {3: cv2.COLOR_RGB2BGR, 4: cv2.COLOR_RGBA2BGRA}.get(pixels.shape[-1]) if pixels.ndim == 3 else None
        encoded = cv2.imencode(".png", pixels if order is None else cv2.cvtColor(pixels, order))[1]
        (report / path).write_bytes(encoded.tobytes())
        changes["artefacts"][name] = path
        if name in {"expected", "actual"}:
            changes[name] = side(f"{name}/{record.name}.png", width=pixels.shape[1], height=pixels.shape[0])
    return msgspec.structs.replace(record, **changes)


def once(record: ComparisonRecord) -> ComparisonRecord:
    """Return a comparison of equal pictures of which the report stores one."""
    return msgspec.structs.replace(record, artefacts={**record.artefacts, "actual": record.artefacts["expected"]})


def page(report: Path) -> ComparisonRecord:
    expected = gradient()
    actual = painted(painted(expected, BOX, (250, 10, 20)), SMALL, (1, 2, 3))
    mask = difference(expected, actual)
    heat = np.dstack([mask, mask // 2, np.zeros_like(mask)])
    regions = [region(*BOX, area=2400), region(*SMALL, area=45)]
    record = different("page", regions=regions, region_count=2, ignored=0.25, key="shop/page[desktop].png")
    matches = np.hstack([expected, actual])
    heats = {"ssim_heat": heat, "perceptual_heat": heat[..., ::-1]}
    return illustrated(report, record, expected=expected, actual=actual, mask=mask, **heats, orb_matches=matches)


def icon(report: Path) -> ComparisonRecord:
    expected = np.zeros((16, 16, 4), np.uint8)
    expected[2:14, 2:14] = (60, 90, 120, 255)
    actual = painted(expected, (5, 5, 6, 6), (200, 100, 50, 128))
    record = different("icon", compared_width=16, compared_height=16, regions=[region(5, 5, 6, 6)], region_count=1)
    mask = difference(expected, actual)
    return illustrated(report, record, expected=expected, actual=actual, mask=mask)


def tall(report: Path) -> ComparisonRecord:
    expected = gradient(WIDTH, TALL)
    boxes = [(40, 3700, 100, 50), (40, 200, 80, 40)]
    actual = painted(painted(expected, boxes[0], (255, 255, 255)), boxes[1], (0, 0, 0))
    regions = [region(*box) for box in boxes]
    record = different("tall", compared_height=TALL, regions=regions, region_count=500)
    return illustrated(report, record, expected=expected, actual=actual, mask=difference(expected, actual))


def viewer_report(report: Path) -> Path:
    """Write the report and return its page. The comparisons have different verdicts, sizes and pictures."""
    flat = np.full((120, 200, 3), 200, np.uint8)
    records = [
        page(report),
        icon(report),
        tall(report),
        illustrated(report, uncompared("missing", "new", reason="there is no expected image"), actual=flat),
        illustrated(report, uncompared("unmatched", "gone", reason="there is no actual image"), expected=flat),
        illustrated(
            report, uncompared("resized", "grown", reason="the sizes differ"), expected=flat, actual=gradient()
        ),
        uncompared("broken", "torn", reason="actual/torn.png: truncated"),
        illustrated(report, equal("same"), expected=flat, actual=flat),
        once(illustrated(report, equal("once"), expected=flat)),
        equal("bare"),
        *(hostile(report, name) for name in HOSTILE_NAMES),
    ]
    return write_report(report, run_of(*records))


def hostile(report: Path, name: str) -> ComparisonRecord:
    texts: dict[str, Any] = {"test": name, "reason": name, "notes": [name], "accept": name}
    record = different(name, **texts, scores=[perceptual(metric=name)], regions=[region(2, 2, 6, 6)], region_count=1)
    flat = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    return illustrated(report, record, expected=flat, actual=painted(flat, (2, 2, 6, 6), (0, 0, 0)))
