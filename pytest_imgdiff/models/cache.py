"""The folder of downloaded models: where it is, who may write there, and how its entries are called.

The layout is TensorFlow Hub's own, so that each finds what the other fetched: a SavedModel folder is called after the
SHA-1 of its handle. Ours stand beside it: ``NAME.imgdiff.json`` says what was fetched, ``DIGEST.onnx`` is what the
SavedModel of that digest was exported to.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from pytest_imgdiff.errors import ModelError
from pytest_imgdiff.names import printable


@dataclass(frozen=True, slots=True)
class Entry:
    """One model of a cache.

    Attributes:
        cache: the folder.
        name: what the model's folder (or ONNX file) is called there.
    """

    cache: Path
    name: str

    @property
    def content(self) -> Path:
        """The SavedModel folder, or the ONNX file."""
        return self.cache / self.name

    @property
    def record(self) -> Path:
        """What is known of it, as JSON."""
        return self.cache / f"{self.name}.imgdiff.json"

    @property
    def descriptor(self) -> Path:
        """The text by which TensorFlow Hub says which handle a folder belongs to."""
        return self.cache / f"{self.name}.descriptor.txt"

    def is_here(self) -> bool:
        """Whether there is anything; TensorFlow Hub takes an empty folder for none, too."""
        return self.content.is_file() or (self.content.is_dir() and any(self.content.iterdir()))


def entry_of_address(cache: Path, handle: str) -> Entry:
    """Return the entry of a downloaded model, as TensorFlow Hub calls it."""
    return Entry(cache, hashlib.sha1(handle.encode(), usedforsecurity=False).hexdigest())


def entry_of_export(cache: Path, digest: str) -> Entry:
    """Return the entry of the ONNX form of the SavedModel of this digest."""
    return Entry(cache, f"{digest}.onnx")


def entries(cache: Path) -> list[Entry]:
    """Return what a cache holds, exports left out, by name."""
    if not cache.is_dir():
        return []
    folders = [Entry(cache, path.name) for path in sorted(cache.iterdir()) if _is_name(path.name)]
    return [entry for entry in folders if entry.is_here()]


def _is_name(name: str) -> bool:
    return len(name) in {40, 64} and set(name) <= set("0123456789abcdef")


def cache_folder(configured: str | None) -> Path:
    """Return the cache: the configured one, else ``TFHUB_CACHE_DIR``, else the user's own. It need not exist yet.

    Raises:
        ModelError: it is not to be trusted, or is no folder of this machine, or the user has no folder of their own.
    """
    cache = _configured_folder(configured)
    check_trusted(cache)
    return cache


def _configured_folder(configured: str | None) -> Path:
    if configured is not None:
        return Path(configured)
    if hub := os.environ.get("TFHUB_CACHE_DIR"):
        if "://" in hub:
            raise ModelError(f"TFHUB_CACHE_DIR is {printable(hub)}, no folder of this machine: name one with --cache")
        return Path(hub)
    return _users_cache() / "pytest-imgdiff" / "models"


def _users_cache() -> Path:
    try:
        if sys.platform == "win32":
            return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
        if sys.platform == "darwin":
            return Path.home() / "Library" / "Caches"
        named = Path(os.environ.get("XDG_CACHE_HOME", ""))
        return named if named.is_absolute() else Path.home() / ".cache"  # as the XDG specification has it
    except RuntimeError as error:  # Path.home() knows no home
        raise ModelError("this user has no home folder for models: name one with --cache or TFHUB_CACHE_DIR") from error


def labels_file(configured: str | None) -> Path:
    """Return where the names of the classes of ImageNet are kept; they need not be there.

    Raises:
        ModelError: as for `cache_folder`.
    """
    return cache_folder(configured) / "ImageNetLabels.txt"


def read_only_caches() -> list[Path]:
    """Return the folders that are looked at and never written to: where TensorFlow Hub keeps models if told nothing."""
    folder = Path(tempfile.gettempdir()) / "tfhub_modules"
    # Anybody can make a folder of that name in a temporary folder that is shared: another's is not looked at.
    return [folder] if folder.is_dir() and distrust(folder) is None else []


def check_trusted(cache: Path) -> None:
    """Refuse a cache in which somebody else could exchange a model.

    Raises:
        ModelError: another user owns it or everybody may write there; or it is no folder.
    """
    if (reason := distrust(cache)) is not None:
        raise ModelError(f"the cache {printable(str(cache))} {reason}: mend that, or name another with --cache")


def distrust(cache: Path) -> str | None:
    """Return why an existing folder is no safe cache; None: it is, or there is nothing. Windows is not asked."""
    try:
        status = cache.stat()
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:  # a ValueError: a name that no file can have
        return f"cannot be looked at ({getattr(error, 'strerror', None) or error})"
    if not cache.is_dir():
        return "is no folder"
    if sys.platform == "win32":
        return None
    if status.st_uid not in {os.geteuid(), 0}:  # root may exchange anything anyway
        return f"belongs to another user ({status.st_uid})"
    return "may be written to by everybody (chmod o-w)" if status.st_mode & 0o002 else None
