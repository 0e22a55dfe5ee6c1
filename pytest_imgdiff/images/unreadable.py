"""The refusal inside this room: a decoder does not know the name of what it decodes."""

from __future__ import annotations


class UnreadableError(Exception):
    """The data is not one whole, readable picture.

    `pytest_imgdiff.images.decode` turns it into a `BrokenImageError` with the source's label.

    Attributes:
        cause: what is wrong and, where that helps, what to do.
        kind: what the data is, where that is not the format being decoded.
    """

    def __init__(self, cause: str, kind: str | None = None) -> None:
        super().__init__(cause)
        self.cause = cause
        self.kind = kind
