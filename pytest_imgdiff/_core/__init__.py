"""The compiled core, where it is installed: PNG files checked, decoded and compared.

It takes a file, or it declines it; what it declines goes to the reference in `pytest_imgdiff.images`, which alone says
what is wrong with a file. The results are the same with and without it. The environment variable
``IMGDIFF_CORE=python`` turns it off.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

VARIABLE = "IMGDIFF_CORE"
_MOST_THREADS = 4
"""Of one pair: more would wait for those that inflate its two files."""


def _loaded() -> ModuleType | None:
    if os.environ.get(VARIABLE, "").strip().lower() == "python":
        return None
    try:
        from pytest_imgdiff._core import native
    except ImportError:  # installed without a compiler, or for another machine
        return None
    return native


CORE = _loaded()
"""The compiled module, `pytest_imgdiff._core.native`; None where Python does its work."""


def threads() -> int:
    """Return how many threads read a pair: one in each of several processes that work beside each other."""
    process = sys.modules.get("multiprocessing.process")
    if "PYTEST_XDIST_WORKER" in os.environ or (process is not None and process.parent_process() is not None):
        return 1
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(count, _MOST_THREADS)


def described() -> str:
    """Return which core runs: ``native avx2``, ``native`` or ``python``."""
    if CORE is None:
        return "python"
    return f"native {CORE.instructions()}".strip()
