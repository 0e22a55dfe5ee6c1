"""Texts that may hold anything, made fit for one line of a terminal, a table or an XML attribute."""

from __future__ import annotations

from pytest_imgdiff.names import printable


def visible(text: str) -> str:
    r"""Return the text on one line, with whatever is not a printable character written out.

    Names in records are free of control characters and surrogates; this also writes out what turns or
    breaks a line without being one: ``\u202e`` (right-to-left override), ``\u2028``, ``\u200b``.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _written_out(char) for char in printable(text))


def shortened(text: str, most: int) -> str:
    """Return the text in at most ``most`` characters, the middle left out where it is longer."""
    if len(text) <= most:
        return text
    head = (most - 1) // 2
    tail = most - 1 - head
    return f"{text[:head]}…{text[-tail:]}"


def counted(number: int, noun: str) -> str:
    """Return ``1 region``, ``3 regions``, ``1 284 regions``."""
    return f"{thousands(number)} {noun}" if number == 1 else f"{thousands(number)} {noun}s"


def thousands(number: int) -> str:
    """Return the number with spaces between groups of three digits: ``1 284``."""
    return f"{number:,}".replace(",", " ")


def _written_out(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"  # noqa: PLR2004 - the last code of 4 digits
