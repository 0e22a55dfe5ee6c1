"""A handle to the model on this machine, made sure of; the network is asked only where the settings say so."""

from __future__ import annotations

import shlex
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_imgdiff.errors import ModelError, ModelUnavailableError
from pytest_imgdiff.models.cache import Entry, cache_folder, entry_of_export
from pytest_imgdiff.models.digest import digest_of
from pytest_imgdiff.models.fetching import fetch, places_of, unpacked
from pytest_imgdiff.models.handles import kind_of
from pytest_imgdiff.models.record import checked_digest
from pytest_imgdiff.models.saved_model import check_content, check_saved_model
from pytest_imgdiff.models.settings import LocatedModel
from pytest_imgdiff.names import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_imgdiff.models.settings import ModelSettings


def locate(settings: ModelSettings, *, thorough: bool = False, exported: bool = True) -> LocatedModel:
    """Find a model, and make sure that it is the one that was fetched.

    Args:
        settings: its handle, the cache, and whether it may be downloaded.
        thorough: read every byte of a cached model; else only where sizes or times of its files changed.
        exported: look for what it was exported to.

    Raises:
        ModelUnavailableError: it is not on this machine and was not to be downloaded, or could not be; the line names
            handle, cause and command.
        ModelError: it is there and is no model, or not the one that was fetched; or the cache is not to be trusted.
    """
    kind = kind_of(settings.model)
    with _readable(settings.model):
        if kind == "onnx":
            path = Path(settings.model)
            _check(settings.model, path)
            return LocatedModel(settings.model, None, path, digest_of(path))
        if kind == "folder":
            folder = Path(settings.model)
            _check(settings.model, folder)
            digest = digest_of(folder)
        else:
            entry = unpacked(settings) if kind == "archive" else _downloaded(settings)
            folder = entry.content
            digest = _intact(entry, settings, thorough=thorough)
        onnx = _exported(settings, digest, thorough=thorough) if exported else None
        return LocatedModel(settings.model, folder, onnx, digest)


def command(verb: str, settings: ModelSettings) -> str:
    """Return the command that does something about a model, for people to copy."""
    cache = [] if settings.cache is None else ["--cache", settings.cache]
    return printable(shlex.join(["pytest-imgdiff", "models", verb, settings.model, *cache]))


def _downloaded(settings: ModelSettings) -> Entry:
    """Return the entry of a hub's model, in our cache or in one of TensorFlow Hub or kagglehub."""
    places = places_of(settings.model, cache_folder(settings.cache))
    if settings.download:
        try:
            fetch(settings, mend=False)
        except ModelError as error:
            raise ModelUnavailableError(f"{error} (to try again: {command('fetch', settings)})") from error
    for entry in places:
        if entry.is_here():
            return entry
    looked = " and ".join(printable(str(entry.cache)) for entry in places)
    remedy = f"to download it: {command('fetch', settings)}"
    raise ModelUnavailableError(f"model {settings.model} is not on this machine (looked in {looked}); {remedy}")


def _intact(entry: Entry, settings: ModelSettings, *, thorough: bool) -> str:
    """Return the digest of a cached SavedModel that is whole and as it came."""
    try:
        check_saved_model(entry.content)
        return checked_digest(entry, thorough=thorough)
    except ModelError as error:
        remedy = f"delete {printable(str(entry.content))}"
        if kind_of(settings.model) in ("address", "kaggle"):
            remedy = f"to download it anew: {command('fetch', settings)}"
        raise ModelError(f"model {printable(settings.model)}: {error}; {remedy}") from error


def _exported(settings: ModelSettings, digest: str, *, thorough: bool) -> Path | None:
    """Return the ONNX file to which the SavedModel of this digest was exported, if it was."""
    entry = entry_of_export(cache_folder(settings.cache), digest)
    if not entry.is_here():
        return None
    try:
        checked_digest(entry, thorough=thorough)
    except ModelError as error:
        again = command("export", settings)
        raise ModelError(f"model {printable(settings.model)}: {error}; to export it anew: {again}") from error
    return entry.content


def _check(handle: str, path: Path) -> None:
    try:
        (check_saved_model if path.is_dir() else check_content)(path)
    except ModelError as error:
        raise ModelError(f"model {printable(handle)}: {error}") from error


@contextmanager
def _readable(handle: str) -> Iterator[None]:
    """Name the model, and the file, of what cannot be read."""
    try:
        yield
    except OSError as error:
        file = f"{printable(str(error.filename))}: " if error.filename else ""
        raise ModelError(f"model {printable(handle)} cannot be read: {file}{error.strerror or error}") from error
