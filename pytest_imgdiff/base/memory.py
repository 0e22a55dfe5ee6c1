"""How much memory a pair may take, and the pairs in progress together."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.synchronize import Condition as SharedCondition


GIBIBYTE = 1 << 30
DEFAULT_MAX_PIXELS = 100_000_000
"""Width times height of the largest image that is decoded."""
DEFAULT_MEMORY = 2560 << 20
"""Bytes that a pair may take while it is compared: enough for two images of 100 megapixels and 8 bits."""
_SMALL_PART = 10
"""Halvings of the whole: work that needs so little of it is not counted, as counting takes longer than a small pair."""


class _Number(Protocol):
    value: int


class _OwnNumber:  # not a dataclass: the command that compares two equal files does without that import
    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0


class Allowance:
    """Lets work begin only while all work in progress needs at most a number of bytes.

    Work that needs more than that waits until nothing else is in progress.
    """

    def __init__(self, size: int = GIBIBYTE) -> None:
        self._size = size
        self._taken: _Number = _OwnNumber()
        self._changed: threading.Condition | SharedCondition = threading.Condition()

    def share(self) -> None:
        """Hold from now on for the copies of this process, too, that begin later, with nothing taken yet.

        Raises:
            ImportError, OSError: the system does not support it.
        """
        import multiprocessing

        context = multiprocessing.get_context("fork")
        self._changed = context.Condition()
        self._taken = context.RawValue("q", 0)

    @contextmanager
    def of(self, size: int) -> Iterator[None]:
        """Wait until a number of bytes is free, take them, and return them at the end."""
        if size <= self._size >> _SMALL_PART:
            yield
            return
        with self._changed:
            self._changed.wait_for(lambda: not self._taken.value or self._taken.value + size <= self._size)
            self._taken.value += size
        try:
            yield
        finally:
            with self._changed:
                self._taken.value -= size
                self._changed.notify_all()
