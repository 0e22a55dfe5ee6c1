"""Damage is refused or harmless; it is never read as another picture."""

from __future__ import annotations

import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_imgdiff.base.errors import BrokenImageError
from pytest_imgdiff.images import decode, read
from tests.image_files import (
    photograph,
    saved,
)

WHOLE = {
    "PNG": saved(photograph(), "PNG"),
    "PNG palette": saved(PIL.Image.fromarray(photograph()).quantize(9), "PNG"),
    "APNG": saved(photograph(), "PNG", save_all=True, append_images=[PIL.Image.fromarray(photograph()[::-1])]),
    "JPEG": saved(photograph(), "JPEG"),
    "JPEG progressive": saved(photograph(), "JPEG", progressive=True),
    "WebP": saved(photograph(), "WEBP"),
    "WebP lossless": saved(photograph(), "WEBP", lossless=True),
    "GIF": saved(PIL.Image.fromarray(photograph()).quantize(9), "GIF"),
    "BMP": saved(photograph(), "BMP"),
    "TIFF": saved(photograph(), "TIFF"),
    "TIFF LZW": saved(photograph(), "TIFF", compression="tiff_lzw"),
    "TIFF Deflate": saved(photograph(), "TIFF", compression="tiff_adobe_deflate"),
    "AVIF": saved(photograph(), "AVIF"),
}


@pytest.mark.parametrize("form", WHOLE)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_file_cut_anywhere_is_refused(form, data):
    file = WHOLE[form]
    cut = data.draw(st.integers(0, len(file) - 1))
    try:
        frames = decode(read(file[:cut]), frames="all")
    except BrokenImageError:
        return
    # Only bytes that belong to no pixel and no structure may be missing: Pillow ends a TIFF with some.
    assert form.startswith("TIFF")
    whole = decode(read(file), frames="all")
    assert [image.pixels.tobytes() for image in frames] == [image.pixels.tobytes() for image in whole]


@pytest.mark.parametrize("form", ["PNG", "PNG palette", "APNG"])
@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_a_png_with_one_bit_flipped_is_refused(form, data):
    file = bytearray(WHOLE[form])
    file[data.draw(st.integers(0, len(file) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(BrokenImageError):
        decode(read(bytes(file)), frames="all")


@pytest.mark.parametrize("form", WHOLE)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_damage_anywhere_ends_in_an_image_or_a_refusal(form, data):
    file = bytearray(WHOLE[form])
    for _ in range(data.draw(st.integers(1, 4))):
        file[data.draw(st.integers(0, len(file) - 1))] = data.draw(st.integers(0, 255))
    try:
        images = decode(read(bytes(file)), frames="all", max_pixels=1_000_000)
    except BrokenImageError as error:
        assert error.cause  # noqa: PT017 - either way out is right; no other error is
    else:
        assert images
