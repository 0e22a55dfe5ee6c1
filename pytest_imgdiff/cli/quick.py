"""Entry point of ``pytest-imgdiff``: recognise two equal images before large imports.

Importing the metrics takes several times as long as finding that two files, or their pixels, are equal.
"""

from __future__ import annotations

import gc
import os
import sys

from pytest_imgdiff.base.text import CONFIG_NAMES, IDENTICAL, IDENTICAL_PIXELS

WORDS = 3
_BYTES = 128
"""The most memory per pixel that a pair needs."""
_SELDOM = 20_000
"""New objects before a garbage collection: most objects are imported modules, which are not garbage."""


def main() -> int:
    """Run the command and return its exit code, as `pytest_imgdiff.cli.parser.main` does."""
    gc.set_threshold(_SELDOM)
    if _printed_equal(sys.argv[1:]):
        return 0
    from pytest_imgdiff.cli import parser

    code = parser.main()
    gc.freeze()  # a last garbage collection would take longer than a comparison
    return code


def _may_be_configured(path: str) -> bool:
    """Return whether a folder above the path has a settings file; the full command finds the one that applies."""
    try:
        folder, above = "", os.path.abspath(path)  # noqa: PTH100 - importing pathlib takes a tenth of the time
    except OSError:  # the working directory no longer exists
        return True
    while folder != above:
        folder, above = above, os.path.dirname(above)  # noqa: PTH120 - the same
        if any(os.path.lexists(f"{folder}/{name}") for name in CONFIG_NAMES):
            return True
    return False


def _printed_equal(arguments: list[str]) -> bool:
    """Handle ``compare EXPECTED ACTUAL`` of equal images without options or settings; return whether it was that."""
    if len(arguments) != WORDS or arguments[0] != "compare" or any(word.startswith("-") for word in arguments):
        return False
    name = arguments[2]
    plain = name.isascii() and name.isprintable() and os.path.normpath(name) == name and "\\" not in name
    if not plain or sys.stdout is None or any(map(_may_be_configured, (".", *arguments[1:]))):
        return False
    words = _equality(arguments[1], name)
    if words is None:
        return False
    try:
        sys.stdout.write(f"{name}: {words}\n1 comparison: 1 passed\n")
        sys.stdout.flush()
    except OSError:  # a closed standard output: the full command reports it
        return False
    return True


def _equality(expected: str, actual: str) -> str | None:
    """Return how two PNG files are equal; None means undecided."""
    from pytest_imgdiff.images import are_same_image

    if are_same_image(expected, actual):
        return IDENTICAL
    from pytest_imgdiff.base.memory import DEFAULT_MAX_PIXELS, DEFAULT_MEMORY
    from pytest_imgdiff.images.counting import Asked
    from pytest_imgdiff.images.png_pair import count_png_pair

    pair = count_png_pair(expected, actual, min(DEFAULT_MAX_PIXELS, DEFAULT_MEMORY // _BYTES), Asked())
    if pair is None or pair.counts.unequal:
        return None
    return IDENTICAL if pair.equal_bytes else IDENTICAL_PIXELS
