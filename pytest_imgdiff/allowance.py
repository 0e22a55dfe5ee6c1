"""How much memory the pairs under way may take together."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

GIBIBYTE = 1 << 30


class Allowance:
    """Lets work begin only while what is under way stays within a number of bytes.

    Work that needs more than all of it waits until it is alone, and is done then.

    Attributes:
        side_by_side: whether several pairs are under way at once, so that no core is idle.
    """

    side_by_side = False

    def __init__(self, size: int = GIBIBYTE) -> None:
        self._size = size
        self._taken = 0
        self._changed = threading.Condition()

    @contextmanager
    def of(self, size: int) -> Iterator[None]:
        """Take so many bytes, once there is room for them, and give them back in the end."""
        with self._changed:
            self._changed.wait_for(lambda: not self._taken or self._taken + size <= self._size)
            self._taken += size
        try:
            yield
        finally:
            with self._changed:
                self._taken -= size
                self._changed.notify_all()
