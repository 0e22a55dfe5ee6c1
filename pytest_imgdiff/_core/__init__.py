"""The compiled core, where it is installed: PNG files checked, decoded and compared.

It takes a file, or it declines it; what it declines goes to the reference in `pytest_imgdiff.images`, which alone says
what is wrong with a file. The results are the same with and without it. The environment variable
``IMGDIFF_CORE=python`` turns it off.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

VARIABLE = "IMGDIFF_CORE"


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


def described() -> str:
    """Return which core runs: ``native avx2``, ``native`` or ``python``."""
    if CORE is None:
        return "python"
    return f"native {CORE.instructions()}".strip()
