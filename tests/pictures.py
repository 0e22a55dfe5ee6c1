"""Small pictures as files, for the tests of scans and commands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

WHITE, RED, BLUE = (255, 255, 255), (220, 20, 20), (20, 20, 220)


def square(colour: tuple[int, int, int], side: int = 40) -> np.ndarray:
    """White, with a square of the colour in the middle."""
    pixels = np.full((side, side, 3), 255, np.uint8)
    pixels[side // 4 : -(side // 4), side // 4 : -(side // 4)] = colour
    return pixels


def write(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".png", pixels[..., ::-1])[1].tobytes())
    return path


def notes(root: Path) -> None:
    """A file that is not an image, in either folder of `trees`."""
    for side in ("expected", "actual"):
        (root / side / "note.txt").write_text("no image", encoding="utf-8")


def trees(root: Path) -> tuple[Path, Path]:
    """Two folders: same.png, sub/other.png (differs), gone.png and new.png (one-sided)."""
    expected, actual = root / "expected", root / "actual"
    for folder in (expected, actual):
        write(folder / "same.png", square(RED))
    write(expected / "sub/other.png", square(RED))
    write(actual / "sub/other.png", square(BLUE))
    write(expected / "gone.png", square(RED))
    write(actual / "new.png", square(RED))
    return expected, actual
