"""What a SavedModel was exported to, kept in the cache under the digest of what it came from.

So an export serves every handle of the same model, and never another model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_imgdiff.models.building import building, install
from pytest_imgdiff.models.cache import cache_folder, entry_of_export
from pytest_imgdiff.models.failing import in_one_line

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_imgdiff.models.settings import ModelSettings


def keep_export(settings: ModelSettings, saved_model: Path, digest: str, convert: Callable[[Path, Path], None]) -> Path:
    """Export a SavedModel into the cache, in place of an earlier export; return the ONNX file.

    Args:
        settings: the handle, for messages, and the cache.
        saved_model: the SavedModel's folder.
        digest: its digest.
        convert: writes the ONNX form of a SavedModel folder to a file.

    Raises:
        ModelUnavailableError: what converts it is not on this machine.
        ModelError: it cannot be converted, or the cache not be written.
    """
    cache = cache_folder(settings.cache)
    entry = entry_of_export(cache, digest)
    with in_one_line(settings, cache), building(entry, settings.timeout) as work:
        target = work / entry.name
        convert(saved_model, target)
        install(entry, target, work, settings.model)
    return entry.content
