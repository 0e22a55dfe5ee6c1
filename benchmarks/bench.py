"""What all subjects measure with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from benchmarks.layout import Pictures
    from benchmarks.rivals import Rivals


@dataclass(frozen=True)
class Bench:
    """One run of the benchmark.

    Attributes:
        rivals: where they are.
        pictures: where those are.
        scratch: a folder for what the measured write; commands run in it.
        rounds: how often each is measured.
        quick: whether what takes minutes is left out.
        wanted: whether a goal of this name was asked for.
    """

    rivals: Rivals
    pictures: Pictures
    scratch: Path
    rounds: int
    quick: bool
    wanted: Callable[[str], bool]
