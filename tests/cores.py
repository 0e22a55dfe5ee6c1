"""The compiled core as the tests see it: built here, with faults that can be asked for, and put in or out of force."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from hatch_build import MODULE, compile_core
from pytest_imgdiff.cli import compare
from pytest_imgdiff.comparison import alignment, colours, kinds, line_maps, regions
from pytest_imgdiff.images import counting, differing, png, png_core, png_pair, png_structure
from pytest_imgdiff.metrics import evidence, intensity, perceptual, pixel_match, pixelmatch, ssim, visible
from pytest_imgdiff.run import pictures

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

USERS: tuple[Any, ...] = (
    alignment,
    colours,
    kinds,
    line_maps,
    counting,
    differing,
    png,
    png_core,
    png_pair,
    png_structure,
    pixelmatch,
    evidence,
    intensity,
    perceptual,
    pixel_match,
    pictures,
    compare,
    regions,
    ssim,
    visible,
)
"""Every module that asks the core."""
SOURCES = Path(__file__).parent.parent / "pytest_imgdiff" / "_core"


@functools.cache
def built() -> ModuleType:
    """Return the core compiled from the sources as they are; allocations fail where a test asks for it, and bands are small."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / MODULE
        try:
            compile_core(SOURCES, file, "-DCORE_FAULTS", "-DCORE_BAND_BYTES=3000", "-O1")
        except OSError as error:  # no compiler; one that refuses the sources fails the test
            pytest.skip(f"there is no C compiler: {error}")
        spec = importlib.util.spec_from_file_location("native", file)
        assert spec
        assert spec.loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return module


@contextlib.contextmanager
def core(module: Any) -> Iterator[None]:
    """Have this module, or Python where it is None, do the work of the core."""
    before = png_core.CORE
    for user in USERS:
        user.CORE = module
    try:
        yield
    finally:
        for user in USERS:
            user.CORE = before


def odd(size: int) -> np.ndarray:
    """Return bytes at an address that no number of more than one byte begins at."""
    return np.zeros(size + 1, np.uint8)[1:]
