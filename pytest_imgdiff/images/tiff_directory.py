"""The directories of a TIFF or BigTIFF file: which tags a page has.

Source: TIFF Revision 6.0, section 2; the BigTIFF design by Adobe, AWare Systems and libtiff.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from pytest_imgdiff.images.unreadable import UnreadableError

_BIG = 43
_CODES = {1: "B", 2: "B", 3: "H", 4: "I", 7: "B", 13: "I", 16: "Q", 18: "Q"}
"""Field type to its `struct` code; no tag that is wanted has signed or fractional values."""
_MOST_PAGES = 10_000
_MOST_VALUES = 2_000_000


@dataclass(frozen=True, slots=True)
class Directory:
    """One page's tags.

    Attributes:
        order: ``<`` or ``>``, the byte order of the file, samples included.
        tags: tag to its values.
    """

    order: str
    tags: dict[int, tuple[int, ...]]

    def one(self, tag: int, default: int | None = None) -> int:
        """Return the tag's first value.

        Raises:
            UnreadableError: the tag is wanting and there is no default.
        """
        values = self.tags.get(tag)
        if values:
            return values[0]
        if default is None:
            raise UnreadableError(f"damaged: it lacks the tag {tag}")
        return default

    def data(self, tag: int) -> bytes | None:
        """Return the values of a tag of bytes."""
        values = self.tags.get(tag)
        try:
            return None if values is None else bytes(values)
        except ValueError:  # a number that no byte holds
            return None


def read_directories(file: bytes, wanted: frozenset[int]) -> list[Directory]:
    """Return the directories of the main chain, in order, with the tags that are wanted.

    Raises:
        UnreadableError: it is cut short or damaged, or the chain leads back into itself.
    """
    try:
        return _Reader(file, wanted).chain()
    except struct.error:
        raise UnreadableError("truncated: it ends inside a directory, or a directory lies behind its end") from None


class _Reader:
    """Follows the chain; what differs between TIFF and BigTIFF is how counts, entries and offsets are packed."""

    def __init__(self, file: bytes, wanted: frozenset[int]) -> None:
        self._file = file
        self._wanted = wanted
        self._values_left = _MOST_VALUES
        self._order = "<" if file[:2] == b"II" else ">"
        (version,) = struct.unpack_from(self._order + "H", file, 2)
        count, entry, offset = ("Q", "HHQ8s", "Q") if version == _BIG else ("H", "HHI4s", "I")
        self._count = struct.Struct(self._order + count)
        self._entry = struct.Struct(self._order + entry)
        self._offset = struct.Struct(self._order + offset)
        (self._first,) = self._offset.unpack_from(file, 8 if version == _BIG else 4)

    def chain(self) -> list[Directory]:
        directories: list[Directory] = []
        seen: set[int] = set()
        at = self._first
        while at:
            if at in seen:
                raise UnreadableError("damaged: its chain of pages leads back into itself")
            seen.add(at)
            if len(seen) > _MOST_PAGES:
                raise UnreadableError(f"it has more than {_MOST_PAGES:,} pages")
            tags, at = self._directory(at)
            directories.append(Directory(self._order, tags))
        if not directories:
            raise UnreadableError("it has no page in it")
        return directories

    def _directory(self, at: int) -> tuple[dict[int, tuple[int, ...]], int]:
        """Return the tags of the directory at this offset, and the offset of the next one."""
        (count,) = self._count.unpack_from(self._file, at)
        start = at + self._count.size
        (following,) = self._offset.unpack_from(self._file, start + count * self._entry.size)
        tags: dict[int, tuple[int, ...]] = {}
        for index in range(count):
            tag, kind, length, inline = self._entry.unpack_from(self._file, start + index * self._entry.size)
            if tag not in self._wanted or kind not in _CODES:
                continue
            if tag in tags:
                raise UnreadableError(f"damaged: a page has two tags {tag}")
            tags[tag] = self._values(_CODES[kind], length, inline)
        return tags, following

    def _values(self, code: str, length: int, inline: bytes) -> tuple[int, ...]:
        self._values_left -= length
        if self._values_left < 0:
            raise UnreadableError(f"its tags have more than {_MOST_VALUES:,} values")
        packed = struct.Struct(f"{self._order}{length}{code}")
        if packed.size <= len(inline):
            return packed.unpack_from(inline)
        (at,) = self._offset.unpack(inline)
        return packed.unpack_from(self._file, at)
