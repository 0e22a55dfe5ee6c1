"""Reading the text of imgdiff.yaml: what can be wrong with it as a file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pytest_imgdiff.errors import ConfigError
from pytest_imgdiff.opening import NotRegularError, open_regular
from pytest_imgdiff.project import label_of

if TYPE_CHECKING:
    from pathlib import Path

MAX_BYTES = 256 * 1024


def read_text(path: Path) -> str:
    """Return the text of a configuration file.

    Raises:
        ConfigError: there is no such regular file, it is larger than 256 KiB, or it is not UTF-8.
    """
    label = label_of(path)
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            if size > MAX_BYTES:
                raise ConfigError(f"{label}: {size} bytes; a configuration has at most {MAX_BYTES}")
            data = file.read()
    except NotRegularError as error:
        what = "a directory" if error.kind == "directory" else "a device, pipe or socket"
        raise ConfigError(f"{label}: {what}, not a file; give the path of a YAML file") from error
    except (OSError, ValueError) as error:  # ValueError: a path that holds a NUL
        cause = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ConfigError(f"{label}: cannot be read: {cause}; check the path and its permissions") from error
    return _decoded(data, label)


def _decoded(data: bytes, label: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8-sig")
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        what = f"the byte 0x{data[error.start]:02x} is not UTF-8; save the file as UTF-8"
        raise ConfigError(f"{label}:{line}:{column}: (top level): {what}") from error
