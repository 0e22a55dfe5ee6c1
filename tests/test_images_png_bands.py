"""Large PNGs, read in pieces beside one another, of which only bands that may differ are kept."""

from __future__ import annotations

import threading
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_imgdiff import BrokenImageError, Policy, Rule, compare
from pytest_imgdiff.base.derived import NEAR
from pytest_imgdiff.images import check, decode, read
from pytest_imgdiff.images.container import normal as without_hidden_colour
from pytest_imgdiff.images.png_bands import BandedRows, read_both
from pytest_imgdiff.images.png_layout import GRAY, PALETTE, RGB, RGBA, Layout
from pytest_imgdiff.images.png_pixels import raster_of
from pytest_imgdiff.images.png_rows import RasterRows
from tests.cores import core
from tests.image_files import PNG_SIGNATURE, chunk, png_header, rgba
from tests.test_images_png_fast import CHANNELS, filtered
from tests.test_images_png_rows import normal, stored


@pytest.fixture(autouse=True, scope="module")
def _reference():
    """Here Python decodes; tests/test_core.py holds the compiled core against it."""
    with core(None):
        yield


SIDE = 2950
"""Pixels of a large picture's shorter side."""


class Counted(BandedRows):
    """Rows that count how often they are inflated."""

    reads = 0

    def pieces(self, size):
        self.reads += 1
        return super().pieces(size)


def pixels_of(rows, part):
    return RasterRows(without_hidden_colour(raster_of(rows, part, None, None), opaque=part.colour == RGB))


def banded(samples, kinds, colour):
    height, width, channels = samples.shape
    rows = filtered(samples.reshape(height, -1), kinds, channels)
    return Counted([memoryview(zlib.compress(rows))], Layout(width, height, 8, colour, interlaced=False), pixels_of)


def rows_unlike(first, second):
    """By the definition: a row is alike if its bytes are, and it refers to none above or to one that is alike."""
    alike, unlike = True, []
    for number, (one, other) in enumerate(zip(first, second, strict=True)):
        alike = one == other and (number == 0 or one[0] <= 1 or alike)
        unlike.append(not alike)
    return unlike


def split(samples, kinds):
    height = len(samples)
    rows = filtered(samples.reshape(height, -1), kinds, samples.shape[2])
    stride = len(rows) // height
    return [rows[at : at + stride] for at in range(0, len(rows), stride)]


@st.composite
def pairs(draw):
    """Two pictures that differ in some pixels, and that are written otherwise in some rows."""
    samples, kinds, colour = draw(stored())
    height, width = samples.shape[:2]
    changed, others = samples.copy(), list(kinds)
    for row in draw(st.lists(st.integers(0, height - 1), max_size=3)):
        changed[row, draw(st.integers(0, width - 1))] ^= 255
    for row in draw(st.lists(st.integers(0, height - 1), max_size=3)):
        others[row] = draw(st.integers(0, 4))
    return (samples, kinds), (changed, others), colour


@given(pairs(), st.integers(1, 400))
@settings(deadline=None, max_examples=300)
def test_what_may_differ_is_told_and_kept_and_nothing_is_read_twice(pair, size):
    (samples, kinds), (changed, others), colour = pair
    first, second = banded(samples, kinds, colour), banded(changed, others, colour)
    unlike = read_both(first, second, size)
    assert unlike.tolist() == rows_unlike(split(samples, kinds), split(changed, others))
    height = len(samples)
    for row in np.flatnonzero(unlike).tolist():
        span = slice(max(0, row - NEAR), min(height, row + NEAR + 1))
        for rows, picture in ((first, samples), (second, changed)):
            assert (rows.take(span.start, span.stop) == normal(picture, colour)[span]).all()
    assert (first.reads, second.reads) == (1, 1)


@given(pairs(), st.integers(1, 400), st.data())
@settings(deadline=None, max_examples=200)
def test_any_rows_in_any_order_are_those_of_the_picture(pair, size, data):
    (samples, kinds), (changed, others), colour = pair
    first, second = banded(samples, kinds, colour), banded(changed, others, colour)
    read_both(first, second, size)
    height = len(samples)
    for _ in range(data.draw(st.integers(1, 4))):
        top = data.draw(st.integers(0, height - 1))
        bottom = data.draw(st.integers(top + 1, height))
        for rows, picture in ((first, samples), (second, changed)):
            assert (rows.take(top, bottom) == normal(picture, colour)[top:bottom]).all()
    assert (second.take(0, height) == normal(changed, colour)).all()


@given(stored())
@settings(deadline=None)
def test_rows_that_nobody_held_against_others_are_read_too(picture):
    samples, kinds, colour = picture
    rows = banded(samples, kinds, colour)
    rows.check()
    height = len(samples)
    assert (rows.take(height // 2, height) == normal(samples, colour)[height // 2 :]).all()
    assert rows.unlike(pixels_of(b"\0" * 4, Layout(1, 1, 8, RGB, interlaced=False))) is None


def test_pictures_that_were_not_read_together_are_held_against_each_other_all_the_same():
    chance = np.random.default_rng(1)
    samples = chance.integers(0, 256, (60, 20, 3)).astype(np.uint8)
    changed, again = samples.copy(), samples.copy()
    changed[20] ^= 255
    again[50] ^= 255
    one, two, three = (banded(picture, [1] * 60, RGB) for picture in (samples, changed, again))
    assert np.flatnonzero(one.unlike(two)).tolist() == [20]
    assert np.flatnonzero(one.unlike(three)).tolist() == [50]
    assert np.flatnonzero(one.unlike(two)).tolist() == [20]
    assert one.sound
    assert two.sound


def compressed(rows):
    return zlib.compress(rows, 1)


def large_file(samples, colour, depth=8, *, before=b"", damage=None):
    """A PNG of rows filtered by None, Sub and Up in turn, as large as those that are read in bands."""
    height = len(samples)
    data = samples.astype(">u2").view(np.uint8) if depth == 16 else samples
    data = data.reshape(height, -1)
    step = CHANNELS.get(colour, 1) * depth // 8
    rows = np.zeros((height, data.shape[1] + 1), np.uint8)
    rows[:, 1:] = data
    rows[1::3, 0], rows[1::3, 1 + step :] = 1, data[1::3, step:] - data[1::3, :-step]
    rows[2::3, 0], rows[2::3, 1:] = 2, data[2::3] - data[1::3][: len(data[2::3])]
    assert rows.size > 32 << 20
    stream = compressed(rows.tobytes())
    if damage is not None:
        stream = damage(stream)
    header = png_header(samples.shape[1], height, depth, colour)
    return PNG_SIGNATURE + header + before + chunk(b"IDAT", stream) + chunk(b"IEND")


def scenery(height, width, channels, full=256):
    y, x = np.ogrid[:height, :width]
    plane = ((x // 16) * 7 + (y // 16) * 13) % full
    return np.stack([(plane + 31 * channel) % full for channel in range(channels)], axis=2)


def large_pair(colour, depth=8):
    channels = CHANNELS.get(colour, 1)
    width = -(-(33 << 20) // (SIDE * channels * depth // 8))
    samples = scenery(SIDE, width, channels, 1 << depth).astype(np.uint8 if depth == 8 else np.uint16)
    if colour == RGBA:
        samples[..., 3] = 255
        samples[40:50, :100, 3] = 0  # hides a colour
    changed = samples.copy()
    changed[1000:1010, 200:260] = (1 << depth) - 1 - changed[1000:1010, 200:260]
    changed[2900, 5, 0] ^= 128
    return samples, changed


def array_of(samples, colour, palette):
    if colour == PALETTE:
        return palette[samples[..., 0]]
    return samples[..., 0] if colour == GRAY else samples


@pytest.mark.parametrize(("colour", "depth"), [(RGB, 8), (RGBA, 8), (GRAY, 8), (GRAY, 16), (RGB, 16), (PALETTE, 8)])
@pytest.mark.parametrize("antialiasing", ["ignore", "count"])
def test_large_files_are_judged_as_their_pixels_are(colour, depth, antialiasing):
    palette = np.random.default_rng(3).integers(0, 256, (256, 3)).astype(np.uint8)
    before = chunk(b"PLTE", palette.tobytes()) if colour == PALETTE else b""
    samples, changed = large_pair(colour, depth)
    files = [large_file(picture, colour, depth, before=before) for picture in (samples, changed)]
    policy = Policy(metrics=(Rule("perceptual", options=(("antialiasing", antialiasing),), max=0.0),))
    found = compare(*files, policy)
    plain = compare(*(array_of(picture, colour, palette) for picture in (samples, changed)), policy)
    assert isinstance(found.expected.stored, BandedRows)
    assert (found.verdict, found.scores) == (plain.verdict, plain.scores)
    assert found.regions == plain.regions
    assert (found.mask == plain.mask).all()
    assert (found.expected.pixels == plain.expected.pixels).all()


def test_equal_pixels_of_large_files_written_otherwise():
    samples, _ = large_pair(RGBA)
    hidden = samples.copy()
    hidden[45, 50] = (9, 9, 9, 0)
    files = [large_file(picture, RGBA) for picture in (samples, hidden)]
    assert files[0] != files[1]
    assert (compare(*files).verdict, compare(*files).equal) == ("match", "pixels")


def test_a_metric_that_looks_at_all_rows_gets_them_all():
    samples, changed = large_pair(RGB)
    policy = Policy(metrics=(Rule("diffimg", max=0.0), Rule("pixel_match", min=1.0)))
    found, plain = (
        compare(*files, policy) for files in ((large_file(samples, RGB), large_file(changed, RGB)), (samples, changed))
    )
    assert found.scores == plain.scores


def test_large_files_of_unequal_size_are_told():
    samples, _ = large_pair(RGB)
    assert compare(large_file(samples, RGB), large_file(samples[:-1], RGB)).verdict == "resized"


DAMAGES = {
    "wrong checksum": (lambda stream: stream[:-1] + bytes([stream[-1] ^ 1]), "does not inflate"),
    "cut short": (lambda stream: stream[: len(stream) // 2], "truncated"),
    "no checksum": (lambda stream: stream[:-4], "the checksum of its compressed data is missing"),
    "surplus": (lambda stream: stream + b"more", "4 bytes follow the end"),
    "more rows": (lambda stream: compressed(zlib.decompress(stream) + b"\0" * 9), "more rows than its header says"),
    "fewer rows": (lambda stream: compressed(zlib.decompress(stream)[:-1]), "truncated"),
    "wrong filter": (lambda stream: compressed(b"\5" + zlib.decompress(stream)[1:]), "filter 5"),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("sides", [(0,), (1,), (0, 1)])
def test_a_damaged_large_file_is_broken_whichever_side_it_is(damage, sides):
    spoil, words = DAMAGES[damage]
    samples, _ = large_pair(RGB)
    sound = large_file(samples, RGB)
    files = [large_file(samples, RGB, damage=spoil) if side in sides else sound for side in (0, 1)]
    before = threading.active_count()
    comparison = compare(*files)
    assert (comparison.verdict, comparison.passed) == ("broken", False)
    assert comparison.reason.count(words) == len(sides)
    assert threading.active_count() == before


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("looked_at", [decode, check])
def test_a_damaged_large_file_is_refused_by_itself(damage, looked_at):
    spoil, words = DAMAGES[damage]
    samples, _ = large_pair(RGB)
    with pytest.raises(BrokenImageError, match=words):
        looked_at(read(large_file(samples, RGB, damage=spoil)))


@pytest.mark.parametrize("side", ["expected", "actual"])
def test_a_damaged_large_file_without_a_counterpart_is_broken(side):
    samples, _ = large_pair(RGB)
    damaged = large_file(samples, RGB, damage=lambda stream: stream[: len(stream) // 2])
    sources = (damaged, None) if side == "expected" else (None, damaged)
    assert compare(*sources).verdict == "broken"


def test_a_damaged_large_file_beside_another_size_is_broken():
    samples, _ = large_pair(RGB)
    damaged = large_file(samples, RGB, damage=lambda stream: stream[: len(stream) // 2])
    assert compare(damaged, large_file(samples[:-1], RGB)).verdict == "broken"


def test_bands_of_a_large_file_become_pixels_and_its_other_rows_do_not():
    samples, changed = large_pair(RGB)
    [first], [second] = (decode(read(large_file(picture, RGB))) for picture in (samples, changed))
    assert np.flatnonzero(first.stored.unlike(second.stored)).tolist() == [*range(1000, 1011), 2900]
    assert (first.rows(998, 1012) == rgba(samples[998:1012])).all()
    assert not first.rows(998, 1012).flags.writeable
