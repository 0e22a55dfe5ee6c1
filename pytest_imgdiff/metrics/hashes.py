"""Hamming distances of perceptual hashes: whether two files show the same picture, whatever their encoding.

Source: https://github.com/JohannesBuchner/imagehash, whose hashes these are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import imagehash
import msgspec
from PIL import Image as PillowImage

from pytest_imgdiff.model import MetricResult
from pytest_imgdiff.views import eight_bit, on_worse_backdrop

if TYPE_CHECKING:
    from pytest_imgdiff.image import Image
    from pytest_imgdiff.model import Mask
    from pytest_imgdiff.views import Backdrop

DEFAULT_HASH_SIZE = 8
LARGEST_HASH_SIZE = 256

HashSize = Annotated[int, msgspec.Meta(ge=2, le=LARGEST_HASH_SIZE)]

_HASHES = {
    "ahash": imagehash.average_hash,
    "dhash": imagehash.dhash,
    "phash": imagehash.phash,
    "whash": imagehash.whash,
}


@dataclass(frozen=True, slots=True)
class _HashDistance:
    """What the hash metrics share; each names its hash.

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

    def measure(self, expected: Image, actual: Image, ignore: Mask | None) -> MetricResult:
        """Return in how many bits the two hashes differ, 0 to ``hash_size`` squared.

        Pictures are hashed in 8 bits. Ignored areas are one gray in both and take part as that.

        Returns:
            Details: ``bits``, the size of a hash, and both hashes in hexadecimal.
        """
        del ignore  # the paint in both pictures is all that a hash can know of it
        return on_worse_backdrop(
            expected, actual, self.direction, lambda backdrop: self._on(backdrop, expected, actual)
        )

    def _on(self, backdrop: Backdrop, expected: Image, actual: Image) -> MetricResult:
        hashes = [self._hash(backdrop, image) for image in (expected, actual)]
        details = {"bits": self.hash_size**2, "expected": str(hashes[0]), "actual": str(hashes[1])}
        return MetricResult(float(hashes[0] - hashes[1]), self.unit, details=details)

    def _hash(self, backdrop: Backdrop, image: Image) -> imagehash.ImageHash:
        picture = PillowImage.fromarray(eight_bit(image.derived(backdrop.rgb)))
        return _HASHES[self.name](picture, hash_size=self.hash_size)


@dataclass(frozen=True, slots=True)
class PHash(_HashDistance):
    """Each bit: whether a low frequency of the picture's cosine transform is above their median."""

    name: ClassVar[str] = "phash"


@dataclass(frozen=True, slots=True)
class DHash(_HashDistance):
    """Each bit: whether a cell of the shrunk picture is brighter than its left neighbour."""

    name: ClassVar[str] = "dhash"


@dataclass(frozen=True, slots=True)
class AHash(_HashDistance):
    """Each bit: whether a cell of the shrunk picture is brighter than their mean."""

    name: ClassVar[str] = "ahash"


@dataclass(frozen=True, slots=True)
class WHash(_HashDistance):
    """Each bit: whether a low frequency of the picture's Haar wavelet transform is above their median.

    Attributes:
        hash_size: a power of two.
    """

    name: ClassVar[str] = "whash"

    def __post_init__(self) -> None:
        if self.hash_size & (self.hash_size - 1):
            raise ValueError("`hash_size` must be a power of two for whash")
