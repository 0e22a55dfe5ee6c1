"""Which files of a folder are pictures, without reading them whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_imgdiff.errors import BrokenImageError
from pytest_imgdiff.images.sniff import EXTENSIONS, sniff
from pytest_imgdiff.images.unreadable import UnreadableError
from pytest_imgdiff.opening import open_regular
from pytest_imgdiff.stores import StoredFile

if TYPE_CHECKING:
    from pathlib import Path

_LOOKED_AT = 256
"""Bytes; every signature, and the list of brands of an AVIF file, lies in them."""


def is_picture_file(path: Path | StoredFile) -> bool:
    """Return whether a file is meant as a picture: by its extension, or, where it has none, by its first bytes.

    A file with a picture's extension is one whatever it holds: what is wrong with it is for its reader to say.
    """
    if path.suffix:
        return path.suffix.lower() in EXTENSIONS
    try:
        if isinstance(path, StoredFile):
            return sniff(path.head(_LOOKED_AT)) != "PDF"
        with open_regular(path) as file:
            return sniff(file.read(_LOOKED_AT)) != "PDF"
    except (BrokenImageError, OSError, UnreadableError):
        return False
