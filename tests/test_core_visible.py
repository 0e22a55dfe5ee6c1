"""What the compiled core sees in a block is what the reference in Python sees, bit for bit."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pytest_imgdiff.metrics import evidence, visible
from pytest_imgdiff.metrics.visible import Visible
from tests.cores import built, core
from tests.metric_pictures import DEPTHS, as_jpeg, at_depth, image_of, photograph, with_alpha
from tests.test_metrics_visible import page


@pytest.fixture(scope="module")
def native():
    return built()


def pair_of(shape, change, seed, *, noisy=False):
    """Two RGB pictures of areas, or of noise, of which one is changed."""
    rng = np.random.default_rng(seed)
    height, width = shape
    first = (
        rng.integers(0, 256, (height // 6 + 1, width // 9 + 1, 3)).repeat(6, axis=0).repeat(9, axis=1)[:height, :width]
    )
    if noisy:
        first = (first + rng.integers(-30, 31, first.shape)).clip(0, 255)
    second = first.copy()
    if change == "moved":
        second = np.roll(first, 1, axis=1)
    elif change == "faded":
        second = first * 7 // 8 + 9
    elif change == "grain":
        second = first + rng.integers(-9, 10, first.shape)
    elif change == "other":
        second = rng.integers(0, 256, first.shape)
    else:
        second[height // 3 : height // 2 + 1, width // 3 : width // 2 + 1] = rng.integers(0, 256, 3)
    return first.astype(np.uint8), second.clip(0, 255).astype(np.uint8)


def same_in_both(native, first, second, rows, columns, *, shifts=True):
    """Whether the core took the block, and gave what the reference gives."""
    with core(None):
        wanted = evidence.look(first, second, rows, columns, shifts=shifts)
    with core(native):
        found = evidence.look(first, second, rows, columns, shifts=shifts)
    assert not found.contrast.flags.owndata  # the core's memory
    for plane in ("contrast", "unexplained", "colour"):
        np.testing.assert_array_equal(getattr(found, plane), getattr(wanted, plane), plane)
    return found


SMALLEST = {
    "shape": (1, 1), "change": "other", "noisy": False, "depth": np.uint8, "alpha": False, "begin": (0, 0), "shifts": True,
    "seed": 0,
}  # fmt: skip


@given(
    shape=st.tuples(st.integers(1, 150), st.integers(1, 150)),
    change=st.sampled_from(["moved", "faded", "grain", "other", "box"]),
    noisy=st.booleans(),
    depth=st.sampled_from(DEPTHS),
    alpha=st.booleans(),
    begin=st.tuples(st.integers(0, 74), st.integers(0, 74)),
    shifts=st.booleans(),
    seed=st.integers(0, 2**32),
)
@example(**SMALLEST)
@example(**SMALLEST | {"shape": (131, 129), "noisy": True, "alpha": True})
@settings(max_examples=60, deadline=None)
def test_any_block_is_seen_alike(shape, change, noisy, depth, alpha, begin, shifts, seed):
    first, second = pair_of(shape, change, seed, noisy=noisy)
    if alpha:
        first, second = (with_alpha(side, side[..., 0]) for side in (first, second))
    first, second = (at_depth(side, depth) for side in (first, second))
    rows, columns = (
        slice(2 * start if 2 * start < side else 0, side) for start, side in zip(begin, shape, strict=True)
    )
    same_in_both(built(), first, second, rows, columns, shifts=shifts)


def test_what_is_seen_of_a_pixel_does_not_depend_on_where_blocks_end(native):
    first, second = pair_of((300, 310), "grain", 3, noisy=True)
    whole = same_in_both(native, first, second, slice(0, 300), slice(0, 310))
    part = same_in_both(native, first, second, slice(64, 180), slice(128, 301))
    np.testing.assert_array_equal(part.contrast, whole.contrast[64:180, 128:301])
    np.testing.assert_array_equal(part.unexplained, whole.unexplained[64:180, 128:301])


@pytest.mark.parametrize("level", ["strict", "normal"])
def test_the_metric_says_the_same_with_and_without_the_core(native, level):
    old = page()
    scene = photograph("astronaut")
    for first, second in (
        (old, page(shift=0.25)),
        (old, page(ink=(70, 80, 90))),
        (old, page(lines=["Other words, all of them"])),
        (scene, as_jpeg(scene, quality=60)),
        (scene, np.ascontiguousarray(scene[::-1])),
    ):
        found = []
        for module in (None, native):
            with core(module):
                found.append(Visible(level=level).measure(image_of(first), image_of(second), None))
        assert found[0].value == found[1].value > 0
        assert found[0].details == found[1].details
        np.testing.assert_array_equal(found[0].heat, found[1].heat)


def test_threads_look_at_blocks_at_once(native):
    first, second = pair_of((200, 200), "other", 5, noisy=True)
    block = first, second, *first.shape, 1, 0, 200, 0, 200, 1
    once = native.look(*block)
    with ThreadPoolExecutor(4) as pool:
        assert all(found == once for found in pool.map(lambda _: native.look(*block), range(12)))


@pytest.mark.parametrize(
    "wrong",
    [
        {"height": 21},
        {"channels": 2},
        {"depth": 3},
        {"top": 1},
        {"top": 20},
        {"bottom": 21},
        {"left": -2},
        {"right": 0},
        {"right": 31},
    ],
    ids=str,
)
def test_blocks_that_are_not_there_are_errors(native, wrong):
    pixels = bytes(20 * 30 * 4)
    place = {"height": 20, "width": 30, "channels": 4, "depth": 1, "top": 0, "bottom": 20, "left": 0, "right": 30}
    assert native.look(pixels, pixels, *place.values(), 1)
    with pytest.raises(ValueError, match="no block"):
        native.look(pixels, pixels, *(place | wrong).values(), 1)
    with pytest.raises(ValueError, match="no block"):
        native.look(pixels, pixels[1:], *place.values(), 1)


def test_where_there_is_no_memory_the_reference_looks(native):
    first, second = pair_of((40, 50), "other", 7)
    with core(None):
        wanted = evidence.look(first, second, slice(0, 40), slice(0, 50), shifts=True)
    declined = 0
    for count in range(8):
        native.fail_after(count)
        try:
            declined += native.look(first, second, 40, 50, 3, 1, 0, 40, 0, 50, 1) is None
            native.fail_after(count)
            with core(native):
                found = evidence.look(first, second, slice(0, 40), slice(0, 50), shifts=True)
        finally:
            native.fail_after(-1)
        np.testing.assert_array_equal(found.unexplained, wanted.unexplained)
    assert 0 < declined < 8


@given(
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    count=st.integers(1, 9),
    steps=st.sampled_from([3, 11, 2**20]),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=60, deadline=None)
def test_clusters_are_weighed_alike(shape, count, steps, seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, count, shape, np.int32)
    share, contrast = ((rng.integers(0, steps, shape) / steps).astype(np.float16) for _ in range(2))
    with core(None):
        wanted = visible.weighed(labels, share, contrast, count)
    with core(built()):
        found = visible.weighed(labels, share, contrast, count)
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(one, other)


def test_clusters_that_are_not_there_are_errors_or_left_to_the_reference(native):
    labels, halves = np.ones((3, 4), np.int32), np.ones((3, 4), np.float16)
    assert native.weigh(labels, halves, halves, 2)
    assert native.weigh(labels, halves, halves, 1) is None
    assert native.weigh(-labels, halves, halves, 2) is None
    for wrong in ((labels[:2], halves, halves, 2), (labels, halves[:2], halves, 2), (labels, halves, halves, 0)):
        with pytest.raises(ValueError, match="no clusters"):
            native.weigh(*wrong)
    for count in range(8):
        native.fail_after(count)
        try:
            assert native.weigh(labels, halves, halves, 2) is None
        finally:
            native.fail_after(-1)
