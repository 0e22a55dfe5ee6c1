"""Records built by hand, and small pictures to go with them."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Any

import msgspec

from pytest_imgdiff.base.captured import CaptureInfo, Element
from pytest_imgdiff.base.record import (
    ComparisonRecord,
    RegionRecord,
    RunRecord,
    ScoreRecord,
    SideRecord,
    ToolRecord,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

PICTURES = ("expected", "actual", "mask", "thumb", "ssim_heat", "orb_matches")
HOSTILE_NAMES = (
    "<script>window.hacked = 1</script>",
    "</script><img src=x onerror=window.hacked=1>",
    "\"><svg onload='window.hacked=1'>",
    "{{ 7 * 7 }} {% raise %}",
    "a|b`c`*d*_e_[f](http://evil.invalid)",
    "two\nlines\r\nand\ttab",
    "caf\\xe9 not UTF-8",
    "\u202egnp.exe\u202c right to left \u05e9\u05dc\u05d5\u05dd",
    "long-" + "x" * 2000,
    "space at end ",
    "🎨 emoji & <b>bold</b> &amp; entity",
)


def side(label: str = "baselines/chart.png", **changes: Any) -> SideRecord:
    known: dict[str, Any] = {
        "label": label,
        "format": "PNG",
        "width": 400,
        "height": 300,
        "mode": "RGB 8-bit",
        "frames": 1,
        "frame": 0,
        "orientation": 1,
        "digest": "ab" * 32,
        "byte_size": 20_480,
    }
    return SideRecord(**{**known, **changes})


def perceptual(value: float = 0.008, pixels: int = 1284, **changes: Any) -> ScoreRecord:
    known: dict[str, Any] = {
        "metric": "perceptual",
        "value": value,
        "unit": "share",
        "direction": "distance",
        "limit": 0.005,
        "max_pixels": None,
        "warn": None,
        "passed": value <= 0.005,
        "warned": False,
        "reason": None,
        "details": {"pixels": pixels},
    }
    return ScoreRecord(**{**known, **changes})


def ssim(value: float | None = 0.993, **changes: Any) -> ScoreRecord:
    known: dict[str, Any] = {
        "metric": "ssim",
        "value": value,
        "unit": "index",
        "direction": "similarity",
        "limit": 0.99,
        "max_pixels": None,
        "warn": None,
        "passed": value is not None and value >= 0.99,
        "warned": False,
        "reason": None if value is not None else "the image is smaller than the window of 7x7",
        "details": {},
    }
    return ScoreRecord(**{**known, **changes})


def region(x: int = 16, y: int = 80, width: int = 240, height: int = 64, **changes: Any) -> RegionRecord:
    known: dict[str, Any] = {"area": 1200, "peak": 0.75, "kind": "changed"}
    return RegionRecord(x, y, width, height, **{**known, **changes})


def different(name: str = "charts/bar", **changes: Any) -> ComparisonRecord:
    known: dict[str, Any] = {
        "name": name,
        "verdict": "different",
        "passed": False,
        "asserted": True,
        "reason": None,
        "equal": None,
        "expected": side(),
        "actual": side("actual/chart.png"),
        "size_policy": "fail",
        "compared_width": 400,
        "compared_height": 300,
        "mask_metric": "perceptual",
        "scores": [perceptual(), ssim()],
        "regions": [region(), region(300, 40, 12, 12, area=50), region(10, 10, 8, 8, area=34)],
        "region_count": 3,
        "ignored": 0.0,
        "notes": [],
        "seconds": 0.0123,
        "test": "tests/test_charts.py::test_bar",
        "accept": "pytest --imgdiff-update=failed 'tests/test_charts.py::test_bar'",
    }
    return ComparisonRecord(**{**known, **changes})


def captured(name: str = "shop/cart", **changes: Any) -> ComparisonRecord:
    """Return a failed comparison of a page, the elements under its regions known."""
    capture: dict[str, Any] = {
        "url": "https://shop.example/cart",
        "title": "Your cart",
        "viewport": (1280, 720),
        "device_scale": 2.0,
        "browser": "chromium",
        "browser_version": "140.0.7339.16",
        "color_scheme": "light",
        "attempts": 2,
    }
    badge = Element("nav > a.badge", "link", "New", "New")
    price = Element("article.card:nth-of-type(2) > p.price", "paragraph", None, "12.00")
    known: dict[str, Any] = {
        "regions": [region(310, 12, 34, 18, element=badge), region(element=price, kind="text"), region(5, 5, 8, 8)],
        "capture": CaptureInfo("Playwright page", **{**capture, **changes.pop("capture", {})}),
    }
    return different(name, **{**known, **changes})


def equal(name: str = "charts/pie", **changes: Any) -> ComparisonRecord:
    known: dict[str, Any] = {
        "verdict": "match",
        "passed": True,
        "equal": "bytes",
        "scores": [perceptual(0.0, 0), ssim(1.0)],
        "regions": [],
        "region_count": 0,
    }
    return different(name, **{**known, **changes})


def uncompared(verdict: str, name: str, **changes: Any) -> ComparisonRecord:
    """Return a comparison in which no metric ran: ``missing``, ``unmatched``, ``resized`` or ``broken``."""
    known: dict[str, Any] = {
        "verdict": verdict,
        "scores": [],
        "regions": [],
        "region_count": 0,
        "compared_width": None,
        "compared_height": None,
        "expected": None if verdict == "missing" else side(),
        "actual": None if verdict == "unmatched" else side("actual/chart.png"),
    }
    return different(name, **{**known, **changes})


def run_of(*comparisons: ComparisonRecord, **changes: Any) -> RunRecord:
    known: dict[str, Any] = {
        "tool": ToolRecord("pytest-imgdiff", "0.1.0", {"opencv-python-headless": "4.11.0", "numpy": "2.2.0"}),
        "complete": True,
        "unrecorded": [],
        "comparisons": list(comparisons),
    }
    return RunRecord(**{**known, **changes})


def with_pictures(directory: Path, record: ComparisonRecord, names: Sequence[str] = PICTURES) -> ComparisonRecord:
    """Write a small picture for every name and return the record that names them."""
    width, height = record.compared_width or 400, record.compared_height or 300
    artefacts = {}
    for index, name in enumerate(names):
        artefacts[name] = f"pictures/{len(list(directory.glob('pictures/*')))}-{name} #1?.png"
        path = directory / artefacts[name]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(width, height, (40 * index % 256, 120, 200)))
    return msgspec.structs.replace(record, artefacts=artefacts)


def png(width: int, height: int, colour: tuple[int, int, int]) -> bytes:
    """Return a PNG of one colour."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = (b"\0" + bytes(colour) * width) * height
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
