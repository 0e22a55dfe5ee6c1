"""Globs over the names of images; names have forward slashes on every system.

``*`` stands for any characters of one name, ``?`` for one, ``[abc]``, ``[a-z]`` and ``[!abc]`` for one of (or none
of) these; ``**`` between slashes stands for any folders, also none; at the end, for everything below. Case counts.
A glob matches a whole name: ``*.png`` is an image at the top, ``**/*.png`` one anywhere.
"""

from __future__ import annotations

import fnmatch
import functools
import re

from pytest_imgdiff.base.errors import ConfigError
from pytest_imgdiff.config.validation import clipped, quoted

_FOLDERS = None
"""What ``**`` is compiled to."""
_BRACKET = re.compile(r"\[(!.[^\]]*|[^!][^\]]*)\]", re.DOTALL)
_RANGE = re.compile(r"(.)-(.)", re.DOTALL)


def glob_matches(glob: str, name: str) -> bool:
    """Return whether the whole name matches.

    Args:
        glob: the pattern.
        name: of an image, with forward slashes.

    Raises:
        ConfigError: the pattern is ambiguous or could never match; the message says what to write.
    """
    parts = _compiled(glob)
    # All ways through the pattern are followed at once: no pattern takes more than len(name) x len(parts) steps.
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
    """Return whether the whole name matches where ``*``, ``?`` and brackets may stand for a slash too.

    For patterns that choose among comparisons by name, whose slashes mean little to the person who types them. What
    `glob_matches` takes matches here as well.

    Raises:
        ConfigError: as for `glob_matches`.
    """
    return glob_matches(glob, name) or fnmatch.fnmatchcase(name, glob)


def glob_mistake(glob: str) -> str | None:
    """Return what is wrong with a pattern and what to write, or None if nothing is."""
    wrong = next((wrong for segment in glob.split("/") if (wrong := _mistake(segment))), None)
    return wrong and f"the glob {quoted(glob)} has {wrong}"


@functools.lru_cache(maxsize=256)
def _compiled(glob: str) -> tuple[re.Pattern[str] | None, ...]:
    if wrong := glob_mistake(glob):
        raise ConfigError(wrong)
    segments = glob.split("/")
    if segments[-1] == "**":
        segments.append("*")  # at least one name: "a/**" is what lies below a, not a itself
    return tuple(_FOLDERS if segment == "**" else re.compile(fnmatch.translate(segment)) for segment in segments)


def _past_folders(parts: tuple[re.Pattern[str] | None, ...], reached: set[int]) -> set[int]:
    """Add what is reached when ``**`` stands for no folder."""
    for index, part in enumerate(parts):
        if index in reached and part is _FOLDERS:
            reached.add(index + 1)
    return reached


def _mistake(segment: str) -> str | None:
    """Return what is wrong with one part between slashes, and what to write."""
    literal = _BRACKET.sub("", segment)
    ranges = [pair for content in _BRACKET.findall(segment) for pair in _RANGE.findall(content.removeprefix("!"))]
    backwards = [f"{first}-{last}" for first, last in ranges if first > last]
    mistakes = {
        'an empty part between slashes; write "charts/**" for what lies below charts': not segment,
        f'a part "{segment}", which no name has; names start below the compared folder': segment in {".", ".."},
        "a backslash; write / between folders on every system, and [*] for a star itself": "\\" in segment,
        '"**" beside other characters; it stands alone between slashes: "**/*.png"': "**" in segment
        and segment != "**",
        'a "[" without "]"; write [[] for a bracket itself': "[" in literal,
        "braces, which are not read; give several globs, and write [{] for a brace itself": "{" in literal,
        f'a range that runs backwards, "{clipped("".join(backwards[:1]))}"': bool(backwards),
    }
    return next((words for words, applies in mistakes.items() if applies), None)
