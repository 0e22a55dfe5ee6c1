"""Properties of a comparison for JUnit XML."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from pytest_imgdiff.base.text import visible
from pytest_imgdiff.report.scores import differing_pixels
from pytest_imgdiff.report.words import region_words

if TYPE_CHECKING:
    from pytest_imgdiff.base.record import ComparisonRecord


def properties(record: ComparisonRecord) -> list[tuple[str, str]]:
    """Return names and values for pytest's ``user_properties``.

    Values are plain ``str`` of printable characters: execnet sends neither NumPy scalars nor surrogates, and XML cannot
    contain control characters. ``float()`` reads numbers back exactly.
    """
    pairs = [("name", record.name), ("verdict", record.verdict), ("passed", "true" if record.passed else "false")]
    if record.reason is not None:
        pairs.append(("reason", record.reason))
    for score in record.scores:
        pairs.append((score.metric, "not measured" if score.value is None else repr(score.value)))
        pixels = differing_pixels(score)
        if pixels is not None:
            pairs.append((f"{score.metric}.pixels", str(pixels)))
    pairs.append(("regions", str(record.region_count)))
    if record.regions:
        pairs.append(("largest_region", region_words(record.regions[0])))
    return [_shared(f"imgdiff.{name}", value) for name, value in pairs]


@lru_cache(maxsize=4096)
def _shared(name: str, value: str) -> tuple[str, str]:
    """Return a property. Equal ones are shared, because pytest keeps the properties of all tests until the end."""
    return visible(name), visible(value)
