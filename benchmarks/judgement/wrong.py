"""Draws the pairs that a metric of ours gets wrong: expected, actual and heat, where the two differ."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from pytest_imgdiff import Policy, Registry, Rule, compare

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from benchmarks.judgement.rules import Pair
    from pytest_imgdiff.base.model import Comparison

LARGEST = (560, 480)
"""Width and height of a drawn panel; what is smaller is magnified up to four times."""
MOST_MAGNIFIED = 4
AROUND = 30
GRAY = 128


def drawn(pairs: Sequence[Pair], metric: str, limit: float, out: Path) -> Iterator[str]:
    """Draw each wrong pair to a PNG in the folder, and list them in ``wrong.md`` there.

    Yields:
        A line for each: the pair, what is right, the value, what was changed, how much differs, the evidence.

    Raises:
        ValueError: a pair could not be compared.
    """
    out.mkdir(parents=True, exist_ok=True)
    registry, policy = Registry(), Policy(metrics=(Rule(metric, max=limit),))
    lines = []
    for pair in pairs:
        comparison = compare(pair.expected, pair.actual, policy, registry=registry)
        if comparison.verdict.value == "broken":
            raise ValueError(f"{pair.name}: {comparison.reason}")
        if comparison.passed is not pair.match:
            expected, actual = (cv2.imread(str(path), cv2.IMREAD_COLOR) for path in (pair.expected, pair.actual))
            box = _differing(expected, actual)
            result = comparison.results.get(metric)
            heat = None if result is None else result.heat
            panels = [_panel(each, box) for each in (expected, actual, _shown(heat, expected.shape[:2]))]
            picture = cv2.hconcat([each for panel in panels for each in (panel, np.full_like(panel[:, :4], GRAY))])
            cv2.imwrite(str(out / f"{pair.suite}-{pair.expected.stem}.png"), picture)
            lines.append(_line(pair, comparison, box, expected, actual))
            yield lines[-1]
    (out / "wrong.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _line(
    pair: Pair,
    comparison: Comparison,
    box: tuple[int, int, int, int],
    expected: NDArray[np.uint8],
    actual: NDArray[np.uint8],
) -> str:
    left, top, right, bottom = box
    score = comparison.scores[0] if comparison.scores else None
    value, details = (score.value, dict(score.details)) if score else (None, {})
    step = int(cv2.norm(expected, actual, cv2.NORM_INF))
    return (
        f"- `{pair.name}` should {'pass' if pair.match else 'fail'}: value {value}, "
        f"{comparison.differing_pixels} px differ by at most {step} levels in {right - left}x{bottom - top} "
        f"at ({left}, {top}), scale {pair.about.get('dpr', 1)}; {details}"
    )


def _differing(expected: NDArray[np.uint8], actual: NDArray[np.uint8]) -> tuple[int, int, int, int]:
    """Return left, top, right, bottom of what differs; of the whole picture where nothing does."""
    rows, columns = np.nonzero((expected != actual).any(axis=2))
    if not len(rows):
        return 0, 0, expected.shape[1], expected.shape[0]
    return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1


def _shown(heat: NDArray[np.generic] | None, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    if heat is None:
        return np.full((*shape[:2], 3), GRAY, np.uint8)
    levels = cv2.normalize(heat.astype(np.float32), np.empty(0), 0, 255, cv2.NORM_MINMAX)
    coloured: NDArray[np.uint8] = cv2.applyColorMap(levels.astype(np.uint8), cv2.COLORMAP_INFERNO).astype(np.uint8)
    return coloured


def _panel(picture: NDArray[np.uint8], box: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    left, top, right, bottom = box
    cut = picture[max(0, top - AROUND) : bottom + AROUND, max(0, left - AROUND) : right + AROUND]
    scale = min(LARGEST[0] / cut.shape[1], LARGEST[1] / cut.shape[0], MOST_MAGNIFIED)
    how = cv2.INTER_NEAREST if scale > 1 else cv2.INTER_AREA
    panel: NDArray[np.uint8] = cv2.resize(cut, None, fx=scale, fy=scale, interpolation=how).astype(np.uint8)
    return panel
