"""The share of ORB keypoints that both images have, at places which agree."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import cv2
import msgspec
import numpy as np

from pytest_imgdiff.base.derived import eight_bit, halved, halvings, on_worse_backdrop, rgb8_on
from pytest_imgdiff.base.errors import MetricError
from pytest_imgdiff.base.model import MetricGroup, MetricResult

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_imgdiff.base.derived import Backdrop
    from pytest_imgdiff.base.geometry import Mask
    from pytest_imgdiff.base.image import Image

Features = Annotated[int, msgspec.Meta(ge=10, le=5000)]
HammingBits = Annotated[int, msgspec.Meta(ge=0, le=256)]

LEAST_KEYPOINTS = 10
"""With fewer in either image their agreement is meaningless."""
LEAST_CONSISTENT = 4
"""Two matches define a movement, and a third may agree with it by accident."""
PLACE_TOLERANCE = 3.0
"""How far, in pixels, a keypoint may lie from where the common movement puts it."""
LARGEST_SCALING = 2.0
"""A movement that shrinks or enlarges by more would gather unrelated keypoints in one place."""
LARGEST_SIDE = 2048
"""Images whose shorter side has at least this many pixels are halved first."""
PATCH = 31
"""Side of the square that a descriptor covers, in pixels."""


@dataclass(frozen=True, slots=True)
class Orb:
    """The share of the keypoints of both images that have a counterpart in the other.

    Keypoints and their 256-bit descriptors are those of ORB on the images in 8-bit gray. Large ones are halved first,
    by the means of 2x2 pixels, for as long as both sides are at least 2048 pixels; what is in pixels is so then. Two
    keypoints match where each is the other's nearest by Hamming distance (of equally near ones, the one at the nearest
    place), within ``max_hamming``. Of the matches those count that agree with one common movement (shift, rotation and
    scaling up to 2, found by RANSAC) to 3 pixels; fewer than 4 are none. The value is
    ``2 * counted / (keypoints of expected + keypoints of actual)``.

    Source: Rublee, Rabaud, Konolige and Bradski, "ORB: an efficient alternative to SIFT or SURF", 2011, as in OpenCV.

    Attributes:
        features: the largest number of keypoints in each image, strongest first.
        max_hamming: the largest distance of two descriptors that match, of 256.
    """

    features: Features = 500
    max_hamming: HammingBits = 64

    name: ClassVar[str] = "orb"
    summary: ClassVar[str] = "keypoints found again, with the matches drawn"
    group: ClassVar[MetricGroup] = "structure"
    usual_limit: ClassVar[float] = 0.6
    direction: ClassVar[Literal["similarity"]] = "similarity"
    perfect: ClassVar[float] = 1.0
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    counts_pixels: ClassVar[bool] = False
    unit: ClassVar[str] = "share"
    heat_threshold: ClassVar[Literal["none"]] = "none"
    plane_bytes: ClassVar[tuple[int, int]] = (16, 2)

    def measure(self, expected: Image, actual: Image, ignore: Mask | None) -> MetricResult:
        """Return the share of keypoints with a consistent match.

        Keypoints in ignored areas, or so near that their descriptor would see the paint (17 pixels), are not used.

        Returns:
            Details: ``expected_keypoints``, ``actual_keypoints``, ``matches`` and ``consistent``.
            Drawings: ``orb_matches``, both images side by side with the consistent matches joined.

        Raises:
            MetricError: an image has fewer than 10 keypoints.
        """
        allowed = None if ignore is None else _allowed(ignore)
        return on_worse_backdrop(
            expected, actual, self.direction, lambda backdrop: self._on(backdrop, expected, actual, allowed)
        )

    def _on(
        self, backdrop: Backdrop, expected: Image, actual: Image, allowed: NDArray[np.uint8] | None
    ) -> MetricResult:
        times = halvings(expected.size, LARGEST_SIDE)
        grays = [halved(eight_bit(image.derived(backdrop.gray)), times) for image in (expected, actual)]
        first, second = (_Keypoints.of(gray, allowed, self.features) for gray in grays)
        for side, keypoints in (("expected", first), ("actual", second)):
            if len(keypoints) < LEAST_KEYPOINTS:
                raise MetricError(
                    f"orb found {len(keypoints)} keypoints in the {side} image and needs {LEAST_KEYPOINTS}: "
                    "it is too small or too plain; use perceptual or ssim for it"
                )
        # RANSAC may find another movement the other way round: the order must not depend on which one is expected.
        if _comes_first(grays[1], grays[0]):
            matches, consistent = _agreement(second, first, self.max_hamming)
            consistent = consistent[:, ::-1]
        else:
            matches, consistent = _agreement(first, second, self.max_hamming)
        return MetricResult(
            2 * len(consistent) / (len(first) + len(second)),
            self.unit,
            details={
                "expected_keypoints": len(first),
                "actual_keypoints": len(second),
                "matches": matches,
                "consistent": len(consistent),
            },
            drawings={"orb_matches": partial(_draw, backdrop, (expected, actual), (first, second), consistent)},
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Keypoints:
    """The keypoints of one image: (n, 2) places in pixels and (n, 32) descriptors of 256 bits."""

    places: NDArray[np.float32]
    descriptors: NDArray[np.uint8]

    @classmethod
    def of(cls, gray: NDArray[np.uint8], allowed: NDArray[np.uint8] | None, features: int) -> _Keypoints:
        if min(gray.shape) <= 2 * PATCH:  # OpenCV looks for none so near an edge, and fails where it cannot even look
            return cls(np.empty((0, 2), np.float32), np.empty((0, 32), np.uint8))
        detector = cv2.ORB.create(nfeatures=features, patchSize=PATCH, edgeThreshold=PATCH)
        keypoints, found = detector.detectAndCompute(gray, allowed)
        places = np.array([keypoint.pt for keypoint in keypoints], np.float32).reshape(-1, 2)
        descriptors = np.empty((0, 32), np.uint8) if found is None else np.asarray(found, np.uint8)
        return cls(places, descriptors)

    def __len__(self) -> int:
        return len(self.places)


def _allowed(ignore: Mask) -> NDArray[np.uint8]:
    """Return 255 where keypoints may lie: so far from ignored areas that no full-scale descriptor sees their paint."""
    touched = halved(np.where(ignore, np.uint8(255), np.uint8(0)), halvings(ignore.shape, LARGEST_SIDE)) > 0
    near = cv2.dilate(touched.astype(np.uint8), np.ones((PATCH + 4, PATCH + 4), np.uint8))
    allowed: NDArray[np.uint8] = np.where(near, np.uint8(0), np.uint8(255))
    return allowed


def _matches(first: _Keypoints, second: _Keypoints, max_hamming: int) -> NDArray[np.intp]:
    """Return (m, 2) pairs of keypoints of which each is the other's nearest."""
    bits = [np.unpackbits(keypoints.descriptors, axis=1).astype(np.float32) for keypoints in (first, second)]
    hamming = bits[0].sum(axis=1)[:, None] + bits[1].sum(axis=1) - 2 * bits[0] @ bits[1].T
    apart = np.linalg.norm(first.places[:, None] - second.places, axis=2)
    distance = hamming + apart / (2 * apart.max() + 1)  # less than one bit: it decides between equals only
    nearest, back = distance.argmin(axis=1), distance.argmin(axis=0)
    own = np.arange(len(first))
    mutual = (back[nearest] == own) & (hamming[own, nearest] <= max_hamming)
    return np.stack([own[mutual], nearest[mutual]], axis=1)


def _comes_first(gray: NDArray[np.uint8], other: NDArray[np.uint8]) -> bool:
    """Whether an image is the darker one at the first pixel in which the two differ."""
    differs = np.flatnonzero(gray != other)[:1]
    return bool((gray.reshape(-1)[differs] < other.reshape(-1)[differs]).any())


def _agreement(first: _Keypoints, second: _Keypoints, max_hamming: int) -> tuple[int, NDArray[np.intp]]:
    """Return how many keypoints match, and the (n, 2) pairs that agree with one movement."""
    pairs = _matches(first, second, max_hamming)
    return len(pairs), pairs[_moved_alike(first.places[pairs[:, 0]], second.places[pairs[:, 1]])]


def _moved_alike(places: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Whether each match agrees with the movement that most of them agree with."""
    none = np.zeros(len(places), np.bool_)
    if len(places) < LEAST_CONSISTENT:
        return none
    # OpenCV's RANSAC seeds a generator of its own at each call: equal matches give equal results.
    movement, inliers = cv2.estimateAffinePartial2D(
        places, others, method=cv2.RANSAC, ransacReprojThreshold=PLACE_TOLERANCE, maxIters=5000, confidence=0.999
    )
    if movement is None or np.count_nonzero(inliers) < LEAST_CONSISTENT:
        return none
    scaling = float(np.hypot(movement[0, 0], movement[1, 0]))
    if not 1 / LARGEST_SCALING <= scaling <= LARGEST_SCALING:
        return none
    agrees: NDArray[np.bool_] = inliers.reshape(-1) > 0
    return agrees


def _draw(
    backdrop: Backdrop,
    images: tuple[Image, Image],
    keypoints: tuple[_Keypoints, _Keypoints],
    pairs: NDArray[np.intp],
) -> NDArray[np.uint8]:
    """Return both images side by side, (height, 2 width, 3) RGB, with a line for each pair."""
    pictures = [rgb8_on(image, backdrop.name) for image in images]
    scale = 2 ** halvings(images[0].size, LARGEST_SIDE)
    points: list[Any] = [
        [cv2.KeyPoint(float(x) * scale, float(y) * scale, PATCH) for x, y in side.places] for side in keypoints
    ]
    matches = [cv2.DMatch(int(first), int(second), 0.0) for first, second in pairs]
    height, width = pictures[0].shape[:2]
    drawn = np.zeros((height, 2 * width, 3), np.uint8)
    lone = cv2.DRAW_MATCHES_FLAGS_NOT_DRAW_SINGLE_POINTS
    cv2.drawMatches(pictures[0], points[0], pictures[1], points[1], matches, drawn, flags=lone)
    return drawn
