"""Many small images that no disk holds: a file system for fsspec that makes each one when it is read.

``generated://COUNT/expected`` and ``generated://COUNT/actual`` are two folders of so many images, each unlike all
others: 80 % of the pairs have equal bytes, 19 % equal pixels in other bytes, 1 % differ.
"""

from __future__ import annotations

import hashlib
import io
import struct
import zlib
from typing import TYPE_CHECKING, Any, ClassVar

from fsspec.spec import AbstractFileSystem

if TYPE_CHECKING:
    from pathlib import Path

WIDTH, HEIGHT = 64, 48
PER_FOLDER = 1000
SIDES = ("expected", "actual")
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0)
_WHITE = b"\xff\xff\xff"
_BLOCK, _ACROSS, _DOWN = 8, 6, 4
"""The side of a block of one colour in pixels, and how many blocks an image has."""


def image(number: int, side: str) -> bytes:
    """Return the PNG of a pair's side."""
    colours = hashlib.shake_128(b"%d" % number).digest(3 * _ACROSS * _DOWN)
    if side == "expected" or number % 5:
        return _png(colours)
    if number % 100 == 0:
        colours = bytes(255 - level for level in colours[:12]) + colours[12:]
    return _png(colours, b"Comment\0%d" % number)


def name_of(number: int) -> str:
    """Return the name of a pair's images below their folders."""
    return f"{number // PER_FOLDER:04}/{number:07}.png"


def _png(colours: bytes, text: bytes = b"") -> bytes:
    margin = _WHITE * ((WIDTH - _ACROSS * _BLOCK) // 2)
    blank = b"\0" + _WHITE * WIDTH
    rows = []
    for down in range(_DOWN):
        levels = (colours[3 * (down * _ACROSS + across) :][:3] for across in range(_ACROSS))
        rows += [b"\0" + margin + b"".join(level * _BLOCK for level in levels) + margin] * _BLOCK
    edge = [blank] * ((HEIGHT - len(rows)) // 2)
    pixels = zlib.compress(b"".join([*edge, *rows, *edge]), 1)
    chunks = [(b"IHDR", _HEADER), (b"IDAT", pixels), *([(b"tEXt", text)] if text else []), (b"IEND", b"")]
    return _SIGNATURE + b"".join(_chunk(kind, body) for kind, body in chunks)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


class GeneratedFileSystem(AbstractFileSystem):  # type: ignore[misc]  # fsspec ships no types
    """The images; nothing can be written."""

    protocol: ClassVar[str] = "generated"

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:  # noqa: FBT001, FBT002 - fsspec's
        """List a folder."""
        count, *inner = self._strip_protocol(path).strip("/").split("/")
        if len(inner) == 1:
            names = [f"{number:04}" for number in range(-(-int(count) // PER_FOLDER))]
            kind = "directory"
        else:
            first = int(inner[1]) * PER_FOLDER
            names = [f"{number:07}.png" for number in range(first, min(first + PER_FOLDER, int(count)))]
            kind = "file"
        found = [f"{path.rstrip('/')}/{name}" for name in names]
        return [{"name": name, "type": kind, "size": None} for name in found] if detail else found

    def _open(self, path: str, mode: str = "rb", **_: Any) -> io.BytesIO:  # noqa: ARG002 - only for reading
        _, side, _, name = path.split("/")
        return io.BytesIO(image(int(name.removesuffix(".png")), side))


def install(folder: Path) -> None:
    """Make a folder which, in PYTHONPATH, tells fsspec of these URLs."""
    about = folder / "imgdiff_generated-1.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: imgdiff-generated\nVersion: 1\n")
    (about / "entry_points.txt").write_text("[fsspec.specs]\ngenerated = benchmarks.generated:GeneratedFileSystem\n")
