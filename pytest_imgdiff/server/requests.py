"""What clients send as JSON, read strictly: a field that is unknown, mistyped or there twice is refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn, TypeVar

import msgspec
from msgspec import Meta
from werkzeug.exceptions import BadRequest

from pytest_imgdiff.manifest import Decision  # noqa: TC001 - msgspec reads the annotation
from pytest_imgdiff.names import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")

MOST_DECISIONS = 100_000


class AcceptRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of ``POST /api/accept``."""

    decisions: Annotated[list[Decision], Meta(max_length=MOST_DECISIONS)]
    """As in an exported manifest."""
    dry_run: bool = False
    """Verify, and write nothing."""


class CompareSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The field ``settings`` of ``POST /api/compare``. Paths, addresses and models are the configuration's alone."""

    metrics: Annotated[dict[str, float], Meta(max_length=100)] | None = None
    """Each metric's name and limit (the largest distance, the smallest similarity); None for imgdiff.yaml's policy."""
    size: Literal["fail", "pad", "crop", "scale"] | None = None
    """What to do with unequal sizes; None for imgdiff.yaml's choice."""
    mask: Annotated[str, Meta(max_length=100)] | None = None
    """The metric that says where the pictures differ; None for imgdiff.yaml's choice."""
    glance: bool = False
    """Measure, beside what judges, the metrics that show at a glance how alike two pictures are."""


class Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A body that says nothing: ``{}``."""


def decoded(text: bytes, wanted: type[T]) -> T:
    """Return what the JSON text says.

    Raises:
        BadRequest: it is no JSON, or not of that form; the description is one line for its sender.
    """
    try:
        value = json.loads(text.decode(), object_pairs_hook=_unrepeated, parse_constant=_refuse_constant)
        return msgspec.convert(value, wanted)
    except msgspec.ValidationError as error:
        raise BadRequest(f"this is not what is expected here: {printable(str(error))}") from None
    except RecursionError:
        raise BadRequest("the JSON is nested too deeply") from None
    except ValueError as error:  # no UTF-8, no JSON, a number of thousands of digits
        raise BadRequest(f"the body is no JSON: {printable(str(error))}") from None


def _unrepeated(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) < len(pairs):
        raise ValueError("a key is there twice")
    return mapping


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")
