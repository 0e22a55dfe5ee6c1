"""What a model's handle is: an address, a model of Kaggle, or something on this machine; and its possible mistakes."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pytest_imgdiff.errors import ModelError, ModelUnavailableError
from pytest_imgdiff.names import printable

Kind = Literal["address", "kaggle", "folder", "archive", "onnx"]

_KAGGLE = re.compile(r"[\w-]+/[\w.-]+/tensorflow[12]/[\w.-]+(/[0-9]+)?", re.ASCII | re.IGNORECASE)
"""Owner, model, framework, variation and version. SavedModels are of no other frameworks."""

ARCHIVE_SUFFIXES = (".tar.gz", ".tgz", ".tar")


def kind_of(handle: str) -> Kind:
    """Return what the handle names.

    Raises:
        ModelError: it is none of these kinds.
        ModelUnavailableError: it names a file or folder, and there is none.
    """
    if "://" in handle:
        check_address(handle)
        return "address"
    path = Path(handle)
    if handle and path.is_dir():
        return "folder"
    if is_of_kaggle(handle):
        return "kaggle"
    if not handle or not path.exists():
        raise ModelUnavailableError(
            f"model {printable(handle)!r}: there is no such file or folder; give its path, the https:// address of "
            "a model of TensorFlow Hub, or OWNER/MODEL/tensorFlow2/VARIATION/VERSION of Kaggle"
        )
    if path.is_file() and handle.lower().endswith(ARCHIVE_SUFFIXES):
        return "archive"
    if path.is_file() and handle.lower().endswith(".onnx"):
        return "onnx"
    raise ModelError(
        f"model {printable(handle)}: neither a SavedModel folder nor a file called .tar.gz, .tgz, .tar or .onnx"
    )


def is_of_kaggle(handle: str) -> bool:
    """Whether the handle has the form of a TensorFlow model of Kaggle; a folder of that name on this machine wins."""
    return _KAGGLE.fullmatch(handle) is not None


def check_address(address: str) -> None:
    """Refuse what is no https address; http serves the loopback interface alone, where nobody is in between.

    Raises:
        ModelError: it is no such address.
    """
    if not address.isascii() or not address.isprintable() or " " in address:
        raise ModelError(f"model {printable(address)}: an address holds neither spaces nor other than ASCII characters")
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ModelError(f"model {address}: no address: {error}") from error
    if "@" in parts.netloc:
        raise ModelError(f"model {parts.scheme}://...@{host}: an address with a user name or password is not followed")
    if not host:
        raise ModelError(f"model {address}: the address names no server")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
        raise ModelError(f"model {address}: only https:// addresses are followed")


def is_loopback(host: str) -> bool:
    """Whether the host is this machine, by its name or number."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
