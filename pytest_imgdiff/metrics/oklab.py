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

from pytest_imgdiff.metrics.raster import BLACK, WHITE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_imgdiff.metrics.raster import Colour, Indices, Raster, Values

    Floats = NDArray[Any]
    """(n,) of one float type."""

_ROUNDING = 1e-3
"""A distance in single precision is off by less than a third of this: of all colours, the tables' steps included."""
_FARTHEST = (
    *(
        0.0,
        0.044664,
        0.057533,
        0.067011,
        0.075191,
        0.082367,
        0.088847,
        0.094806,
        0.100326,
        0.105571,
        0.110498,
        0.115267,
    ),
    *(0.120137, 0.125065, 0.130041, 0.135010, 0.140046),
)
"""For each step of 0 to 16 levels, the largest distance of two 8-bit colours whose channels are at most so far apart.

Found by comparing each of the 2^24 colours with all others so near to it. Dark colours decide it: of those with a
channel of at least 64, steps twice as large are as near.
"""
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
_BLOCK = 1 << 14
"""Pairs of pixels that are measured at once: all that is computed of them stays in a core's own cache."""
_HASH = np.uint32(0x9E3779B1)
_LEAST_LIGHT = np.float32(1e-18)
"""Less is no different from none, and its cube in single precision would be."""
_LEAST_DOUBLE = 1e-290


def _linear(level: int) -> float:
    """Return the light of an sRGB level of 0..255 (IEC 61966-2-1)."""
    share = level / 255
    return share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4  # noqa: PLR2004 - the standard's


def _halley(values: Floats, roots: Floats, rounds: int) -> Floats:
    """Bring cube roots closer, by Halley's method. Each operation is rounded on its own, on every machine alike."""
    for _ in range(rounds):
        cubes = roots * roots * roots
        roots = roots - roots * (cubes - values) / (cubes + cubes + values)
    return roots


def _rounded_roots(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return cube roots in single precision."""
    values = np.maximum(values, _LEAST_LIGHT)
    first = values.view(np.uint32) // np.uint32(3) + np.uint32(709_921_077)  # a third of the exponent
    return _halley(values, first.view(np.float32), 2)


def _roots(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return cube roots. Those of NumPy are not the same on every machine, nor those of the compiled core's library."""
    first = values.view(np.uint64) // np.uint64(3) + np.uint64(0x2A9F789300000000)
    return np.where(values < _LEAST_DOUBLE, np.cbrt(values), _halley(values, first.view(np.float64), 3))


_LIGHT = np.array([_linear(min(level, 255)) for level in range(257)])
_CUBE_ROOTS = _roots(np.arange(_ROOTS + 2) / _ROOTS)
_LIGHT_OF_LEVELS = _LIGHT[:256].astype(np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class _Colours:
    """Colours, ready to be compared: toe-corrected lightness, and the cube roots of the cones' responses."""

    lightness: Floats
    cones: tuple[Floats, Floats, Floats]

    @classmethod
    def of_light(cls, red: Floats, green: Floats, blue: Floats) -> _Colours:
        """Return the colours of linear light, 0..1."""
        long, medium, short = (_cube_root(red * r + green * g + blue * b) for r, g, b in _LMS)
        lightness = long * _LIGHTNESS[0] + medium * _LIGHTNESS[1] + short * _LIGHTNESS[2]
        return cls(_toed(lightness), (long, medium, short))


def largest_harmless_step(threshold: float, raster: Raster) -> float:
    """Return the largest channel difference, in the depth's own unit, that cannot make a distance beyond the threshold.

    It is known of opaque 8-bit pictures, and 0 for all others.
    """
    if not raster.opaque or raster.dtype != np.uint8:
        return 0.0
    return float(max(0, np.searchsorted(_FARTHEST, threshold - _ROUNDING, side="right") - 1))


def measured(first: Raster, second: Raster, indices: Indices, threshold: float) -> tuple[Floats, Indices]:
    """Measure some pixels.

    Returns:
        The distances, (n,), where 1 is that of black and white and a few saturated pairs lie a little further apart;
        and which are larger than the threshold, as indices into these n.
    """
    gathered, others = first.values.take(indices, axis=0), second.values.take(indices, axis=0)
    if first.opaque and first.dtype == np.uint8:
        distances = _rounded_distances(gathered, others)
        beyond = distances > np.float32(threshold)
        near = np.flatnonzero(np.abs(distances - np.float32(threshold)) <= _ROUNDING)
        one, two = (_of_levels(first.channels(words.take(near))) for words in (gathered, others))
        _, beyond[near] = _distances(one, two, threshold)
        return distances, np.flatnonzero(beyond)
    pixels, other_pixels, unit = first.channels(gathered), second.channels(others), first.unit
    if first.opaque:
        distances, beyond = _distances(_between_levels(pixels, unit), _between_levels(other_pixels, unit), threshold)
        return distances, np.flatnonzero(beyond)
    backdrops = (_hashed(indices), BLACK, WHITE)
    found = [
        _distances(_laid_on(pixels, backdrop, unit), _laid_on(other_pixels, backdrop, unit), threshold)
        for backdrop in backdrops
    ]
    beyond = np.logical_or.reduce([beyond for _, beyond in found])
    return np.maximum.reduce([distance for distance, _ in found]), np.flatnonzero(beyond)


def _rounded_distances(one: Values, two: Values) -> NDArray[np.float32]:
    """Return the (n,) distances of opaque 8-bit pixels in single precision, good to `_ROUNDING`."""
    distances = np.empty(one.size, np.float32)
    for start in range(0, one.size, _BLOCK):
        part = slice(start, start + _BLOCK)
        lightness, a, b = (first - second for first, second in zip(*map(_rounded, (one[part], two[part])), strict=True))
        distances[part] = np.sqrt(a * a + b * b) + np.abs(lightness)
    return distances


def _rounded(pixels: Values) -> tuple[Floats, Floats, Floats]:
    """Return toe-corrected lightness, a and b of opaque 8-bit pixels, each (n,) in single precision."""
    levels = np.ascontiguousarray(pixels.view(np.uint8).reshape(-1, 4)[:, :3].T)
    red, green, blue = _LIGHT_OF_LEVELS.take(levels)
    cones = [_rounded_roots(red * r + green * g + blue * b) for r, g, b in _LMS]
    lightness, a, b = (cones[0] * x + cones[1] * y + cones[2] * z for x, y, z in (_LIGHTNESS, _A, _B))
    return _toed(lightness), a, b


def _toed(lightness: Floats) -> Floats:
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


def _of_levels(pixels: NDArray[np.uint8]) -> _Colours:
    """Return the colours of opaque (n, 4) pixels."""
    return _Colours.of_light(*(_LIGHT.take(pixels[:, channel]) for channel in range(3)))


def _between_levels(pixels: NDArray[Any], unit: float) -> _Colours:
    """Return the colours of opaque (n, 4) pixels of any depth."""
    return _of_fractions(*(pixels[:, channel].astype(np.float64) / unit for channel in range(3)))


def _laid_on(pixels: NDArray[Any], backdrop: Colour, unit: float) -> _Colours:
    """Return the colours of (n, 4) pixels that lie on a backdrop."""
    values = pixels.astype(np.float64) / unit
    alpha = values[:, 3]
    blended = ((values[:, channel] * alpha + behind * (255 - alpha)) / 255 for channel, behind in enumerate(backdrop))
    return _of_fractions(*blended)


def _of_fractions(*levels: Floats) -> _Colours:
    """Return the colours of red, green and blue levels of 0..255 that need not be whole."""
    return _Colours.of_light(*map(_interpolated, levels))


def _interpolated(levels: Floats) -> Floats:
    below = levels.astype(np.intp)
    light = _LIGHT.take(below)
    light += (_LIGHT.take(below + 1) - light) * (levels - below)
    return light


def _hashed(indices: Indices) -> Colour:
    """Return the colours, 48 or 207 in each channel, on which pixelmatch 8 lays pixels that are not opaque."""
    hashed = indices.astype(np.uint32) * _HASH  # modulo 2 ** 32
    red, green, blue = (48.0 + 159.0 * ((hashed >> np.uint32(bit)) & np.uint32(1)) for bit in (31, 30, 29))
    return red, green, blue


def _cube_root(values: Floats) -> Floats:
    steps = values * _ROOTS
    below = steps.astype(np.intp)
    roots: Floats = _CUBE_ROOTS.take(below)
    roots += (_CUBE_ROOTS.take(below + 1) - roots) * (steps - below)
    dark = np.flatnonzero(below < _EXACT)
    roots[dark] = _roots(values[dark])
    return roots
