"""Comparisons that show the same change, so that a person looks at it once."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from itertools import product
from typing import TYPE_CHECKING, Any

from pytest_imgdiff.appearance import GRIDS, INK, LEVEL, LINE, MOST, Changes, changes_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

ID_DIGITS = 12
SORTED_BY = 3
"""So many numbers choose, by a sorted index, with what a change is compared: never all with all."""


def same_change(fingerprints: Iterable[str]) -> dict[str, str]:
    """Return, for each fingerprint, the group of comparisons that show the same change; none where one is alone.

    Every member of a group is like the one that stands for the group, the most frequent one; a chain of small steps
    does not join what is unlike. Groups do not depend on the order of the fingerprints, and a group is called by what
    stands for it: as long as the change looks the same, its name is that of the run before.

    Args:
        fingerprints: one of each comparison that has one.
    """
    frequency = Counter(fingerprints)
    standing = dict(_standing_for(frequency))
    sizes: Counter[str] = Counter()
    for text, first in standing.items():
        sizes[first] += frequency[text]
    return {text: _id(first) for text, first in standing.items() if sizes[first] > 1}


def _id(fingerprint: str) -> str:
    return hashlib.sha256(fingerprint.encode()).hexdigest()[:ID_DIGITS]


def _standing_for(frequency: Counter[str]) -> Iterator[tuple[str, str]]:
    """Yield each fingerprint and the one that stands for its group."""
    alike: defaultdict[tuple[tuple[int, int], ...], dict[str, Changes]] = defaultdict(dict)
    for text in sorted(frequency, key=lambda text: (-frequency[text], text)):
        changes = changes_of(text)
        if changes is not None:  # results may be anybody's: what is no fingerprint groups nothing
            alike[changes.shape][text] = changes
    for of_one_shape in alike.values():
        texts = list(of_one_shape)
        for first, group in _groups(list(of_one_shape.values())):
            yield from ((texts[index], texts[first]) for index in group)


def _groups(changes: Sequence[Changes]) -> Iterator[tuple[int, list[int]]]:
    """Yield what stands for a group, and the group: the first that is left, and all that are left and like it."""
    if len(changes) == 1:
        yield 0, [0]
        return
    import numpy as np  # a run whose changes are all of one kind does without

    outlines = _Outlines(changes)
    left = np.ones(len(changes), np.bool_)
    for first, standing in enumerate(changes):
        if left[first]:
            group = [index for index in outlines.near(first, left) if standing.is_like(changes[index])]
            left[group] = False
            yield first, group


class _Outlines:
    """What must hold for two changes to be alike, looked at for thousands at once.

    The first patch of one must have its like among those of the other, so that each of its numbers is near. Two
    numbers are near where the intervals around them, as wide as the tolerance, meet.

    Args:
        changes: of as many patches each.
    """

    def __init__(self, changes: Sequence[Changes]) -> None:
        import numpy as np

        patches = [patch for each in changes for patch in each.patches]
        self._each = len(changes[0].patches)
        inks = np.array([[patch.ink] for patch in patches], np.float64)
        levels = np.array([patch.levels for patch in patches], np.float64)
        size = GRIDS[0]
        luma = np.array([list(patch.planes[0]) for patch in patches], np.float64).reshape(-1, size, size) - MOST
        magnitude = np.array([[patch.magnitude] for patch in patches])
        lines = [(luma.mean(axis=axis), np.maximum(abs(luma).mean(axis=axis), magnitude)) for axis in (1, 2)]
        numbers = np.column_stack([inks, levels, *(numbers for numbers, _ in lines)])
        magnitudes = np.column_stack([inks, abs(levels), *(magnitudes for _, magnitudes in lines)])
        tolerances = [INK, *[LEVEL] * levels.shape[1], *[LINE] * 2 * size]
        least, share = (np.array(column) for column in zip(*tolerances, strict=True))
        reach = (least + share * magnitudes) / 2 * 1.0001 + 1e-4  # rounding must not part what is alike
        # On these scales the intervals are about equally wide, whatever the numbers are.
        scaled = [np.sign(ends) * np.log1p(abs(ends) * share / least) for ends in (numbers - reach, numbers + reach)]
        widths = (scaled[1] - scaled[0]).max(axis=0) + 1e-9
        most_telling_first = np.argsort(-scaled[0].std(axis=0) / widths, kind="stable")
        telling = most_telling_first[:SORTED_BY]
        cells = np.floor(scaled[0][:, telling] / widths[telling]).astype(np.int64)
        cells += 1 - cells.min(axis=0)  # an interval meets those that begin in its own cell or in one beside it
        self._keys = _keys(cells, sizes := cells.max(axis=0) + 2)
        self._order = np.argsort(self._keys, kind="stable")
        self._sorted = self._keys[self._order]
        steps = [-1, 0, 1]
        beside = np.array([(*others, -1) for others in product(steps, repeat=SORTED_BY - 1)])
        self._beside = _keys(beside, sizes)
        self._begins, self._ends = (
            np.ascontiguousarray(ends.T[most_telling_first], np.float32) for ends in (numbers - reach, numbers + reach)
        )

    def near(self, first: int, left: NDArray[Any]) -> list[int]:
        """Return those that are left and could be like the first; that no other is, is sure.

        Args:
            first: the change to compare with; it is like itself.
            left: (n,) of bool, whether each change is left.
        """
        import numpy as np

        mine = first * self._each
        starts = self._keys[mine] + self._beside
        # Of the last number the three cells have keys in a row.
        ranges = zip(np.searchsorted(self._sorted, starts), np.searchsorted(self._sorted, starts + 3), strict=True)
        patches = np.concatenate([self._order[start:end] for start, end in ranges if end > start])
        patches = patches[left[patches // self._each]]
        for begin, end in zip(self._begins, self._ends, strict=True):
            if len(patches) == 1:  # it is the first one itself
                break
            patches = patches[(begin[patches] <= end[mine]) & (end[patches] >= begin[mine])]
        return sorted(set((patches // self._each).tolist()))


def _keys(cells: NDArray[np.int64], sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return one number for the cells of each row; those of the last column follow one another."""
    import numpy as np

    keys: NDArray[np.int64] = cells @ np.append(np.cumprod(sizes[:0:-1])[::-1], 1)
    return keys
