"""Shards: the pairs of a scan split over several machines, each pair in exactly one of them."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from pytest_imgdiff.base.errors import ConfigError
from pytest_imgdiff.base.record import ShardRecord
from pytest_imgdiff.base.stores import StoredFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from pytest_imgdiff.run.pairing import FoundPair, Pair

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Shard:
    """One of several shards; the first has the number 1."""

    number: int
    count: int


def parsed_shard(text: str, option: str) -> Shard:
    """Return the shard for a string such as ``3/8``.

    Raises:
        ConfigError: the string is invalid.
    """
    match = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text)
    shard = Shard(int(match[1]), int(match[2])) if match else Shard(0, 0)
    if not 1 <= shard.number <= shard.count:
        raise ConfigError(f"{option} {text!r}: must be NUMBER/COUNT, such as 3/8 for the third of eight shards")
    return shard


def split(items: Sequence[T], names: Sequence[str], sizes: Sequence[int], shard: Shard) -> tuple[list[T], ShardRecord]:
    """Return the items of a shard in their order, and a digest of the complete set.

    The items are sorted by the hash of their names and cut into parts of equal bytes. So the result depends only on
    names and sizes, and an added item only moves the items at the cuts. Parts differ from an equal share by less than
    the largest item.

    Args:
        items: all items to split.
        names: names of the items, without duplicates.
        sizes: of the items, in bytes.
        shard: the one to return.
    """
    hashes = [hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest() for name in names]
    whole = sum(sizes) + len(items)
    digest = hashlib.sha256()
    chosen = []
    before = 0
    for number in sorted(range(len(items)), key=hashes.__getitem__):
        weight = sizes[number] + 1  # empty files count too
        place = (2 * before + weight) * shard.count // (2 * whole)  # the position of its middle
        before += weight
        digest.update(b"%d " % place + hashes[number])
        if place == shard.number - 1:
            chosen.append(number)
    kept = [items[number] for number in sorted(chosen)]
    return kept, ShardRecord(shard.number, shard.count, len(kept), len(items), digest.hexdigest())


def shard_of_tests(shard: Shard, here: int, names: Iterable[str], *, is_chosen: bool) -> ShardRecord:
    """Return the record of a shard that another plugin made.

    Args:
        shard: the shard.
        here: number of image tests in it.
        names: of all image tests of all shards.
        is_chosen: whether tests were also deselected for other reasons, so that the total of all shards is unknown.
    """
    listed = sorted(names)
    digest = hashlib.sha256("\0".join(listed).encode("utf-8", "surrogateescape")).hexdigest()
    return ShardRecord(shard.number, shard.count, here, None if is_chosen else len(listed), digest)


def distinguished(names: Sequence[str], longer: Sequence[str]) -> list[str]:
    """Return the distinct names; for repeated ones, the longer forms."""
    counts = Counter(names)
    return [name if counts[name] == 1 else long for name, long in zip(names, longer, strict=True)]


def split_size(pair: Pair | FoundPair) -> int:
    """Return the size for splitting: that of the expected image, which is equal on all machines.

    The actual image counts only if it is alone: each machine may create it with other bytes.
    """
    return _size(pair.actual if pair.expected is None else pair.expected)


def _size(path: Path | StoredFile | None) -> int:
    if isinstance(path, StoredFile):
        return path.size()
    try:
        return 0 if path is None else path.stat().st_size
    except OSError:  # reading it reports the error
        return 0
