"""Hamming distances of perceptual hashes: whether two files show the same image, whatever their encoding.

Source: https://github.com/JohannesBuchner/imagehash, whose hashes these are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import imagehash
import msgspec
import numpy as np
from PIL import Image as PillowImage

from pytest_imgdiff.base.derived import (
    BLACK,
    WHITE,
    eight_bit,
    halved,
    halvings,
    has_alpha,
    on_worse_backdrop,
    rgb8_on,
    without_alpha,
)
from pytest_imgdiff.base.model import MetricGroup, MetricResult

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

    from pytest_imgdiff.base.derived import Backdrop
    from pytest_imgdiff.base.geometry import Mask
    from pytest_imgdiff.base.image import Image

DEFAULT_HASH_SIZE = 8
LARGEST_HASH_SIZE = 256
LARGEST_SIDE = 1024
"""Images whose shorter side has at least this many pixels are halved first. A hash is made of 8 x 8 cells, or of 256 x
256 at the most."""

HashSize = Annotated[int, msgspec.Meta(ge=2, le=LARGEST_HASH_SIZE)]

_HASHES = {
    "ahash": imagehash.average_hash,
    "dhash": imagehash.dhash,
    "phash": imagehash.phash,
    "whash": imagehash.whash,
}


def _working(backdrop: Backdrop, image: Image) -> NDArray[np.uint8]:
    """Return (height, width, 3) RGB on the backdrop, in 8 bits, reduced in size if it is large."""
    times = halvings(image.size, LARGEST_SIDE)
    if image.dtype != np.uint8 or image.derived(has_alpha):
        return halved(rgb8_on(image, backdrop.name), times)
    return without_alpha(halved(eight_bit(image.pixels), times))  # the alpha goes once there is less of it


def _on_black(image: Image) -> NDArray[np.uint8]:
    return _working(BLACK, image)


def _on_white(image: Image) -> NDArray[np.uint8]:
    return _working(WHITE, image)


_WORKING = {"black": _on_black, "white": _on_white}


@dataclass(frozen=True, slots=True)
class _HashDistance:
    """Base class of the hash metrics; each subclass defines its hash.

    Attributes:
        hash_size: side of the hash; it has ``hash_size`` squared bits.
    """

    hash_size: HashSize = DEFAULT_HASH_SIZE

    name: ClassVar[str]
    direction: ClassVar[Literal["distance"]] = "distance"
    perfect: ClassVar[float] = 0.0
    bounds: ClassVar[tuple[float, float]] = (0.0, float(LARGEST_HASH_SIZE**2))
    counts_pixels: ClassVar[bool] = False
    unit: ClassVar[str] = "bits"
    heat_threshold: ClassVar[Literal["none"]] = "none"
    plane_bytes: ClassVar[tuple[int, int]] = (6, 0)

    def worst(self, depth: DTypeLike) -> float:
        """Return the number of bits of a hash of this size."""
        del depth
        return float(self.hash_size**2)

    def measure(self, expected: Image, actual: Image, ignore: Mask | None) -> MetricResult:
        """Return the number of bits in which the two hashes differ, 0 to ``hash_size`` squared.

        Images are hashed in 8 bits, and large ones are halved first: as long as both sides are at least
        `LARGEST_SIDE` pixels, each becomes half as long, by the means of 2x2 pixels. Ignored areas are the same gray in
        both images and are included.

        Returns:
            Details: ``bits``, the size of a hash, and both hashes in hexadecimal.
        """
        del ignore  # the paint in both images is all that a hash can know of it
        return on_worse_backdrop(
            expected, actual, self.direction, lambda backdrop: self._on(backdrop, expected, actual)
        )

    def _on(self, backdrop: Backdrop, expected: Image, actual: Image) -> MetricResult:
        hashes = [self._hash(backdrop, image) for image in (expected, actual)]
        details = {"bits": self.hash_size**2, "expected": str(hashes[0]), "actual": str(hashes[1])}
        return MetricResult(float(hashes[0] - hashes[1]), self.unit, details=details)

    def _hash(self, backdrop: Backdrop, image: Image) -> imagehash.ImageHash:
        picture = PillowImage.fromarray(image.derived(_WORKING[backdrop.name]))
        return _HASHES[self.name](picture, hash_size=self.hash_size)


@dataclass(frozen=True, slots=True)
class PHash(_HashDistance):
    """Each bit: whether a low frequency of the image's cosine transform is above their median."""

    name: ClassVar[str] = "phash"
    summary: ClassVar[str] = "hash of the coarse frequencies"
    group: ClassVar[MetricGroup] = "hashes"
    usual_limit: ClassVar[float] = 4.0


@dataclass(frozen=True, slots=True)
class DHash(_HashDistance):
    """Each bit: whether a cell of the shrunk image is brighter than its left neighbour."""

    name: ClassVar[str] = "dhash"
    summary: ClassVar[str] = "hash of the brightness' slope"
    group: ClassVar[MetricGroup] = "hashes"
    usual_limit: ClassVar[float] = 4.0


@dataclass(frozen=True, slots=True)
class AHash(_HashDistance):
    """Each bit: whether a cell of the shrunk image is brighter than their mean."""

    name: ClassVar[str] = "ahash"
    summary: ClassVar[str] = "hash of the brightness"
    group: ClassVar[MetricGroup] = "hashes"
    usual_limit: ClassVar[float] = 4.0


@dataclass(frozen=True, slots=True)
class WHash(_HashDistance):
    """Each bit: whether a low frequency of the image's Haar wavelet transform is above their median.

    Attributes:
        hash_size: a power of two.
    """

    name: ClassVar[str] = "whash"
    summary: ClassVar[str] = "hash of the wavelets"
    group: ClassVar[MetricGroup] = "hashes"
    usual_limit: ClassVar[float] = 4.0

    def __post_init__(self) -> None:
        if self.hash_size & (self.hash_size - 1):
            raise ValueError("`hash_size` must be a power of two for whash")
