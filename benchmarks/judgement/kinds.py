"""The accuracy of the kinds of regions: `python -m benchmarks.judgement.kinds FOLDER...`.

Each folder holds ``expected/``, ``actual/`` and ``truth.json``: for each picture its ``kind``, whether it should match,
the boxes ``before`` and ``after`` of what was changed (left, top, right, bottom), its displacement ``d``, and the
device scale ``dpr``. Prints which kind each change was taken for, precision and recall together (F1) of each kind, and
their mean (macro-F1). A change counts as found where a region meets its boxes; its kind is that of most of the area.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any

from pytest_imgdiff import compare
from pytest_imgdiff.base.model import Policy, Region, Rule

TRUE_KINDS: dict[str, str | None] = {
    "gradient": "recoloured",
    "content-gradient": "recoloured",
    "recolour-faint-panel": "recoloured",
    "weight": "text",
    "bar-added": "text",
    "jpeg20": "content",
    "shadow": None,
    "shadow-strong": None,
    "shadow-gone": None,
    "shadow-raised": None,
    "added-tick": None,
    "content-progress": None,
    "tab-changed": None,
    "shift1-block": None,
}
"""Of changes whose kind the set names otherwise; None where several kinds are right: a ticked box is filled as well."""
KINDS = {"noise": "rendering", "theme": None, "caret": None, "other": None}
"""Kinds with another name in the set than here."""
MEETS = 0.3
"""A region and the box of a change share at least so much of the smaller one where they belong together."""

Edges = tuple[float, float, float, float]
"""Left, top, right, bottom."""


def edges_of(region: Region) -> Edges:
    """Return the edges of a region's box."""
    box = region.box
    return box.x, box.y, box.x + box.width, box.y + box.height


def overlap(one: Edges, other: Edges) -> float:
    """Return the shared area as a share of the smaller box."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return width * height / max(1e-9, min(areas))


def reported(regions: tuple[Region, ...], truth: dict[str, Any], height: int) -> tuple[str, list[Region]]:
    """Return the kind that the regions give a change, and those that belong to it; all where its box is not shown."""
    counted = [region for region in regions if region.kind != "rendering"]
    boxes = [box for box in (truth["before"], truth["after"]) if box and box[1] < height]
    if truth["kind"] == "noise" or not boxes:
        return (Counter(region.kind for region in counted).most_common(1)[0][0] if counted else "rendering"), counted
    whole = (
        min(box[0] for box in boxes),
        min(box[1] for box in boxes),
        max(box[2] for box in boxes),
        max(box[3] for box in boxes),
    )
    hits = [region for region in counted if overlap(edges_of(region), whole) > MEETS]
    if not hits:
        return ("rendering" if regions else "missed"), []
    areas: Counter[str] = Counter()
    for region in hits:
        areas[region.kind] += region.box.width * region.box.height
    return areas.most_common(1)[0][0], hits


def confusion(folder: Path, *, scale: int | None, verbose: bool) -> tuple[Counter[tuple[str, str]], Counter[str]]:
    """Return how often each true kind was classified as each kind, and how many displacements are exact."""
    truths = json.loads((folder / "truth.json").read_text(encoding="utf-8"))
    matrix: Counter[tuple[str, str]] = Counter()
    moves: Counter[str] = Counter()
    policy = Policy((Rule("visible", max=1.0),), mask="visible")
    for name, truth in truths.items():
        change = truth.get("change") or Path(name).stem.split("-", 1)[1]
        kind = TRUE_KINDS.get(change, KINDS.get(truth["kind"], truth["kind"]))
        if kind is None or truth["match"] is None or (scale is not None and truth["dpr"] != scale):
            continue
        comparison = compare(folder / "expected" / name, folder / "actual" / name, policy)
        if comparison.equal:  # the change does not show on this page
            continue
        found, hits = reported(comparison.regions, truth, comparison.expected.size[1] if comparison.expected else 0)
        matrix[kind, found] += 1
        if kind == "moved":
            by = tuple(truth["moved"] if "moved" in truth else truth["d"])
            exact = any(region.moved == by for region in hits)
            moves["exact" if exact else "other"] += 1
        if verbose and found != kind:
            parts = [(r.kind, edges_of(r), r.moved) for r in hits[:3]]
            print(f"{name}: {kind} taken for {found}; {len(comparison.regions)} regions, {parts}")
    return matrix, moves


def table(matrix: Counter[tuple[str, str]]) -> str:
    """Return the confusion matrix and the scores as text."""
    kinds = sorted({kind for kind, _ in matrix})
    lines, scores = [], []
    for kind in kinds:
        right = matrix[kind, kind]
        total = sum(count for (true, _), count in matrix.items() if true == kind)
        taken = sum(count for (_, found), count in matrix.items() if found == kind)
        scores.append(2 * right / max(1, total + taken))
        wrong = ", ".join(
            f"{found} {count}" for (true, found), count in sorted(matrix.items()) if true == kind != found
        )
        lines.append(f"{kind:12} {right:3} of {total:3}   F1 {scores[-1]:.3f}   {wrong}")
    return "\n".join([*lines, f"macro-F1 {sum(scores) / max(1, len(scores)):.3f} over {len(kinds)} kinds"])


def main() -> None:
    """Read the folders and print a table of all of them together."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--scale", type=int, help="only pictures of this device scale")
    parser.add_argument("-v", "--verbose", action="store_true", help="name each change that is taken for another")
    options = parser.parse_args()
    matrix: Counter[tuple[str, str]] = Counter()
    moves: Counter[str] = Counter()
    for folder in options.folders:
        more, exact = confusion(folder, scale=options.scale, verbose=options.verbose)
        matrix += more
        moves += exact
    print(table(matrix))
    print(f"displacement exact in {moves['exact']} of {moves.total()}")


if __name__ == "__main__":
    main()
