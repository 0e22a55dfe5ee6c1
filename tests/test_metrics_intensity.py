"""The metrics `diffimg`, `mae`, `mse` and `psnr`: the numbers of diffimg and scikit-image."""

from __future__ import annotations

import diffimg
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image as PillowImage
from skimage.metrics import mean_squared_error, peak_signal_noise_ratio

from pytest_imgdiff import Policy, Rule, Verdict, compare
from pytest_imgdiff.base.derived import full_value
from pytest_imgdiff.base.errors import MetricError
from pytest_imgdiff.metrics.intensity import DiffImg, Mae, Mse, Psnr
from tests.metric_pictures import DEPTHS, as_jpeg, at_depth, image_of, photograph, with_alpha


def stored(folder, name, pixels):
    path = folder / name
    PillowImage.fromarray(pixels).save(path)
    return path


@pytest.mark.parametrize("ignore_alpha", [False, True])
@pytest.mark.parametrize("transparent", [False, True])
@pytest.mark.parametrize("name", ["astronaut", "chelsea", "text"])
def test_diffimg_is_the_number_of_the_package(tmp_path, name, transparent, ignore_alpha):
    expected = photograph(name)
    actual = as_jpeg(expected, 40)
    if transparent:
        random = np.random.default_rng(1)
        expected, actual = (with_alpha(p, random.integers(1, 256, p.shape[:2])) for p in (expected, actual))
    files = stored(tmp_path, "expected.png", expected), stored(tmp_path, "actual.png", actual)
    theirs = diffimg.diff(*files, delete_diff_file=True, ignore_alpha=ignore_alpha)
    pair = image_of(expected), image_of(actual)
    assert theirs > 0
    assert DiffImg(ignore_alpha=ignore_alpha).measure(*pair, None).value == pytest.approx(theirs, abs=1e-15)
    assert Mae(ignore_alpha=ignore_alpha).measure(*pair, None).value == pytest.approx(theirs, abs=1e-12)


def test_diffimg_is_asked_in_memory_and_leaves_no_picture_of_the_differences(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    DiffImg().measure(image_of(photograph("coffee")), image_of(as_jpeg(photograph("coffee"), 20)), None)
    assert list(tmp_path.iterdir()) == []


def test_diffimg_never_sees_pictures_of_two_sizes():
    red = np.full((30, 40, 3), (255, 0, 0), np.uint8)
    assert compare(red, red[:, :20], Policy(metrics=(Rule("diffimg", max=0.5),))).verdict is Verdict.RESIZED


@pytest.mark.filterwarnings("error")
def test_diffimg_of_a_picture_that_pillow_would_warn_of_is_the_share_that_differs():
    expected = np.zeros((24_000, 4_000, 4), np.uint8)
    expected[..., 3] = 255
    actual = expected.copy()
    actual[12_000:, :, :3] = 255
    assert DiffImg().measure(image_of(expected), image_of(actual), None).value == pytest.approx(0.5, abs=1e-12)


@pytest.mark.parametrize("depth", [np.uint16, np.float32])
def test_diffimg_of_more_than_8_bits_is_refused_with_the_name_of_the_metric_that_takes_them(depth):
    pair = [image_of(at_depth(np.full((7, 9), level, np.uint8), depth)) for level in (0, 255)]
    with pytest.raises(MetricError, match=r"diffimg compares 8 bits a channel and this pair has .*: use mae"):
        DiffImg().measure(*pair, None)


@given(expected=arrays(np.uint8, (6, 7, 4)), actual=arrays(np.uint8, (6, 7, 4)), ignored=st.integers(0, 6))
@settings(max_examples=100, deadline=None)
def test_mae_is_the_number_of_diffimg_also_where_a_part_is_ignored(expected, actual, ignored):
    ignore = np.zeros((6, 7), bool)
    ignore[:, :ignored] = True
    expected[ignore] = actual[ignore] = 127
    pair = image_of(expected), image_of(actual)
    assert Mae().measure(*pair, ignore).value == pytest.approx(DiffImg().measure(*pair, ignore).value, abs=1e-12)


@pytest.mark.parametrize("depth", DEPTHS)
def test_mae_of_black_and_white_is_1_at_every_depth(depth):
    pair = [image_of(at_depth(np.full((700, 900), level, np.uint8), depth)) for level in (0, 255)]
    assert Mae().measure(*pair, None).value == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("metric", [DiffImg, Mae])
def test_alpha_alone_is_nothing_where_alpha_is_ignored(metric):
    photo = photograph("coffee", 40, 50)
    pair = [image_of(with_alpha(photo, np.full((40, 50), level))) for level in (255, 204)]
    assert metric().measure(*pair, None).value == pytest.approx(51 / 255 / 4)
    assert metric(ignore_alpha=True).measure(*pair, None).value == 0


pixels = arrays(np.uint8, (6, 7, 4), elements=st.integers(0, 255))


@given(expected=pixels, actual=pixels, depth=st.sampled_from(DEPTHS), opaque=st.booleans())
@settings(max_examples=200, deadline=None)
def test_mse_and_psnr_are_those_of_scikit_image(expected, actual, depth, opaque):
    if opaque:
        expected[..., 3] = actual[..., 3] = 255
    pair = [image_of(at_depth(picture, depth)) for picture in (expected, actual)]
    channels = 3 if all((image.pixels[..., 3] == full_value(depth)).all() for image in pair) else 4
    values = [image.pixels[..., :channels] for image in pair]
    error = mean_squared_error(*values)
    assert Mse().measure(*pair, None).value == pytest.approx(error, rel=1e-5)
    if error:
        ratio = peak_signal_noise_ratio(*values, data_range=full_value(depth))
        assert Psnr().measure(*pair, None).value == pytest.approx(ratio, abs=1e-4)


def test_psnr_of_all_but_equal_floats_stays_below_that_of_equal_ones():
    expected = np.zeros((8, 8, 3), np.float64)
    actual = expected.copy()
    actual[0, 0, 0] = 1e-60
    pair = image_of(expected), image_of(actual)
    assert Psnr().measure(*pair, None).value < Psnr.perfect
    assert Psnr().measure(pair[0], pair[0], None).value == Psnr.perfect


def test_psnr_of_black_and_white_is_0():
    pair = image_of(np.zeros((5, 5), np.uint16)), image_of(np.full((5, 5), 65535, np.uint16))
    assert Psnr().measure(*pair, None).value == pytest.approx(0, abs=1e-9)
