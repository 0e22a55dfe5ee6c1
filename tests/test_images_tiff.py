"""TIFF of every depth, layout and compression reads to the samples that were put in, and that tifffile reads."""

from __future__ import annotations

import io
import zlib

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_imgdiff.base.errors import BrokenImageError
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


def written_by_tifffile(samples, **options):
    target = io.BytesIO()
    tifffile.imwrite(target, samples, **options)
    return target.getvalue()


def colours_of(samples):
    """Return the options that say what the channels of an array are."""
    channels = samples.shape[2] if samples.ndim == 3 else 1
    colour = {
        "photometric": "rgb" if channels > 2 else "minisblack",
        "planarconfig": "contig" if channels > 1 else None,
    }
    return colour | ({"extrasamples": ["unassalpha"]} if channels in (2, 4) else {})


def scaled(levels):
    return np.rint(levels * (65535 / 4095)).astype(np.uint16)


@given(
    height=st.integers(1, 9), width=st.integers(1, 12), channels=st.sampled_from([1, 3, 4]), seed=st.integers(0, 99)
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_tiff_of_12_bits_fills_16(height, width, channels, seed):
    shape = (height, width) if channels == 1 else (height, width, channels)
    levels = np.random.default_rng(seed).integers(0, 4096, shape, np.uint16)
    levels.flat[0] = 4095
    file = written_by_tifffile(levels, bitspersample=12, **colours_of(levels))
    assert np.array_equal(tifffile.imread(io.BytesIO(file)), levels)
    wanted = scaled(levels)
    assert np.array_equal(pixels_of(file), rgba(wanted[..., :3], wanted[..., 3]) if channels == 4 else rgba(wanted))


@pytest.mark.parametrize("compression", ["none", "deflate", "lzw"])
@pytest.mark.parametrize("photometric", [0, 1])
def test_tiff_of_12_bits_in_every_compression(compression, photometric):
    levels = np.random.default_rng(3).integers(0, 4096, (6, 13), np.uint16)
    bits = np.unpackbits(levels.astype(">u2").view(np.uint8).reshape(6, 13, 2), axis=2)[..., 4:]
    data = np.packbits(bits.reshape(6, -1), axis=1).tobytes()
    tags = tiff_tags(13, 6, 12, 1) | {262: ("H", [photometric])}
    if compression == "deflate":
        data, tags[259] = zlib.compress(data), ("H", [8])
    if compression == "lzw":
        data, tags[259] = lzw_of(data), ("H", [5])
    wanted = rgba(scaled(levels if photometric else 4095 - levels))
    assert np.array_equal(tifffile.imread(io.BytesIO(tiff([data], tags))), levels)
    for order in "<>":  # bits are packed the same way in both
        assert np.array_equal(pixels_of(tiff([data], tags, order=order)), wanted)


def lzw_of(data):
    """Return the one strip that libtiff makes of these bytes."""
    file = saved(np.frombuffer(data, np.uint8)[None], "TIFF", compression="tiff_lzw")
    with tifffile.TiffFile(io.BytesIO(file)) as opened:
        page = opened.pages[0]
        return file[page.dataoffsets[0] : page.dataoffsets[0] + page.databytecounts[0]]


def test_tiff_of_12_bits_in_two_bytes_each_is_refused():
    levels = np.zeros((6, 14), np.uint16)
    with pytest.raises(BrokenImageError, match=r"12-bit samples are not packed.*save it with 16 bits"):
        pixels_of(tiff([levels.tobytes()], tiff_tags(14, 6, 12, 1)))


@pytest.mark.parametrize("predictor", [False, True])
@pytest.mark.parametrize("compression", [None, "lzw", "zlib", "packbits"])
@pytest.mark.parametrize("form", ["strips", "tiles", "planes", "big"])
@pytest.mark.parametrize("code", ["u1", "u2", "f2", "f4", "f8"])
def test_tiff_reads_what_tifffile_writes_as_tifffile_reads_it(code, form, compression, predictor):
    if predictor and compression in (None, "packbits"):
        predictor = False
    random = np.random.default_rng(5)
    samples = random.random((37, 29, 3)).astype(code) if code[0] == "f" else noise(37, 29, 3, dtype=np.dtype(code).type)
    if form == "planes":
        samples = np.ascontiguousarray(samples.transpose(2, 0, 1))
    layout = {
        "strips": {"rowsperstrip": 10, "planarconfig": "contig"},
        "tiles": {"tile": (16, 32), "planarconfig": "contig"},
        "planes": {"planarconfig": "separate"},
        "big": {"bigtiff": True, "byteorder": ">", "planarconfig": "contig"},
    }[form]
    file = written_by_tifffile(samples, photometric="rgb", compression=compression, predictor=predictor, **layout)
    theirs = tifffile.imread(io.BytesIO(file))
    theirs = theirs.transpose(1, 2, 0) if form == "planes" else theirs
    assert np.array_equal(pixels_of(file), rgba(theirs.astype("f4") if code == "f2" else theirs))
