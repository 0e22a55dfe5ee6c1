"""Asks a Python package about pairs of pictures, in the interpreter that has it.

Its name is the argument, a JSON list of ``[expected, actual]`` stands on standard input. Prints a JSON line for each
pair: scores by setting, 0 for equal.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

THRESHOLDS = (0.05, 0.1, 0.2, 0.3)


def blazediff() -> Callable[[str, str], dict[str, float]]:
    """Return what counts blazediff's pixels; it counts those of anti-aliasing unless the setting says not to."""
    import blazediff

    def count(*files: str, **options: float) -> int:
        result = blazediff.compare(*files, **options)
        return 0 if result.match_result else int(result.diff_count)  # it has no count where the two match

    def ask(expected: str, actual: str) -> dict[str, float]:
        return {
            f"{threshold}{' antialiasing' * ignored}": count(
                expected, actual, threshold=threshold, antialiasing=ignored
            )
            for threshold in THRESHOLDS
            for ignored in (False, True)
        }

    return ask


def flip() -> Callable[[str, str], dict[str, float]]:
    """Return what takes the mean and the largest error of FLIP's map."""
    import flip_evaluator

    def ask(expected: str, actual: str) -> dict[str, float]:
        errors, mean, _ = flip_evaluator.evaluate(expected, actual, "LDR", applyMagma=False)
        return {"mean": float(mean), "largest": float(errors.max())}

    return ask


def ssim() -> Callable[[str, str], dict[str, float]]:
    """Return what takes 1 - SSIM of the gray pictures, mean and least, with scikit-image's windows of 7x7."""
    from skimage.color import rgb2gray
    from skimage.io import imread
    from skimage.metrics import structural_similarity

    def ask(expected: str, actual: str) -> dict[str, float]:
        sides: list[Any] = [rgb2gray(imread(path)[..., :3]) for path in (expected, actual)]
        mean, index = structural_similarity(*sides, data_range=1.0, full=True)
        return {"mean": 1 - float(mean), "least": 1 - float(index.min())}

    return ask


RIVALS = {"blazediff": blazediff, "FLIP": flip, "SSIM": ssim}

if __name__ == "__main__":
    answer = RIVALS[sys.argv[1]]()
    for pair in json.load(sys.stdin):
        print(json.dumps(answer(*pair)), flush=True)
