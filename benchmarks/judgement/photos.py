"""Photographs for the pages: landscapes drawn from a seed, and scikit-image's own sample images."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SAMPLES = ("astronaut", "chelsea", "coffee", "rocket")
"""Colour images in the package of scikit-image: nothing is downloaded."""


def landscape(seed: int, width: int, height: int) -> NDArray[np.uint8]:
    """Draw sky, sun and hills with the texture and the grain of a photograph.

    Returns:
        uint8, height x width x 3, BGR.
    """
    chance = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    warm, cool = chance.uniform(90, 250, 3), chance.uniform(60, 220, 3)
    share = (rows / height)[..., None]
    picture = (1 - share) * cool + share * warm + 14 * _texture(chance, width, height, (48, 16))
    sun = np.hypot(columns - chance.uniform(0.2, 0.8) * width, rows - chance.uniform(0.15, 0.4) * height)
    picture += (120 * np.exp(-((sun / (0.12 * height)) ** 2)))[..., None]
    for layer in range(4):
        crest = height * (0.45 + 0.14 * layer) + 0.1 * height * _crest(chance, width)
        inside = np.clip(rows - crest, 0, 1)[..., None]
        hill = chance.uniform(20, 150, 3) * (1 - 0.15 * layer)
        picture = picture * (1 - inside) + inside * (hill + 22 * _texture(chance, width, height, (24, 8, 3)))
    picture += chance.normal(0, 2.5, picture.shape)
    drawn: NDArray[np.uint8] = np.clip(picture, 0, 255).astype(np.uint8)
    return drawn


def sample(name: str, width: int, height: int) -> NDArray[np.uint8]:
    """Return one of scikit-image's images, cropped to the shape and reduced. uint8, height x width x 3, BGR."""
    import skimage.data

    picture = getattr(skimage.data, name)()[..., ::-1]
    scale = max(width / picture.shape[1], height / picture.shape[0])
    wide, high = round(picture.shape[1] * scale), round(picture.shape[0] * scale)
    resized = cv2.resize(np.ascontiguousarray(picture), (wide, high), interpolation=cv2.INTER_AREA)
    top, left = (high - height) // 2, (wide - width) // 2
    cut: NDArray[np.uint8] = np.ascontiguousarray(resized[top : top + height, left : left + width])
    return cut


def photo(seed: int, width: int, height: int) -> NDArray[np.uint8]:
    """Return a sample for two seeds of three, a landscape for the third. uint8, height x width x 3, BGR."""
    if seed % 3 == 0:
        return landscape(seed, width, height)
    return sample(SAMPLES[seed % len(SAMPLES)], width, height)


def data_url(picture: NDArray[np.uint8], kind: str = "png", quality: int = 95) -> str:
    """Encode an image for an ``<img>``; the quality, 0 to 100, is that of ``jpeg`` and ``webp``."""
    settings = {"png": [], "jpeg": [cv2.IMWRITE_JPEG_QUALITY, quality], "webp": [cv2.IMWRITE_WEBP_QUALITY, quality]}
    encoded = cv2.imencode(f".{kind}", picture, settings[kind])[1]
    return f"data:image/{kind};base64,{base64.b64encode(encoded.tobytes()).decode()}"


def _texture(chance: np.random.Generator, width: int, height: int, sizes: tuple[int, ...]) -> NDArray[np.float32]:
    """Return noise of several grain sizes; float32, height x width x 3, about -1 to 1."""
    total = np.zeros((height, width, 3), np.float32)
    for size in sizes:
        coarse = chance.normal(0, 1, (height // size + 3, width // size + 3, 3)).astype(np.float32)
        total += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC) * size**0.4
    return total / np.float32(sum(size**0.4 for size in sizes))


def _crest(chance: np.random.Generator, width: int) -> NDArray[np.float32]:
    coarse = chance.normal(0, 1, (1, width // 40 + 4)).astype(np.float32)
    line: NDArray[np.float32] = cv2.resize(coarse, (width, 1), interpolation=cv2.INTER_CUBIC)[0]
    return line
