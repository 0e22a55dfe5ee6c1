"""The complete, versioned JSON form of a comparison. Every report is made from these records only.

A field with its default value is left out of the JSON, because most comparisons pass and have few other values.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence  # noqa: TC003 - msgspec reads the annotation
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from pytest_imgdiff.base.captured import CaptureInfo, Element
from pytest_imgdiff.base.model import RegionKind  # noqa: TC001 - msgspec reads the annotation
from pytest_imgdiff.base.text import printable

if TYPE_CHECKING:
    from pytest_imgdiff.base.geometry import Alignment, Box
    from pytest_imgdiff.base.image import Image, ImageInfo
    from pytest_imgdiff.base.model import Comparison, Frame, Region, Score

VERSION = 1
_NOTHING = 0.0
"""msgspec omits a number only if it is the default object itself; an equal number is kept."""


class SideRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False, omit_defaults=True, kw_only=True):
    """One of the two images; the fields are those of `pytest_imgdiff.base.model.ImageInfo`."""

    label: str
    format: str
    width: int
    height: int
    mode: str
    frames: int = 1
    frame: int = 0
    orientation: int = 1
    digest: str
    """SHA-256 of the encoded bytes, or of the pixels if the image was never encoded."""
    icc: str | None = None
    gamma: float | None = None
    cicp: str | None = None
    byte_size: int | None = None
    duration: float | None = None
    loops: int | None = None


class WindowRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """How many pixels may differ in any window of this size."""

    size: int
    pixels: int


class ScoreRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False, omit_defaults=True, kw_only=True):
    """One rule and its result; the fields are those of `pytest_imgdiff.base.model.Score`."""

    metric: str
    value: float | None
    unit: str
    direction: Literal["distance", "similarity"]
    limit: float | None = None
    max_pixels: int | None = None
    warn: float | None = None
    passed: bool
    warned: bool = False
    reason: str | None = None
    details: dict[str, Any] = {}
    omitted: str | None = None
    worst: float | None = None
    """The worst value that the metric has for any two images of this depth; null if nothing was measured or there
    is no bound."""
    measured: bool = False
    """It was measured only: it has no limit and does not affect the verdict."""
    max_in_window: WindowRecord | None = None


class RegionRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False, omit_defaults=True):
    """One region, in pixels of the compared image."""

    x: int
    y: int
    width: int
    height: int
    area: int
    peak: float
    kind: RegionKind
    contour: list[tuple[int, int]] = []
    """The corners of its outline, each x and y; absent if the region is its box."""
    moved: tuple[int, int] | None = None
    """Of the kind ``moved``: by how many pixels to the right and down; not there otherwise."""
    element: Element | None = None
    """Of a captured page, the element under the region; not there where it was not looked up."""


class BandRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """Rows or columns that only one image has; boxes are x, y, width and height."""

    kind: Literal["inserted", "deleted"]
    axis: Literal["rows", "columns"]
    expected: tuple[int, int, int, int]
    """In the expected image; for inserted ones the place, without extent."""
    actual: tuple[int, int, int, int]
    """The same in the actual image."""
    plain: bool
    """Whether it is space of one colour."""
    moved: bool
    """Whether all of its content is in the moves: it is elsewhere in the other image."""


class MoveRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """A block at another place: its box in the expected image, and how far it moved, right and down."""

    x: int
    y: int
    width: int
    height: int
    dx: int
    dy: int


class PlacedRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """A part of the padded plane, which places equal parts of both images at the same position."""

    x: int
    y: int
    expected: tuple[int, int, int, int]
    """The part of the expected image; without extent if only the actual image has it."""
    actual: tuple[int, int, int, int]
    """The part of the actual image; without extent if only the expected image has it."""


class AlignmentRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """What was inserted, deleted and moved."""

    bands: list[BandRecord]
    moves: list[MoveRecord]
    layout: list[PlacedRecord]
    """Both images padded; empty if that takes more than `MOST_PARTS` parts."""


VerdictName = Literal["match", "different", "missing", "unmatched", "resized", "broken"]


class FrameSideRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False, omit_defaults=True):
    """One frame of one of the two images; the fields are those of `pytest_imgdiff.base.image.ImageInfo`."""

    width: int
    height: int
    mode: str
    orientation: int = 1
    icc: str | None = None
    duration: float | None = None


class FrameRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False, omit_defaults=True, kw_only=True):
    """One frame or page of several; all other data is that of the comparison."""

    frame: int
    """Its index, from 0."""
    verdict: VerdictName
    passed: bool
    reason: str | None = None
    expected: FrameSideRecord
    actual: FrameSideRecord
    compared_width: int | None = None
    compared_height: int | None = None
    mask_metric: str | None = None
    scores: list[ScoreRecord] = []
    regions: list[RegionRecord] = []
    region_count: int = 0
    ignored: float = _NOTHING
    artefacts: dict[str, str] = {}
    differing_pixels: int | None = None
    alignment: AlignmentRecord | None = None


class AcceptRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """What accepting the actual image would write, and what it would replace."""

    baseline: str
    """The file to write, relative to the folder that the run was started for, with forward slashes."""
    source: str
    """The file with the bytes to write, relative to the report's folder."""
    digest: str
    """SHA-256 of these bytes."""
    replaces: str | None
    """SHA-256 of the baseline that was compared; None if there was none."""
    alternative: bool = False
    """Whether the image can be stored as an alternative baseline instead."""


class ComparisonRecord(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    gc=False,
    omit_defaults=True,
    kw_only=True,
    tag_field="type",
    tag="comparison",
):
    """All data of a report about one pair."""

    name: str
    """Unique in the run; printable."""
    verdict: VerdictName
    passed: bool
    """Whether it passes under its policy, or was accepted as the new baseline in this run (see `written`)."""
    reason: str | None = None
    equal: Literal["bytes", "pixels"] | None = None
    expected: SideRecord | None = None
    actual: SideRecord | None = None
    size_policy: Literal["fail", "pad", "crop", "scale"] = "fail"
    compared_width: int | None = None
    compared_height: int | None = None
    mask_metric: str | None = None
    """The metric that gave the difference mask; None if there is no mask."""
    scores: list[ScoreRecord] = []
    regions: list[RegionRecord] = []
    """The largest ones, largest first; `region_count` counts them all."""
    region_count: int = 0
    ignored: float = _NOTHING
    """Share of the image that is ignored, 0..1."""
    notes: list[str] = []
    seconds: float
    test: str | None = None
    """The node id of the pytest item."""
    accept: str | None = None
    """The command that accepts the change."""
    artefacts: dict[str, str] = {}
    """Name of an image to its path below the report's folder, with forward slashes. Names: ``expected``,
    ``actual``, ``mask``, ``thumb`` (the actual one around its largest region, small), ``<metric>_heat``, and a
    metric's own drawings such as ``orb_matches``."""
    written: str | None = None
    """The baseline that this comparison wrote, with `--imgdiff-update`."""
    accepts: AcceptRecord | None = None
    """How to accept the actual image from the report; None if it cannot be."""
    fingerprint: str | None = None
    """Description of the difference, independent of its position; see `pytest_imgdiff.comparison.fingerprint`."""
    column: str | None = None
    """In a report of several runs: the run that this is from."""
    asserted: bool
    """Whether the run fails if this comparison does: false after ``.compare``, in a test that is expected to fail
    (xfail), and if ``pytest.raises`` caught the failure. Always written: a missing value reads as false."""
    differing_pixels: int | None = None
    """The number of pixels that differ in any channel, by any amount; None if nothing was compared."""
    warnings: list[str] = []
    """Reasons to look at the pair although it passed."""
    frame_count: int = 1
    """The number of compared frames or pages. The rest of this record describes the worst one; notes, warnings and the
    number of differing pixels cover all."""
    frames: list[FrameRecord] = []
    """Of several frames: those that fail or pass with a warning, in their order."""
    alignment: AlignmentRecord | None = None
    """What was inserted, deleted and moved; None if the pair is compared in place."""
    key: str | None = None
    """The name that the globs of imgdiff.yaml's overrides are matched against; None if the run has none."""
    baselines_digest: str | None = None
    """SHA-256 that stands for a baseline and its alternatives; None if there are no alternatives, so that
    `expected` has the digest of all there is."""
    capture: CaptureInfo | None = None
    """How the actual image was captured; None if an image was given."""
    redrawn: bool = False
    """For a failing pair: nearly everything drawn differs and the plain background does not, as if another font
    renderer drew the same page."""
    version: int = VERSION


class ToolRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """The versions that can change the results."""

    name: str
    version: str
    packages: dict[str, str]


class RenameRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """A stored baseline that no test uses and that matches the image of a test without a baseline."""

    name: str
    """The comparison that has no baseline."""
    old: str
    """The stored baseline, relative to the folder that baselines' paths start from, with forward slashes."""
    new: str
    """The path of the comparison's baseline, in the same form."""
    digest: str
    """SHA-256 of the stored baseline."""
    equal: bool
    """Whether its bytes equal the actual image's; False if it only passes the comparison's policy."""


class ShardRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """The part of a set, split over several runs, that one run has."""

    number: int
    """From 1."""
    count: int
    """How many shards there are."""
    here: int
    """The number of pairs, or image tests, in this shard."""
    whole: int | None
    """The number in all shards; None if tests were left out by name, mark or path."""
    digest: str
    """Digest of the whole set and, for pairs, of each one's shard: only shards with equal digests belong together."""


class RunRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """A whole run: the content of ``results.json``."""

    tool: ToolRecord
    complete: bool
    """False if comparisons that were collected have no record (a killed worker, an early stop)."""
    unrecorded: list[str]
    """What was collected and did not finish: node ids or names."""
    comparisons: Sequence[ComparisonRecord]
    """In the order of the run; those of a run of this process are read from disk on demand."""
    unused_baselines: list[str] = []
    """Stored baselines that no test of a complete run used, relative to the baselines folder."""
    renames: list[RenameRecord] = []
    """Baselines that seem to belong to tests that were renamed."""
    not_compared: list[str] = []
    """What the scans left out, one line each: files of other kinds, and names that differ in extension or case only."""
    settings: list[str] = []
    """The settings files in force, relative to the root; empty if the default rules applied."""
    root: str | None = None
    """The folder that the paths of baselines start from, relative to the report's folder; None if it is unknown."""
    title: str = "Image comparison"
    run: str = ""
    """The name that distinguishes this run from others."""
    columns: list[str] = []
    """The runs that were merged into this one; the same name can then occur once in each column."""
    shard: ShardRecord | None = None
    """None if this run is not a shard."""
    version: int = VERSION


MOST_REGIONS = 200
"""The largest number of regions in a record; noise can have a hundred thousand."""
MOST_PARTS = 400
"""The largest number of parts in the padded layout of a record."""


def digest_of(image: Image) -> str:
    """Return the SHA-256 of the image's encoded bytes or, if it has none, of its pixels."""
    if image.encoded is not None:
        return hashlib.sha256(image.encoded).hexdigest()
    pixels = image.pixels
    shape = f"{pixels.dtype.str}{pixels.shape}".encode()
    return hashlib.sha256(shape + pixels.tobytes()).hexdigest()


def record_of(  # noqa: PLR0913 - what a run knows besides
    comparison: Comparison,
    *,
    test: str | None = None,
    asserted: bool = True,
    accept: str | None = None,
    artefacts: dict[str, str] | None = None,
    written: str | None = None,
    accepts: AcceptRecord | None = None,
    fingerprint: str | None = None,
    key: str | None = None,
) -> ComparisonRecord:
    """Return the record of a comparison; every string is printable and every number is finite."""
    compared = comparison.compared
    width, height = compared[0].size if compared else (None, None)
    return ComparisonRecord(
        name=printable(comparison.name),
        verdict=comparison.verdict.value,
        passed=comparison.passed or written is not None,  # as the user asked
        reason=None if comparison.reason is None else printable(comparison.reason),
        equal=comparison.equal,
        expected=_side(comparison.expected),
        actual=_side(comparison.actual),
        size_policy=comparison.policy.size.value,
        compared_width=width,
        compared_height=height,
        mask_metric=comparison.mask_metric,
        scores=[_score(score) for score in comparison.scores],
        regions=_regions(comparison.regions),
        region_count=len(comparison.regions),
        ignored=comparison.ignored or _NOTHING,
        notes=[printable(note) for note in comparison.notes],
        seconds=round(comparison.seconds, 4),
        test=None if test is None else printable(test),
        asserted=asserted,
        accept=None if accept is None else printable(accept),
        artefacts=artefacts or {},
        written=None if written is None else printable(written),
        accepts=accepts,
        fingerprint=fingerprint,
        differing_pixels=comparison.differing_pixels,
        warnings=[printable(warning) for warning in comparison.warnings],
        frame_count=comparison.frame_count,
        frames=[_frame(frame) for frame in comparison.frames],
        alignment=_alignment(comparison.alignment),
        key=_printable_or_none(key),
        capture=_capture(comparison.capture),
        redrawn=comparison.redrawn,
    )


def _capture(info: CaptureInfo | None) -> CaptureInfo | None:
    if info is None:
        return None
    return msgspec.structs.replace(
        info,
        target=printable(info.target),
        url=_printable_or_none(info.url),
        title=_printable_or_none(info.title),
        browser=_printable_or_none(info.browser),
        browser_version=_printable_or_none(info.browser_version),
        unmatched_masks=[printable(selector) for selector in info.unmatched_masks],
        attachments={printable(what): printable(path) for what, path in info.attachments.items()},
    )


def _element(element: Element | None) -> Element | None:
    if element is None:
        return None
    return Element(printable(element.path), *map(_printable_or_none, (element.role, element.name, element.text)))


def _printable_or_none(text: str | None) -> str | None:
    return None if text is None else printable(text)


def _regions(regions: Sequence[Region]) -> list[RegionRecord]:
    return [
        RegionRecord(
            x=r.box.x,
            y=r.box.y,
            width=r.box.width,
            height=r.box.height,
            area=r.area,
            peak=round(r.peak, 6),
            kind=r.kind,
            contour=list(r.contour),
            moved=r.moved,
            element=_element(r.element),
        )
        for r in regions[:MOST_REGIONS]
    ]


def _frame(frame: Frame) -> FrameRecord:
    width, height = frame.compared or (None, None)
    return FrameRecord(
        frame=frame.index,
        verdict=frame.verdict.value,
        passed=frame.passed,
        reason=None if frame.reason is None else printable(frame.reason),
        expected=_frame_side(frame.expected),
        actual=_frame_side(frame.actual),
        compared_width=width,
        compared_height=height,
        mask_metric=frame.mask_metric,
        scores=[_score(score) for score in frame.scores],
        regions=_regions(frame.regions),
        region_count=frame.region_count,
        ignored=frame.ignored or _NOTHING,
        artefacts=dict(frame.pictures),
        differing_pixels=frame.differing_pixels,
        alignment=_alignment(frame.alignment),
    )


def _alignment(alignment: Alignment | None) -> AlignmentRecord | None:
    if alignment is None:
        return None
    bands = alignment.bands[:MOST_REGIONS]
    layout = alignment.layout if len(alignment.layout) <= MOST_PARTS else ()
    return AlignmentRecord(
        [
            BandRecord(band.kind, band.axis, _corners(band.expected), _corners(band.actual), band.plain, band.moved)
            for band in bands
        ],
        [MoveRecord(*_corners(move.box), move.dx, move.dy) for move in alignment.moved[:MOST_REGIONS]],
        [PlacedRecord(part.x, part.y, _corners(part.expected), _corners(part.actual)) for part in layout],
    )


def _corners(box: Box) -> tuple[int, int, int, int]:
    return box.x, box.y, box.width, box.height


def _frame_side(info: ImageInfo) -> FrameSideRecord:
    return FrameSideRecord(info.width, info.height, info.mode, info.orientation, info.icc, info.duration)


def _side(image: Image | None) -> SideRecord | None:
    if image is None:
        return None
    info = image.info
    return SideRecord(
        label=printable(info.label),
        format=info.format,
        width=info.width,
        height=info.height,
        mode=info.mode,
        frames=info.frames,
        frame=info.frame,
        orientation=info.orientation,
        digest=image.derived(digest_of),
        icc=info.icc,
        gamma=info.gamma,
        cicp=info.cicp,
        byte_size=info.byte_size,
        duration=info.duration,
        loops=info.loops,
    )


def _score(score: Score) -> ScoreRecord:
    return ScoreRecord(
        metric=score.metric,
        value=score.value,
        unit=score.unit,
        direction=score.direction,
        limit=score.limit,
        max_pixels=score.max_pixels,
        warn=score.warn,
        passed=score.passed,
        warned=score.warned,
        reason=None if score.reason is None else printable(score.reason),
        details=_json_ready(score.details),
        omitted=None if score.omitted is None else printable(score.omitted),
        worst=score.worst if score.worst is not None and math.isfinite(score.worst) else None,
        measured=score.measured,
        max_in_window=None
        if score.max_in_window is None
        else WindowRecord(score.max_in_window.size, score.max_in_window.pixels),
    )


def _json_ready(value: Any) -> Any:
    """Return plain JSON data: no NumPy scalars, no NaN, no infinity, no unprintable strings."""
    if isinstance(value, dict) or hasattr(value, "items"):
        return {printable(str(key)): _json_ready(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json_ready(item) for item in value]
    if hasattr(value, "tolist"):  # NumPy's scalars and arrays
        return _json_ready(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return printable(value if isinstance(value, str) else repr(value))
