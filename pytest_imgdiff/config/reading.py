"""Finding imgdiff.yaml and reading its text: what can be wrong with it as a file."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from pytest_imgdiff.errors import ConfigError
from pytest_imgdiff.names import CONFIG_NAMES, printable

MAX_BYTES = 256 * 1024


def find_config(start: Path) -> Path | None:
    """Return the configuration file of a folder, or None where it has none.

    Folders above are not searched: what holds for a project stands in the project.

    Args:
        start: the folder, such as pytest's rootdir.

    Raises:
        ConfigError: the folder holds both ``imgdiff.yaml`` and ``imgdiff.yml``.
    """
    # lexists: a link that leads nowhere is a mistake to be told, not a missing file.
    found = [start / name for name in CONFIG_NAMES if os.path.lexists(start / name)]
    if len(found) > 1:
        both = " and ".join(CONFIG_NAMES)
        raise ConfigError(f"{label_of(start)}: both {both} are there; remove one of them")
    return found[0] if found else None


def read_text(path: Path) -> str:
    """Return the text of a configuration file.

    Raises:
        ConfigError: there is no such regular file, it is larger than 256 KiB, or it is not UTF-8.
    """
    label = label_of(path)
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise ConfigError(f"{label}: {_kind(status.st_mode)}, not a file; give the path of a YAML file")
        if status.st_size > MAX_BYTES:
            raise ConfigError(f"{label}: {status.st_size} bytes; a configuration has at most {MAX_BYTES}")
        data = path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a path that holds a NUL
        cause = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ConfigError(f"{label}: cannot be read: {cause}; check the path and its permissions") from error
    return _decoded(data, label)


def label_of(path: Path) -> str:
    """Return the path as messages show it: relative to the working directory where it lies below that."""
    try:
        return printable(str(path.relative_to(Path.cwd())))
    except (OSError, ValueError):  # elsewhere; or the working directory is gone
        return printable(str(path))


def _decoded(data: bytes, label: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8-sig")
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        what = f"the byte 0x{data[error.start]:02x} is not UTF-8; save the file as UTF-8"
        raise ConfigError(f"{label}:{line}:{column}: (top level): {what}") from error


def _kind(mode: int) -> str:
    return "a directory" if stat.S_ISDIR(mode) else "a device, pipe or socket"
