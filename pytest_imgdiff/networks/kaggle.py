"""Models of Kaggle, downloaded by its own library, kagglehub, within our limits.

The library knows no end of a download and no largest size, and writes to standard output. So it runs in a process of
its own, which is watched and can be ended, with a cache of its own in the folder where the model is built.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_imgdiff.base.errors import ModelError
from pytest_imgdiff.base.text import printable
from pytest_imgdiff.networks.store import Entry, distrust

if TYPE_CHECKING:
    from pytest_imgdiff.networks.settings import ModelSettings

_DOWNLOAD = """
import pathlib, sys
try:
    import kagglehub
    pathlib.Path(sys.argv[2]).write_text(kagglehub.model_download(sys.argv[1]), encoding="utf-8")
except Exception as error:
    sys.exit(f"{type(error).__name__}: {' '.join(str(error).split())}")
"""
_LOOKS = 0.1
"""Seconds between two looks at what has come so far."""


def download_from_kaggle(settings: ModelSettings, work: Path) -> Path:
    """Have kagglehub download a model; return its folder, below ``work``, with all files on disk.

    Credentials and proxies are those that kagglehub finds in the environment and in the user's home.

    Args:
        settings: the handle, and the limits: ``timeout``, ``max_megabytes``.
        work: an empty folder.

    Raises:
        ModelError: kagglehub is not installed, or the model did not come, in one line that does not name it.
        OSError: the folder cannot be written to.
    """
    if importlib.util.find_spec("kagglehub") is None:
        raise ModelError("kagglehub, which downloads it, is not installed; pip install 'pytest-imgdiff[kaggle]'")
    hub, answer, words = work / "kagglehub", work / "folder", work / "words"
    environment = {**os.environ, "KAGGLEHUB_CACHE": str(hub), "PYTHONSAFEPATH": "1"}
    # Caches that Kaggle's and Colab's own machines mount would be named in place of a download.
    environment |= {"DISABLE_KAGGLE_CACHE": "true", "DISABLE_COLAB_CACHE": "true"}
    with words.open("wb") as told:
        process = subprocess.Popen(  # noqa: S603 - our own program; the handle is an argument, checked by its form
            [sys.executable, "-c", _DOWNLOAD, settings.model, str(answer)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=told,
            env=environment,
        )
        try:
            _watch(process, hub, settings)
        finally:
            process.kill()
            process.wait()
    if process.returncode:
        lines = words.read_text(encoding="utf-8", errors="replace").splitlines()
        cause = next((line.strip() for line in reversed(lines) if line.strip()), f"exit code {process.returncode}")
        raise ModelError(f"kagglehub could not download it: {printable(cause)}")
    folder = Path(answer.read_text(encoding="utf-8"))
    for path in folder.rglob("*"):
        if path.is_symlink():
            raise ModelError(f"the download holds a symbolic link: {printable(path.name)}")
        if path.is_file():
            with path.open("rb+") as file:
                os.fsync(file.fileno())
    return folder


def _watch(process: subprocess.Popen[bytes], folder: Path, settings: ModelSettings) -> None:
    end = time.monotonic() + settings.timeout
    running = True
    while running:
        try:
            process.wait(_LOOKS)
            running = False
        except subprocess.TimeoutExpired:
            if time.monotonic() > end:
                raise ModelError(f"the download took longer than {settings.timeout:g} s (--timeout)") from None
        if _size(folder) > settings.max_megabytes * 1e6:
            raise ModelError(f"larger than {settings.max_megabytes:g} MB (--max-megabytes)")


def _size(folder: Path) -> int:
    """Return how many bytes a folder's files have; those that come and go meanwhile count or not."""
    total = 0
    for path in folder.rglob("*"):
        with suppress(OSError):
            total += path.lstat().st_size
    return total


def entry_of_kagglehub(handle: str) -> Entry | None:
    """Return the model in kagglehub's own cache; None: it is not there whole, or the handle names no version."""
    configured = os.environ.get("KAGGLEHUB_CACHE")
    try:
        cache = Path(configured) if configured else Path.home() / ".cache" / "kagglehub"
    except RuntimeError:  # this user has no home
        return None
    parts = handle.split("/")
    folder = cache.joinpath("models", *parts)
    whole = folder.with_name(f"{parts[-1]}.complete").is_file() and folder.is_dir()
    if not (parts[-1].isdecimal() and whole) or distrust(folder) is not None:
        return None
    return Entry(folder.parent, folder.name)
