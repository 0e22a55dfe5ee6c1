"""Data as a script: the one way to load data that a browser allows under ``file://``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from pytest_imgdiff.errors import ReportError
from pytest_imgdiff.report.text import visible

if TYPE_CHECKING:
    from collections.abc import Mapping

Kind = Literal["run", "details", "pixels"]

# JSON has none of these outside of its strings, and in a string an escape stands for the same character.
_ESCAPES = {b"<": rb"\u003c", "\u2028".encode(): rb"\u2028", "\u2029".encode(): rb"\u2029"}


def literal(value: msgspec.Struct | Mapping[str, str] | list[str]) -> bytes:
    """Return the value as a JavaScript expression that is safe inside an HTML document, too.

    JSON is JavaScript (ECMA-262, since 2019). ``<`` is written as an escape, so that nothing ends a script element
    or begins a comment in it; so are the line separators, which older engines refuse.

    Raises:
        ReportError: a text holds a lone surrogate, which UTF-8 cannot carry.
    """
    try:
        encoded = msgspec.json.encode(value)
    except UnicodeEncodeError as error:
        raise ReportError(f"the report's data cannot be written: {visible(str(error))}") from error
    for character, escape in _ESCAPES.items():
        encoded = encoded.replace(character, escape)
    return encoded


def receiving(kind: Kind, value: msgspec.Struct | Mapping[str, str]) -> bytes:
    """Return the script that hands the value to the page: ``imgdiff.receive("run", {...});``."""
    return b'imgdiff.receive("%s",%s);\n' % (kind.encode(), literal(value))
