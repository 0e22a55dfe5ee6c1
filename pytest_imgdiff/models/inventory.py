"""What the caches of this machine hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_imgdiff.errors import ModelError
from pytest_imgdiff.models.cache import cache_folder, entries, entry_of_export, read_only_caches
from pytest_imgdiff.models.digest import stamp_of
from pytest_imgdiff.models.record import checked_digest, read_record
from pytest_imgdiff.models.saved_model import check_saved_model
from pytest_imgdiff.names import printable
from pytest_imgdiff.opening import read_regular

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_imgdiff.models.cache import Entry


@dataclass(frozen=True, slots=True)
class StoredModel:
    """A model in a cache.

    Attributes:
        handle: what it was fetched as; None: nobody wrote that down.
        folder: its SavedModel folder.
        size: of its files, in bytes.
        digest: SHA-256 over its files; None: it is not whole, or not what was fetched.
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
        thorough: read every byte to make sure that it is what was fetched.

    Raises:
        ModelError: the cache is not to be trusted or cannot be read.
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
