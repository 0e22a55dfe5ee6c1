"""Globs for the names of images, which have forward slashes on every system.

``*`` matches any characters except a slash, ``?`` one, ``[abc]``, ``[a-z]`` and ``[!abc]`` one of, or none of, these;
``**`` between slashes matches any folders, also none, and at the end everything below. Globs are case-sensitive and
match whole names: ``*.png`` is an image at the top, ``**/*.png`` one anywhere.
"""

from __future__ import annotations

import fnmatch
import functools
import re

from pytest_imgdiff.base.errors import ConfigError
from pytest_imgdiff.config.validation import clipped, quoted

_FOLDERS = None
"""The compiled form of ``**``."""
_BRACKET = re.compile(r"\[(!.[^\]]*|[^!][^\]]*)\]", re.DOTALL)
_RANGE = re.compile(r"(.)-(.)", re.DOTALL)


def glob_matches(glob: str, name: str) -> bool:
    """Return whether the whole name matches.

    Args:
        glob: the pattern.
        name: of an image, with forward slashes.

    Raises:
        ConfigError: the pattern is ambiguous or matches nothing; the message says what to write.
    """
    parts = _compiled(glob)
    # All paths through the pattern at the same time: at most len(name) x len(parts) steps.
    reached = _past_folders(parts, {0})
    for segment in name.split("/"):
        following = set()
        for index in reached - {len(parts)}:
            part = parts[index]
            if part is _FOLDERS:
                following.add(index)
            elif part.match(segment):
                following.add(index + 1)
        reached = _past_folders(parts, following)
    return len(parts) in reached


def name_matches(glob: str, name: str) -> bool:
    """Return whether the whole name matches; ``*``, ``?`` and brackets also match a slash.

    Such patterns select comparisons by name. Everything that `glob_matches` accepts matches here too.

    Raises:
        ConfigError: as for `glob_matches`.
    """
    return glob_matches(glob, name) or fnmatch.fnmatchcase(name, glob)


def glob_error(glob: str) -> str | None:
    """Return what is wrong with a pattern and what to write; None if it is valid."""
    wrong = next((wrong for segment in glob.split("/") if (wrong := _segment_error(segment))), None)
    return wrong and f"the glob {quoted(glob)} has {wrong}"


@functools.lru_cache(maxsize=256)
def _compiled(glob: str) -> tuple[re.Pattern[str] | None, ...]:
    if wrong := glob_error(glob):
        raise ConfigError(wrong)
    segments = glob.split("/")
    if segments[-1] == "**":
        segments.append("*")  # at least one name: "a/**" is everything below a, not a itself
    return tuple(_FOLDERS if segment == "**" else re.compile(fnmatch.translate(segment)) for segment in segments)


def _past_folders(parts: tuple[re.Pattern[str] | None, ...], reached: set[int]) -> set[int]:
    """Add the states that are reached if ``**`` matches no folder."""
    for index, part in enumerate(parts):
        if index in reached and part is _FOLDERS:
            reached.add(index + 1)
    return reached


def _segment_error(segment: str) -> str | None:
    """Return what is wrong with a part between slashes and what to write."""
    literal = _BRACKET.sub("", segment)
    ranges = [pair for content in _BRACKET.findall(segment) for pair in _RANGE.findall(content.removeprefix("!"))]
    backwards = [f"{first}-{last}" for first, last in ranges if first > last]
    errors = {
        'an empty part between slashes; write "charts/**" for everything below charts': not segment,
        f'a part "{segment}"; names start below the compared folder': segment in {".", ".."},
        "a backslash; use / on every system, and [*] for a literal star": "\\" in segment,
        '"**" next to other characters; it must be alone between slashes: "**/*.png"': "**" in segment
        and segment != "**",
        'a "[" without "]"; write [[] for a literal bracket': "[" in literal,
        "braces, which are not supported; pass several globs, or write [{] for a literal brace": "{" in literal,
        f'a reversed range, "{clipped("".join(backwards[:1]))}"': bool(backwards),
    }
    return next((words for words, applies in errors.items() if applies), None)
