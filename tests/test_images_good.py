"""Every other format and mode reads to the pixels that were put in, turned upright by one rule."""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING

import numpy as np
import PIL.Image
import pytest

from pytest_imgdiff.base.errors import BrokenImageError
from pytest_imgdiff.images import decode, read
from tests.image_files import (
    chunk,
    exif,
    gif,
    gif_control,
    gif_frame,
    noise,
    packed_rows,
    photograph,
    pixels_of,
    png,
    rgba,
    riff,
    saved,
    tiff,
    tiff_tags,
    with_segment,
)

if TYPE_CHECKING:
    from pathlib import Path

TURNED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: np.rot90,
}
"""EXIF orientation to what makes the stored image upright: CIPA DC-008, 4.6.4."""


@pytest.mark.parametrize(
    ("form", "mode"),
    [
        (form, mode)
        for form in ("PNG", "BMP", "GIF", "TIFF")
        for mode in ("1", "L", "P", "RGB")
        if (form, mode) != ("GIF", "RGB")
    ],
)
def test_lossless_formats_keep_every_pixel(form, mode):
    colour = PIL.Image.fromarray(noise(11, 13, 3))
    picture = colour.quantize(40) if mode == "P" else colour.convert(mode)
    assert np.array_equal(pixels_of(saved(picture, form)), np.asarray(picture.convert("RGBA")))


@pytest.mark.parametrize("channels", [3, 4])
def test_webp_lossless(channels):
    samples = noise(11, 13, channels)
    file = saved(samples, "WEBP", lossless=True, exact=True)
    assert np.array_equal(pixels_of(file), rgba(samples[..., :3], samples[..., 3] if channels == 4 else None))


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0, "quality": 95}])
def test_jpeg_is_what_pillow_makes_of_it(mode, options):
    file = saved(PIL.Image.fromarray(photograph(37, 41)).convert(mode), "JPEG", **options)
    with PIL.Image.open(io.BytesIO(file)) as picture:
        assert np.array_equal(pixels_of(file), np.asarray(picture.convert("RGBA")))


@pytest.mark.parametrize("form", ["AVIF", "WEBP"])
def test_lossy_formats_are_what_pillow_makes_of_them(form):
    file = saved(photograph(37, 41, 4), form)
    with PIL.Image.open(io.BytesIO(file)) as picture:
        assert np.array_equal(pixels_of(file), rgba(np.asarray(picture)[..., :3], np.asarray(picture)[..., 3]))


def test_a_jpeg_of_several_pictures_is_its_first():
    first, second = photograph(), photograph()[::-1]
    file = saved(first, "MPO", save_all=True, append_images=[PIL.Image.fromarray(second)])
    (image,) = decode(read(file))
    assert image.info.notes == ("it holds several images (MPF); the first is compared",)
    with PIL.Image.open(io.BytesIO(file)) as picture:
        assert np.array_equal(image.pixels, rgba(np.asarray(picture)))


@pytest.mark.parametrize("form", ["GIF", "WEBP", "AVIF", "PNG", "TIFF"])
def test_all_frames_or_one(form):
    pictures = [
        photograph(channels=3)[:, :, ::-1] // 64 * 64,
        photograph() // 64 * 64,
        np.roll(photograph(), 7, axis=1) // 64 * 64,
    ]
    options = (
        {"lossless": True} if form == "WEBP" else {"quality": 100, "subsampling": "4:4:4"} if form == "AVIF" else {}
    )
    file = saved(
        pictures[0], form, save_all=True, append_images=[PIL.Image.fromarray(p) for p in pictures[1:]], **options
    )
    frames = decode(read(file), frames="all")
    assert [(image.info.frames, image.info.frame) for image in frames] == [(3, 0), (3, 1), (3, 2)]
    limit = 8 if form == "AVIF" else 0
    for image, picture in zip(frames, pictures, strict=True):
        assert np.abs(image.pixels[..., :3].astype(int) - picture).max() <= limit
    assert np.array_equal(decode(read(file), frames=2)[0].pixels, frames[2].pixels)


def test_gif_frames_are_composed():
    palette = bytes([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255])
    one = lambda *row: np.array([row], np.uint8)  # noqa: E731 - names the frames' only row
    file = gif(
        (3, 1),
        [
            gif_frame(one(1, 1, 1)),
            gif_frame(one(2, 3), control=gif_control(disposal=3, transparent=3)),
            gif_frame(one(2), at=(1, 0), control=gif_control(disposal=2)),
            gif_frame(one(3), at=(2, 0)),
        ],
        palette,
    )
    red, green, blue, clear = [255, 0, 0, 255], [0, 255, 0, 255], [0, 0, 255, 255], [0, 0, 0, 0]
    assert [image.pixels[0].tolist() for image in decode(read(file), frames="all")] == [
        [red, red, red],
        [green, red, red],
        [red, green, red],
        [red, clear, blue],
    ]


def test_gif_interlaced():
    samples = PIL.Image.fromarray(noise(23, 9))
    assert np.array_equal(pixels_of(saved(samples, "GIF", interlace=1)), rgba(np.asarray(samples)))


def test_a_gif_whose_codes_end_before_its_last_row_is_refused():
    for interlaced in (0, 0x40):
        for rows in range(1, 9):
            frame = bytearray(gif_frame(noise(rows, 5) % 4, area=(5, 9)))
            frame[9] |= interlaced
            with pytest.raises(BrokenImageError, match="not all there"):
                decode(read(gif((5, 9), [bytes(frame)], bytes(12))))


def bmp(size: tuple[int, int], bits: int, rows: bytes, masks: tuple[int, ...] = ()) -> bytes:
    header = 40 if not masks else 124
    info = struct.pack("<IiiHHIIiiII", header, *size, 1, bits, 3 if masks else 0, 0, 0, 0, 0, 0)
    body = info + struct.pack(f"<{len(masks)}I", *masks)
    body = body.ljust(header, b"\0")
    return b"BM" + struct.pack("<IHHI", 14 + header + len(rows), 0, 0, 14 + header) + body + rows


def test_bmp_16_bit_is_stretched():
    words = np.array([0x7FFF, 0x7C00, 0x0200, 0x0001], "<u2")
    assert pixels_of(bmp((4, 1), 16, words.tobytes()))[0].tolist() == [
        [255, 255, 255, 255],
        [255, 0, 0, 255],
        [0, 132, 0, 255],
        [0, 0, 8, 255],
    ]


def test_bmp_alpha_counts_only_where_the_header_names_it():
    stored = noise(3, 4, 4)
    stored[..., 3] |= 1
    masks = (0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    named = pixels_of(bmp((4, -3), 32, stored.tobytes(), masks))
    assert np.array_equal(named, stored[..., [2, 1, 0, 3]])
    (unnamed,) = decode(read(bmp((4, -3), 32, stored.tobytes())))
    assert np.array_equal(unnamed.pixels, rgba(stored[..., [2, 1, 0]]))
    assert "fourth byte" in unnamed.info.notes[0]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["PNG", "JPEG", "WebP", "TIFF", "AVIF"])
def test_every_format_obeys_every_orientation(form, orientation):
    stored = photograph(16, 24)
    lossless = saved(stored, "WEBP", lossless=True)
    file = {
        "PNG": lambda: png(
            (24, 16), 8, 2, packed_rows(stored.reshape(16, -1), 8), before=chunk(b"eXIf", exif(orientation))
        ),
        "JPEG": lambda: with_segment(
            saved(stored, "JPEG", quality=100, subsampling=0), 0xE1, b"Exif\0\0" + exif(orientation)
        ),
        "WebP": lambda: riff(
            (b"VP8X", struct.pack("<I", 8) + b"\x17\0\0\x0f\0\0"),
            (b"VP8L", _bits(lossless)),
            (b"EXIF", exif(orientation)),
        ),
        "TIFF": lambda: tiff([stored.tobytes()], tiff_tags(24, 16, 8, 3, t274=("H", [orientation]))),
        "AVIF": lambda: saved(stored, "AVIF", quality=100, subsampling="4:4:4", exif=exif(orientation)),
    }[form]()
    (image,) = decode(read(file))
    upright = rgba(np.ascontiguousarray(TURNED[orientation](stored)))
    assert image.info.orientation == orientation
    assert image.pixels.shape == upright.shape
    limit = {"JPEG": 8, "AVIF": 16}.get(form, 0)
    assert np.abs(image.pixels.astype(int) - upright).max() <= limit


@pytest.mark.parametrize(
    ("block", "word"),
    [(exif(9), "9, which is not one"), (b"Exif nonsense", "cannot be read"), (b"II*\0", "cannot be read")],
)
def test_an_unusable_orientation_is_upright_and_noted(block, word):
    (image,) = decode(read(with_segment(saved(photograph(), "JPEG"), 0xE1, b"Exif\0\0" + block)))
    assert image.info.orientation == 1
    assert word in image.info.notes[0]


def _bits(webp: bytes) -> bytes:
    return webp[20 : 20 + int.from_bytes(webp[16:20], "little")]


def test_real_pictures_read_as_pillow_reads_them(shared_fixtures: Path):
    files = [
        path
        for path in sorted(shared_fixtures.rglob("*"))
        if path.suffix in (".png", ".jpg") and path.stat().st_size < 2**20
    ]
    assert len(files) > 10
    for path in files:
        with PIL.Image.open(path) as picture:
            reference = np.asarray(picture.convert("RGBA"))
        assert np.array_equal(pixels_of(path), rgba(reference[..., :3], reference[..., 3])), path.name
