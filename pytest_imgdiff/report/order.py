"""Which comparison to look at first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_imgdiff.report.stored import Chosen, overview_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_imgdiff.record import ComparisonRecord


def in_order(records: Sequence[ComparisonRecord]) -> Sequence[ComparisonRecord]:
    """Return all records, as `Overview.order` orders them."""
    return Chosen(records, overview_of(records).order())


def failures(records: Sequence[ComparisonRecord]) -> Sequence[ComparisonRecord]:
    """Return the failed records with the worst first, as `Overview.failures` orders them."""
    return Chosen(records, overview_of(records).failures())


def not_asserted(records: Sequence[ComparisonRecord]) -> Sequence[ComparisonRecord]:
    """Return the records that did not pass and were not asserted, in the order of the run."""
    return Chosen(records, overview_of(records).not_asserted())


def warned(records: Sequence[ComparisonRecord]) -> Sequence[ComparisonRecord]:
    """Return the records that passed with a warning, in the order of the run."""
    return Chosen(records, overview_of(records).warned())


def unsettled(records: Sequence[ComparisonRecord]) -> Sequence[ComparisonRecord]:
    """Return the records that passed without a warning although some pixels are not equal, in the order of the run."""
    return Chosen(records, overview_of(records).passed_unsettled())
