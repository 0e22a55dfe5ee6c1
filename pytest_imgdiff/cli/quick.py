"""The command ``pytest-imgdiff``: that two images are equal is printed before anything large is imported.

Importing what judges images takes several times as long as finding that two files, or their pixels, are the same.
"""

from __future__ import annotations

import gc
import os
import sys

from pytest_imgdiff.base.text import CONFIG_NAMES, IDENTICAL, IDENTICAL_PIXELS

WORDS = 3
_BYTES = 128
"""For each pixel: no pair takes more."""
_SELDOM = 20_000
"""So many new objects before a look for garbage: what is imported is none, and is most of what there is."""


def main() -> int:
    """Run the command and return its exit code, as `pytest_imgdiff.cli.parser.main` does."""
    if _told_at_once(sys.argv[1:]):
        return 0
    gc.set_threshold(_SELDOM)
    from pytest_imgdiff.cli import parser

    code = parser.main()
    gc.freeze()  # what is left goes with the process: to look through it once more takes longer than a comparison
    return code


def _may_be_configured(path: str) -> bool:
    """Return whether a folder that holds the path has a configuration; the whole command finds out which one counts."""
    try:
        folder, above = "", os.path.abspath(path)  # noqa: PTH100 - importing pathlib takes a tenth of it all
    except OSError:  # the working directory is gone
        return True
    while folder != above:
        folder, above = above, os.path.dirname(above)  # noqa: PTH120 - the same
        if any(os.path.lexists(f"{folder}/{name}") for name in CONFIG_NAMES):
            return True
    return False


def _told_at_once(arguments: list[str]) -> bool:
    """Return whether it was ``compare EXPECTED ACTUAL`` of equal images, without options or settings, and told."""
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
    except OSError:  # nobody listens: the command says so in full
        return False
    return True


def _equality(expected: str, actual: str) -> str | None:
    """Return in what two PNG files are equal; None says nothing."""
    from pytest_imgdiff.images import are_one_picture

    if are_one_picture(expected, actual):
        return IDENTICAL
    from pytest_imgdiff.base.model import DEFAULT_MAX_PIXELS, DEFAULT_MEMORY
    from pytest_imgdiff.images.counting import Asked
    from pytest_imgdiff.images.png_pair import count_png_pair

    pair = count_png_pair(expected, actual, min(DEFAULT_MAX_PIXELS, DEFAULT_MEMORY // _BYTES), Asked())
    return None if pair is None or pair.counts.unequal else IDENTICAL_PIXELS
