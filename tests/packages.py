"""A package that extends imgdiff, installed beside a test: a module and what pip would write about it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def install(site: Path, name: str, modules: dict[str, str], entry_points: str) -> str:
    """Write the modules and the entry points of the group ``imgdiff``; return the PYTHONPATH that finds them."""
    info = site / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(f"[imgdiff]\n{entry_points}\n", encoding="utf-8")
    for module, source in modules.items():
        (site / module).write_text(source, encoding="utf-8")
    return os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])
