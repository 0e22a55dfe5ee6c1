"""PNG of every kind reads to the pixels that were put in; what is written reads back."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from pytest_imgdiff.base.errors import ImgdiffError
from pytest_imgdiff.images import decode, encode_png, read
from tests.image_files import (
    PNG_SIGNATURE,
    adam7_rows,
    chunk,
    frame_control,
    noise,
    packed_rows,
    photograph,
    pixels_of,
    png,
    png_header,
    rgba,
    saved,
)


@pytest.mark.parametrize("source", [noise(5, 7, 3), saved(noise(5, 7, 3), "PNG"), saved(noise(5, 7, 4), "WEBP")])
def test_pixels_are_contiguous_read_only_and_rgba(source):
    pixels = pixels_of(source)
    assert pixels.shape == (5, 7, 4)
    assert pixels.flags.c_contiguous
    assert not pixels.flags.writeable


def test_colour_under_full_transparency_is_dropped():
    assert pixels_of(np.array([[[9, 8, 7, 0], [9, 8, 7, 1]]], np.uint8)).tolist() == [[[0, 0, 0, 0], [9, 8, 7, 1]]]


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_png_gray(depth):
    samples = noise(6, 13, dtype=np.uint16) >> (16 - depth)
    file = png((13, 6), depth, 0, packed_rows(samples, depth))
    scaled = samples if depth == 16 else (samples * (255 // (2**depth - 1))).astype(np.uint8)
    assert np.array_equal(pixels_of(file), rgba(scaled))


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_png_gray_with_a_transparent_level(depth):
    samples = noise(6, 13, dtype=np.uint16) >> (16 - depth)
    samples[2, 3] = key = 1
    file = png((13, 6), depth, 0, packed_rows(samples, depth), before=chunk(b"tRNS", struct.pack(">H", key)))
    scaled = samples if depth == 16 else (samples * (255 // (2**depth - 1))).astype(np.uint8)
    full = np.iinfo(scaled.dtype).max
    assert np.array_equal(pixels_of(file), rgba(scaled, np.where(samples == key, 0, full).astype(scaled.dtype)))


@pytest.mark.parametrize(("depth", "dtype"), [(8, np.uint8), (16, np.uint16)])
@pytest.mark.parametrize(("colour", "channels"), [(2, 3), (4, 2), (6, 4)])
def test_png_colour_and_alpha(depth, dtype, colour, channels):
    samples = noise(5, 9, channels, dtype=dtype)
    file = png((9, 5), depth, colour, packed_rows(samples.reshape(5, -1), depth))
    wanted = {2: rgba, 4: lambda s: rgba(s[..., 0], s[..., 1]), 6: lambda s: rgba(s[..., :3], s[..., 3])}
    assert np.array_equal(pixels_of(file), wanted[colour](samples))


@pytest.mark.parametrize(("depth", "dtype"), [(8, np.uint8), (16, np.uint16)])
def test_png_rgb_with_a_transparent_colour(depth, dtype):
    samples = noise(5, 9, 3, dtype=dtype)
    samples[1, 2] = samples[3, 4] = key = (7, 200, 3)
    samples[0, 0] = (7, 200, 4)
    file = png(
        (9, 5), depth, 2, packed_rows(samples.reshape(5, -1), depth), before=chunk(b"tRNS", struct.pack(">3H", *key))
    )
    pixels = pixels_of(file)
    assert np.argwhere(pixels[..., 3] == 0).tolist() == [[1, 2], [3, 4]]
    assert np.array_equal(pixels[0, 0, :3], samples[0, 0])


def test_png_16_bit_transparent_colour_is_compared_in_all_its_bits():
    samples = np.array([[[0x1234, 5, 6], [0x1235, 5, 6]]], np.uint16)
    file = png(
        (2, 1), 16, 2, packed_rows(samples.reshape(1, -1), 16), before=chunk(b"tRNS", struct.pack(">3H", 0x1234, 5, 6))
    )
    assert pixels_of(file)[0, :, 3].tolist() == [0, 65535]


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_png_palette_with_transparency(depth):
    count = 2**depth
    colours, alphas = noise(count, 3), noise(count - 1)
    indices = noise(6, 13) >> (8 - depth)
    before = chunk(b"PLTE", colours.tobytes()) + chunk(b"tRNS", alphas.tobytes())
    file = png((13, 6), depth, 3, packed_rows(indices, depth), before=before)
    assert np.array_equal(pixels_of(file), rgba(colours[indices], np.append(alphas, 255).astype(np.uint8)[indices]))


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (8, 8), (19, 17)])
def test_png_interlaced(size):
    samples = noise(*size, 3)
    assert np.array_equal(pixels_of(png(size[::-1], 8, 2, adam7_rows(samples), interlace=1)), rgba(samples))


def test_png_text_profile_and_gamma_change_no_pixel():
    samples = noise(4, 4, 3)
    before = (
        chunk(b"gAMA", struct.pack(">I", 45455))
        + chunk(b"iCCP", b"x\0\0" + zlib.compress(b"profile"))
        + chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(10_000_000)))
    )
    plain = decode(read(png((4, 4), 8, 2, packed_rows(samples.reshape(4, -1), 8))))[0]
    tagged = decode(read(png((4, 4), 8, 2, packed_rows(samples.reshape(4, -1), 8), before=before)))[0]
    assert np.array_equal(plain.pixels, tagged.pixels)
    assert (plain.info.icc, plain.info.gamma) == (None, None)
    assert (
        tagged.info.icc == "8f13dbafcfc2a8ad3ba9b4e1f6de16b5d5e59c8dd2b7c7fd5dcf6e9ee38dc6e7"
        or len(tagged.info.icc) == 64
    )
    assert tagged.info.gamma == 0.45455


def test_bytes_after_the_end_are_noted():
    info = decode(read(saved(photograph(), "PNG") + b"second picture"))[0].info
    assert info.notes == ("14 bytes follow its end",)


def test_apng_frames_are_composed():
    red, green, clear = (255, 0, 0, 255), (0, 255, 0, 255), (0, 0, 0, 0)
    row = lambda *pixels: zlib.compress(b"\0" + bytes(sum(pixels, ())))  # noqa: E731 - three letters for three frames
    file = (
        PNG_SIGNATURE
        + png_header(3, 1, 8, 6)
        + chunk(b"acTL", struct.pack(">II", 4, 0))
        + frame_control(0, (0, 0, 3, 1))
        + chunk(b"IDAT", row(red, red, red))
        + frame_control(1, (0, 0, 2, 1), dispose=2, blend=1)
        + chunk(b"fdAT", struct.pack(">I", 2) + row(green, clear))
        + frame_control(3, (1, 0, 1, 1), dispose=1, blend=0)
        + chunk(b"fdAT", struct.pack(">I", 4) + row(clear))
        + frame_control(5, (2, 0, 1, 1), blend=1)
        + chunk(b"fdAT", struct.pack(">I", 6) + row((0, 0, 255, 51)))
        + chunk(b"IEND")
    )
    frames = [image.pixels[0].tolist() for image in decode(read(file), frames="all")]
    assert frames == [
        [list(red)] * 3,
        [list(green), list(red), list(red)],  # drawn over, then restored
        [list(red), list(clear), list(red)],  # replaced, then cleared
        [list(red), list(clear), [204, 0, 51, 255]],  # mixed: 51/255 is one fifth
    ]
    assert decode(read(file), frames=2)[0].pixels[0].tolist() == frames[2]


@given(
    arrays.arrays(
        st.sampled_from([np.uint8, np.uint16]),
        st.tuples(st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 2, 3, 4])),
    )
)
def test_encode_png_is_lossless(array):
    (image,) = decode(read(array))
    (again,) = decode(read(encode_png(image.pixels)))
    assert again.pixels.dtype == image.pixels.dtype
    assert np.array_equal(again.pixels, image.pixels)


def test_encode_png_writes_the_fewest_channels():
    modes = [
        decode(read(encode_png(pixels_of(array))))[0].info.mode
        for array in (noise(4, 4), noise(4, 4, 3), noise(4, 4, 4))
    ]
    assert modes == ["gray 8-bit", "RGB 8-bit", "RGBA 8-bit"]


def test_encode_png_refuses_floats_and_names_the_remedy():
    with pytest.raises(ImgdiffError, match="float32 pixels without loss; convert the image to uint8 or uint16"):
        encode_png(pixels_of(np.zeros((2, 2), np.float32)))


def test_a_damaged_size_is_reported_as_damage_and_not_as_a_large_image():
    file = bytearray(encode_png(np.zeros((3, 3, 4), np.uint8)))
    file[20] ^= 0x80  # the first byte of the height
    with pytest.raises(ImgdiffError, match="wrong CRC in the IHDR chunk"):
        decode(read(bytes(file)))
