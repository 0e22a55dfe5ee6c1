"""The data model: frozen, slotted dataclasses without third-party imports at run time."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Literal, Protocol

from pytest_imgdiff.base.geometry import Box
from pytest_imgdiff.base.memory import DEFAULT_MAX_PIXELS, DEFAULT_MEMORY

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from pytest_imgdiff.base.captured import CaptureInfo, Element
    from pytest_imgdiff.base.geometry import Alignment, Mask
    from pytest_imgdiff.base.image import Image, ImageInfo

    Heat = NDArray[np.uint8] | NDArray[np.float32]
    """(height, width), 0 where equal, larger where more different; ``uint8`` 0..255 or ``float32`` 0..1."""


MEGA = 1_000_000


AntiAliasing = Literal["ignore", "count"]
ColourDifference = Literal["oklab", "yiq"]
"""How the colours of two pixels are compared: as pixelmatch 8.0 does, or as 7.2 does."""


class Verdict(str, Enum):
    """The result for one pair.

    ``match``: every rule passed. ``different``: a rule failed. ``missing``: there is no expected image.
    ``unmatched``: there is no actual image. ``resized``: the sizes differ. ``broken``: an image could not be read, or
    the pair could not be judged.
    """

    MATCH = "match"
    DIFFERENT = "different"
    MISSING = "missing"
    UNMATCHED = "unmatched"
    RESIZED = "resized"
    BROKEN = "broken"


class SizePolicy(str, Enum):
    """What to do with two images of unequal size."""

    FAIL = "fail"
    """The verdict is ``resized``; no metric runs."""
    PAD = "pad"
    """Both are placed, top left, on a transparent canvas that is large enough for either."""
    CROP = "crop"
    """Both are cropped, from the top left, to their common size."""
    SCALE = "scale"
    """The actual image is resampled to the size of the expected one."""


Direction = Literal["distance", "similarity"]
"""``distance``: a small value means similar, limit ``max``. ``similarity``: a large one does, limit ``min``."""
MetricGroup = Literal["pixels", "structure", "hashes", "content"]
"""What metrics compare: single pixels, their structure, a hash of the whole image, or what it shows."""
FrameChoice = int | Literal["refuse", "all"]
"""For an animated or multi-page file: the index of one frame, all frames, or ``refuse`` (an error)."""
When = Literal["always", "undecided"]
"""Whether a rule is always measured, or only if the other rules have not decided the verdict."""
OnUnavailable = Literal["fail", "skip"]  # for a rule whose model is not on this machine
OneSided = Literal["fail", "allow"]  # for an image that exists on one side only
RegionKind = Literal[
    "changed",
    "added",
    "removed",
    "moved",
    "recoloured",
    "text",
    "content",
    "rendering",
    "inserted",
    "deleted",
    "only expected",
    "only actual",
]
"""What kind of difference a region is; see `Region`."""
KindChoice = Literal["warn", "allow"]  # for a kind of difference that does not fail


@dataclass(frozen=True, slots=True)
class Length:
    """A distance along one axis: pixels, or percent of that axis."""

    value: float
    percent: bool = False


@dataclass(frozen=True, slots=True)
class RectangleArea:
    """An ignore area by its corner and size."""

    x: Length
    y: Length
    width: Length
    height: Length


@dataclass(frozen=True, slots=True)
class PolygonArea:
    """An ignore area by the corners of its outline, at least three."""

    points: tuple[tuple[Length, Length], ...]


@dataclass(frozen=True, slots=True)
class MaskArea:
    """An ignore area drawn as an image of the compared size: every pixel that is not black is ignored."""

    path: str


IgnoreArea = RectangleArea | PolygonArea | MaskArea


@dataclass(frozen=True, slots=True)
class WindowLimit:
    """How many pixels may differ in any square window of an image.

    Attributes:
        size: of the window, in pixels a side; one larger than the image is as large as its shorter side.
        pixels: the largest count of differing pixels that passes.
    """

    size: int
    pixels: int

    def room(self, size: tuple[int, int] | None = None) -> int:
        """Return how many pixels a window has, in an image of this width and height where it is given."""
        return min(self.size, *(size or (self.size,))) ** 2


@dataclass(frozen=True, slots=True)
class Rule:
    """A metric with its limits and options; every limit that is set must be met.

    Attributes:
        metric: the metric's name.
        options: the arguments of the metric's class, as (name, value) pairs.
        max: largest value that passes (distances only), in the metric's unit.
        min: smallest value that passes (similarities only), in the metric's unit.
        max_pixels: largest count of differing pixels that passes (metrics that count pixels only).
        max_in_window: largest count of differing pixels in any window that passes (metrics that mark pixels only).
        warn: a stricter limit, in the same direction, that is reported and does not fail.
        when: ``undecided``: measured only if the other rules pass; if one of them fails, the verdict is already known.
        on_unavailable: ``skip``: if the model is not on this machine, the rule is skipped and the run reports it.
    """

    metric: str
    options: tuple[tuple[str, Any], ...] = ()
    max: float | None = None
    min: float | None = None
    max_pixels: int | None = None
    warn: float | None = None
    max_in_window: WindowLimit | None = None
    when: When = "always"
    on_unavailable: OnUnavailable = "fail"


def setting(description: str, *, default: Any, **form: Any) -> Any:
    """Return a dataclass field that is also a key of imgdiff.yaml.

    This is the only definition of the key's name, type, default, description and constraints. The validation of
    imgdiff.yaml, its JSON Schema and the tables in docs/ are generated from it.

    Args:
        description: Markdown, in one line.
        default: also the key's default; None if it has none.
        form: constraints, as for `msgspec.Meta` (``ge=0``), and ``expects``: the description of a valid value in
            messages.
    """
    return field(default=default, metadata={"description": description, **form})


@dataclass(frozen=True, slots=True)
class RegionSettings:
    """How the difference mask becomes regions.

    Attributes:
        merge: regions whose boxes are at most this many pixels apart are merged.
        min_area: regions of fewer differing pixels are not listed (the scores still count them).
    """

    merge: int = setting(
        "join regions whose boxes are at most this many pixels apart, until none are. [Contours](metrics.md#ssim), "
        "which `ssim` returns, are never joined",
        default=8,
        ge=0,
    )
    min_area: int = setting(
        "do not list regions of fewer differing pixels. The scores still count these pixels", default=1, ge=1
    )


@dataclass(frozen=True, slots=True)
class LimitSettings:
    """What one image may cost.

    Attributes:
        megapixels: the largest width x height that is decoded, in millions of pixels; above 0, at most 10000.
    """

    megapixels: float = setting(
        "the largest width x height that is decoded, in millions of pixels; at most 10000",
        default=DEFAULT_MAX_PIXELS / MEGA,
        gt=0,
        le=10_000,
    )

    @property
    def pixels(self) -> int:
        """The largest width x height that is decoded, in pixels."""
        return max(1, round(self.megapixels * MEGA))


@dataclass(frozen=True, slots=True)
class Clip:
    """The part of a page that is captured, in CSS pixels from its top left corner."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class MaskedElements:
    """Elements of a page that are not compared: each becomes an ignore area at its place in the capture.

    Attributes:
        selector: CSS, any selector of the browser driver, or an object of the driver such as a Playwright locator.
        what: ``box`` ignores the element's box, ``text`` only the lines of text in it.
    """

    selector: Any
    what: Literal["box", "text"] = "box"


@dataclass(frozen=True, slots=True)
class CaptureSettings:
    """How a page, an element or a figure becomes an image. Each capturer uses the settings that apply to it.

    Attributes:
        timeout: seconds within which the target must become stable, above 0.
        full_page: whether the whole page is captured, not only the viewport.
        clip: the part of the page that is captured; None for all of it.
        scale: ``css``: one pixel for each CSS pixel; ``device``: one for each pixel of the screen.
        animations: ``disabled``: CSS animations and transitions are finished or reset to their start.
        caret: ``hide``: the text caret is not painted.
        transparent: whether the page, figure or scene is captured without its own background.
        dpi: pixels per inch of a figure or of a page of a PDF, 10 to 2400; None for the resolution of the figure
            itself, 150 for a PDF, and 72 for an Altair chart.
        style: CSS that applies during the capture only.
        mask: elements that are not compared.
    """

    timeout: float = setting(
        "seconds (not milliseconds) until the target must have stood still, or must have appeared; above 0, at most "
        "300",
        default=5.0,
        gt=0,
        le=300,  # more is most likely a number of milliseconds, the unit of the browsers' drivers
        expects="seconds, above 0 and at most 300",
    )
    full_page: bool = setting("capture the whole page, not only the viewport", default=False)
    clip: Clip | None = setting(
        "capture a part of the page, in CSS pixels: `{x: 0, y: 0, width: 640, height: 480}`",
        default=None,
        expects="a rectangle such as {x: 0, y: 0, width: 640, height: 480}",
    )
    scale: Literal["css", "device"] = setting(
        "`css`: one pixel for each CSS pixel, so that screens of any density give the same image; `device`: one for "
        "each pixel of the screen",
        default="css",
    )
    animations: Literal["disabled", "allow"] = setting(
        "`disabled` finishes or resets CSS animations and transitions; `allow` lets them run", default="disabled"
    )
    caret: Literal["hide", "initial"] = setting(
        "`hide` the text caret, or leave it unchanged (`initial`)", default="hide"
    )
    transparent: bool = setting("leave out the default background of a page, a figure or a scene", default=False)
    dpi: int | None = setting(
        "pixels per inch of a figure or a PDF page, 10 to 2400. Without it: the figure's own resolution, 150 for a "
        "PDF, 72 for an Altair chart",
        default=None,
        ge=10,
        le=2400,
    )
    style: str | None = setting(
        'CSS for the capture alone, or the path of a `.css` file: `style: "iframe.ad { visibility: hidden }"`',
        default=None,
        expects="CSS, or the path of a .css file",
    )
    mask: tuple[MaskedElements, ...] = setting(
        "elements that are not compared: selectors, or `{selector: ..., what: box}` (or `text`)",
        default=(),
        expects='a list of selectors such as [".clock", {selector: ".price", what: text}]',
    )


@dataclass(frozen=True, slots=True)
class Shot:
    """One capture: an image and its place in the document.

    Attributes:
        picture: any source that imgdiff reads: PNG bytes, an array, a PIL image, a path.
        ignore: ignored areas, in pixels of the image.
        origin: x and y of the image's top left corner in the document, in CSS pixels.
        scale: pixels of the image per CSS pixel, above 0.
    """

    picture: Any
    ignore: tuple[IgnoreArea, ...] = ()
    origin: tuple[float, float] = (0.0, 0.0)
    scale: float = 1.0


class Capturer(Protocol):
    """Captures one target. The hook ``imgdiff_capture`` returns one for your own type of target.

    Attributes:
        target: the name of the target: ``Playwright page``.
        live: whether two captures of the same target can differ. Such a target is captured again until it is stable.
        follows: the names of the `CaptureSettings` that it uses; a call that sets another one fails.
    """

    target: str
    live: bool
    follows: frozenset[str]

    def capture(self) -> Shot | Awaitable[Shot]:
        """Capture the target as it is now.

        Raises:
            ImgdiffError: the target cannot be captured; the message is one line with the reason.
        """
        ...


class BrowserCapturer(Capturer, Protocol):
    """A capturer of a live page, which also provides metadata.

    Attributes:
        awaits: whether its methods return awaitables, as with asynchronous drivers.
    """

    awaits: bool

    def pause(self, seconds: float) -> Awaitable[None] | None:
        """Wait with the method of the browser's driver."""
        ...

    def info(self) -> CaptureInfo | Awaitable[CaptureInfo]:
        """Return metadata of the page.

        Called after the last capture, and before the first one if the path of the baseline depends on it.
        """
        ...

    def elements(
        self, shot: Shot, boxes: Sequence[Box]
    ) -> Sequence[Element | None] | Awaitable[Sequence[Element | None]]:
        """Return the element under each box, in pixels of the capture; called once, for a failure."""
        ...

    def restore(self) -> Awaitable[None] | None:
        """Restore the page to its original state; called once, also after an error."""
        ...


DEFAULT_RULES = (Rule("visible", max=1.0),)

AUTO = "auto"
"""A value of `Policy.mask`: the metric that decides also gives the difference mask."""


@dataclass(frozen=True, slots=True)
class Policy:
    """All settings for one image, after defaults and overrides.

    Attributes:
        metrics: the rules that must pass; at least one.
        ignore: the ignored areas.
        size: how unequal sizes are handled.
        frames: how animated and multi-page files are handled: ``refuse``, ``all``, or the index of a frame from 0.
        mask: the metric whose heat becomes the difference mask; `AUTO`: ``visible`` where a rule names it, else
            ``ssim`` (or another metric of structure) where a rule names it and no rule is about pixels, else
            ``perceptual``.
        measure: metrics that are measured and reported and do not affect the verdict: rules without a limit. A metric
            with a rule in ``metrics`` uses that rule.
        regions: how the mask is grouped.
        limits: what one image may cost.
        memory: the largest number of bytes (mebibytes in imgdiff.yaml) for the pair while it is compared; a pair that
            needs more is ``broken``.
        missing: whether an image without an expected one fails.
        moved: whether a pair fails that differs only in whole rows or columns of plain space.
        unmatched: whether an expected image without an actual one fails.
        kinds: kinds of regions that do not fail, each with ``warn`` or ``allow``. A pair passes by them only if
            nothing else fails; see `pytest_imgdiff.comparison.judging`.
        capture: how a page, an element or a figure becomes an image.
    """

    metrics: tuple[Rule, ...] = setting(
        "the rules: each metric with its limits and options. All must pass. They replace all rules from before",
        default=DEFAULT_RULES,
        expects="a mapping of metrics to their limits, such as {ssim: {min: 0.99}}",
        min_length=1,
    )
    measure: tuple[Rule, ...] = setting(
        "metrics to [measure and report](#measured-only) that decide nothing. The list replaces the one from before",
        default=(),
        expects="a list of metrics such as [orb, {ssim: {window: 9}}]",
    )
    ignore: tuple[IgnoreArea, ...] = setting(
        "[areas that are not compared](#ignore-areas). The list replaces the one from before",
        default=(),
        expects="a list of areas such as [{x: 0, y: 0, width: 200, height: 40}]",
    )
    size: SizePolicy = setting(
        "two images of unequal size: `fail` (verdict `resized`), `pad` both on a transparent canvas, `crop` both to "
        "the part that they share, `scale` the actual one",
        default=SizePolicy.FAIL,
    )
    frames: FrameChoice = setting(
        "animated and multi-page files: `refuse` them, compare `all` frames, or the frame with this index (the first "
        "is 0)",
        default="refuse",
        expects="refuse, all, or the index of a frame (the first is 0)",
        ge=0,
    )
    mask: str = setting(
        "the metric whose heat becomes the difference mask, whether or not it is a rule. `auto`: `visible` where it is "
        "a rule; else `ssim` where it is a rule and no rule is about pixels (`perceptual`, `pixel_match`, "
        "`ciede2000`); else `perceptual`",
        default=AUTO,
        expects="auto, or the name of a metric",
    )
    regions: RegionSettings = setting("[how the mask is grouped](#regions-and-limits)", default=RegionSettings())
    kinds: tuple[tuple[RegionKind, KindChoice], ...] = setting(
        "differences that pass [by their kind](#kinds), such as `{moved: warn, rendering: allow}`",
        default=(),
        expects="kinds and what to do, such as {moved: warn, rendering: allow}",
    )
    capture: CaptureSettings = setting(
        "how a page, an element or a figure becomes an image: [its options](capture.md#options)",
        default=CaptureSettings(),
    )
    limits: LimitSettings = setting("[what one image may cost](#regions-and-limits)", default=LimitSettings())
    missing: OneSided = setting("an image without an expected one: `fail` or `allow`", default="fail")
    moved: OneSided = setting("a pair that differs only in [plain space](#moved): `fail` or `allow`", default="fail")
    unmatched: OneSided = setting("an expected image without an actual one: `fail` or `allow`", default="fail")
    memory: int = DEFAULT_MEMORY


@dataclass(frozen=True, slots=True, eq=False)
class MetricResult:
    """The result of one metric for one pair.

    Attributes:
        value: the number, finite.
        unit: ``share``, ``dB``, ``bits``, ... as shown with the number.
        heat: how much the two differ at each pixel: (height, width), ``uint8`` 0..255 or ``float32`` 0..1; None if the
            metric has no heat.
        details: further JSON-ready facts, shown in the report. A metric that counts pixels names
            its count ``pixels``: the limit ``max_pixels`` is compared with it. ``most_in_window`` is added
            if the rule has the limit ``max_in_window``.
        drawings: named images as (height, width, 3) RGB ``uint8``, each drawn only on request.
    """

    value: float
    unit: str
    heat: Heat | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    drawings: Mapping[str, Callable[[], NDArray[np.uint8]]] = field(default_factory=dict)


class Metric(Protocol):
    """Measures one number from two images of equal size and dtype; it never decides the verdict.

    A metric is a frozen dataclass whose fields are its options, with defaults.

    Attributes:
        name: the key in imgdiff.yaml.
        direction: ``distance``: a small value means similar; ``similarity``: a large one does.
        perfect: the value of two equal images; it is never computed.
        bounds: smallest and largest possible value; a limit outside them is an error.
        counts_pixels: whether ``details["pixels"]`` counts differing pixels, so that ``max_pixels`` applies.
        unit: as in `MetricResult`.
        heat_threshold: how heat becomes a difference mask: ``zero`` (whatever is above 0), ``otsu``
            (Otsu's threshold), or ``none`` (the metric has no heat).

    These are optional; the upload page of ``pytest-imgdiff serve`` shows them:

    - ``summary``: what is measured, in a few words; by default the first line of the docstring.
    - ``group``: a `MetricGroup`. Without it the metric is listed among those of plugins.
    - ``usual_limit``: the limit to start from; by default ``perfect``.

    If the worst value depends on the options or on the depth of the images, the method ``worst(depth)`` returns it; see
    `pytest_imgdiff.config.policy.worst_value`. If the heat is above 0 at exactly the pixels that
    ``details["pixels"]`` counts, set ``marks_pixels = True``: the limit ``max_in_window`` then applies.
    """

    @property
    def name(self) -> str: ...  # noqa: D102 - the class describes it
    @property
    def direction(self) -> Direction: ...  # noqa: D102 - the class describes it
    @property
    def perfect(self) -> float: ...  # noqa: D102 - the class describes it
    @property
    def bounds(self) -> tuple[float, float]: ...  # noqa: D102 - the class describes it
    @property
    def counts_pixels(self) -> bool: ...  # noqa: D102 - the class describes it
    @property
    def unit(self) -> str: ...  # noqa: D102 - the class describes it
    @property
    def heat_threshold(self) -> Literal["zero", "otsu", "none"]: ...  # noqa: D102 - the class describes it

    def measure(self, expected: Image, actual: Image, ignore: Mask | None) -> MetricResult:
        """Measure the pair.

        Args:
            expected: the expected image; its pixels are (height, width, 4) straight RGBA.
            actual: the actual image; same size and dtype as ``expected``, and not equal to it.
            ignore: (height, width) boolean, true in ignored areas; None if there are none. Both images are already
                painted in one gray there, so that nothing differs; the mask is for denominators.

        Returns:
            The value, finite and within ``bounds``, with the heat and details of the pair.

        Raises:
            MetricError: the metric has no value for this pair.
        """
        ...


@dataclass(frozen=True, slots=True)
class Score:
    """The result of one rule, or of one metric that is measured only.

    Attributes:
        metric: its name.
        value: the result; None if it could not be measured.
        unit: of the value.
        direction: of the metric.
        limit: the rule's ``max`` or ``min``, or None if only a count is limited.
        max_pixels: the rule's limit on the count.
        max_in_window: the rule's limit on the count in any window.
        warn: the rule's warning limit.
        passed: whether every limit is met.
        warned: whether it passed and the warning limit is not met.
        reason: why the metric has no value for this pair.
        omitted: why the policy skipped the rule; such a score does not affect the verdict.
        worst: the worst value that the metric has for any two images of this depth; an equally loose limit is an error.
        measured: the metric was measured only: it has no limit and does not affect the verdict. If there is no value,
            ``omitted`` says that the model or its backend is missing, ``reason`` why the metric has none for this pair.
        details: the metric's further facts.
    """

    metric: str
    value: float | None
    unit: str
    direction: Direction
    limit: float | None
    max_pixels: int | None
    warn: float | None
    passed: bool
    warned: bool = False
    reason: str | None = None
    omitted: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    worst: float | None = None
    measured: bool = False
    max_in_window: WindowLimit | None = None


@dataclass(frozen=True, slots=True)
class Region:
    """One connected part of the difference mask, or several nearby parts that were merged.

    Attributes:
        box: its bounding box, in pixels.
        area: the number of differing pixels in it.
        peak: the largest heat in it as a share of the largest possible, 0..1.
        kind: the kind of difference.
            ``added``: an object is where the expected image has background. ``removed``: the reverse.
            ``moved``: the same pixels are at another place, see ``moved``.
            ``recoloured``: the same shapes in other colours.
            ``text``: different text on the same background.
            ``content``: different content.
            ``rendering``: the same content, drawn a little differently: smoothing, hinting, encoding.
            ``inserted``, ``deleted``: whole rows, columns or blocks that only the actual or the expected image has.
            ``only expected``, ``only actual``: a padded image has no pixels here.
            ``changed``: the kind is unknown.
        moved: for the kind ``moved``: the distance in pixels to the right and down, negative to the left and up.
        contour: the corners of its outline, each x and y in pixels; empty if the region is its box.
        element: for a captured page, the element under it; None if it was not looked up.
    """

    box: Box
    area: int
    peak: float
    kind: RegionKind = "changed"
    contour: tuple[tuple[int, int], ...] = ()
    moved: tuple[int, int] | None = None
    element: Element | None = None


def regions_of_boxes(boxes: Iterable[tuple[int, int, int, int, int, int]], min_area: int) -> tuple[Region, ...]:
    """Return regions of ``uint8`` heat: largest area first, then from the top, then from the left.

    Args:
        boxes: left, top, right, bottom, area and largest heat of each; right and bottom are exclusive.
        min_area: as in `RegionSettings`.
    """
    found = sorted((box for box in boxes if box[4] >= min_area), key=lambda box: (-box[4], box[1], box[0]))
    return tuple(
        Region(Box(left, top, right - left, bottom - top), area, peak / 255)
        for left, top, right, bottom, area, peak in found
    )


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One of several frames or pages that were compared, without its pixels.

    Attributes:
        index: of the frame, from 0.
        verdict: of the frame.
        passed: whether the frame passes under the policy.
        expected, actual: metadata of the frame on each side.
        reason: one line, for every verdict except ``match`` and ``different``.
        compared: width and height of the compared images; None if they were not compared.
        scores: one for each rule, in the policy's order, then one for each metric that is measured only.
        mask_metric: the metric whose heat gave the difference mask.
        regions: the largest ones, largest first.
        region_count: how many regions there are.
        ignored: share of the frame that is ignored, 0..1.
        differing_pixels: as in `Comparison`.
        pictures: the saved images of this frame: name to path, relative to the report's folder.
        fingerprint: the fingerprint of the difference, see `pytest_imgdiff.comparison.fingerprint`.
        alignment: as in `Comparison`.
    """

    index: int
    verdict: Verdict
    passed: bool
    expected: ImageInfo
    actual: ImageInfo
    reason: str | None = None
    compared: tuple[int, int] | None = None
    scores: tuple[Score, ...] = ()
    mask_metric: str | None = None
    regions: tuple[Region, ...] = ()
    region_count: int = 0
    ignored: float = 0.0
    differing_pixels: int | None = None
    pictures: Mapping[str, str] = field(default_factory=dict)
    fingerprint: str | None = None
    alignment: Alignment | None = None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Comparison:
    """All data about one pair. It has no truth value: use ``passed``.

    Attributes:
        name: of the pair, unique in its run.
        verdict: the result for the pair.
        passed: whether the pair passes under its policy.
        reason: one line; None for ``match``, and for ``different`` if the scores explain it.
        equal: ``bytes`` or ``pixels`` if no metric was needed.
        expected, actual: the images as they were read; None if there is none or it could not be read.
        compared: the two images as the metrics received them (size policy and ignore areas applied).
        policy: the policy that judged the pair.
        scores: one for each rule, in the policy's order, then one for each metric that is measured only.
        mask: (height, width) boolean, true where the images differ; None if nothing differs, or no metric has a heat.
        mask_metric: the metric whose heat gave the mask.
        results: the metrics' own results by name, with heat and drawings.
        regions: the regions of the mask, largest first; the box of a deleted region is in the expected image.
        alignment: what was inserted, deleted and moved, if that explains a failing pair clearly better than a
            comparison in place. ``compared`` then has the expected image laid out like the actual one.
        ignored: share of the image that is ignored, 0..1.
        differing_pixels: the number of pixels that are not equal in every channel, outside the ignore areas; None if
            nothing was compared.
        warnings: reasons to look at the pair although it passed, such as colour profiles that differ.
        notes: further facts.
        seconds: the time for reading and judging.
        frame_count: the number of compared frames or pages. If it is more than one, the fields above are those of the
            worst frame, except for the notes, warnings and number of differing pixels, which cover all frames.
        frames: those of several frames that fail or pass with a warning, in their order.
        capture: how the actual image was captured; None if an image was passed.
        redrawn: for a failing pair: nearly everything drawn differs and the plain ground does not, as if another
            font renderer drew the same page.
    """

    name: str
    verdict: Verdict
    passed: bool
    policy: Policy
    reason: str | None = None
    equal: Literal["bytes", "pixels"] | None = None
    expected: Image | None = None
    actual: Image | None = None
    compared: tuple[Image, Image] | None = None
    scores: tuple[Score, ...] = ()
    mask: Mask | None = None
    mask_metric: str | None = None
    results: Mapping[str, MetricResult] = field(default_factory=dict)
    regions: tuple[Region, ...] = ()
    ignored: float = 0.0
    differing_pixels: int | None = None
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    frame_count: int = 1
    frames: tuple[Frame, ...] = ()
    alignment: Alignment | None = None
    capture: CaptureInfo | None = None
    redrawn: bool = False

    def __repr__(self) -> str:
        scores = ", ".join(f"{score.metric} {score.value}" for score in self.scores)
        return f"<Comparison {self.name}: {self.verdict.value} ({self.reason or scores})>"

    def __bool__(self) -> bool:
        """Raise TypeError: ``assert compare(...)`` would always pass."""
        msg = "a comparison is neither true nor false: use its .passed; `assert_images_similar` needs no assert"
        raise TypeError(msg)
