"""The mask that the compiled core writes as PNG is read back by others as it is."""

from __future__ import annotations

import io
import zlib

import cv2
import numpy as np
import PIL.Image
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pytest_imgdiff.run.pictures import one_bit_png
from tests.cores import built, core


@pytest.fixture(scope="module")
def native():
    return built()


def read_by_all(png):
    """Return what Pillow, OpenCV and zlib itself read; the chunks have no byte beside the stream."""
    with PIL.Image.open(io.BytesIO(png)) as picture:
        assert picture.mode == "1"
        by_pillow = np.array(picture)
    by_opencv = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED) > 0
    np.testing.assert_array_equal(by_pillow, by_opencv)
    start = 8 + 25 + 8
    end = start + int.from_bytes(png[start - 8 : start - 4], "big")
    inflater = zlib.decompressobj()
    rows = inflater.decompress(png[start:end])
    assert inflater.eof
    assert not inflater.unused_data
    assert png[end:] == png[end : end + 4] + b"\0\0\0\0IEND\xaeB`\x82"
    assert png[end : end + 4] == zlib.crc32(png[start - 4 : end]).to_bytes(4, "big")
    height, width = by_pillow.shape
    assert len(rows) == height * (1 + (width + 7) // 8)
    return by_pillow


@given(
    shape=st.tuples(st.integers(1, 60), st.one_of(st.integers(1, 70), st.sampled_from([2048, 2049, 5000]))),
    share=st.sampled_from([0.0, 0.001, 0.1, 0.5, 0.9, 1.0]),
    areas=st.booleans(),
    seed=st.integers(0, 2**32),
)
@example(shape=(1, 1), share=1.0, areas=False, seed=0)
@example(shape=(3, 262_137), share=0.5, areas=False, seed=0)  # the row above is too far away for a match
@settings(deadline=None, max_examples=40)
def test_any_mask_is_read_back(shape, share, areas, seed):
    mask = np.random.default_rng(seed).random(shape) < share
    if areas:
        mask = np.kron(mask[: shape[0] // 5 + 1, : shape[1] // 9 + 1], np.ones((5, 9), bool))[: shape[0], : shape[1]]
    with core(built()):
        np.testing.assert_array_equal(read_by_all(one_bit_png(mask)), mask)
    with core(None):
        np.testing.assert_array_equal(read_by_all(one_bit_png(mask)), mask)


def test_rare_bytes_get_no_codes_that_are_too_long(native):
    """Counts that grow as Fibonacci's numbers make the longest codes; 15 bits is the most."""
    counts, rows = [1, 1], []
    while len(counts) < 24:
        counts.append(counts[-1] + counts[-2])
    for byte, count in enumerate(counts):
        rows += [byte * 7 + 1] * count
    order = np.random.default_rng(3).permutation(len(rows))
    packed = np.array(rows, np.uint8)[order]
    mask = np.unpackbits(packed[: len(packed) // 64 * 64].reshape(-1, 64), axis=1).astype(bool)
    np.testing.assert_array_equal(read_by_all(bytes(native.mask_png(mask, 512, len(mask)))), mask)


def test_masks_are_small(native):
    mask = np.zeros((2160, 3840), bool)
    mask[300:900, 500:1500] = True
    assert len(native.mask_png(mask, 3840, 2160)) < 4000
    noise = np.random.default_rng(1).random((400, 800)) < 0.05
    rows = np.packbits(noise, axis=1).tobytes()
    assert len(native.mask_png(noise, 800, 400)) < 1.1 * len(zlib.compress(rows, 6))


def test_what_is_no_mask_is_an_error_and_without_memory_the_reference_writes(native):
    mask = np.zeros((20, 30), bool)
    mask[4:9, 3:20] = True
    for wrong in ((mask, 30, 21), (mask, 31, 20), (b"", 0, 0), (b"", 2**31, 2**31)):
        with pytest.raises(ValueError, match=r"bytes, not|a size that no PNG has"):
            native.mask_png(*wrong)
    for count in range(2):
        native.fail_after(count)
        try:
            assert native.mask_png(mask, 30, 20) is None
            with core(native):
                png = one_bit_png(mask)
        finally:
            native.fail_after(-1)
        np.testing.assert_array_equal(read_by_all(png), mask)
