"""Where a setting was written, so that a message can say it."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Any, Protocol

from pytest_imgdiff.errors import ConfigError
from pytest_imgdiff.names import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

KeyPath = tuple[str | int, ...]
"""The way to a setting: ``("overrides", 0, "metrics", "ssim")``."""

MAX_DEPTH = 20
"""Levels of nesting that settings may have; imgdiff.yaml has seven."""
LONGEST_SHOWN = 60
"""How many characters of a user's value a message repeats."""
LONGEST_INTEGER = 64
"""How many bits a number has at most that a message repeats."""
_DECIMAL_COMMA = re.compile(r"([-+]?[0-9]{1,20}),([0-9]{1,20})")


class Origin(Protocol):
    """Something that settings come from: a file, the command line, a call."""

    def error(self, path: KeyPath, what: str, *, at_key: bool = False) -> ConfigError:
        """Return (not raise) the error that says what is wrong with the setting at ``path``.

        Args:
            path: of the setting; the nearest known place is named where it has none of its own.
            what: what is wrong, and what to do.
            at_key: whether the key itself is wrong, and not its value.
        """
        ...


class CallOrigin:
    """Settings that were given as Python values: a call's arguments, the command line's options."""

    def __init__(self, label: str) -> None:
        self._label = label

    def error(self, path: KeyPath, what: str, *, at_key: bool = False) -> ConfigError:  # noqa: ARG002 - no columns here
        """Return ``LABEL: KEY: what``."""
        return ConfigError(f"{printable(self._label)}: {dotted(path)}: {what}")


def dotted(path: KeyPath) -> str:
    """Return the path as messages show it: ``overrides[0].metrics.ssim``; lists count from 0."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{clipped(step)}" for step in path)
    return text.removeprefix(".") or "(top level)"


def shown(value: Any) -> str:
    """Return a user's value as messages show it, clipped and on one line."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f"the text {quoted(value)}"
    if isinstance(value, dict):
        return "a mapping" if value else "an empty mapping"
    if isinstance(value, list):
        return f"a list of {len(value)}" if value else "an empty list"
    return number(value) if isinstance(value, (int, float)) else f"a value of type {type(value).__name__}"


def number(value: float) -> str:
    """Return a number as a user would write it, to 15 digits."""
    if isinstance(value, int) and value.bit_length() > LONGEST_INTEGER:
        return "a number of very many digits"
    return f"{value:.15g}"


def quoted(text: str) -> str:
    """Return a user's text in quotes, printable and not too long."""
    return f'"{clipped(text)}"'


def clipped(text: str, longest: int = LONGEST_SHOWN) -> str:
    """Return the text fit for a message: printable and not too long."""
    return printable(text if len(text) <= longest else f"{text[:longest]}...")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``; did you mean "..."?`` for the nearest known word, or nothing where none is near."""
    near = difflib.get_close_matches(word, list(known), n=1)
    return f'; did you mean "{near[0]}"?' if near else ""


def decimal_point(text: str) -> str:
    """Return ``; write 0.01 ...`` where the text is a number with a decimal comma, otherwise nothing."""
    found = _DECIMAL_COMMA.fullmatch(text.strip())
    return f"; write {'.'.join(found.groups())}, with a point in place of the comma" if found else ""
