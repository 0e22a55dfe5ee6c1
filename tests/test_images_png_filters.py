"""The rows of a PNG: filters undone as the specification says, and rows that are not whole refused."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_imgdiff.base.errors import BrokenImageError
from pytest_imgdiff.images import check, decode, read
from tests.cores import core
from tests.image_files import PNG_SIGNATURE, chunk, noise, photograph, pixels_of, png, png_header, rgba


@pytest.fixture(autouse=True, scope="module")
def _reference():
    """Here Python decodes; tests/test_core.py holds the compiled core against it."""
    with core(None):
        yield


CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}


def predicted(kind, left, up, corner):
    """The specification's predictors, one sample at a time: section 9.2."""
    if kind == 4:
        estimate = left + up - corner
        distances = [(abs(estimate - left), 0, left), (abs(estimate - up), 1, up), (abs(estimate - corner), 2, corner)]
        return min(distances)[2]
    return (0, left, up, (left + up) // 2)[kind]


def filtered(samples: np.ndarray, kinds: list[int], step: int) -> bytes:
    """Filter (height, bytes in a row) as an encoder would; `step` is the bytes of a pixel."""
    rows = [[0] * samples.shape[1], *samples.tolist()]
    written = bytearray()
    for number, kind in enumerate(kinds, 1):
        row, above = rows[number], rows[number - 1]
        written.append(kind)
        for index, sample in enumerate(row):
            left, corner = (row[index - step], above[index - step]) if index >= step else (0, 0)
            written.append((sample - predicted(kind, left, above[index], corner)) % 256)
    return bytes(written)


def as_rgba(samples: np.ndarray, colour: int) -> np.ndarray:
    if colour in (0, 4):
        gray = np.repeat(samples[..., :1], 3, axis=2)
        return rgba(gray, samples[..., 1] if colour == 4 else None)
    return rgba(samples[..., :3], samples[..., 3] if colour == 6 else None)


@st.composite
def pictures(draw):
    width, height = draw(st.integers(1, 40)), draw(st.integers(1, 70))
    colour = draw(st.sampled_from(sorted(CHANNELS)))
    one = draw(st.sampled_from([0, 1, 2, 3, 4, None]))
    kinds = [one] * height if one is not None else draw(st.lists(st.integers(0, 4), min_size=height, max_size=height))
    samples = np.random.default_rng(draw(st.integers(0, 99))).integers(0, 256, (height, width, CHANNELS[colour]))
    if colour in (4, 6):
        samples[..., -1] |= 1  # colour that full transparency hides is dropped, and not the subject here
    return samples.astype(np.uint8), colour, kinds


@given(pictures())
@settings(deadline=None)  # the reference is slow where the machine is busy
def test_rows_of_any_filters_give_the_pixels_that_were_filtered(picture):
    samples, colour, kinds = picture
    height, width, channels = samples.shape
    rows = filtered(samples.reshape(height, -1), kinds, channels)
    assert (pixels_of(png((width, height), 8, colour, rows)) == as_rgba(samples, colour)).all()


@pytest.mark.parametrize("size", [(1, 3000), (3000, 1), (33, 1), (31, 65), (32, 64), (2000, 700), (100_000, 2)])
@pytest.mark.parametrize("colour", [2, 6])
def test_sums_along_rows_cross_the_borders_of_blocks_and_strips(size, colour):
    width, height = size
    samples = noise(height, width, CHANNELS[colour])
    if colour == 6:
        samples[..., 3] |= 1
    differences = np.diff(samples, axis=1, prepend=np.zeros((height, 1, CHANNELS[colour]), np.uint8))
    rows = b"".join(b"\1" + row.tobytes() for row in differences)
    assert (pixels_of(png(size, 8, colour, rows)) == as_rgba(samples, colour)).all()


def whole(samples: np.ndarray) -> bytes:
    return b"".join(b"\0" + row.tobytes() for row in samples)


PHOTO = photograph(40, 50)
ROWS = whole(PHOTO)
FAULTS = {
    "a row too few": zlib.compress(ROWS[:-151]),
    "a row too many": zlib.compress(ROWS + ROWS[:151]),
    "a byte too few": zlib.compress(ROWS[:-1]),
    "a byte too many": zlib.compress(ROWS + b"\0"),
    "cut short": zlib.compress(ROWS)[:-9],
    "without its checksum": zlib.compress(ROWS)[:-4],
    "with another checksum": zlib.compress(ROWS)[:-4] + b"\0\0\0\0",
    "with bytes behind it": zlib.compress(ROWS) + b"more",
    "no stream": b"no zlib stream at all",
    "empty": b"",
    "a filter that is none": zlib.compress(b"\5" + ROWS[1:]),
    "the last filter is none": zlib.compress(ROWS[:-151] + b"\7" + ROWS[-150:]),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("door", [check, decode])
def test_both_doors_refuse_rows_that_are_not_whole(fault, door):
    file = PNG_SIGNATURE + png_header(50, 40, 8, 2) + chunk(b"IDAT", FAULTS[fault]) + chunk(b"IEND")
    with pytest.raises(BrokenImageError):
        door(read(file))


@given(st.data())
@settings(deadline=None)
def test_what_checking_says_of_a_damaged_file_decoding_says_too(data):
    file = bytearray(png((50, 40), 8, 2, ROWS))
    file[data.draw(st.integers(0, len(file) - 1))] ^= data.draw(st.integers(1, 255))
    assert outcome_of(check, bytes(file)) == outcome_of(decode, bytes(file))


def outcome_of(door, file):
    try:
        return door(read(file))[0].pixels.tobytes()
    except BrokenImageError as error:
        return str(error)


def test_a_palette_that_lacks_a_used_colour_is_found_by_both():
    file = png((4, 1), 8, 3, b"\0\0\1\2\3", before=chunk(b"PLTE", bytes(9)))
    for door in (check, decode):
        with pytest.raises(BrokenImageError, match="palette index 3"):
            door(read(file))


def test_a_checked_picture_has_its_pixels_when_they_are_asked_for():
    file = png((50, 40), 8, 2, ROWS)
    (image,) = check(read(file))
    (decoded,) = decode(read(file))
    assert (image.size, image.info, image.encoded) == ((50, 40), decoded.info, file)
    assert (image.pixels == decoded.pixels).all()
    assert image.pixels is image.pixels


def test_a_header_that_promises_more_than_its_stream_can_hold_takes_no_memory_for_it():
    with pytest.raises(BrokenImageError, match="truncated"):
        decode(read(png((30_000, 3000), 8, 6, b"\0" * 100)))
