"""Numbers for people: short, and never so short that a failing value reads like its limit."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from functools import lru_cache
from typing import TYPE_CHECKING

from pytest_imgdiff.report.text import thousands

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_imgdiff.model import Direction

SIGNIFICANT_DIGITS = 3
EXACT_DIGITS = 17
"""Enough decimal digits to tell any two doubles apart (IEEE 754-2019, 5.12.2)."""
ALL_DIGITS = 400
"""Enough to write the largest and the smallest double without an exponent."""
SMALLEST_PLAIN = Decimal("1e-7")
"""Smaller numbers are written with an exponent."""


def number(value: float, *, unlike: Iterable[float | None] = (), scale: int = 1) -> str:
    """Return ``value * scale`` in few digits.

    Args:
        value: finite.
        unlike: numbers, such as the limit, that the text must not read like unless the value equals them.
        scale: 100 for percent.

    Returns:
        Three significant digits, or as many more as ``unlike`` asks for; integers keep all their digits.
    """
    return _number(value, tuple(unlike), scale)


@lru_cache(maxsize=1024)
def _number(value: float, unlike: tuple[float | None, ...], scale: int) -> str:
    """Return what `number` does; a page says the value and the limit of a score several times in a row."""
    exact = _exact(value)
    others = {_exact(other) for other in unlike if other is not None} - {exact}
    whole_digits = max(0, exact.adjusted() + 1)
    for digits in range(max(SIGNIFICANT_DIGITS, whole_digits), EXACT_DIGITS):
        rounded = Context(prec=digits).create_decimal(exact)
        if rounded not in others:
            return _plain(rounded * scale)
    return _plain(exact * scale)


def percent(share: float, *, unlike: Iterable[float | None] = ()) -> str:
    """Return a share of 0..1 as ``0.8 %``; ``unlike`` as in `number`, in shares."""
    return f"{number(share, unlike=unlike, scale=100)} %"


def difference(value: float, other: float, *, scale: int = 1) -> str:
    """Return the distance between two numbers in three significant digits."""
    distance = abs(_exact(value) - _exact(other)) * scale
    return _plain(Context(prec=SIGNIFICANT_DIGITS).create_decimal(distance))


def passing_limit(value: float, direction: Direction) -> str:
    """Return the nearest short limit that ``value`` passes, as it is written in imgdiff.yaml.

    It is rounded outward (up for a ``max``, down for a ``min``), so that it does pass; without an exponent,
    which YAML 1.1 reads as text. Three significant digits; a similarity close to 1 keeps two digits of what
    it lacks.
    """
    exact = _exact(value)
    exponent = exact.adjusted() - (SIGNIFICANT_DIGITS - 1)
    if direction == "similarity" and 0 < exact < 1:
        exponent = min(exponent, (1 - exact).adjusted() - 1)
    if exact == exact.to_integral_value():
        exponent = 0
    outward = Context(prec=ALL_DIGITS, rounding=ROUND_CEILING if direction == "distance" else ROUND_FLOOR)
    return _without_trailing_zeros(exact.quantize(Decimal(1).scaleb(min(exponent, 0)), context=outward))


def exact_limit(value: float) -> str:
    """Return the value itself as a limit in imgdiff.yaml, with all of its digits and without an exponent."""
    return _without_trailing_zeros(_exact(value))


def byte_size(size: int) -> str:
    """Return ``812 bytes``, ``12.3 KiB`` or ``4.56 MiB``."""
    if size < 1024:  # noqa: PLR2004 - a kibibyte
        return f"{size} bytes"
    kibibytes = size / 1024
    if kibibytes < 1024:  # noqa: PLR2004 - a mebibyte in kibibytes
        return f"{number(kibibytes)} KiB"
    return f"{number(kibibytes / 1024)} MiB"


def _exact(value: float) -> Decimal:
    """Return the shortest decimal that is this double; zero without a sign."""
    return Decimal(repr(float(value) + 0.0))


def _plain(value: Decimal) -> str:
    if value != 0 and abs(value) < SMALLEST_PLAIN:
        return format(value.normalize(), "e")
    text = _without_trailing_zeros(value)
    whole, point, fraction = text.partition(".")
    sign, digits = ("-", whole[1:]) if whole.startswith("-") else ("", whole)
    return f"{sign}{thousands(int(digits))}{point}{fraction}"


def _without_trailing_zeros(value: Decimal) -> str:
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
