"""No bad input passes, hangs, grows without bound, prints, or ends in a traceback."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import numpy as np
import PIL.Image
import pytest

from pytest_imgdiff.base.errors import BrokenImageError
from pytest_imgdiff.images import decode, read
from tests.image_files import photograph, saved

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.bad_image_trials import Trial
    from tests.bad_images import BadImage

NAMED = {
    "empty path": "''",
    "NUL in name": r"a\x00b.png",
    "not UTF-8 and missing": r"caf\xe9.png",
    "name too long": f"{'x' * 400}...",
}
"""What the messages of sources whose names cannot be shown as they are name instead."""
# libtiff and dav1d, as Pillow builds them, have no switch for this; one line beside ours is all they say.
OWN_WORDS = {"lzw-short.tif", "lzw-bad.tif", "packbits-short.tif", "payload-bad.avif"}


def faults(bad: BadImage, trial: Trial) -> Iterator[str]:
    """Yield what is wrong about how a bad input was refused."""
    from tests.bad_image_trials import MEGABYTES, SECONDS

    if trial.outcome != "BrokenImageError":
        yield f"is no broken image: {trial.outcome}"
    if trial.kind != bad.kind or bad.word not in trial.cause:
        yield f"does not name its kind, {bad.kind}, and the cause, {bad.word}: {trial.kind}: {trial.cause}"
    if isinstance(bad.source, str) and trial.label != NAMED.get(trial.name, bad.source):
        yield f"does not name the file: {trial.label}"
    if not trial.cause.isprintable():
        yield f"is not one printable line: {trial.cause!r}"
    if trial.seconds >= SECONDS or trial.megabytes >= MEGABYTES:
        yield f"takes {trial.seconds:.1f} s and {trial.megabytes:.0f} MB"
    if trial.printed and trial.name not in OWN_WORDS:
        yield f"prints: {trial.printed}"


# One test, and not one for each line above: processes that share the tests would each try everything.
@pytest.mark.skipif(sys.platform != "linux", reason="the trials fork and need FIFOs, /dev/zero and /proc")
def test_every_bad_input_is_refused_in_one_line_that_names_it_within_limits_of_time_and_memory(tmp_path):
    from tests.bad_image_trials import trials
    from tests.bad_images import make_bad_images

    made = make_bad_images(tmp_path)
    assert len(made) >= 140
    found = {trial.name: list(faults(made[trial.name], trial)) for trial in trials(tmp_path, made)}
    assert {name: wrong for name, wrong in found.items() if wrong} == {}
    assert len(found) == len(made)


def test_the_limit_on_pixels_holds_at_the_pixel():
    file = saved(photograph(10, 20), "PNG")
    assert decode(read(file), max_pixels=200)
    with pytest.raises(
        BrokenImageError,
        match=r"20 x 10 pixels are 200, more than 199; it was not decoded; increase `limits.megapixels`",
    ):
        decode(read(file), max_pixels=199)


def test_the_frames_of_an_animation_count_together():
    file = saved(photograph(10, 20), "GIF", save_all=True, append_images=_turned(3))
    assert len(decode(read(file), frames="all", max_pixels=800)) == 4
    with pytest.raises(BrokenImageError, match="its 4 frames up to the last one wanted have 800 pixels in total"):
        decode(read(file), frames="all", max_pixels=799)
    assert decode(read(file), frames=0, max_pixels=200)


def test_a_frame_that_is_not_there_is_refused():
    file = saved(photograph(), "PNG")
    with pytest.raises(BrokenImageError, match="it has no frame 1; its frames are 0 to 0"):
        decode(read(file), frames=1)


def test_pillows_own_limit_neither_warns_nor_refuses():
    # 100 megapixels are above Pillow's warning at 89; the body is missing, so that little is decoded.
    file = saved(photograph(16, 16), "WEBP", lossless=True)
    vast = file[:21] + (9_999 | 9_999 << 14).to_bytes(4, "little") + file[25:]
    with pytest.raises(BrokenImageError, match="damaged or truncated"):
        decode(read(vast))


def test_a_hook_that_fails_is_told_with_its_cause():
    def load(_source: object) -> object:
        raise ZeroDivisionError("no scale")

    with pytest.raises(BrokenImageError, match="imgdiff_load hook failed: ZeroDivisionError: no scale"):
        read(object(), load=load)


def test_a_hook_that_hands_the_source_back_does_not_loop():
    with pytest.raises(BrokenImageError, match="this is not an image"):
        read(object(), load=lambda source: source)


def test_a_file_replaced_by_a_shorter_one_is_not_half_read(tmp_path: Path):
    path = tmp_path / "a.png"
    path.write_bytes(saved(photograph(), "PNG"))
    found = read(path)
    path.write_bytes(b"")
    assert decode(found)[0].size == (32, 24)


def _turned(count: int) -> list:
    return [PIL.Image.fromarray(np.roll(photograph(10, 20), n + 1, axis=0)) for n in range(count)]
