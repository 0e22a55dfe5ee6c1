"""JPEG 2000: what Pillow reads without changing it, and only where all of it is there."""

from __future__ import annotations

import io
from typing import Any

import cv2
import numpy as np
import PIL.Image
import pytest

from pytest_imgdiff.base.errors import BrokenImageError
from pytest_imgdiff.images import decode, read
from tests.image_files import photograph

KINDS: dict[str, dict[str, Any]] = {
    "JP2": {},
    "bare codestream": {"no_jp2": True},
    "tiles": {"tile_size": (16, 16)},
    "bare tiles": {"tile_size": (16, 16), "no_jp2": True},
    "lossy": {"irreversible": True, "quality_mode": "rates", "quality_layers": [8]},
    "progressive": {"progression": "RPCL", "num_resolutions": 3, "plt": True},
}


def saved(pixels: np.ndarray, **options: Any) -> bytes:
    stream = io.BytesIO()
    PIL.Image.fromarray(pixels).save(stream, "JPEG2000", **options)
    return stream.getvalue()


def large() -> np.ndarray:
    return photograph(40, 56)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_gray_and_colour_with_and_without_alpha(channels):
    pixels = photograph(40, 56, 4)[..., :channels]
    (image,) = decode(read(saved(pixels[..., 0] if channels == 1 else pixels)))

    assert (image.info.format, image.info.mode) == (
        "JPEG 2000",
        f"{('gray', 'gray+alpha', 'RGB', 'RGBA')[channels - 1]} 8-bit",
    )
    colours = pixels[..., :3] if channels > 2 else pixels[..., :1].repeat(3, axis=2)
    assert np.array_equal(image.pixels[..., :3], colours)
    assert np.array_equal(image.pixels[..., 3], pixels[..., -1] if channels in (2, 4) else np.full((40, 56), 255))


@pytest.mark.parametrize("options", KINDS.values(), ids=KINDS)
def test_every_form_is_read_as_pillow_reads_it(options):
    file = saved(large(), **options)
    assert np.array_equal(decode(read(file))[0].pixels[..., :3], np.asarray(PIL.Image.open(io.BytesIO(file))))


@pytest.mark.parametrize("options", KINDS.values(), ids=KINDS)
def test_a_file_that_is_cut_anywhere_is_refused(options):
    file = saved(large(), **options)
    for end in range(13, len(file), max(1, len(file) // 400)):
        with pytest.raises(BrokenImageError, match=r"JPEG 2000: (truncated|damaged)"):
            decode(read(file[:end]))
    with pytest.raises(BrokenImageError, match=r"JPEG 2000: (truncated|damaged)"):
        decode(read(file[:-1]))


def test_a_tile_that_is_missing_is_told_although_the_end_is_there():
    file = saved(large(), tile_size=(16, 16), no_jp2=True)
    last = file.rindex(b"\xff\x90\x00\x0a")
    with pytest.raises(BrokenImageError, match="of its 12 tiles 11 were found"):
        decode(read(file[:last] + b"\xff\xd9"))


def test_what_pillow_would_change_is_refused():
    deep = cv2.imencode(".jp2", large().astype(np.uint16) * 257)[1].tobytes()
    with pytest.raises(
        BrokenImageError, match="JPEG 2000 of 16 bits is not supported, because Pillow changes its values"
    ):
        decode(read(deep))
    with pytest.raises(BrokenImageError, match="an extra channel that is not said to be straight alpha"):
        decode(read(saved(photograph(9, 9, 4), no_jp2=True)))
    signed = saved(large(), signed=True)
    with pytest.raises(BrokenImageError, match="JPEG 2000 of signed 8 bits is not supported"):
        decode(read(signed))


def test_bytes_behind_the_end_are_noted():
    for options in ({}, {"no_jp2": True}):
        (image,) = decode(read(saved(large(), **options) + b"more"))
        assert image.info.notes == ("4 bytes follow its end",)


def test_damage_anywhere_is_a_refusal_or_a_picture_of_that_size():
    file = saved(large())
    for place in range(12, len(file), 7):
        broken = bytearray(file)
        broken[place] ^= 0xFF
        try:
            (image,) = decode(read(bytes(broken)))
        except BrokenImageError as error:
            assert "JPEG 2000" in str(error)  # noqa: PT017 - some damage is seen, some is another picture
        else:
            assert image.pixels.shape[2] == 4
