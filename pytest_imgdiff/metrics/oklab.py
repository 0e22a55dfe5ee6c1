"""Colour differences as pixelmatch 8.0 measures them: HyAB in OKLab with toe-corrected lightness, at any depth.

Sources:
    Ottosson, "A perceptual color space for image processing", 2020, and "Okhsv and Okhsl", 2021: OKLab, and the
        lightness Lr with a toe.
    Abasi, Amani Tehran and Fairchild, "Distance metrics for very large color differences", 2019: HyAB.
    https://github.com/mapbox/pixelmatch, release 8.0.0 (ISC): the tables and the order of the operations. Both decide
        which pixels near the threshold count.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_imgdiff.base.derived import full_value
from pytest_imgdiff.metrics.yiq import BLACK, WHITE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_imgdiff.metrics.yiq import Colour, Indices, Samples

    Floats = NDArray[Any]
    """(n,) of one float type."""

_LMS = (
    (0.4122214708, 0.5363325363, 0.0514459929),
    (0.2119034982, 0.6806995451, 0.1073969566),
    (0.0883024619, 0.2817188376, 0.6299787005),
)
_LIGHTNESS = (0.2104542553, 0.7936177850, -0.0040720468)
_A = (1.9779984951, -2.4285922050, 0.4505937099)
_B = (0.0259040371, 0.7827717662, -0.8086757660)
_K1, _K2 = 0.206, 0.03
_K3 = (1 + _K1) / (1 + _K2)
_ROOTS = 4096
"""Steps of pixelmatch's table of cube roots; it interpolates between them, and computes those below `_EXACT` steps."""
_EXACT = 8
_HASH = np.uint32(0x9E3779B1)
_LEAST_LIGHT = np.float32(1e-18)
"""Less is no different from none, and its cube in single precision would be."""
_LEAST_DOUBLE = 1e-290


def _linear(level: int) -> float:
    """Return the light of an sRGB level of 0..255 (IEC 61966-2-1)."""
    share = level / 255
    return share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4  # noqa: PLR2004 - the standard's


def _roots(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return cube roots. Those of NumPy are not the same on every machine, nor those of the compiled core's library."""
    first = values.view(np.uint64) // np.uint64(3) + np.uint64(0x2A9F789300000000)  # a third of the exponent
    return np.where(values < _LEAST_DOUBLE, np.cbrt(values), _halley(values, first.view(np.float64), 3))


def _roots_in_single_precision(values: NDArray[np.float32]) -> NDArray[np.float32]:
    values = np.maximum(values, _LEAST_LIGHT)
    first = values.view(np.uint32) // np.uint32(3) + np.uint32(709_921_077)
    return _halley(values, first.view(np.float32), 2)


def _halley(values: Floats, roots: Floats, rounds: int) -> Floats:
    """Bring cube roots closer, by Halley's method. Each operation is rounded on its own, on every machine alike."""
    for _ in range(rounds):
        cubes = roots * roots * roots
        roots = roots - roots * (cubes - values) / (cubes + cubes + values)
    return roots


_LIGHT = np.array([_linear(min(level, 255)) for level in range(257)])
_CUBE_ROOTS = _roots(np.arange(_ROOTS + 2) / _ROOTS)


def measured(
    one: Samples, two: Samples, indices: Indices, threshold: float, *, opaque: bool
) -> tuple[Floats, NDArray[np.bool_]]:
    """Measure (n, 4) pixels.

    Args:
        one: pixels of one image.
        two: the same pixels of the other.
        indices: where they are in the image.
        threshold: the largest distance that does not count.
        opaque: whether all of both images is opaque.

    Returns:
        The distances, where 1 is that of black and white and a few saturated pairs lie a little further apart; and
        whether each is beyond the threshold.
    """
    backdrops = (None,) if opaque else (_hashed(indices), BLACK, WHITE)
    found = [_distances(_Colours.of(one, behind), _Colours.of(two, behind), threshold) for behind in backdrops]
    distance = np.maximum.reduce([distance for distance, _ in found])
    if opaque and one.dtype == np.uint8:  # as the compiled core has it, which decides in double precision only
        distance = _distances_in_single_precision(one, two)
    return distance, np.logical_or.reduce([beyond for _, beyond in found])


@dataclass(frozen=True, slots=True, eq=False)
class _Colours:
    """(n,) colours, ready to be compared: toe-corrected lightness, and the cube roots of the cones' responses."""

    lightness: Floats
    cones: tuple[Floats, Floats, Floats]

    @classmethod
    def of(cls, pixels: Samples, backdrop: Colour | None) -> _Colours:
        """Return the colours of (n, 4) RGBA pixels, on the backdrop if there is one."""
        *colour, alpha = pixels.T.astype(np.float64) / (full_value(pixels.dtype) / 255)
        if backdrop is not None:
            colour = [
                (side * alpha + behind * (255 - alpha)) / 255 for side, behind in zip(colour, backdrop, strict=True)
            ]
        red, green, blue = (_interpolated(_LIGHT, side) for side in colour)
        long, medium, short = (_cube_root(red * r + green * g + blue * b) for r, g, b in _LMS)
        lightness = long * _LIGHTNESS[0] + medium * _LIGHTNESS[1] + short * _LIGHTNESS[2]
        return cls(_toe(lightness), (long, medium, short))


def _interpolated(table: NDArray[np.float64], places: NDArray[np.float64]) -> NDArray[np.float64]:
    below = places.astype(np.intp)
    found: NDArray[np.float64] = table[below] + (table[below + 1] - table[below]) * (places - below)
    return found


def _cube_root(values: NDArray[np.float64]) -> NDArray[np.float64]:
    steps = values * _ROOTS
    return np.where(steps < _EXACT, _roots(values), _interpolated(_CUBE_ROOTS, steps))


def _toe(lightness: Floats) -> Floats:
    """Return OKLab's lightness with its toe corrected, in its precision."""
    x = lightness * _K3 - _K1
    toed: Floats = (x + np.sqrt(x * x + lightness * (4 * _K2 * _K3))) * 0.5
    return toed


def _distances(one: _Colours, two: _Colours, threshold: float) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the (n,) distances, and which are larger than the threshold: for that no root is taken."""
    long, medium, short = (first - second for first, second in zip(one.cones, two.cones, strict=True))
    a = long * _A[0] + medium * _A[1] + short * _A[2]
    b = long * _B[0] + medium * _B[1] + short * _B[2]
    lightness, colour = np.abs(one.lightness - two.lightness), a * a + b * b
    rest = threshold - lightness
    within = (rest >= 0) & (colour <= rest * rest)
    return lightness + np.sqrt(colour), ~within


def _distances_in_single_precision(one: Samples, two: Samples) -> NDArray[np.float32]:
    """Return the (n,) distances of opaque 8-bit pixels."""
    light = _LIGHT.astype(np.float32)
    found = []
    for pixels in (one, two):
        red, green, blue = light[pixels.T[:3]]
        cones = [_roots_in_single_precision(red * r + green * g + blue * b) for r, g, b in _LMS]
        lightness, a, b = (cones[0] * x + cones[1] * y + cones[2] * z for x, y, z in (_LIGHTNESS, _A, _B))
        found.append((_toe(lightness), a, b))
    lightness, a, b = (first - second for first, second in zip(*found, strict=True))
    return np.asarray(np.sqrt(a * a + b * b) + np.abs(lightness))


def _hashed(indices: Indices) -> Colour:
    """Return the colours, 48 or 207 in each channel, on which pixelmatch 8 lays pixels that are not opaque."""
    hashed = indices.astype(np.uint32) * _HASH  # modulo 2 ** 32
    red, green, blue = (48.0 + 159.0 * ((hashed >> np.uint32(bit)) & np.uint32(1)) for bit in (31, 30, 29))
    return red, green, blue
