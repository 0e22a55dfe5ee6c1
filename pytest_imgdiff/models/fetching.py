"""Models into the cache: from the network or from an archive, whole or not at all."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING

from pytest_imgdiff.errors import ConfigError, ModelError
from pytest_imgdiff.files import write_atomically
from pytest_imgdiff.models.building import building, install
from pytest_imgdiff.models.cache import Entry, cache_folder, entry_of_address, labels_file, read_only_caches
from pytest_imgdiff.models.digest import digest_of
from pytest_imgdiff.models.failing import in_one_line
from pytest_imgdiff.models.handles import is_of_kaggle, kind_of
from pytest_imgdiff.models.kaggle import download_from_kaggle, entry_of_kagglehub
from pytest_imgdiff.models.record import checked_digest
from pytest_imgdiff.models.saved_model import check_saved_model
from pytest_imgdiff.models.unpack import unpack
from pytest_imgdiff.names import printable

if TYPE_CHECKING:
    from pytest_imgdiff.models.settings import ModelSettings

_FEWEST_LABELS = 2


def fetch(settings: ModelSettings, *, mend: bool = True) -> bool:
    """Download a model of TensorFlow Hub or Kaggle into the cache, unless it is there already.

    Of several processes that do so at once, one downloads and the others wait for it.

    Args:
        settings: the handle, the cache, and the limits of the download.
        mend: download also what is there and damaged or changed, in place of it.

    Returns:
        Whether it was downloaded.

    Raises:
        ConfigError: the handle names something on this machine.
        ModelError: it could not be had; the cache is as it was.
    """
    handle = settings.model
    kind = kind_of(handle)
    if kind not in ("address", "kaggle"):
        raise ConfigError(f"model {printable(handle)} is on this machine: there is nothing to fetch")
    cache = cache_folder(settings.cache)
    entry = entry_of_address(cache, handle)
    with in_one_line(settings, cache):
        if any(_is_there(place, mend=mend) for place in places_of(handle, cache)):
            return False
        with building(entry, settings.timeout) as work:
            if _is_there(entry, mend=mend):  # another process was faster
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
    """Download the names of the classes of ImageNet into the cache, in place of those that are there.

    Args:
        settings: the cache, and the limits of the download.
        address: of a UTF-8 text with one name a line.

    Returns:
        The file.

    Raises:
        ConfigError: the address is not one that is downloaded from.
        ModelError: it could not be had, or is no such text; the cache is as it was.
    """
    if not address.startswith(("https://", "http://")) or kind_of(address) != "address":
        raise ConfigError(f"labels {printable(address)}: expected an address that begins with https://")
    target = labels_file(settings.cache)
    content = io.BytesIO()
    with in_one_line(replace(settings, model=address), target.parent):
        _download_to(content, replace(settings, model=address))
        try:
            names = content.getvalue().decode("utf-8-sig").splitlines()
        except UnicodeDecodeError as error:
            raise ModelError(f"what came is no UTF-8 text: {error.reason}") from error
        if len(names) < _FEWEST_LABELS or not all(name.strip() for name in names):
            raise ModelError(f"what came is no list of labels: it has {len(names)} lines, or empty ones")
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
    from pytest_imgdiff.models.download import download  # a test run that downloads nothing need not know the network

    download(
        settings.model,
        target,
        connect_timeout=settings.connect_timeout,
        timeout=settings.timeout,
        max_bytes=_max_bytes(settings),
    )


def unpacked(settings: ModelSettings) -> Entry:
    """Return the cache's entry of a local archive, unpacked there when it is first asked for.

    The entry is called after the archive's content: another archive under the same name is another entry.

    Raises:
        ModelError: it cannot be unpacked; the cache is as it was.
        OSError: the archive cannot be read.
    """
    archive = Path(settings.model)
    entry = Entry(cache_folder(settings.cache), digest_of(archive))
    if not entry.is_here():
        with in_one_line(settings, entry.cache), building(entry, settings.timeout) as work:
            if not entry.is_here():  # else another process was faster
                _unpack_into(entry, archive, work, settings)
    return entry


def _is_there(entry: Entry, *, mend: bool) -> bool:
    if not entry.is_here():
        return False
    try:
        if mend:
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
