"""Lines of two images in the compiled core: the alignments are those of the reference, to the last bit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_imgdiff.base.geometry import Rect
from pytest_imgdiff.comparison.alignment import align
from pytest_imgdiff.comparison.line_maps import Lines, View, cheapest, line_costs, votes_of
from tests.cores import built, core, odd
from tests.test_alignment import banner, inserted, page

if TYPE_CHECKING:
    from collections.abc import Callable


@st.composite
def pairs(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Two images of few colours, whose rows repeat; the second has rows inserted, deleted, shifted and changed."""
    chance = np.random.default_rng(draw(st.integers(0, 10_000)))
    height, width = draw(st.integers(1, 90)), draw(st.integers(1, 80))
    colours = chance.choice([0, 3, 40, 200, 255], (draw(st.integers(1, 6)), 4))
    first = colours[chance.integers(0, len(colours), (height, width))]
    if draw(st.booleans()):
        first[chance.random(height) < 0.5] = colours[0]
    second = first.copy()
    for _ in range(draw(st.integers(0, 4))):
        at, count = (int(number) for number in chance.integers(0, [len(second), 12]))
        rows = colours[chance.integers(0, len(colours), (count, width))]
        done, before = chance.choice(3), second
        if done == 0:
            second = np.concatenate([before[:at], rows, before[at:]])
        elif done == 1 and len(before) > count + 1:
            second = np.concatenate([before[:at], before[at + count :]])
        else:
            second = before.copy()
            part = second[at : at + count + 1]
            part[:] = np.roll(part, int(chance.integers(-3, 4)), axis=1)
    if draw(st.booleans()):
        second = second + chance.integers(-20, 21, second.shape) * (chance.random(second.shape) < 0.2)
    if draw(st.booleans()):
        first, second = first.transpose(1, 0, 2), second.transpose(1, 0, 2)
    return tuple(np.ascontiguousarray(side.clip(0, 255).astype(np.uint8)) for side in (first, second))


def with_and_without(call: Callable[[], Any]) -> tuple[Any, Any]:
    found = []
    for module in (built(), None):
        with core(module):
            found.append(call())
    return found[0], found[1]


@given(pairs())
@settings(deadline=None, max_examples=150)
def test_the_core_aligns_as_the_reference(pair: tuple[np.ndarray, np.ndarray]) -> None:
    mine, theirs = with_and_without(lambda: align(*pair))
    assert mine == theirs


@pytest.mark.parametrize("noise", [0, 3])
def test_the_core_aligns_a_page_with_a_banner_as_the_reference(noise: int) -> None:
    expected = page()
    actual = inserted(expected, banner(20), 120)
    if noise:
        grain = np.random.default_rng(3).integers(0, noise, actual.shape)
        actual = (actual + grain).clip(0, 255).astype(np.uint8)
    mine, theirs = with_and_without(lambda: align(expected, actual))
    assert mine == theirs
    assert mine is not None
    assert mine.bands


@given(pairs(), st.sampled_from(["rows", "columns"]), st.data())
@settings(deadline=None, max_examples=150)
def test_the_core_knows_of_lines_what_the_reference_knows(
    pair: tuple[np.ndarray, np.ndarray], axis: Any, data: st.DataObject
) -> None:
    views = []
    for side in pair:
        height, width = side.shape[:2]
        left, top = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
        rect = Rect(left, top, data.draw(st.integers(1, width - left)), data.draw(st.integers(1, height - top)))
        views.append(View(side.view(np.uint32)[..., 0], rect))
    length = min(view.rect.width if axis == "rows" else view.rect.height for view in views)
    seen = []
    for module in (built(), None):
        with core(module):
            one, two = (Lines(view, axis, length) for view in views)
            votes, equal = votes_of(one, two)
            told: list[Any] = [
                one.tone(),
                two.tone(),
                one.ink,
                one.content_before,
                one.digests,
                two.digests,
                votes,
                equal,
            ]
            offsets = sorted({0, two.count - one.count, 1 if two.count > 1 else 0})
            costs = []
            for tones in (None, (one.tone(), two.tone())):
                costs = [line_costs(one, two, offset, tones) for offset in offsets]
                told += costs
            told.append(cheapest(one, two, offsets, np.stack(costs)))
            seen.append(told)
    for mine, theirs in zip(*seen, strict=True):
        if isinstance(mine, np.ndarray):
            np.testing.assert_array_equal(mine, theirs)
        else:
            assert mine == theirs


def test_equal_lines_have_equal_digests_and_others_have_others(native: Any) -> None:
    chance = np.random.default_rng(5)
    rows = chance.integers(0, 2, (400, 24), np.uint32)
    digests = np.frombuffer(native.line_digests(rows, 24, 0, 24, 400, 0), np.uint64)
    assert len(set(digests.tolist())) == len(np.unique(rows, axis=0))


@pytest.fixture(name="native")
def _native() -> Any:
    return built()


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("line_digests", (b"1234", 1, 0, 2, 1, False)),
        ("line_digests", (b"1234", 1, 2, 1, 1, False)),
        ("line_digests", (b"12345678", 1, 0, 1, 1, True)),
        ("line_ink", (b"12345678", 2, 2, 16)),
        ("line_ink", (b"12345678", 2, 1, 256)),
        ("line_medians", (b"12345678", 2, 2, 1)),
        ("line_medians", (b"12345678", 2, 1, 0)),
        ("line_medians", (bytes(4 * 129), 1, 129, 1)),
        ("line_sums", (b"12345678", 1, 0, 2, 2, 0)),
        ("line_votes", (b"12345678", b"1234", b"1")),
        ("line_votes", (b"12345678", b"12345678", b"12")),
        ("line_costs", ((b"1234", bytes(8), bytes(8), None), (b"1234", bytes(8), bytes(8), bytes(32)), 1, 0, (1,) * 6)),
        ("line_costs", ((b"1234", bytes(8), bytes(8), None), (b"123", bytes(8), bytes(8), None), 1, 0, (1,) * 6)),
        ("line_costs", ((b"1234", bytes(8), bytes(8), None), (b"1234", bytes(8), bytes(8), None), 1, 2, (1,) * 6)),
        ("cheapest_lines", (bytes(8), bytes(8), bytes(16), bytes(8), 1.0, 1.0, 0.0)),
        ("cheapest_lines", (bytes(8), (9).to_bytes(8, "little"), bytes(16), bytes(16), 1.0, 1.0, 0.0)),
        ("cheapest_lines", (bytes(16), bytes(8), bytes(16), bytes(16), 1.0, 1.0, 0.0)),
        ("cheapest_lines", (bytes(8), bytes(8), bytes(16), bytes(16), 1.0, 1.0, -1.0)),
        ("cheapest_lines", (odd(8), bytes(8), bytes(16), bytes(16), 1.0, 1.0, 0.0)),
        ("cheapest_lines", (bytes(8), odd(8), bytes(16), bytes(16), 1.0, 1.0, 0.0)),
        ("cheapest_lines", (bytes(8), bytes(8), bytes(16), odd(16), 1.0, 1.0, 0.0)),
        ("line_costs", ((b"1234", odd(8), bytes(8), None), (b"1234", bytes(8), bytes(8), None), 1, 0, (1,) * 6)),
        ("line_costs", ((b"1234", bytes(8), bytes(8), None), (b"1234", bytes(8), odd(8), None), 1, 0, (1,) * 6)),
        ("tile_hashes", (bytes(4 * 64), 8, 0, 8, 7)),
        ("tile_hashes", (bytes(4 * 56), 8, 0, 8, 7)),
        ("tile_hashes", (bytes(4 * 64), 8, 1, 8, 8)),
    ],
)
def test_arguments_that_do_not_fit_are_refused(native: Any, name: str, arguments: tuple[Any, ...]) -> None:
    with pytest.raises(ValueError, match=r"."):
        getattr(native, name)(*arguments)


def test_without_memory_the_reference_does_the_work(native: Any) -> None:
    rows = np.zeros((9, 9), np.uint32)
    digests = native.line_digests(rows, 9, 0, 9, 9, 0)
    samples, ink, tones = bytes(rows), bytes(8 * 9), None
    side = samples, ink, bytes(digests), tones
    calls = [
        lambda: native.line_digests(rows, 9, 0, 9, 9, 0),
        lambda: native.line_sums(rows, 9, 0, 9, 9, 1),
        lambda: native.line_medians(samples, 9, 9, 2),
        lambda: native.line_ink(samples, 9, 9, 16),
        lambda: native.line_votes(bytes(digests), bytes(digests), bytes(9)),
        lambda: native.line_costs(side, side, 9, 0, (16, 1.0, 0.1, 25.0, 0.02, 1.5)),
        lambda: native.cheapest_lines(bytes(8 * 9), bytes(8), bytes(80), bytes(80), 3.0, 0.5, 1e-9),
        lambda: native.tile_hashes(rows, 9, 0, 9, 9),
    ]
    try:
        for call in calls:
            assert call() is not None
            native.fail_after(0)
            assert call() is None
            native.fail_after(-1)
    finally:
        native.fail_after(-1)
