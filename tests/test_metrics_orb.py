"""The metric `orb`: features found again, and pictures that have none."""

from __future__ import annotations

import pickle

import cv2
import numpy as np
import pytest

from pytest_imgdiff.base.errors import MetricError
from pytest_imgdiff.metrics.orb import Orb
from tests.metric_pictures import as_jpeg, at_depth, image_of, photograph

PHOTOGRAPHS = ["astronaut", "chelsea", "coffee", "coins", "page", "text"]


def turned(picture, degrees, scale):
    height, width = picture.shape[:2]
    movement = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, scale)
    return cv2.warpAffine(picture, movement, (width, height), borderMode=cv2.BORDER_REFLECT)


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_equal_pictures_share_every_keypoint_even_where_they_repeat_themselves(name):
    photo = photograph(name)
    tiled = np.tile(photo[:100, :150], (3, 3, 1))
    for picture in (photo, tiled):
        assert Orb().measure(image_of(picture), image_of(picture), None).value == 1


@pytest.mark.parametrize(
    ("change", "least"),
    [
        (lambda picture: as_jpeg(picture, 60), 0.6),
        (lambda picture: np.roll(picture, (9, 14), (0, 1)), 0.5),
        (lambda picture: turned(picture, 12, 0.95), 0.3),
        (lambda picture: picture // 2 + 40, 0.3),
    ],
    ids=["recompressed", "shifted", "turned", "dimmed"],
)
@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_a_changed_photograph_keeps_many_keypoints_and_as_many_the_other_way_round(name, change, least):
    photo = photograph(name)
    value = Orb().measure(image_of(photo), image_of(change(photo)), None).value
    assert least < value < 1
    assert value == Orb().measure(image_of(change(photo)), image_of(photo), None).value


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (31, 31), (62, 400), (63, 63)])
def test_a_picture_too_small_for_a_descriptor_is_refused(shape):
    noise = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    with pytest.raises(MetricError, match="too small or too plain"):
        Orb().measure(image_of(noise), image_of(255 - noise), None)


@pytest.mark.parametrize("other", PHOTOGRAPHS[1:])
def test_another_photograph_shares_next_to_none(other):
    height, width = np.minimum(photograph("astronaut").shape[:2], photograph(other).shape[:2])
    pair = image_of(photograph("astronaut", height, width)), image_of(photograph(other, height, width))
    assert Orb().measure(*pair, None).value < 0.02


def test_noise_shares_none_with_a_photograph():
    photo = photograph("coffee")
    noise = np.random.default_rng(0).integers(0, 256, photo.shape, np.uint8)
    assert Orb().measure(image_of(photo), image_of(noise), None).value == 0


@pytest.mark.parametrize("side", ["expected", "actual"])
@pytest.mark.parametrize("plain", [np.full((200, 200), 90, np.uint8), np.zeros((3, 3), np.uint8)])
def test_a_picture_without_keypoints_has_no_value(side, plain):
    photo = photograph("astronaut", *plain.shape)
    pair = (plain, photo) if side == "expected" else (photo, plain)
    found = "expected" if side == "expected" or plain.size == 9 else "actual"
    with pytest.raises(MetricError, match=rf"orb found 0 keypoints in the {found} image and needs 10"):
        Orb().measure(image_of(pair[0]), image_of(pair[1]), None)


def test_an_ignored_area_gives_no_keypoints():
    photo = photograph("coffee")
    ignore = np.zeros(photo.shape[:2], bool)
    ignore[:, 200:] = True
    painted = photo.copy()
    painted[ignore] = 128
    pair = image_of(painted), image_of(as_jpeg(painted, 80))
    drawn = Orb().measure(*pair, ignore).drawings["orb_matches"]()
    untouched = np.concatenate([pair[0].pixels[..., :3], pair[1].pixels[..., :3]], axis=1)
    assert (drawn != untouched)[:, :180].any()
    everything = np.ones_like(ignore)
    with pytest.raises(MetricError, match="0 keypoints"):
        Orb().measure(*pair, everything)


def test_the_result_does_not_depend_on_the_random_state_of_opencv():
    photo = photograph("chelsea")
    pair = image_of(photo), image_of(turned(as_jpeg(photo, 30), 5, 1.02))
    details = []
    for seed in (1, 2, 3):
        cv2.setRNGSeed(seed)
        details.append(Orb().measure(*pair, None).details)
    assert details[0] == details[1] == details[2]


@pytest.mark.parametrize("depth", [np.uint16, np.float32, np.float64])
def test_a_deeper_copy_has_the_same_keypoints(depth):
    photo, changed = photograph("coins"), as_jpeg(photograph("coins"), 50)
    shallow = Orb().measure(image_of(photo), image_of(changed), None)
    deep = Orb().measure(image_of(at_depth(photo, depth)), image_of(at_depth(changed, depth)), None)
    assert deep.value == pytest.approx(shallow.value, abs=0.02)


def test_the_matches_are_drawn_side_by_side_also_after_a_trip_between_processes():
    photo = photograph("coffee", 200, 300)
    result = Orb().measure(image_of(photo), image_of(np.roll(photo, 10, axis=1)), None)
    drawn = pickle.loads(pickle.dumps(result.drawings["orb_matches"]))()  # noqa: S301 - our own bytes
    assert (drawn.shape, drawn.dtype) == ((200, 600, 3), np.uint8)
    changed = (drawn[:, :300] != photo).any(axis=2)
    assert 0 < changed.mean() < 0.5


def test_details_say_how_the_share_came_about():
    photo = photograph("page")
    result = Orb(features=100, max_hamming=20).measure(image_of(photo), image_of(as_jpeg(photo, 50)), None)
    facts = result.details
    assert facts["consistent"] <= facts["matches"] <= facts["expected_keypoints"] <= 100
    assert result.value == 2 * facts["consistent"] / (facts["expected_keypoints"] + facts["actual_keypoints"])


def test_a_large_picture_is_looked_at_as_its_half_and_drawn_whole():
    half = cv2.resize(photograph("coffee"), (1100, 1050))
    large = np.repeat(np.repeat(half, 2, axis=0), 2, axis=1)
    pair = image_of(large), image_of(np.roll(large, 20, axis=1))
    result = Orb().measure(*pair, None)
    smaller = Orb().measure(image_of(half), image_of(np.roll(half, 10, axis=1)), None)
    assert (result.value, result.details) == (smaller.value, smaller.details)
    drawn = result.drawings["orb_matches"]()
    assert drawn.shape == (2100, 4400, 3)
    touched = np.flatnonzero((drawn[:, :2200] != large).any(axis=(1, 2)))
    assert touched[0] < 700
    assert touched[-1] > 1400  # places are those of the whole picture


def test_an_ignored_area_of_a_large_picture_gives_no_keypoints():
    large = cv2.resize(photograph("coffee"), (2200, 2100))
    ignore = np.ones(large.shape[:2], bool)
    ignore[500, 500] = False
    with pytest.raises(MetricError, match="0 keypoints"):
        Orb().measure(image_of(large), image_of(as_jpeg(large, 80)), ignore)
