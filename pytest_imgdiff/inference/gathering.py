"""Things that several threads bring, taken away in batches."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable

T = TypeVar("T")


class Gathering(Generic[T]):
    """A queue whose taker waits a moment for more to come."""

    def __init__(self) -> None:
        self._items: deque[T] = deque()
        self._grown = threading.Condition()

    def add(self, items: Iterable[T]) -> None:
        """Bring something."""
        with self._grown:
            self._items.extend(items)
            self._grown.notify_all()

    def take(self, most: int, linger: float) -> list[T]:
        """Take up to ``most`` in the order in which they came, once there are so many or ``linger`` seconds are over.

        Returns:
            Nothing where nothing came.
        """
        end = time.monotonic() + linger
        with self._grown:
            while len(self._items) < most and (left := end - time.monotonic()) > 0:
                self._grown.wait(left)
            return [self._items.popleft() for _ in range(min(most, len(self._items)))]
