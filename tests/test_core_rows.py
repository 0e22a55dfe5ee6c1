"""Rows that the compiled core decodes when they are asked for, and what metrics make of them."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_imgdiff import Policy, Rule, compare
from pytest_imgdiff.images import decode, read
from pytest_imgdiff.metrics.pixelmatch import find_differences
from tests.cores import built, core
from tests.image_files import PNG_SIGNATURE, chunk, noise, png, png_header
from tests.test_images_png_filters import CHANNELS, as_rgba, filtered


@pytest.fixture(autouse=True, scope="module")
def _core():
    with core(built()):
        yield


COLOURS = (2, 6)


@st.composite
def stored(draw, height=None, width=None, colour=None):
    """Samples, the filter of each row, and the colour type; all filters, and runs of those that refer upwards."""
    height = height or draw(st.integers(1, 60))
    width = width or draw(st.integers(1, 30))
    colour = colour or draw(st.sampled_from(COLOURS))
    kinds = draw(st.lists(st.sampled_from([0, 1, 2, 2, 3, 4, 4]), min_size=height, max_size=height))
    samples = np.random.default_rng(draw(st.integers(0, 99))).integers(0, 256, (height, width, CHANNELS[colour]))
    samples = samples.astype(np.uint8)
    if colour == 6 and draw(st.booleans()):
        samples[..., 3] = np.where(samples[..., 3] < 128, 0, 255)  # half of it hides its colour
    return samples, kinds, colour


def image_of(samples, kinds, colour):
    height, width, channels = samples.shape
    rows = filtered(samples.reshape(height, -1), kinds, channels)
    [image] = decode(read(png((width, height), 8, colour, rows)))
    return image


def normal(samples, colour):
    pixels = as_rgba(samples, colour)
    pixels[pixels[..., 3] == 0] = 0
    return pixels


@given(stored(), st.data())
@settings(deadline=None)
def test_any_rows_in_any_order_are_those_of_the_picture(picture, data):
    samples, _, colour = picture
    image, pixels = image_of(*picture), normal(samples, colour)
    height = len(samples)
    for _ in range(data.draw(st.integers(1, 5))):
        top = data.draw(st.integers(0, height - 1))
        bottom = data.draw(st.integers(top + 1, height))
        rows = image.rows(top, bottom)
        assert (rows == pixels[top:bottom]).all()
        assert not rows.flags.writeable
    assert (image.pixels == pixels).all()


def of_few_colours(height, width):
    """Flat areas, slopes and edges, so that much of what differs is anti-aliased."""
    levels = np.random.default_rng(7).integers(0, 3, (height // 2, width // 2, 3)) * 127
    return levels.astype(np.uint8).repeat(2, axis=0).repeat(2, axis=1)


def test_rows_between_that_are_alike_change_nothing_about_what_is_smoothed():
    samples = of_few_colours(1200, 256)
    changed = samples.copy()
    for band in (slice(10, 300), slice(800, 1100)):
        changed[band] = np.roll(samples[band], 1, axis=1)
    pair = as_rgba(samples, 2), as_rgba(changed, 2)
    found = find_differences(*pair, 0.1, opaque=True)
    plain = find_differences(*(picture.astype(np.float64) / 255 for picture in pair), 0.1, opaque=True)
    assert found.pixels + found.antialiased > 1200 * 256 // 16  # whole rows are looked at
    assert found.antialiased > 100
    assert (found.pixels, found.antialiased) == (plain.pixels, plain.antialiased)
    assert ((found.heat > 0) == (plain.heat > 0)).all()


def test_rows_written_with_another_compression_are_equal_pixels():
    rows = b"".join(b"\1" + bytes(row) for row in noise(50, 120, 3).reshape(50, -1))
    files = [
        PNG_SIGNATURE + png_header(120, 50, 8, 2) + chunk(b"IDAT", zlib.compress(rows, level)) + chunk(b"IEND")
        for level in (1, 9)
    ]
    comparison = compare(*files)
    assert (comparison.verdict, comparison.equal) == ("match", "pixels")


@pytest.mark.parametrize("metric", ["ssim", "pixel_match", "diffimg", "psnr", "phash"])
def test_a_metric_that_looks_at_all_rows_gets_them_all(metric):
    samples = noise(200, 300, 3)
    changed = samples.copy()
    changed[90:110] ^= 255
    kinds = [1] * 200
    limit = {"min": 1.0} if metric in ("ssim", "pixel_match") else {"min": 999.0} if metric == "psnr" else {"max": 0.0}
    policy = Policy(metrics=(Rule(metric, **limit),))
    one, two = image_of(samples, kinds, 2), image_of(changed, kinds, 2)
    by_rows = compare(one, two, policy)
    at_once = compare(np.array(samples), np.array(changed), policy)
    assert by_rows.scores[0].value == at_once.scores[0].value
