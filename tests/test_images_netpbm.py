"""Netpbm: every form at every depth, and nothing that is not there whole."""

from __future__ import annotations

import io

import cv2
import numpy as np
import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_imgdiff.base.errors import BrokenImageError
from pytest_imgdiff.images import decode, read
from tests.image_files import photograph

COLOUR = photograph(9, 13)
GRAY = COLOUR[..., 0]
DEEP = COLOUR.astype(np.uint16) * 257 + 3
BLACK = GRAY > 90


def pixels_of(file: bytes, **options: object) -> np.ndarray:
    (image,) = decode(read(file), **options)
    assert image.info.format == "Netpbm"
    return image.pixels


def written(extension: str, pixels: np.ndarray, *options: int) -> bytes:
    """Return what OpenCV writes."""
    return cv2.imencode(extension, pixels, options)[1].tobytes()


BINARY, TEXT = (cv2.IMWRITE_PXM_BINARY, 1), (cv2.IMWRITE_PXM_BINARY, 0)


@pytest.mark.parametrize("form", [BINARY, TEXT])
@pytest.mark.parametrize(
    "pixels", [COLOUR, DEEP, GRAY, DEEP[..., 1]], ids=["colour", "deep colour", "gray", "deep gray"]
)
def test_gray_and_colour_of_8_and_16_bits_as_bytes_and_as_text(form, pixels):
    extension = ".ppm" if pixels.ndim == 3 else ".pgm"
    found = pixels_of(written(extension, pixels[..., ::-1] if pixels.ndim == 3 else pixels, *form))

    assert found.dtype == pixels.dtype
    expected = pixels if pixels.ndim == 3 else np.dstack([pixels] * 3)
    assert np.array_equal(found[..., :3], expected)
    assert (found[..., 3] == np.iinfo(pixels.dtype).max).all()


def test_bitmaps_are_black_where_they_are_one():
    stream = io.BytesIO()
    PIL.Image.fromarray(~BLACK).convert("1").save(stream, "PPM")
    rows = "\n".join("".join("01"[value] for value in row) for row in BLACK.tolist())
    height, width = BLACK.shape
    for file in (stream.getvalue(), f"P1\n# a comment\n{width} {height}\n{rows}\n".encode()):
        assert np.array_equal(pixels_of(file)[..., 0], np.where(BLACK, 0, 255))


@pytest.mark.parametrize(("kind", "channels"), [("GRAYSCALE", 1), ("GRAYSCALE_ALPHA", 2), ("RGB", 3), ("RGB_ALPHA", 4)])
@pytest.mark.parametrize("depth", ["u1", ">u2"])
def test_pam_with_and_without_alpha(kind, channels, depth):
    samples = photograph(4, 5, 4)[..., :channels].astype(depth)
    largest = 255 if depth == "u1" else 65535
    header = f"P7\nWIDTH 5\n# comment\nHEIGHT 4\nDEPTH {channels}\nMAXVAL {largest}\nTUPLTYPE {kind}\nENDHDR\n"
    found = pixels_of(header.encode() + samples.tobytes())

    colours = samples[..., :3] if channels > 2 else samples[..., :1].repeat(3, axis=2)
    assert np.array_equal(found[..., :3], colours)
    alpha = samples[..., -1] if channels in (2, 4) else np.full((4, 5), largest)
    assert np.array_equal(found[..., 3], alpha)


@given(st.integers(1, 65535), st.data())
def test_every_value_of_any_range_stays_a_value_of_its_own(largest, data):
    values = data.draw(st.lists(st.integers(0, largest), min_size=2, max_size=20, unique=True))
    form = "u1" if largest < 256 else ">u2"
    found = pixels_of(f"P5 {len(values)} 1 {largest}\n".encode() + np.array([values], form).tobytes())[0, :, 0]

    assert found.dtype == (np.uint8 if largest < 256 else np.uint16)
    assert len(set(found.tolist())) == len(values)
    assert np.array_equal(np.argsort(found), np.argsort(values))
    full = np.iinfo(found.dtype).max
    assert [int(value) for value in found] == [(2 * value * full + largest) // (2 * largest) for value in values]


def test_several_pictures_in_one_file_are_frames():
    file = written(".ppm", COLOUR, *BINARY) + written(".pgm", GRAY, *BINARY)
    with pytest.raises(BrokenImageError, match="it has 2 frames"):
        decode(read(file))
    first, second = decode(read(file), frames="all")
    assert np.array_equal(second.pixels[..., 0], GRAY)
    assert first.info.mode == "RGB 8-bit"


@pytest.mark.parametrize(
    "file",
    [
        written(".ppm", COLOUR, *BINARY),
        written(".ppm", DEEP, *BINARY),
        written(".ppm", COLOUR, *TEXT),
        written(".pgm", GRAY, *BINARY),
        written(".pbm", GRAY, *BINARY),
        written(".pam", COLOUR),
    ],
    ids=["ppm", "deep ppm", "plain ppm", "pgm", "pbm", "pam"],
)
def test_a_file_that_is_cut_anywhere_is_refused(file):
    ends = range(3, len(file.rstrip() if file.startswith(b"P3") else file))  # how much white space ends a text is free
    for end in ends:
        with pytest.raises(BrokenImageError):
            decode(read(file[:end]))


@pytest.mark.parametrize(
    ("file", "told"),
    [
        (b"P5 2 2 255 \0\0\0", "Netpbm: truncated: 3 of 4 bytes"),
        (b"P5 2 2 0 \0\0\0\0", "its largest value is 0; it can be 1 to 65535"),
        (b"P5 2 2 70000 \0\0\0\0", "its largest value is 70000"),
        (b"P5 2 2 15 \0\0\0\x10", "damaged: it holds 16, and its largest value is 15"),
        (b"P5 0 2 255 ", "its header says 0 x 2 pixels"),
        (b"P2 2 1 255 1 2 3", "damaged: it holds 3 values, and its size calls for 2"),
        (b"P2 2 1 255 1", "truncated: it holds 1 values"),
        (b"P2 2 1 255 1 -2", "something else than numbers"),
        (b"P2 2 1 255 1 99999999999999999999 ", "and its largest value is 255"),
        (b"P2 2 1 255 1 2", "truncated: its last number may lack digits"),
        (b"P1 2 1 02", "damaged: it holds 2, and its largest value is 1"),
        (b"P3 100000 1000 255 1", "300,000,000 values as text are not supported"),
        (b"P6 40000 40000 255 ", "truncated"),
        (b"P7\nWIDTH 2\nHEIGHT 2\nENDHDR\n", "lacks WIDTH, HEIGHT, DEPTH or MAXVAL"),
        (
            b"P7\nWIDTH 1\nHEIGHT 1\nDEPTH 5\nMAXVAL 255\nENDHDR\n12345",
            "a PAM of 5 channels of the type none is not supported",
        ),
        (b"P7\nWIDTH 1\nHEIGHT 1\n", "its header has no ENDHDR"),
    ],
)
def test_what_is_wrong_is_told(file, told):
    with pytest.raises(BrokenImageError) as caught:
        decode(read(file))
    assert told in str(caught.value)


@given(st.sampled_from(b"1234567"), st.binary(max_size=80))
def test_no_bytes_lead_to_anything_but_a_picture_or_a_refusal(kind, tail):
    try:
        decode(read(b"P%c " % kind + tail), frames="all")
    except BrokenImageError as error:
        assert "it cannot be decoded" not in str(error)  # noqa: PT017 - most bytes are refused, some are a picture
