"""The paths of the images."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import ROOT
from benchmarks.rivals import UnavailableError

SIZES = ((960, 540), (3840, 2160))
"""Of the photograph and its upper left part: the same kind of image at a sixteenth of the size."""
MIXED_EQUAL, MIXED_CHANGED = 9, 2
"""Of every 20 pairs of a mixed folder: equal in bytes, and different; the others have equal pixels in other bytes."""


@dataclass(frozen=True)
class Pictures:
    """The paths of the images.

    Attributes:
        root: the folder in which they are created.
        pairs: the number of pairs in the folders.
        tiny_counts: the numbers of tiny pairs in the folders of tiny pairs.
    """

    root: Path
    pairs: int
    tiny_counts: tuple[int, ...]

    def pair(self, name: str) -> tuple[Path, Path]:
        """Return the expected and the actual image.

        Raises:
            UnavailableError: it is the page of the fixtures, and these are not there.
        """
        folder = self.root
        if name == "page":
            folder = Path(os.environ.get("IMGDIFF_FIXTURES", ROOT.parent / "shared" / "fixtures")) / "speed"
            if not folder.is_dir():
                raise UnavailableError(f"there is no folder {folder} (set IMGDIFF_FIXTURES)")
        return folder / f"{name}-a.png", folder / f"{name}-b.png"

    def gray(self, path: Path) -> Path:
        """Return the file with an image in gray, a NumPy array."""
        return path.with_suffix(".npy")

    def folder(self, mix: str, side: str) -> Path:
        """Return a folder of images of 1280x720, ``different``, ``mixed`` or ``equal``."""
        return self.root / f"{self.pairs}-pairs" / mix / side

    def tiny(self, count: int, side: str) -> Path:
        """Return a folder of this number of tiny images."""
        return self.root / f"{count}-tiny" / side

    @property
    def photo_sparse(self) -> Path:
        """The photograph of ``4k-photo``, changed in two places only."""
        return self.root / "4k-photo-sparse.png"

    @property
    def photo_changed(self) -> Path:
        """The photograph of ``4k-photo``, changed perceptibly in every pixel."""
        return self.root / "4k-photo-changed.png"

    @property
    def interface_dark(self) -> Path:
        """The page of ``4k-interface`` in other colours everywhere."""
        return self.root / "4k-interface-dark.png"
