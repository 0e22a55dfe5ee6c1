"""What stands beside the page for its scripts: `reports/types/imgdiff.d.ts`, as Python writes it."""

from __future__ import annotations

from typing import Literal

import msgspec

Outcome = Literal["failed", "warned", "passed"]
Address = str | msgspec.Raw
"""Of a picture: relative to the page and percent-encoded, or an expression that stands for the picture itself."""

FORM = 1
"""Version of what is written here; the page and its data are always written together."""
SHARD = 100
"""How many comparisons' details one file holds."""


class Figure(msgspec.Struct, frozen=True):
    """One picture."""

    key: str
    """Its name among the record's artefacts."""
    caption: str
    alt: str
    href: Address
    width: int | None
    height: int | None
    pixels: str | None
    """Address of the script that holds the picture once more, for pages that may not read it."""


class Rule(msgspec.Struct, frozen=True):
    """A row of the table of rules."""

    metric: str
    value: str
    limits: list[str]
    margins: list[str]
    outcome: Outcome
    verdict: str
    details: list[tuple[str, str]]
    measured: bool = False
    """It was measured only, and decides nothing."""


class Area(msgspec.Struct, frozen=True):
    """A region: its box in pixels of the compared picture, and what is known of it in words."""

    x: int
    y: int
    width: int
    height: int
    words: str
    area: str
    peak: str
    kind: str
    contour: list[tuple[int, int]] = []
    """The corners of its outline; none where that is its box."""
    element: str = ""
    """The element of the page under it, in words; empty where it is unknown."""
    moved: tuple[int, int] | None = None
    """How far this block moved, to the right and down; null of all but the blocks that the alignment moved."""


class Part(msgspec.Struct, frozen=True):
    """A part of the padded plane, on which equal parts of both pictures lie at one place."""

    x: int
    y: int
    width: int
    height: int
    expected: tuple[int, int] | None
    """Where the part starts in the expected picture; null where only the actual picture has it."""
    actual: tuple[int, int] | None
    """Likewise in the actual picture."""


class Fact(msgspec.Struct, frozen=True):
    """A row of the table of both files."""

    name: str
    expected: str
    actual: str
    differs: bool


class Accepts(msgspec.Struct, frozen=True):
    """As `pytest_imgdiff.record.AcceptRecord`: exact, as paths and digests must be."""

    baseline: str
    source: str
    digest: str
    replaces: str | None
    alternative: bool


class Card(msgspec.Struct, frozen=True):
    """One metric of the glance at two pictures."""

    metric: str
    title: str
    value: str
    words: str
    """What the number says, in a few words; or why there is none."""


class Glance(msgspec.Struct, frozen=True):
    """What was measured of two pictures, for one look."""

    cards: list[Card]
    expected: list[tuple[str, str, float]]
    """What a classifier takes the picture for, likeliest first: label, probability in words, and as a number 0..1."""
    actual: list[tuple[str, str, float]]
    lacks: list[str]
    """What could not be measured, and why."""


class FrameDetail(msgspec.Struct, frozen=True, rename="camel"):
    """What is shown in place of a comparison's own facts while one of its frames or pages is looked at."""

    frame: int
    words: str
    """Such as ``frame 3``."""
    outcome: Outcome
    verdict: str
    line: str
    figures: list[Figure]
    size: tuple[int, int] | None
    scaled: bool
    rules: list[Rule]
    regions: list[Area]
    region_count: int
    facts: list[Fact]
    glance: Glance | None = None
    layout: list[Part] = []


class Detail(msgspec.Struct, frozen=True, rename="camel"):
    """What is shown of one comparison once it is opened."""

    figures: list[Figure]
    size: tuple[int, int] | None
    scaled: bool
    rules: list[Rule]
    nearest_limits: str | None
    regions: list[Area]
    region_count: int
    facts: list[Fact]
    notes: list[str]
    accept: str | None
    accepts: Accepts | None
    written: str | None
    seconds: str
    frames: list[FrameDetail] = []
    """Of several frames, those that fail or pass with a warning."""
    frame: int | None = None
    """Which of them the facts above are of."""
    glance: Glance | None = None
    """What was measured only; None where nothing was."""
    layout: list[Part] = []
    """Both pictures padded; none where they are compared in place."""
    replaces: str | None = None
    """What accepting replaces, where that is more than one frame or page."""
    capture: list[tuple[str, str]] = []
    """What is known of the capture, in labels and words; nothing where an image was given."""
    attachments: list[tuple[str, str]] = []
    """Files of other tools that show more, a trace or a video: what each is, and its address."""


class Details(msgspec.Struct, frozen=True):
    """The details of up to `SHARD` comparisons that follow one another in the list."""

    shard: int
    details: list[Detail]


class Row(msgspec.Struct, frozen=True):
    """What the list shows of one comparison, and finds it by."""

    anchor: str
    name: str
    verdict: str
    outcome: Outcome
    line: str
    test: str
    fails: list[str]
    pixels: int | None
    share: float | None
    regions: int
    departure: float
    change: str | None
    thumb: Address | None
    column: int
    acceptable: bool
    alternative: bool
    frames: int
    """How many frames or pages accepting replaces; 1 of a still picture, 0 where there is nothing to accept."""
    kinds: list[str] = []
    """The kinds of its regions, that of most of the area first; of those of its frames, too."""
    glance: bool = False
    """Whether metrics were measured only, so that there is something to look at whatever the verdict."""
    elements: list[str] = []
    """The elements of the page under its regions, in words: what the search finds them by."""


class Change(msgspec.Struct, frozen=True):
    """A group of comparisons that show the same change."""

    id: str
    size: int


class RunData(msgspec.Struct, frozen=True):
    """Everything that the list needs; the worst comparison first."""

    run: str
    title: str
    headline: str
    summary: str
    outcome: Literal["failed", "passed"]
    columns: list[str]
    rows: list[Row]
    changes: list[Change]
    shard: int = SHARD
    version: int = FORM
