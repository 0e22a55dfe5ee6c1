"""Lines that are kept on disk and read on demand: each takes a few bytes of memory."""

from __future__ import annotations

from abc import abstractmethod
from array import array
from collections.abc import Sequence
from tempfile import SpooledTemporaryFile
from typing import IO, TYPE_CHECKING, TypeVar, overload

from pytest_imgdiff.base.errors import ReportError

if TYPE_CHECKING:
    from collections.abc import Iterable

T = TypeVar("T")

_SMALL = 1 << 20
"""Bytes; smaller data stays in memory."""


class OnDemand(Sequence[T]):
    """A sequence whose items are created or read on demand."""

    @abstractmethod
    def item(self, number: int) -> T:
        """Return the item of this number, which is at least 0 and below the length."""

    @overload
    def __getitem__(self, number: int) -> T: ...

    @overload
    def __getitem__(self, number: slice) -> list[T]: ...

    def __getitem__(self, number: int | slice) -> T | list[T]:
        """Return an item, or a list of some."""
        chosen = range(len(self))[number]
        return self.item(chosen) if isinstance(chosen, int) else [self.item(each) for each in chosen]


class Lines(OnDemand[bytes]):
    """Lines of open files.

    Attributes:
        files: the files that they are read from.
    """

    def __init__(self) -> None:
        self.files: list[IO[bytes]] = []
        self._files = array("H")
        self._starts = array("q")
        self._lengths = array("l")

    def note(self, file: int, start: int, length: int) -> None:
        """Add a line of a file.

        Args:
            file: the number of the file, in the order of `files`.
            start: the offset of its first byte.
            length: the number of its bytes, without the end of the line.
        """
        self._files.append(file)
        self._starts.append(start)
        self._lengths.append(length)

    def close(self) -> None:
        """Close the files."""
        for file in self.files:
            file.close()

    def chosen(self, numbers: Iterable[int]) -> Lines:
        """Return some of the lines, of the same files."""
        lines = Lines()
        lines.files = self.files
        for number in numbers:
            lines.note(self._files[number], self._starts[number], self._lengths[number])
        return lines

    def __len__(self) -> int:
        return len(self._starts)

    def item(self, number: int) -> bytes:
        """Read a line.

        Raises:
            ReportError: its file is shorter than it was.
            OSError: it cannot be read.
        """
        file = self.files[self._files[number]]
        file.seek(self._starts[number])
        line = file.read(self._lengths[number])
        if len(line) != self._lengths[number]:
            raise ReportError(f"{file.name}: cut short while the report was drawn; give each run a folder of its own")
        return line


class Spool(Lines):
    """Lines that this process stores in a temporary file, which is deleted when it ends."""

    def __init__(self) -> None:
        super().__init__()
        self._file = SpooledTemporaryFile(max_size=_SMALL)  # noqa: SIM115 - closed with its last reader
        self.files.append(self._file)
        self._end = 0

    def append(self, line: bytes) -> None:
        """Store a line.

        Raises:
            ReportError: the disk of the temporary files is full, or cannot be written.
        """
        try:
            self._file.seek(self._end)
            self._file.write(line)
        except OSError as error:
            raise ReportError(
                f"the results cannot be put aside among the temporary files: {error.strerror or error}"
            ) from error
        self.note(0, self._end, len(line))
        self._end += len(line)
