"""The environment of a run: installed versions, the user's cache, and whether this is CI."""

from __future__ import annotations

import os
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

JUDGES = ("numpy", "pillow", "simplejpeg", "imagehash", "scikit-image", "diffimg")
OPENCV_BUILDS = (
    "opencv-python-headless",
    "opencv-python",
    "opencv-contrib-python-headless",
    "opencv-contrib-python",
)


def installed(names: tuple[str, ...]) -> dict[str, str]:
    """Return the versions of those distributions that are installed, without importing them."""
    return {name: version for name in names if (version := _version(name)) is not None}


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def versions() -> dict[str, str]:
    """Return the installed packages whose version can change a result."""
    return {**installed(JUDGES), **installed(OPENCV_BUILDS)}


def opencv_warning() -> str | None:
    """Return a warning if several OpenCV builds are installed: each overwrites the others' module ``cv2``."""
    builds = installed(OPENCV_BUILDS)
    if len(builds) < 2:  # noqa: PLR2004 - one is correct, two are an error
        return None
    named = " and ".join(f"{name} {version}" for name, version in builds.items())
    return f"{named} are installed side by side and overwrite each other's files: keep one of them"


def in_ci(environ: Mapping[str, str]) -> bool:
    """Whether the environment is that of a CI service: ``CI`` is set, and not to a word such as ``false``."""
    return environ.get("CI", "").strip().lower() not in {"", "0", "false", "n", "no", "off"}


def users_cache() -> Path:
    """Return the folder of this package's caches in the user's own cache folder; it need not exist yet.

    Raises:
        RuntimeError: this user has no home folder.
    """
    if sys.platform == "win32":
        folder = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        folder = Path.home() / "Library" / "Caches"
    else:
        named = Path(os.environ.get("XDG_CACHE_HOME", ""))
        folder = named if named.is_absolute() else Path.home() / ".cache"  # as in the XDG specification
    return folder / "pytest-imgdiff"
