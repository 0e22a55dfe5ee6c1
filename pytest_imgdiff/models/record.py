"""What was put into the cache, written down beside it, and whether it is still the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pytest_imgdiff.errors import ModelError
from pytest_imgdiff.files import write_atomically
from pytest_imgdiff.models.digest import digest_of, stamp_of
from pytest_imgdiff.names import printable
from pytest_imgdiff.opening import read_regular

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_imgdiff.models.cache import Entry


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A model as it was when it came into the cache.

    Attributes:
        handle: what it was fetched as, or unpacked or exported from.
        digest: SHA-256 over its files, see `digest_of`.
        files: each file's size in bytes and time of change in nanoseconds.
    """

    handle: str
    digest: str
    files: dict[str, tuple[int, int]]


def write_record(path: Path, handle: str, content: Path) -> str:
    """Write down what a SavedModel folder or an ONNX file holds now; return its digest.

    Raises:
        OSError: it cannot be read, or the record not written.
    """
    record = Record(handle, digest_of(content), stamp_of(content))
    write_atomically(path, msgspec.json.format(msgspec.json.encode(record)) + b"\n")
    return record.digest


def read_record(entry: Entry) -> Record | None:
    """Return what was written down; None: nothing was (another program fetched the model).

    Raises:
        ModelError: the record is damaged.
        OSError: it cannot be read.
    """
    try:
        return msgspec.json.decode(read_regular(entry.record), type=Record)
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ModelError(f"{printable(str(entry.record))} is damaged ({error})") from error


def checked_digest(entry: Entry, *, thorough: bool = False) -> str:
    """Return the digest of what an entry holds, after making sure that it is what came into the cache.

    The files are read only where their sizes or times changed, or nothing was written down, or ``thorough``.

    Raises:
        ModelError: it is not what was written down.
        OSError: it cannot be read.
    """
    record = read_record(entry)
    if record is not None and not thorough and stamp_of(entry.content) == record.files:
        return record.digest
    digest = digest_of(entry.content)
    if record is not None and record.digest != digest:
        raise ModelError(
            f"{printable(str(entry.content))} changed since it came into the cache: SHA-256 {digest[:12]}... instead "
            f"of {record.digest[:12]}..."
        )
    return digest
