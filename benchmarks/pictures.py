"""The pictures that are compared: ``python -m benchmarks.pictures FOLDER PAIRS TINY`` makes those that are missing.

A process of its own makes them: what it holds would otherwise be what every measured process starts from. All are
made from seeds and from scikit-image's photographs; rendered text is that of the installed Chromium and fonts.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import skimage.data
from PIL import Image as PillowImage
from PIL.PngImagePlugin import PngInfo

from benchmarks.layout import MIXED_CHANGED, MIXED_EQUAL, SIZES, Pictures
from benchmarks.pages import Camera, dashboard

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Picture = NDArray[np.uint8]
    """(height, width, 3) BGR."""

NOISE = 1.5
"""Standard deviation of a camera's noise at low sensitivity, in 8-bit levels."""

TINY_ALIKE = 100
"""How many pairs of a folder of a thousand tiny ones are different ones; the others are their hard links."""


def photo(seed: int) -> Picture:
    """Return a 4K photograph: scikit-image's coffee cup enlarged, with a sensor's noise of this seed."""
    coffee = np.asarray(skimage.data.coffee())[..., ::-1]
    enlarged = cv2.resize(coffee, (3840, 2560), interpolation=cv2.INTER_CUBIC)[:2160]
    noise = np.random.default_rng(seed).normal(0, NOISE, enlarged.shape)
    return np.clip(np.rint(enlarged + noise), 0, 255).astype(np.uint8)


def retouched(picture: Picture) -> Picture:
    """Return the photograph with an object painted over and a caption."""
    changed = picture.copy()
    cv2.circle(changed, (1300, 900), 260, (40, 60, 200), -1, cv2.LINE_AA)
    cv2.putText(changed, "retouched", (2300, 1900), cv2.FONT_HERSHEY_DUPLEX, 6, (255, 255, 255), 12, cv2.LINE_AA)
    return changed


def wrapped(picture: Picture) -> Picture:
    """Return the picture with every channel of every pixel moved by 100 levels, around the end of the range."""
    return (picture.astype(np.uint16) + 100).astype(np.uint8)


def encoded(picture: Picture) -> bytes:
    """Return a PNG."""
    return bytes(cv2.imencode(".png", picture)[1])


def other_bytes(path: Path, target: Path) -> None:
    """Write the same pixels as another encoder would, with other metadata."""
    chunks = PngInfo()
    chunks.add_text("Software", "another encoder")
    with PillowImage.open(path) as picture:
        picture.save(target, pnginfo=chunks)


def make(places: Pictures) -> None:
    """Make all pictures that are not there yet."""
    places.root.mkdir(parents=True, exist_ok=True)
    _photos(places)
    _shapes(places)
    with ExitStack() as ended:
        chromium = Camera(ended)
        _interfaces(places, chromium)
        _folders(places, chromium)
    _grays(places)
    _tiny(places)


def _photos(places: Pictures) -> None:
    before, after = places.pair("4k-photo")
    if after.exists() and places.photo_changed.exists():
        return
    expected = photo(1)
    actual = retouched(photo(2))
    _write(before, encoded(expected))
    _write(places.photo_sparse, encoded(retouched(expected)))
    _write(places.photo_changed, encoded(wrapped(expected)))
    for width, height in SIZES:
        for path, picture in zip(places.pair(f"photo-{width}x{height}"), (expected, actual), strict=True):
            _write(path, encoded(picture[:height, :width]))
    _write(after, encoded(actual))


def _shapes(places: Pictures) -> None:
    chance = np.random.default_rng(3)
    for name, (height, width) in {"tall": (1_000_000, 1), "wide": (1, 1_000_000), "square": (1000, 1000)}.items():
        before, after = places.pair(name)
        expected = chance.integers(0, 255, (height, width, 3), np.uint8)
        actual = expected.copy()
        actual.reshape(-1, 3)[::1000] ^= 255
        _write(before, encoded(expected))
        _write(after, encoded(actual))
    for path, level in zip(places.pair("one-pixel"), (0, 255), strict=True):
        _write(path, encoded(np.full((1, 1, 3), level, np.uint8)))


def _interfaces(places: Pictures, chromium: Camera) -> None:
    sizes = {"4k-interface": (2560, 1440, 1.5), "1280x720": (1280, 720, 1), "500x500": (500, 500, 1)}
    for name, size in sizes.items():
        for changed, path in enumerate(places.pair(name)):
            _once(path, partial(chromium.shoot, dashboard(1, changed=bool(changed)), *size))
    _once(places.interface_dark, partial(chromium.shoot, dashboard(1, dark=True), *sizes["4k-interface"]))


def _grays(places: Pictures) -> None:
    """Hold the gray of the pictures that SSIM is measured on, ready decoded."""
    for path in (*places.pair("4k-photo"), *places.pair("4k-interface")):
        if not places.gray(path).exists():
            # Not IMREAD_GRAYSCALE: a decoder may weigh and round colours in its own way.
            colours = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
            np.save(places.gray(path), cv2.cvtColor(colours, cv2.COLOR_BGR2GRAY))


def _folders(places: Pictures, chromium: Camera) -> None:
    for index in range(places.pairs):
        before, after = (places.folder("different", side) / f"{index:03}.png" for side in ("expected", "actual"))
        _once(before, partial(chromium.shoot, dashboard(100 + index), 1280, 720))
        _once(after, partial(chromium.shoot, dashboard(100 + index, changed=True), 1280, 720))
        _once(places.folder("equal", "expected") / before.name, before.read_bytes)
        _once(places.folder("equal", "actual") / before.name, before.read_bytes)
        _once(places.folder("mixed", "expected") / before.name, before.read_bytes)
        mixed = places.folder("mixed", "actual") / before.name
        if _kind(index) == "bytes":
            _once(mixed, before.read_bytes)
        elif _kind(index) == "different":
            _once(mixed, after.read_bytes)
        elif not mixed.exists():
            other_bytes(before, mixed)


def _kind(index: int) -> str:
    """Return what a pair of a mixed folder is, in turns: `MIXED_EQUAL` and `MIXED_CHANGED` of each 20."""
    turn = index % 20
    return "bytes" if turn < MIXED_EQUAL else "different" if turn >= 20 - MIXED_CHANGED else "pixels"


def _tiny(places: Pictures) -> None:
    """Make many small pairs: a thousand a folder, of which most are links."""
    chance = np.random.default_rng(5)
    for count in places.tiny_counts:
        complete = places.tiny(count, "complete")
        if complete.exists():
            continue
        for index in range(count):
            folders = [places.tiny(count, side) / f"{index // 1000:03}" for side in ("expected", "actual")]
            before, after = (folder / f"{index % 1000:03}.png" for folder in folders)
            if index % 1000 >= TINY_ALIKE:
                for path in (before, after):
                    path.unlink(missing_ok=True)
                    path.hardlink_to(path.with_name(f"{index % TINY_ALIKE:03}.png"))
                continue
            for folder in folders:
                folder.mkdir(parents=True, exist_ok=True)
            picture = chance.integers(0, 255, (16, 16, 3), np.uint8)
            before.write_bytes(encoded(picture))
            if _kind(index) == "bytes":
                after.write_bytes(before.read_bytes())
            elif _kind(index) == "pixels":
                other_bytes(before, after)
            else:
                picture[4:8, 4:8] ^= 255
                after.write_bytes(encoded(picture))
        complete.touch()


def _once(path: Path, made: Callable[[], bytes]) -> None:
    if not path.exists():
        _write(path, made())


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_bytes(data)
    part.replace(path)


if __name__ == "__main__":
    places = Pictures(Path(sys.argv[1]), int(sys.argv[2]), tuple(int(count) for count in sys.argv[3].split(",")))
    try:
        make(places)
    except FileNotFoundError as error:  # Chromium
        sys.exit(f"the pictures cannot be made: {error}")
