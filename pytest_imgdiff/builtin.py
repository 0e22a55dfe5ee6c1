"""Our own metrics by name, as ``module:Class`` strings: nothing is imported before it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

METRICS: Mapping[str, str] = {
    "ahash": "pytest_imgdiff.metrics.hashes:AHash",
    "ciede2000": "pytest_imgdiff.metrics.ciede2000:Ciede2000",
    "classification": "pytest_imgdiff.metrics.category:Classification",
    "dhash": "pytest_imgdiff.metrics.hashes:DHash",
    "diffimg": "pytest_imgdiff.metrics.intensity:DiffImg",
    "embedding_cosine": "pytest_imgdiff.metrics.category:EmbeddingCosine",
    "embedding_euclidean": "pytest_imgdiff.metrics.category:EmbeddingEuclidean",
    "flip": "pytest_imgdiff.metrics.flip:Flip",
    "mae": "pytest_imgdiff.metrics.intensity:Mae",
    "mse": "pytest_imgdiff.metrics.intensity:Mse",
    "nmi": "pytest_imgdiff.metrics.mutual_information:NormalizedMutualInformation",
    "nrmse": "pytest_imgdiff.metrics.intensity:Nrmse",
    "orb": "pytest_imgdiff.metrics.orb:Orb",
    "perceptual": "pytest_imgdiff.metrics.perceptual:Perceptual",
    "phash": "pytest_imgdiff.metrics.hashes:PHash",
    "pixel_match": "pytest_imgdiff.metrics.pixel_match:PixelMatch",
    "psnr": "pytest_imgdiff.metrics.intensity:Psnr",
    "shift": "pytest_imgdiff.metrics.shift:Shift",
    "ssim": "pytest_imgdiff.metrics.ssim:Ssim",
    "ssimulacra2": "pytest_imgdiff.metrics.ssimulacra2:Ssimulacra2",
    "visible": "pytest_imgdiff.metrics.visible:Visible",
    "whash": "pytest_imgdiff.metrics.hashes:WHash",
}

GLANCE = ("pixel_match", "ssim", "orb", "embedding_cosine", "embedding_euclidean", "classification")
"""What two pictures are measured by to see at a glance how alike they are."""
