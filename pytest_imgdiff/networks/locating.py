"""From a handle to the verified model on this machine; the network is used only if the settings allow it."""

from __future__ import annotations

import importlib.util
import io
import os
import shlex
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING

from pytest_imgdiff.base.errors import ConfigError, ModelError, ModelUnavailableError
from pytest_imgdiff.base.files import write_atomically
from pytest_imgdiff.base.opening import read_regular
from pytest_imgdiff.base.text import printable
from pytest_imgdiff.networks.download import unpack
from pytest_imgdiff.networks.settings import LocatedModel, is_of_kaggle, kind_of
from pytest_imgdiff.networks.store import (
    Entry,
    building,
    cache_folder,
    check_content,
    check_saved_model,
    checked_digest,
    digest_of,
    distrust,
    entries,
    entry_of_address,
    entry_of_export,
    in_one_line,
    install,
    labels_file,
    read_only_caches,
    read_record,
    stamp_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_imgdiff.networks.settings import ModelSettings

# ---- Models of Kaggle

# kagglehub has no limits of time and size, and writes to standard output. So it runs in a separate process, which is
# watched and can be ended, with a separate cache in the folder where the model is built.


_DOWNLOAD = """
import pathlib, sys
try:
    import kagglehub
    pathlib.Path(sys.argv[2]).write_text(kagglehub.model_download(sys.argv[1]), encoding="utf-8")
except Exception as error:
    sys.exit(f"{type(error).__name__}: {' '.join(str(error).split())}")
"""
_LOOKS = 0.1
"""Seconds between two checks of the downloaded size."""


def download_from_kaggle(settings: ModelSettings, work: Path) -> Path:
    """Have kagglehub download a model; return its folder, below ``work``, with all files on disk.

    Credentials and proxies are those that kagglehub finds in the environment and in the user's home.

    Args:
        settings: the handle, and the limits: ``timeout``, ``max_megabytes``.
        work: an empty folder.

    Raises:
        ModelError: kagglehub is not installed, or the download failed; the message does not name the model.
        OSError: the folder cannot be written to.
    """
    if importlib.util.find_spec("kagglehub") is None:
        raise ModelError("kagglehub, which downloads it, is not installed; run pip install 'pytest-imgdiff[kaggle]'")
    hub, answer, words = work / "kagglehub", work / "folder", work / "words"
    environment = {**os.environ, "KAGGLEHUB_CACHE": str(hub), "PYTHONSAFEPATH": "1"}
    # On Kaggle's and Colab's machines, mounted caches would be returned instead of a download.
    environment |= {"DISABLE_KAGGLE_CACHE": "true", "DISABLE_COLAB_CACHE": "true"}
    with words.open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - our own program; the handle is an argument, checked by its form
            [sys.executable, "-c", _DOWNLOAD, settings.model, str(answer)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
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
            raise ModelError(f"the download contains a symbolic link: {printable(path.name)}")
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
    """Return the number of bytes of a folder's files; files that change meanwhile may or may not count."""
    total = 0
    for path in folder.rglob("*"):
        with suppress(OSError):
            total += path.lstat().st_size
    return total


def entry_of_kagglehub(handle: str) -> Entry | None:
    """Return the model in kagglehub's own cache; None if it is incomplete or missing, or the handle has no version."""
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


# ---- From a handle to files


_FEWEST_LABELS = 2


def fetch(settings: ModelSettings, *, fix: bool = True) -> bool:
    """Download a model of TensorFlow Hub or Kaggle into the cache, unless it is there already.

    If several processes do so at the same time, one downloads and the others wait for it.

    Args:
        settings: the handle, the cache, and the limits of the download.
        fix: also replace a model that is damaged or changed.

    Returns:
        Whether it was downloaded.

    Raises:
        ConfigError: the handle names something on this machine.
        ModelError: it could not be downloaded; the cache is unchanged.
    """
    handle = settings.model
    kind = kind_of(handle)
    if kind not in ("address", "kaggle"):
        raise ConfigError(f"model {printable(handle)} is already on this machine")
    cache = cache_folder(settings.cache)
    entry = entry_of_address(cache, handle)
    with in_one_line(settings, cache):
        if any(_is_there(place, fix=fix) for place in places_of(handle, cache)):
            return False
        with building(entry, settings.timeout) as work:
            if _is_there(entry, fix=fix):  # another process was faster
                return False
            if kind == "kaggle":
                folder = download_from_kaggle(settings, work)
                check_saved_model(folder)
                install(entry, folder, work, handle)
            else:
                archive = work / "archive"
                _download(settings, archive)
                _unpack_into(entry, archive, work, settings)
    return True


def fetch_labels(settings: ModelSettings, address: str) -> Path:
    """Download the names of the classes of ImageNet into the cache, and replace existing ones.

    Args:
        settings: the cache, and the limits of the download.
        address: of a UTF-8 text with one name a line.

    Returns:
        The file.

    Raises:
        ConfigError: downloads from this URL are not allowed.
        ModelError: it could not be downloaded, or is not such a text; the cache is unchanged.
    """
    if not address.startswith(("https://", "http://")) or kind_of(address) != "address":
        raise ConfigError(f"labels {printable(address)}: must be a URL that starts with https://")
    target = labels_file(settings.cache)
    content = io.BytesIO()
    with in_one_line(replace(settings, model=address), target.parent):
        _download_to(content, replace(settings, model=address))
        try:
            names = content.getvalue().decode("utf-8-sig").splitlines()
        except UnicodeDecodeError as error:
            raise ModelError(f"the response is not UTF-8 text: {error.reason}") from error
        if len(names) < _FEWEST_LABELS or not all(name.strip() for name in names):
            raise ModelError(f"the response is not a list of labels: it has {len(names)} lines, or empty ones")
        write_atomically(target, content.getvalue())
    return target


def places_of(handle: str, cache: Path) -> list[Entry]:
    """Return where a downloaded model may be: in our cache, TensorFlow Hub's or, of a model of Kaggle, kagglehub's."""
    places = [entry_of_address(folder, handle) for folder in (cache, *read_only_caches())]
    theirs = entry_of_kagglehub(handle) if is_of_kaggle(handle) else None
    return places if theirs is None else [*places, theirs]


def _download(settings: ModelSettings, archive: Path) -> None:
    with archive.open("wb") as target:
        _download_to(target, settings)


def _download_to(target: IO[bytes], settings: ModelSettings) -> None:
    from pytest_imgdiff.networks.download import download  # a test run without downloads does not need the network

    download(
        settings.model,
        target,
        connect_timeout=settings.connect_timeout,
        timeout=settings.timeout,
        max_bytes=_max_bytes(settings),
    )


def unpacked(settings: ModelSettings) -> Entry:
    """Return the cache's entry of a local archive, unpacked there on first use.

    The entry is named after the archive's content: another archive with the same name is another entry.

    Raises:
        ModelError: it cannot be unpacked; the cache is unchanged.
        OSError: the archive cannot be read.
    """
    archive = Path(settings.model)
    entry = Entry(cache_folder(settings.cache), digest_of(archive))
    if not entry.is_here():
        with in_one_line(settings, entry.cache), building(entry, settings.timeout) as work:
            if not entry.is_here():  # otherwise another process was faster
                _unpack_into(entry, archive, work, settings)
    return entry


def _is_there(entry: Entry, *, fix: bool) -> bool:
    if not entry.is_here():
        return False
    try:
        if fix:
            check_saved_model(entry.content)
            checked_digest(entry)
    except ModelError:
        return False
    return True


def _unpack_into(entry: Entry, archive: Path, work: Path, settings: ModelSettings) -> None:
    folder = work / "model"
    unpack(archive, folder, _max_bytes(settings))
    check_saved_model(folder)
    install(entry, folder, work, settings.model)


def _max_bytes(settings: ModelSettings) -> int:
    return int(settings.max_megabytes * 1e6)


def locate(settings: ModelSettings, *, thorough: bool = False, exported: bool = True) -> LocatedModel:
    """Find a model, and verify that it is the one that was fetched.

    Args:
        settings: its handle, the cache, and whether it may be downloaded.
        thorough: read every byte of a cached model; otherwise only if sizes or times of its files changed.
        exported: find its exported form.

    Raises:
        ModelUnavailableError: it is not on this machine, and the download is not allowed or failed; the message names
            handle, cause and command.
        ModelError: it exists but is not a model, or not the one that was fetched; or the cache is not safe.
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
    """Return a command for a model, for users to copy."""
    cache = [] if settings.cache is None else ["--cache", settings.cache]
    return printable(shlex.join(["pytest-imgdiff", "models", verb, settings.model, *cache]))


def _downloaded(settings: ModelSettings) -> Entry:
    """Return the entry of a hub's model, in our cache or in one of TensorFlow Hub or kagglehub."""
    places = places_of(settings.model, cache_folder(settings.cache))
    if settings.download:
        try:
            fetch(settings, fix=False)
        except ModelError as error:
            raise ModelUnavailableError(f"{error} (to try again: {command('fetch', settings)})") from error
    for entry in places:
        if entry.is_here():
            return entry
    looked = " and ".join(printable(str(entry.cache)) for entry in places)
    remedy = f"to download it: {command('fetch', settings)}"
    raise ModelUnavailableError(f"model {settings.model} is not on this machine (looked in {looked}); {remedy}")


def _intact(entry: Entry, settings: ModelSettings, *, thorough: bool) -> str:
    """Return the digest of a cached SavedModel that is complete and unchanged."""
    try:
        check_saved_model(entry.content)
        return checked_digest(entry, thorough=thorough)
    except ModelError as error:
        remedy = f"delete {printable(str(entry.content))}"
        if kind_of(settings.model) in ("address", "kaggle"):
            remedy = f"to download it again: {command('fetch', settings)}"
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
        raise ModelError(f"model {printable(settings.model)}: {error}; to export it again: {again}") from error
    return entry.content


def _check(handle: str, path: Path) -> None:
    try:
        (check_saved_model if path.is_dir() else check_content)(path)
    except ModelError as error:
        raise ModelError(f"model {printable(handle)}: {error}") from error


@contextmanager
def _readable(handle: str) -> Iterator[None]:
    """Add the model and the file to read errors."""
    try:
        yield
    except OSError as error:
        file = f"{printable(str(error.filename))}: " if error.filename else ""
        raise ModelError(f"model {printable(handle)} cannot be read: {file}{error.strerror or error}") from error


def keep_export(settings: ModelSettings, saved_model: Path, digest: str, convert: Callable[[Path, Path], None]) -> Path:
    """Export a SavedModel into the cache, replacing an earlier export; return the ONNX file.

    Args:
        settings: the handle, for messages, and the cache.
        saved_model: the SavedModel's folder.
        digest: its digest.
        convert: writes the ONNX form of a SavedModel folder to a file.

    Raises:
        ModelUnavailableError: the converter is not on this machine.
        ModelError: it cannot be converted, or the cache not be written.
    """
    cache = cache_folder(settings.cache)
    entry = entry_of_export(cache, digest)
    with in_one_line(settings, cache), building(entry, settings.timeout) as work:
        target = work / entry.name
        convert(saved_model, target)
        install(entry, target, work, settings.model)
    return entry.content


@dataclass(frozen=True, slots=True)
class StoredModel:
    """A model in a cache.

    Attributes:
        handle: the handle that it was fetched with; None if it is unknown.
        folder: its SavedModel folder.
        size: of its files, in bytes.
        digest: SHA-256 over its files; None if it is incomplete, or not what was fetched.
        is_exported: whether its ONNX form is in the cache.
        damage: why there is no digest.
    """

    handle: str | None
    folder: Path
    size: int
    digest: str | None
    is_exported: bool
    damage: str | None


def stored_models(configured: str | None, *, thorough: bool = False) -> list[StoredModel]:
    """Return the models in the cache, and in that of TensorFlow Hub in the temporary folder.

    Args:
        configured: the cache; None: as `cache_folder` has it.
        thorough: read every byte to verify the model.

    Raises:
        ModelError: the cache is not safe or cannot be read.
    """
    own = cache_folder(configured)
    try:
        return [_stored(entry, own, thorough) for cache in (own, *read_only_caches()) for entry in entries(cache)]
    except OSError as error:
        raise ModelError(f"the cache {printable(str(own))} cannot be read: {error.strerror}") from error


def _stored(entry: Entry, own: Path, thorough: bool) -> StoredModel:  # noqa: FBT001 - private, called once, above
    digest = damage = None
    try:
        check_saved_model(entry.content)
        digest = checked_digest(entry, thorough=thorough)
    except ModelError as error:
        damage = str(error)
    size = sum(size for size, _ in stamp_of(entry.content).values())
    is_exported = digest is not None and entry_of_export(own, digest).is_here()
    return StoredModel(_handle(entry), entry.content, size, digest, is_exported, damage)


def _handle(entry: Entry) -> str | None:
    """Return the handle from our record, or from the text that TensorFlow Hub writes: ``Module: HANDLE`` first."""
    try:
        if (record := read_record(entry)) is not None:
            return record.handle
        first = read_regular(entry.descriptor).decode("utf-8", errors="replace").partition("\n")[0]
    except (ModelError, FileNotFoundError):
        return None
    return first.removeprefix("Module: ") if first.startswith("Module: ") else None
