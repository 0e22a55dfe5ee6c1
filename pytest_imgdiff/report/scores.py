"""A rule and its result as text and numbers."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from pytest_imgdiff.base.text import thousands, visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_imgdiff.base.model import Direction
    from pytest_imgdiff.base.record import ScoreRecord, WindowRecord


SIGNIFICANT_DIGITS = 3
EXACT_DIGITS = 17
"""Enough decimal digits to distinguish any two doubles (IEEE 754-2019, 5.12.2)."""
ALL_DIGITS = 400
"""Enough to write the largest and the smallest double without an exponent."""
SMALLEST_PLAIN = Decimal("1e-7")
"""Smaller numbers are written with an exponent."""


def number(value: float, *, unlike: Iterable[float | None] = (), scale: int = 1) -> str:
    """Return ``value * scale`` in few digits.

    Args:
        value: finite.
        unlike: numbers, such as the limit, that the result must not look equal to unless the value is equal to them.
        scale: 100 for percent.

    Returns:
        Three significant digits, or more if needed to differ from ``unlike``; integers keep all their digits.
    """
    return _number(value, tuple(unlike), scale)


@lru_cache(maxsize=1024)
def _number(value: float, unlike: tuple[float | None, ...], scale: int) -> str:
    """Return the result of `number`. It is cached: a page shows the value and the limit of a score several times."""
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
    """Return the nearest short limit that ``value`` passes, in the form of imgdiff.yaml.

    It is rounded outward (up for a ``max``, down for a ``min``), so that the value passes, and has no exponent, which
    YAML 1.1 would read as a string. It has three significant digits; a similarity close to 1 has two digits of its
    distance from 1.
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
    """Return the exact value as a limit for imgdiff.yaml, with all digits and without an exponent."""
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
    """Return the shortest decimal that is equal to this double; zero has no sign."""
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


SIDES = ("expected", "actual")
CLASS_WORDS = {1.0: "the same class", 0.0: "another class"}
UNNAMED_UNITS = ("", "share", "index", "distance")
"""Units that add nothing to the number."""


@dataclass(frozen=True, slots=True)
class LimitCheck:
    """A value compared with one limit.

    Attributes:
        is_met: whether the limit is met.
        value: with its unit.
        sign: between value and limit: ``<=``, ``>``, ``>=`` or ``<``.
        limit: with its unit.
        margin: by how much: ``over by 284 px``, ``short by 0.01``, ``0.003 to spare``, ``exactly at the limit``.
        setting: the nearest limit that would have passed, in the form of imgdiff.yaml: ``max: 0.00804``; None if any
            two images would pass that limit.
    """

    is_met: bool
    value: str
    sign: str
    limit: str
    margin: str
    setting: str | None

    @property
    def required_sign(self) -> str:
        """``<=`` or ``>=``: the sign that the rule requires."""
        return {">": "<=", "<": ">="}.get(self.sign, self.sign)

    def __str__(self) -> str:
        """Return the check as one phrase: ``0.8 % > 0.5 %``."""
        return f"{self.value} {self.sign} {self.limit}"


def differing_pixels(score: ScoreRecord) -> int | None:
    """Return how many pixels the metric counted as different; None if it does not count pixels."""
    pixels = score.details.get("pixels")
    return pixels if isinstance(pixels, int) and not isinstance(pixels, bool) else None


def limit_checks(score: ScoreRecord) -> list[LimitCheck]:
    """Return the check of each limit of the score: counts first, then the value."""
    checks = []
    pixels = differing_pixels(score)
    if score.max_pixels is not None and pixels is not None:
        checks.append(_count_check(score, pixels, score.max_pixels))
    most = score.details.get("most_in_window")
    if score.max_in_window is not None and isinstance(most, int):
        checks.append(_window_check(score.max_in_window, most))
    if score.limit is not None and score.value is not None:
        checks.append(_value_check(score, score.value, score.limit))
    return checks


def phrase(score: ScoreRecord, *, with_evidence: bool = True) -> str:
    """Return the values with their limits: ``1 284 px, 0.8 % > 0.5 %``; for a classifier also the classes.

    Args:
        score: of a metric.
        with_evidence: whether to append `evidence`.
    """
    if score.omitted is not None:
        return visible(score.omitted)
    if score.value is None:
        return f"not measured ({visible(score.reason or 'no reason was given')})"
    parts = [str(check) for check in limit_checks(score)]
    if score.max_pixels is None:
        parts = [*_counted(score), *parts]
    if score.measured and classes(score, SIDES[0]) and score.value in CLASS_WORDS:
        parts.append(CLASS_WORDS[score.value])
    elif score.limit is None:
        parts.append(_value_words(score))
    if score.warned and score.warn is not None:
        side = "above" if score.direction == "distance" else "below"
        parts.append(f"{side} the warning limit {value_text(score, score.warn)}")
    seen = [f"{side} {label} {percent(share)}" for side in SIDES for label, share in classes(score, side)[:1]]
    return ", ".join([*parts, *(evidence(score) if with_evidence else ()), *seen])


MOST_VISIBLE = 10.0
"""The largest value of `visible`: how far beyond its limit a change is has no meaning there."""


def evidence(score: ScoreRecord) -> list[str]:
    """Return what made `visible` fail: ``seen: colour, 18 levels over 320x40 at 16,80``."""
    kind, box, levels = (score.details.get(key) for key in ("evidence", "box", "levels"))
    if score.passed or not isinstance(kind, str) or not isinstance(box, list) or len(box) != len(("x", "y", "w", "h")):
        return []
    x, y, width, height = box
    contrast = f", {levels} levels" if levels else ""
    return [f"seen: {visible(kind)}{contrast} over {width}x{height} at {x},{y}"]


def classes(score: ScoreRecord, side: str) -> list[tuple[str, float]]:
    """Return a classifier's classes of an image, likeliest first: labels and probabilities, 0..1.

    Args:
        score: of any metric; only classifiers have classes.
        side: ``expected`` or ``actual``.
    """
    listed = score.details.get(side)
    entries = listed if isinstance(listed, list) else []
    return [
        (visible(str(entry["label"])), float(entry["probability"]))
        for entry in entries
        if isinstance(entry, dict) and entry.keys() >= {"label", "probability"}
    ]


def is_skipped(score: ScoreRecord) -> bool:
    """Return whether the rule was skipped because its model is not on this machine."""
    return score.omitted is not None and score.omitted.startswith("skipped")


def measured(score: ScoreRecord) -> str:
    """Return the measured value without its limits: ``1 284 px, 0.8 %``."""
    if score.value is None:
        return phrase(score)
    return ", ".join([*_counted(score), _value_words(score)])


def differing_share(score: ScoreRecord) -> float | None:
    """Return the share of compared pixels that the metric counted as different, 0..1; None if it does not count."""
    pixels = differing_pixels(score)
    if pixels is None or score.value is None:
        return None
    compared = score.details.get("compared_pixels")
    if isinstance(compared, int) and compared:
        return pixels / compared
    return score.value if score.direction == "distance" else 1 - score.value


def _counts_equal(score: ScoreRecord) -> bool:
    """Return whether the value is the share of equal pixels while the count is of different ones."""
    return score.direction == "similarity" and _in_percent(score)


def _differing_share(score: ScoreRecord) -> str:
    return percent(differing_share(score) or 0.0, unlike=(0.0, 1.0))


def _counted(score: ScoreRecord) -> list[str]:
    """Return the count of differing pixels as text, with their share if the value is the share of equal ones."""
    pixels = differing_pixels(score)
    if pixels is None:
        return []
    return [f"{thousands(pixels)} px" + (f" differ ({_differing_share(score)})" if _counts_equal(score) else "")]


def _value_words(score: ScoreRecord) -> str:
    words = value_text(score, score.value or 0.0)
    return f"{words} equal" if _counts_equal(score) else words


def sentence(score: ScoreRecord) -> str:
    """Return the score with its verdict: ``fails perceptual: 1 284 px, 0.8 % > 0.5 %``."""
    metric = visible(score.metric)
    if not score.passed:
        return f"fails {metric}: {phrase(score)}"
    if score.omitted is not None:
        return f"{metric} {phrase(score)}"
    if score.measured:
        return f"measured {metric} {phrase(score)}"
    return f"{'warns' if score.warned else 'passes'} {metric} {phrase(score)}"


def passing_rule(score: ScoreRecord) -> str | None:
    """Return the rule with the nearest limits that would have passed: ``perceptual: {max: 0.00804}``.

    None if no limit would have passed.
    """
    settings = [check.setting for check in limit_checks(score) if not check.is_met]
    known = [setting for setting in settings if setting is not None]
    return f"{visible(score.metric)}: {{{', '.join(known)}}}" if known and len(known) == len(settings) else None


def worst_of(scores: Sequence[ScoreRecord]) -> ScoreRecord:
    """Return one score for a rule that several frames were checked against: the worst value and the largest count.

    Args:
        scores: at least one, all for one rule.
    """
    failed = [score for score in scores if not score.passed]
    unmeasured = [score for score in failed if score.value is None]
    if len(failed) < 2 or unmeasured:  # noqa: PLR2004 - several
        return (unmeasured or failed or [*scores])[0]
    worst = max if failed[0].direction == "distance" else min
    details = dict(failed[0].details)
    for name in ("pixels", "most_in_window"):
        if counts := [count for score in failed if isinstance(count := score.details.get(name), int)]:
            details[name] = max(counts)
    value = worst(score.value for score in failed if score.value is not None)
    return msgspec.structs.replace(failed[0], value=value, details=details)


def value_text(score: ScoreRecord, value: float) -> str:
    """Return a number in the score's unit. It looks like 0, 1 or a limit only if it is equal to it."""
    telling = (score.value, score.limit, score.warn, 0.0, 1.0)
    if _in_percent(score):
        return percent(value, unlike=telling)
    text = number(value, unlike=telling)
    return text if score.unit in UNNAMED_UNITS else f"{text} {visible(score.unit)}"


def departure(score: ScoreRecord) -> float:
    """Return how far a failed score is from equality, 0..1, to sort by; a missing value is the worst.

    Shares and similarities up to 1 are used directly. For other units it is the excess over the limit, relative to the
    excess plus the limit.
    """
    if score.value is None:
        return 1.0
    if score.unit in UNNAMED_UNITS and 0 <= score.value <= 1:
        return score.value if score.direction == "distance" else 1 - score.value
    beyond = abs(score.value - (score.limit or 0.0))
    return beyond / (beyond + abs(score.limit or 0.0)) if beyond else 0.0


def _count_check(score: ScoreRecord, pixels: int, most: int) -> LimitCheck:
    is_met = pixels <= most
    beyond = f"{thousands(abs(pixels - most))} px"
    return LimitCheck(
        is_met=is_met,
        value=", ".join(_counted(score)),
        sign="<=" if is_met else ">",
        limit=f"{thousands(most)} px",
        margin=_margin(beyond, equal=pixels == most, is_met=is_met, lacking="over"),
        setting=None if _is_worst(score, score.value) else f"max_pixels: {pixels}",
    )


def _window_check(window: WindowRecord, most: int) -> LimitCheck:
    is_met = most <= window.pixels
    beyond = f"{thousands(abs(most - window.pixels))} px"
    is_full = most >= window.size**2  # such a limit could never fail
    return LimitCheck(
        is_met=is_met,
        value=f"{thousands(most)} px in a window of {window.size}x{window.size}",
        sign="<=" if is_met else ">",
        limit=f"{thousands(window.pixels)} px",
        margin=_margin(beyond, equal=most == window.pixels, is_met=is_met, lacking="over"),
        setting=None if is_full else f"max_in_window: {{size: {window.size}, pixels: {most}}}",
    )


def _value_check(score: ScoreRecord, value: float, limit: float) -> LimitCheck:
    distance = score.direction == "distance"
    is_met = value <= limit if distance else value >= limit
    beyond = difference(value, limit, scale=100 if _in_percent(score) else 1)
    if _in_percent(score):
        beyond += " %"
    elif score.unit not in UNNAMED_UNITS:
        beyond += f" {visible(score.unit)}"
    signs = ("<=", ">") if distance else (">=", "<")
    return LimitCheck(
        is_met=is_met,
        value=_value_words(score),
        sign=signs[0] if is_met else signs[1],
        limit=value_text(score, limit),
        margin=_margin(beyond, equal=value == limit, is_met=is_met, lacking="over" if distance else "short"),
        setting=_nearest_setting(score, value),
    )


def _nearest_setting(score: ScoreRecord, value: float) -> str | None:
    """Return the nearest limit that passes: a short one or, if that would be invalid, one with more digits."""
    key = "max" if score.direction == "distance" else "min"
    for limit in (passing_limit(value, score.direction), exact_limit(value)):
        if not _is_worst(score, float(limit)):
            return f"{key}: {limit}"
    return None


def _is_worst(score: ScoreRecord, value: float | None) -> bool:
    """Return whether any two images of this depth have this value or a better one, so that a limit checks nothing."""
    if value is None or score.worst is None:
        return False
    return value >= score.worst if score.direction == "distance" else value <= score.worst


def _margin(beyond: str, *, equal: bool, is_met: bool, lacking: str) -> str:
    if equal:
        return "exactly at the limit"
    return f"{beyond} to spare" if is_met else f"{lacking} by {beyond}"


def _in_percent(score: ScoreRecord) -> bool:
    """Return whether the number is shown in percent: a share of pixels next to their count."""
    return score.unit == "share" and differing_pixels(score) is not None
