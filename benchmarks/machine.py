"""The machine and the versions of a measurement."""

from __future__ import annotations

import os
import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.rivals import Rivals

OURS = (
    "numpy",
    "opencv-python-headless",
    "opencv-python",
    "opencv-contrib-python-headless",
    "imagecodecs",
    "pillow",
    "simplejpeg",
    "msgspec",
    "pytest",
)


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def described(rivals: Rivals) -> dict[str, dict[str, str]]:
    """Return the machine, the versions of what ours is made of, and those of the rivals."""
    return {
        "machine": {
            "CPU": _cpu(),
            "cores": str(cores()),
            "memory, GB": f"{_memory():.0f}",
            "system": platform.platform(),
            "load before": f"{os.getloadavg()[0]:.2f}" if hasattr(os, "getloadavg") else "unknown",
        },
        "ours": {"Python": sys.version.split()[0]} | {name: version for name in OURS if (version := _version(name))},
        "rivals": dict(rivals.versions),
    }


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _memory() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9 if hasattr(os, "sysconf") else 0.0
