"""Which files of a folder are pictures, without reading them whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_imgdiff.images.sniff import EXTENSIONS, sniff
from pytest_imgdiff.images.unreadable import UnreadableError
from pytest_imgdiff.opening import open_regular

if TYPE_CHECKING:
    from pathlib import Path

_LOOKED_AT = 256
"""Bytes; every signature, and the list of brands of an AVIF file, lies in them."""


def is_picture_file(path: Path) -> bool:
    """Return whether a file is meant as a picture: by its extension, or, where it has none, by its first bytes.

    A file with a picture's extension is one whatever it holds: what is wrong with it is for its reader to say.
    """
    if path.suffix:
        return path.suffix.lower() in EXTENSIONS
    try:
        with open_regular(path) as file:
            return sniff(file.read(_LOOKED_AT)) != "PDF"
    except (OSError, UnreadableError):
        return False
