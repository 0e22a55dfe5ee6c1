"""Draws the figures of ``python -m benchmarks --json FILE``: ``python -m benchmarks.plot FILE [PICTURE]``.

The picture is docs/pictures/speed.svg where none is named; its ending says the format. Needs the extra test.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from benchmarks.goals import MIXES, PICTURES
from benchmarks.processes import ROOT
from benchmarks.table import figure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

TARGET = ROOT / "docs" / "pictures" / "speed.svg"
LABELS = {"page": "page\n3446x10728", "4k-interface": "4K interface", "4k-photo": "4K photo"}


@dataclass(frozen=True)
class Dots:
    """The dots of one colour, one for each picture or mix.

    Attributes:
        label: what they show.
        colour: theirs.
        goal: the end of the names of the goals that hold the figures.
        side: ``ours`` or ``theirs``.
    """

    label: str
    colour: str
    goal: str
    side: str


PAIR = (
    Dots("pytest-imgdiff", "#4f46e5", "odiff-mask", "ours"),
    Dots("odiff --diff-mask", "#f59e0b", "odiff-mask", "theirs"),
    Dots("blazediff, mask, compression=1", "#94a3b8", "blazediff-mask-compressed", "theirs"),
    Dots("blazediff, mask", "#cbd5e1", "blazediff-mask", "theirs"),
)
FOLDER = (
    Dots("pytest-imgdiff compare", "#4f46e5", "compare", "ours"),
    Dots("pytest --imgdiff-scan", "#a5b4fc", "pytest", "ours"),
    Dots("odiff under xargs", "#f59e0b", "compare", "theirs"),
)


def draw(result: dict[str, Any]) -> Figure:
    """Draw one pair by picture, and 200 pairs by what they hold: milliseconds, median and range of all rounds."""
    rows = {row["name"]: row for row in result["rows"]}
    drawn = Figure(figsize=(11, 5.2), layout="constrained")
    left, right = drawn.subplots(1, 2, width_ratios=(3, 2))
    _panel(left, "one pair, mask written", "pair", PICTURES, PAIR, rows)
    _panel(right, "200 pairs of 1280x720", "folder", MIXES, FOLDER, rows)
    machine, rounds = result["machine"], result["rounds"]
    versions = ", ".join(f"{name} {version}" for name, version in result["rivals"].items())
    caption = f"medians and ranges of {rounds} rounds; {machine['CPU']}, {machine['cores']} cores; {versions}"
    drawn.supxlabel(caption, fontsize=8, color="#64748b")
    return drawn


def _panel(
    axes: Axes, title: str, subject: str, groups: Sequence[str], series: Sequence[Dots], rows: dict[str, Any]
) -> None:
    height = 0.8 / len(series)
    for index, dots in enumerate(series):
        for place, group in enumerate(groups):
            figures = rows.get(f"{subject}/{group}/{dots.goal}", {}).get(dots.side)
            if not figures:
                continue
            middle = median(figures)
            at = place + (index - (len(series) - 1) / 2) * height
            axes.plot([min(figures), max(figures)], [at, at], color=dots.colour, linewidth=1.2)
            axes.plot([middle], [at], "o", color=dots.colour)
            axes.annotate(figure(middle), (max(figures), at), (5, 0), textcoords="offset points", va="center", size=7)
        axes.plot([], [], "o", color=dots.colour, label=dots.label)
    axes.set_yticks(range(len(groups)), [LABELS.get(group, group) for group in groups])
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: figure(value)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.grid(axis="x", color="#e2e8f0")
    axes.set_axisbelow(True)
    axes.margins(x=0.16)
    axes.set_xlabel("ms")
    axes.set_title(title)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2, fontsize=8, frameon=False)


def main() -> None:
    """Read the command line."""
    source, *target = sys.argv[1:]
    result = json.loads(Path(source).read_text(encoding="utf-8"))
    place = Path(target[0]) if target else TARGET
    # The same figures give the same file.
    with mpl.rc_context({"svg.hashsalt": "speed", "svg.fonttype": "none", "font.family": "sans-serif"}):
        draw(result).savefig(place, dpi=110, metadata={"Date": None} if place.suffix == ".svg" else None)


if __name__ == "__main__":
    main()
