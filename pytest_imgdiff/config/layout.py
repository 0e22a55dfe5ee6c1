"""The layout of baselines: a path with placeholders."""

from __future__ import annotations

import string
from typing import TYPE_CHECKING

from pytest_imgdiff.config.origin import did_you_mean, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

PLACEHOLDERS = ("module", "test", "platform", "browser", "viewport", "dpr", "color_scheme")
_NOT_IN_FILE_NAMES = '\\:*?"<>|'


def layout_mistake(layout: str) -> str | None:
    """Return what is wrong with a layout and what to write, or None where nothing is."""
    return next(_mistakes(layout), None)


def _mistakes(layout: str) -> Iterator[str]:
    try:
        pieces = list(string.Formatter().parse(layout))
    except ValueError:
        yield "a brace without its partner; placeholders are written {test}"
        return
    names = [name for _, name, _, _ in pieces if name is not None]
    for name in names:
        if name not in PLACEHOLDERS:
            known = ", ".join(f"{{{word}}}" for word in PLACEHOLDERS)
            yield f"unknown placeholder {quoted(f'{{{name}}}')}{did_you_mean(name, PLACEHOLDERS)} (known: {known})"
    if any(form or conversion for _, _, form, conversion in pieces):
        yield "a placeholder takes no format; write it bare: {test}"
    if "test" not in names:
        yield "without {test} all tests of a module would share one baseline; add it"
    if any(part in {"", ".", ".."} for part in layout.split("/")):
        yield 'not a path below the baselines folder; write one such as "{module}/{test}.png"'
    literal = "".join(text for text, _, _, _ in pieces)
    if not literal.isprintable() or set(literal) & set(_NOT_IN_FILE_NAMES):
        yield f"the characters {' '.join(_NOT_IN_FILE_NAMES)} cannot stand in every system's file names; leave them out"
    if not layout.endswith(".png"):
        yield "a layout names PNG files (a baseline of another format keeps its own extension); end it with .png"
