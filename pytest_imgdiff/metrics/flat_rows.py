"""Which pixels lie in flat areas, found for whole rows at once: of pictures of any integers, opaque or not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_imgdiff.metrics.raster import Indices, Raster

    Words = NDArray[Any]
    """(n,) pixels, one unsigned integer each."""

MARGIN = 2
"""Pixels at least so far from the border have neighbours that have all of theirs."""
MOST_EQUAL = 2
"""A pixel with more equal neighbours lies in a flat area; the edge of the picture counts as one."""
_DENSE = 16
"""Where one pixel of so many is asked about, on an average, it pays to look at all of their rows first."""
_BLOCK = 1 << 16
"""Pixels that are held against their neighbours at once."""


@dataclass(frozen=True, slots=True, eq=False)
class FlatRows:
    """Which pixels of some whole rows are flat: have at least three equal neighbours.

    Attributes:
        start: the index of the first of these pixels.
        flat: for each picture, which are; nothing is known of those at the border, and far from all that is asked.
        both: which are so in both pictures.
        open: which are not so in both, and have a neighbour that is; true of all within `MARGIN` of the border.
    """

    start: int
    flat: tuple[NDArray[np.bool_], NDArray[np.bool_]]
    both: NDArray[np.bool_]
    open: NDArray[np.bool_]

    @classmethod
    def about(cls, first: Raster, second: Raster, indices: Indices, block: int = _BLOCK) -> FlatRows | None:
        """Look at the rows of pixels, in ascending order; None where few are asked about, or pixels are no words.

        Args:
            first: one picture.
            second: the other.
            indices: of the pixels that are asked about.
            block: how many pixels are held against their neighbours at once; what is known of those that are asked
                about does not depend on it.
        """
        width = first.width
        if first.dtype.kind == "f" or min(width, first.height) <= 2 * MARGIN:
            return None
        if not indices.size or indices[-1] - indices[0] >= _DENSE * indices.size:
            return None
        top = max(0, int(indices[0]) // width - MARGIN)
        bottom = min(first.height, int(indices[-1]) // width + MARGIN + 1)
        blocks = _blocks_about(indices, width, range(top, bottom, max(1, block // width)))
        flat = (
            _flat_rows(first.values, width, top, bottom, blocks),
            _flat_rows(second.values, width, top, bottom, blocks),
        )
        both = flat[0] & flat[1]
        open_ = cv2.dilate(both.view(np.uint8).reshape(-1, width), np.ones((3, 3), np.uint8)).view(np.bool_)
        open_ &= ~both.reshape(-1, width)
        open_[:, :MARGIN] = open_[:, -MARGIN:] = True
        open_[: max(0, MARGIN - top)] = True
        open_[max(0, first.height - MARGIN - top) :] = True
        return cls(top * width, flat, both, open_.reshape(-1))

    def may_be_smoothed(self, indices: Indices) -> NDArray[np.bool_]:
        """Whether each pixel may be anti-aliased: is not flat in both pictures, and has a neighbour that is."""
        may_be: NDArray[np.bool_] = self.open.take(indices - self.start)
        return may_be


def _blocks_about(indices: Indices, width: int, starts: range) -> list[range]:
    """Return the rows, block by block, among which or within `MARGIN` of which there are any of these pixels."""
    blocks = [range(start, min(start + starts.step, starts.stop)) for start in starts]
    edges = [((block.start - MARGIN) * width, (block.stop + MARGIN) * width) for block in blocks]
    before, within = np.searchsorted(indices, edges).T
    return [block for block, found in zip(blocks, before < within, strict=True) if found]


def _flat_rows(words: Words, width: int, top: int, bottom: int, blocks: list[range]) -> NDArray[np.bool_]:
    """Whether each pixel of these rows has at least three equal neighbours.

    Nothing is said of pixels at the border of all these rows, and beyond the blocks.
    """
    flat = np.zeros((bottom - top) * width, np.bool_)
    for block in blocks:
        begin, end = max(block.start - 1, top), min(block.stop + 1, bottom)
        found = _flat_block(words[begin * width : end * width], width)
        known = found[(block.start - begin) * width : (block.stop - begin) * width]
        flat[(block.start - top) * width : (block.stop - top) * width] = known
    return flat


def _flat_block(words: Words, width: int) -> NDArray[np.bool_]:
    equal = np.zeros(words.size, np.uint8)
    for step in (1, width - 1, width, width + 1):
        same = (words[:-step] == words[step:]).view(np.uint8)
        equal[:-step] += same
        equal[step:] += same
    return equal > MOST_EQUAL
