"""Strings for display: printable names, counts, and the names of settings files."""

from __future__ import annotations

import re
import unicodedata

CONFIG_NAMES = ("imgdiff.yaml", "imgdiff.yml")
"""The names of a folder's settings file."""
IDENTICAL = "identical, byte for byte"
"""The message for two equal files."""
IDENTICAL_PIXELS = "identical, pixel for pixel"
"""The message for two files with equal pixels."""
_ESCAPED_BYTES = range(0xDC80, 0xDD00)
"""The code points in which Python stores the bytes 0x80 to 0xff of a name that is not UTF-8 (PEP 383)."""


def printable(text: str) -> str:
    r"""Return the string with surrogates and control characters escaped.

    Python decodes a file name that is not UTF-8 with surrogates, which JSON, execnet and terminals reject:
    ``caf\udce9`` becomes ``caf\xe9``, like the bytes in the name.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_shown(character) for character in text)


def _shown(character: str) -> str:
    code = ord(character)
    if code in _ESCAPED_BYTES:
        return f"\\x{code - _ESCAPED_BYTES.start + 0x80:02x}"
    category = unicodedata.category(character)
    if category == "Cs":  # a surrogate
        return f"\\u{code:04x}"
    return f"\\x{code:02x}" if category == "Cc" else character


_LONGEST = 100
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?")


def safe_name(text: str) -> str:
    """Return a file name for any file system that is unique to this string.

    Letters, digits, ``.``, ``_``, ``-`` and the brackets of pytest's parameters are kept. If anything else is replaced,
    or the name is too long or reserved by Windows, eight digits of the string's hash are appended.
    """
    import hashlib  # half of this module's import time, and rarely needed

    name = re.sub(r"[^A-Za-z0-9._\[\]-]+", "-", text).rstrip(".")
    if name == text and len(name) <= _LONGEST and name.strip(".") and not _RESERVED.fullmatch(name):
        return name
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{name[:_LONGEST].strip('-.')}-{digest}".lstrip("-")


def is_scan_file(name: str) -> bool:
    """Return whether a path on pytest's command line is that of an imgdiff settings file."""
    return re.search(r"imgdiff[^/\\]*\.ya?ml$", name) is not None


def visible(text: str) -> str:
    r"""Return the string on one line, with all unprintable characters escaped.

    Names in records have no control characters or surrogates; this also escapes other characters that reorder or
    break a line: ``\u202e`` (right-to-left override), ``\u2028``, ``\u200b``.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _written_out(char) for char in printable(text))


def shortened(text: str, most: int) -> str:
    """Return the string in at most ``most`` characters; the middle of a longer one is left out."""
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


def literal_glob(name: str) -> str:
    """Return the glob of imgdiff.yaml that matches only this name."""
    return "".join(f"[{each}]" if each in "*?[{" else "?" if each == "\\" else each for each in name)
