"""Text made fit to be shown: printable names, counts, and the fixed names of settings files."""

from __future__ import annotations

import re
import unicodedata

CONFIG_NAMES = ("imgdiff.yaml", "imgdiff.yml")
"""What a folder's configuration is called."""
IDENTICAL = "identical, byte for byte"
"""The words for two equal files."""
IDENTICAL_PIXELS = "identical, pixel for pixel"
"""The verdict on two files whose pixels are equal."""
_ESCAPED_BYTES = range(0xDC80, 0xDD00)
"""Where Python keeps the bytes 0x80 to 0xff of a name that is not UTF-8 (PEP 383)."""


def printable(text: str) -> str:
    r"""Return the text with what UTF-8 cannot carry and control characters written out.

    A file name that is not UTF-8 reaches Python with surrogates, which neither JSON, nor execnet, nor a
    terminal takes: ``caf\udce9`` becomes ``caf\xe9``, as the bytes in the name are.
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
    """Return a file name, for any file system, that no other text gives.

    Letters, digits, ``.``, ``_``, ``-`` and the brackets of pytest's parameters stay. Where anything else had to be
    replaced, or the name is too long, or Windows keeps it for a device, eight digits of the text's hash follow.
    """
    import hashlib  # half of this module's import time, for what few comparisons ask

    name = re.sub(r"[^A-Za-z0-9._\[\]-]+", "-", text).rstrip(".")
    if name == text and len(name) <= _LONGEST and name.strip(".") and not _RESERVED.fullmatch(name):
        return name
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{name[:_LONGEST].strip('-.')}-{digest}".lstrip("-")


def is_scan_file(name: str) -> bool:
    """Return whether a path on pytest's command line is that of an imgdiff configuration."""
    return re.search(r"imgdiff[^/\\]*\.ya?ml$", name) is not None


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
