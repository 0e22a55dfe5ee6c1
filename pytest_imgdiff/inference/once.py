"""Something that is made when it is first needed, and by one thread only."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Generic, TypeVar

from pytest_imgdiff.errors import ImgdiffError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Once(Generic[T]):
    """Calls ``make`` at most once, and gives every caller what came of it.

    An `ImgdiffError` is kept as well: what is not there is not searched for, or waited for, at every picture.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._made: list[T] = []
        self._error: ImgdiffError | None = None

    def __call__(self) -> T:
        """Return what was made.

        Raises:
            ImgdiffError: it could not be made, now or before.
        """
        with self._lock:
            if self._error is not None:
                raise self._error
            if not self._made:
                try:
                    self._made.append(self._make())
                except ImgdiffError as error:
                    self._error = error
                    raise
            return self._made[0]

    def if_made(self) -> T | None:
        """Return it where it was made already, without waiting for it."""
        return self._made[0] if self._made else None
