"""The metrics `phash`, `dhash`, `ahash` and `whash`: ImageHash's own distances."""

from __future__ import annotations

import cv2
import imagehash
import msgspec
import numpy as np
import pytest
from PIL import Image as PillowImage

from pytest_imgdiff.metrics.hashes import AHash, DHash, PHash, WHash
from tests.metric_pictures import as_jpeg, at_depth, image_of, photograph, with_alpha

HASHES = [(AHash, imagehash.average_hash), (DHash, imagehash.dhash), (PHash, imagehash.phash), (WHash, imagehash.whash)]
METRICS = [metric for metric, _ in HASHES]


@pytest.mark.parametrize("size", [4, 8, 16])
@pytest.mark.parametrize(("metric", "package"), HASHES)
def test_the_distance_is_that_of_the_package(metric, package, size):
    expected, actual = photograph("astronaut", 300, 400), photograph("coffee", 300, 400)
    theirs = [package(PillowImage.fromarray(picture), hash_size=size) for picture in (expected, actual)]
    result = metric(hash_size=size).measure(image_of(expected), image_of(actual), None)
    assert result.value == theirs[0] - theirs[1] > 0
    assert result.details == {"bits": size * size, "expected": str(theirs[0]), "actual": str(theirs[1])}


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee"])
def test_a_recompressed_photograph_is_next_to_the_same(metric, name):
    photo = photograph(name)
    assert metric().measure(image_of(photo), image_of(as_jpeg(photo, 30)), None).value <= 4


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("depth", [np.uint16, np.float32])
def test_depth_makes_no_difference(metric, depth):
    pictures = photograph("astronaut", 200, 200), photograph("coins", 200, 200)
    shallow = metric().measure(*(image_of(picture) for picture in pictures), None)
    deep = metric().measure(*(image_of(at_depth(picture, depth)) for picture in pictures), None)
    assert deep.value == shallow.value


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(("level", "backdrop"), [(0, "white"), (255, "black")])
def test_a_shape_that_shows_on_one_backdrop_only_is_seen(metric, level, backdrop):
    alpha = np.zeros((64, 64), np.uint8)
    alpha[8:30, 40:60] = 255
    plain = np.full((64, 64, 3), level, np.uint8)
    result = metric().measure(image_of(with_alpha(plain, alpha)), image_of(with_alpha(plain, alpha.T[::-1])), None)
    assert result.value > 0
    assert result.details["backdrop"] == backdrop


def test_a_wavelet_hash_needs_a_power_of_two():
    with pytest.raises(msgspec.ValidationError, match="power of two"):
        msgspec.convert({"hash_size": 12}, WHash)


@pytest.mark.parametrize(("metric", "package"), HASHES)
@pytest.mark.parametrize("with_opacity", [False, True])
def test_a_large_picture_is_hashed_as_its_half(metric, package, with_opacity):
    """2200 x 2100 is hashed as 550 x 525: bits hardly hang on that, and a page of any size is hashed as fast."""
    small = cv2.resize(photograph("astronaut"), (550, 525))
    large = np.repeat(np.repeat(small, 4, axis=0), 4, axis=1)
    other = np.ascontiguousarray(large[::-1])
    opaque = np.full(large.shape[:2], 255)
    pair = (with_alpha(large, opaque), with_alpha(other, opaque)) if with_opacity else (large, other)
    theirs = [package(PillowImage.fromarray(picture)) for picture in (small, small[::-1])]
    result = metric().measure(image_of(pair[0]), image_of(pair[1]), None)
    assert (result.details["expected"], result.details["actual"]) == tuple(map(str, theirs))
    whole = [package(PillowImage.fromarray(picture)) for picture in (large, other)]
    assert abs(result.value - (whole[0] - whole[1])) <= 2
