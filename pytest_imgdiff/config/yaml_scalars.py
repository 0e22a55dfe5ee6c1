"""What a text without quotes stands for in YAML: the core schema of YAML 1.2.

Source: https://yaml.org/spec/1.2.2/#1032-tag-resolution. PyYAML's own answer is that of YAML 1.1, where ``no`` is
false, ``010`` eight, ``1:30`` ninety, and ``1e-3`` a text.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_DIGITS = 40
"""Characters of a number: no limit is so exact, and Python converts no integers of thousands of digits."""

_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_WORDS: tuple[tuple[re.Pattern[str], bool | None], ...] = (
    (re.compile(r"~|null|Null|NULL|"), None),
    (re.compile(r"true|True|TRUE"), True),
    (re.compile(r"false|False|FALSE"), False),
)
_NUMBERS: tuple[tuple[re.Pattern[str], Callable[[str], int | float]], ...] = (
    (re.compile(r"[-+]?[0-9]+"), int),
    (re.compile(r"0o[0-7]+"), lambda text: int(text, 0)),
    (re.compile(r"0x[0-9a-fA-F]+"), lambda text: int(text, 0)),
    (re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"), float),
)


def plain_scalar(text: str) -> Any:
    """Return None, a bool, an int, a finite float, or the text itself.

    Raises:
        ValueError: it is a number that cannot be used; the message says why.
    """
    for pattern, value in _WORDS:
        if pattern.fullmatch(text):
            return value
    if _NOT_FINITE.fullmatch(text):
        raise ValueError(f"{text} is no finite number; give a number")
    for pattern, converted in _NUMBERS:
        if pattern.fullmatch(text):
            return _checked(text, converted)
    return text


def _checked(text: str, converted: Callable[[str], int | float]) -> int | float:
    if len(text) > MAX_DIGITS:
        raise ValueError(f"a number of more than {MAX_DIGITS} characters; shorten it")
    number = converted(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is too large a number; give a smaller one")
    return number
