"""Colours of regions in the compiled core: their distances and rules, and so the kinds, are those of the reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_imgdiff.base.image import Image, ImageInfo
from pytest_imgdiff.base.model import RegionSettings
from pytest_imgdiff.comparison.colours import (
    apart_from,
    colours_of,
    commonest,
    maps,
    median,
    percentile,
)
from pytest_imgdiff.comparison.kinds import classify
from pytest_imgdiff.comparison.regions import find_regions
from tests.cores import built, core, odd


def image(pixels: np.ndarray) -> Image:
    return Image(pixels, ImageInfo("array", "array", pixels.shape[1], pixels.shape[0], "RGBA"))


@st.composite
def pairs(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Two images of one size: boxes of few colours, some of them moved, recoloured, removed or with grain."""
    chance = np.random.default_rng(draw(st.integers(0, 10_000)))
    height, width = draw(st.integers(8, 90)), draw(st.integers(8, 90))
    sides = np.full((2, height, width, 4), 255, np.uint8)
    sides[:] = chance.choice([20, 128, 250], 4)
    for _ in range(draw(st.integers(1, 5))):
        x, y = (int(number) for number in chance.integers(0, [width, height]))
        across, down = (int(number) for number in chance.integers(1, 24, 2))
        box = chance.choice([0, 90, 255], (down, across, 4)).astype(np.uint8)
        if chance.random() < 0.5:
            box[:] = box[0, 0]
        for side, shift in zip(sides, (0, int(chance.choice([0, 0, 3]))), strict=True):
            part = side[y : y + down, x + shift : x + shift + across]
            part[:] = box[: part.shape[0], : part.shape[1]]
            if shift and chance.random() < 0.5:
                part += np.uint8(7)
        if chance.random() < 0.4:
            sides[int(chance.integers(2)), y : y + down, x : x + across] = sides[0, 0, 0]
    if draw(st.booleans()):
        grain = chance.integers(-9, 10, (height, width, 4))
        sides[1] = (sides[1] + grain).clip(0, 255)
    if draw(st.booleans()):
        sides[..., 3] = 255
    sides[sides[..., 3] == 0] = 0
    return np.ascontiguousarray(sides[0]), np.ascontiguousarray(sides[1])


@given(pairs())
@settings(deadline=None, max_examples=120)
def test_kinds_with_the_core_are_those_of_the_reference(pair: tuple[np.ndarray, np.ndarray]) -> None:
    mask = (pair[0] != pair[1]).any(axis=2)
    regions = find_regions(mask, None, RegionSettings())
    found = []
    for module in (built(), None):
        with core(module):
            found.append(classify(image(pair[0]), image(pair[1]), mask, regions))
    assert found[0] == found[1]


@given(pairs(), st.integers(1, 3), st.data())
@settings(deadline=None, max_examples=120)
def test_the_core_knows_of_colours_what_the_reference_knows(
    pair: tuple[np.ndarray, np.ndarray], step: int, data: st.DataObject
) -> None:
    width = pair[0].shape[1]
    start = data.draw(st.integers(0, width - 1))
    columns = slice(start, data.draw(st.integers(start + 1, width)), step)
    seen: list[list[Any]] = []
    for module in (built(), None):
        with core(module):
            one, two = (colours_of(side, columns) for side in pair)
            first, second = one.reshape(-1, 4), two.reshape(-1, 4)
            apart = apart_from(one, two)
            told = [one, two, apart, apart_from(one, first[0]), commonest(first), commonest(second)]
            changed = apart.ravel() > 0.02
            seen.append([*told, maps(first, second, changed), maps(second, first, changed)])
    for mine, theirs in zip(*seen, strict=True):
        np.testing.assert_array_equal(mine, theirs)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=40), st.sampled_from([70.0, 99.5]))
def test_medians_and_percentiles_are_those_of_numpy(numbers: list[int], share: float) -> None:
    values = np.array(numbers, np.float32) / np.float32(7)
    assert median(values) == np.median(values)
    assert percentile(values, share) == pytest.approx(np.percentile(values, share), rel=1e-6)


LIMITS = 0.35, 0.6, 0.12, 0.6, 1e-5


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("colours", (bytes(16), 2, 1, 2, 2, 1, 1.0, (1.0,) * 10)),
        ("colours", (bytes(16), 2, 0, 2, 3, 1, 1.0, (1.0,) * 10)),
        ("colours", (bytes(16), 2, 0, 2, 2, 2, 1.0, (1.0,) * 10)),
        ("colours", (bytes(16), 0, 0, 1, 1, 1, 1.0, (1.0,) * 10)),
        ("colours", (bytes(16), 3, 0, 1, 1, 1, 1.0, (1.0,) * 10)),
        ("apart", (bytes(16), bytes(32))),
        ("apart", (bytes(15), bytes(16))),
        ("commonest", (b"", 64.0)),
        ("commonest", (bytes(17), 64.0)),
        ("maps", (bytes(16), bytes(32), bytes(1), 40.0, LIMITS)),
        ("maps", (b"", b"", b"", 40.0, LIMITS)),
        ("moved", (bytes(16), bytes(16), bytes(16), bytes(2), 1, 1, 0, 0, 0.1, 0.1)),
        ("moved", (bytes(32), bytes(32), bytes(20), bytes(2), 2, 1, 0, 0, 0.1, 0.1)),
        ("moved", (b"", b"", bytes(16), b"", 0, 1, 0, 0, 0.1, 0.1)),
        ("moved", (bytes(16), odd(16), bytes(16), bytes(1), 1, 1, 0, 0, 0.1, 0.1)),
        ("apart", (odd(16), bytes(16))),
        ("apart", (bytes(16), odd(16))),
        ("commonest", (odd(16), 64.0)),
        ("maps", (bytes(16), odd(16), bytes(1), 40.0, LIMITS)),
    ],
)
def test_arguments_that_do_not_fit_are_refused(name: str, arguments: tuple[Any, ...]) -> None:
    with pytest.raises(ValueError, match=r"."):
        getattr(built(), name)(*arguments)


def test_without_memory_the_reference_does_the_work() -> None:
    native: Any = built()
    calls = [
        lambda: native.colours(bytes(16), 2, 0, 2, 2, 1, 1.0, (1.0,) * 10),
        lambda: native.apart(bytes(32), bytes(16)),
        lambda: native.commonest(bytes(32), 64.0),
        lambda: native.maps(bytes(32), bytes(32), b"\1\1", 40.0, LIMITS),
    ]
    try:
        for call in calls:
            assert call() is not None
            for allocations in range(9):
                native.fail_after(allocations)
                result = call()
                native.fail_after(-1)
                if result is not None:
                    break
                assert allocations < 8
    finally:
        native.fail_after(-1)


def test_without_memory_for_a_result_python_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    memory, native = pytest.importorskip("_testcapi"), built()
    declined = 0
    for number in range(6):
        used = [b"\x7f" * size for size in range(1, 64)]  # what an array would find in memory that it has not set
        del used
        memory.set_nomemory(number, number + 1)
        try:
            declined += native.apart(bytes(3200), bytes(16)) is None
        except MemoryError:
            pass
        finally:
            memory.remove_mem_hooks()
    assert declined
    assert not capfd.readouterr().err
