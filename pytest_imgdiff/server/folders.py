"""Which files of a report's folder are served, and as what.

A report may be from anywhere: an artifact of somebody else's pull request, say. Its page and its scripts would run with
the right to accept. So the page is drawn anew and the scripts are ours; of the folder come pictures, and data that is
sure to be nothing else.
"""

from __future__ import annotations

import re
import stat
from typing import TYPE_CHECKING

import msgspec

from pytest_imgdiff.containment import OutsideError, path_below

if TYPE_CHECKING:
    from pathlib import Path

_BESIDE = {"plain.html": "text/html", "results.json": "application/json", "summary.md": "text/plain"}
_PICTURES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "webp": "image/webp",
    "gif": "image/gif",
    "bmp": "image/bmp",
    "avif": "image/avif",
}
_ASSETS = {**_PICTURES, "css": "text/css", "js": "text/javascript"}
_FOLDERS = {"data": {"js": "text/javascript"}, "pictures": _PICTURES}
"""The folders of a report that are served, and the kinds of files in each. The records of a run are not among them."""
_DATA = re.compile(rb'imgdiff\.receive\("(?:run|details)",(.*)\);\s*', re.DOTALL)
"""As `pytest_imgdiff.report.script` writes it. Pictures as scripts are for pages that are no served ones."""
_FOLDER_NAME = re.compile(r"[A-Za-z0-9._\[\]-]{1,120}")
"""Names of a report's folders, as `pytest_imgdiff.names.safe_name` makes them."""
_FILE_NAME = re.compile(r"[A-Za-z0-9_\[\]-][A-Za-z0-9._~\[\]-]{0,239}")
"""And of the files in them, which may be two such names and an extension."""
_DEVICE = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?")


def served_file(folder: Path, path: str) -> tuple[Path, str] | None:
    """Return a report's file and its content type, or None where nothing of that path is served.

    Args:
        folder: the report's folder.
        path: as it stands in the address, decoded once.

    Returns:
        The file, with symbolic links followed as far as they stay in the folder, and its type: chosen by us from its
        place and extension, never from what it holds.
    """
    kind = _kind(path)
    if kind is None:
        return None
    try:
        file = path_below(folder, path)
        if not stat.S_ISREG(file.stat().st_mode):
            return None
    except (OutsideError, OSError, ValueError):
        return None
    return file, kind


def asset_kind(name: str) -> str | None:
    """Return the content type of a style, a script or a picture of the templates; None for anything else."""
    return _ASSETS.get(name.rpartition(".")[2].lower())


def is_data(script: bytes) -> bool:
    """Return whether the script does nothing but hand the page its data, as JSON."""
    found = _DATA.fullmatch(script)
    if found is None:
        return False
    try:
        msgspec.json.decode(found[1])
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def _kind(path: str) -> str | None:
    first, *between, last = path.split("/") if "/" in path else ("", path)
    if not first:
        return None if between else _BESIDE.get(last)
    if not all(_FOLDER_NAME.fullmatch(part) and part.strip(".") for part in between) or not _FILE_NAME.fullmatch(last):
        return None
    if any(_DEVICE.fullmatch(part) for part in (*between, last)):
        return None
    _, dot, extension = last.rpartition(".")
    return _FOLDERS.get(first, {}).get(extension.lower()) if dot else None
