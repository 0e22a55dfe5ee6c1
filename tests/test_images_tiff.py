"""TIFF of every depth, layout and compression reads to the samples that were put in."""

from __future__ import annotations

import zlib

import numpy as np
import pytest

from tests.image_files import (
    noise,
    packed_rows,
    pixels_of,
    rgba,
    saved,
    tiff,
    tiff_tags,
)

RANDOM = np.random.default_rng(20)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("code", ["u1", "u2", "f2", "f4", "f8"])
@pytest.mark.parametrize("samples", [1, 2, 3, 4])
def test_tiff_depths_are_kept(order, code, samples):
    dtype = np.dtype(order + code)
    stored = (
        RANDOM.random((6, 5, samples)).astype(dtype)
        if dtype.kind == "f"
        else noise(6, 5, samples, dtype=dtype.newbyteorder("=").type)
    )
    tags = tiff_tags(5, 6, dtype.itemsize * 8, samples, t339=("H", [3 if dtype.kind == "f" else 1] * samples))
    if samples in (2, 4):
        tags[338] = ("H", [2])
    pixels = pixels_of(tiff([stored.astype(dtype).tobytes()], tags, order=order))
    native = stored.astype("f4" if code == "f2" else dtype.newbyteorder("="))
    alpha = native[..., -1] if samples in (2, 4) else None
    colour = native[..., :3] if samples > 2 else native[..., 0]
    assert pixels.dtype == native.dtype
    assert np.array_equal(pixels, rgba(colour, alpha))


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"])
@pytest.mark.parametrize("mode", ["L", "I;16", "F", "RGB", "RGBA"])
def test_tiff_compressions(compression, mode):
    stored = {"L": noise(40, 30), "I;16": noise(40, 30, dtype=np.uint16), "F": RANDOM.random((40, 30), np.float32)}
    pixels = stored.get(mode, noise(40, 30, len(mode)))
    wanted = rgba(pixels[..., :3], pixels[..., 3]) if mode == "RGBA" else rgba(pixels)
    assert np.array_equal(pixels_of(saved(pixels, "TIFF", compression=compression)), wanted)


@pytest.mark.parametrize("compression", [5, 8])
@pytest.mark.parametrize("samples", [1, 3])
def test_tiff_horizontal_predictor(compression, samples):
    pixels = noise(20, 17) if samples == 1 else noise(20, 17, 3)
    name = {5: "tiff_lzw", 8: "tiff_adobe_deflate"}[compression]
    assert np.array_equal(pixels_of(saved(pixels, "TIFF", compression=name, tiffinfo={317: 2})), rgba(pixels))


@pytest.mark.parametrize("code", ["f2", "f4", "f8"])
def test_tiff_floating_point_predictor(code):
    pixels = RANDOM.random((6, 5, 3)).astype(code)
    planes = pixels.astype(">" + code).view(np.uint8).reshape(6, 15, -1).transpose(0, 2, 1).reshape(6, -1, 3)
    differences = np.diff(planes, axis=1, prepend=np.zeros((6, 1, 3), np.uint8))
    tags = tiff_tags(5, 6, pixels.itemsize * 8, 3, t339=("H", [3] * 3), t317=("H", [3]), t259=("H", [8]))
    wanted = pixels.astype("f4") if code == "f2" else pixels
    assert np.array_equal(pixels_of(tiff([zlib.compress(differences.tobytes())], tags)), rgba(wanted))


@pytest.mark.parametrize("code", ["u1", "u2"])
def test_tiff_planes(code):
    pixels = noise(6, 5, 3, dtype=np.dtype(code).type)
    strips = [pixels[rows, :, channel].tobytes() for channel in range(3) for rows in (slice(0, 4), slice(4, 6))]
    tags = tiff_tags(5, 6, pixels.itemsize * 8, 3, t284=("H", [2])) | {278: ("I", [4])}
    assert np.array_equal(pixels_of(tiff(strips, tags)), rgba(pixels))


def test_tiff_tiles():
    pixels = noise(20, 37, 3)
    padded = np.zeros((32, 48, 3), np.uint8)
    padded[:20, :37] = pixels
    tiles = [padded[y : y + 16, x : x + 16].tobytes() for y in (0, 16) for x in (0, 16, 32)]
    tags = tiff_tags(37, 20, 8, 3, t322=("I", [16]), t323=("I", [16]))
    offsets = [8 + 768 * index for index in range(6)]
    assert np.array_equal(pixels_of(tiff(tiles, tags | {324: ("I", offsets), 325: ("I", [768] * 6)})), rgba(pixels))


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("photometric", [0, 1])
def test_tiff_gray_of_few_bits(bits, photometric):
    samples = noise(6, 13) >> (8 - bits)
    rows = np.frombuffer(packed_rows(samples, bits), np.uint8).reshape(6, -1)[:, 1:]
    tags = tiff_tags(13, 6, bits, 1) | {262: ("H", [photometric])}
    levels = samples if photometric else 2**bits - 1 - samples
    assert np.array_equal(
        pixels_of(tiff([rows.tobytes()], tags)), rgba((levels * (255 // (2**bits - 1))).astype(np.uint8))
    )


@pytest.mark.parametrize("step", [257, 256, 1])
def test_tiff_colour_maps_become_16_bit_only_where_8_do_not_hold_them(step):
    bytes_of_map = noise(256, 3)
    bytes_of_map[0] = 255
    colours = bytes_of_map.astype(np.uint16) * step
    indices = noise(6, 5)
    tags = tiff_tags(5, 6, 8, 1) | {262: ("H", [3]), 320: ("H", colours.T.ravel().tolist())}
    wanted = colours[indices] if step == 1 else bytes_of_map[indices]
    assert np.array_equal(pixels_of(tiff([indices.tobytes()], tags)), rgba(wanted))


def test_tiff_associated_alpha_becomes_straight():
    premultiplied = np.array([[[100, 50, 0, 200], [0, 0, 0, 0], [3, 2, 1, 255]]], np.uint8)
    file = tiff([premultiplied.tobytes()], tiff_tags(3, 1, 8, 4, t338=("H", [1])))
    assert pixels_of(file)[0].tolist() == [[128, 64, 0, 200], [0, 0, 0, 0], [3, 2, 1, 255]]
