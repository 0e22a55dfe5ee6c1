"""imgdiff.yaml as types: what validates a file is what the JSON Schema for editors is made from.

A field's ``description`` is shown by editors; ``expects`` is what a message says that a value should have been.
A policy's fields have no defaults here: one that is not named leaves what held before it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from pytest_imgdiff.base.model import DEFAULT_MEMORY

METRICS_FORM = "a mapping of metrics to their limits, such as {ssim: {min: 0.99}}"
LARGEST_MEGAPIXELS = 10_000
LONGEST_CAPTURE = 300
"""Seconds. More is most likely a number of milliseconds, the unit of the browsers' drivers."""

_LENGTH = 'pixels as a number, or percent such as "12.5%"'
_PERCENT = r"(100(\.0+)?|[0-9]{1,2}(\.[0-9]+)?)%$"
_NOT_ZERO = r"(?!0+(\.0+)?%)"

Offset = Annotated[
    Annotated[float, Meta(ge=0)] | Annotated[str, Meta(pattern=f"^{_PERCENT}")],
    Meta(description=f"{_LENGTH} of the picture's width or height", extra={"expects": _LENGTH}),
]
Extent = Annotated[
    Annotated[float, Meta(gt=0)] | Annotated[str, Meta(pattern=f"^{_NOT_ZERO}{_PERCENT}")],
    Meta(
        description=f"{_LENGTH} of the picture's width or height; above 0",
        extra={"expects": f"{_LENGTH}; above 0"},
    ),
]
PathText = Annotated[
    str,
    Meta(
        min_length=1,
        pattern=r"^[^\x00-\x1f\x7f]*$",
        description="a path; a relative one starts from the folder of this file",
        extra={"expects": "a path"},
    ),
]
GlobText = Annotated[str, Meta(min_length=1, extra={"expects": 'a glob such as "charts/**"'})]


class AreaFields(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where not to look: a rectangle (x, y, width, height), a polygon, or a mask picture."""

    x: Offset | UnsetType = UNSET
    y: Offset | UnsetType = UNSET
    width: Extent | UnsetType = UNSET
    height: Extent | UnsetType = UNSET
    polygon: (
        Annotated[
            list[Annotated[tuple[Offset, Offset], Meta(extra={"expects": "a corner [x, y]"})]],
            Meta(
                min_length=3,
                description="the corners of its outline, each [x, y]",
                extra={"expects": "a list of at least 3 corners [x, y]"},
            ),
        ]
        | UnsetType
    ) = UNSET
    mask: (
        Annotated[PathText, Meta(description="a picture of the compared size; whatever is not black in it is ignored")]
        | UnsetType
    ) = UNSET


Area = Annotated[
    AreaFields,
    Meta(
        extra_json_schema={
            "oneOf": [
                {"required": ["x", "y", "width", "height"], "maxProperties": 4},
                {"required": ["polygon"], "maxProperties": 1},
                {"required": ["mask"], "maxProperties": 1},
            ]
        },
        extra={"expects": "an area such as {x: 0, y: 0, width: 200, height: 40}"},
    ),
]


class RegionFields(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the difference mask becomes regions."""

    merge: (
        Annotated[
            int,
            Meta(ge=0, description="regions whose boxes are at most so many pixels apart are joined; default 8"),
        ]
        | UnsetType
    ) = UNSET
    min_area: (
        Annotated[
            int,
            Meta(ge=1, description="regions of fewer differing pixels are not listed, they still count; default 1"),
        ]
        | UnsetType
    ) = UNSET


KindText = Literal["fail", "warn", "allow"]


class KindFields(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Whether a difference of this kind fails: fail, warn (pass with a warning) or allow (pass with a note)."""

    added: Annotated[KindText, Meta(description="something stands on what was background")] = "fail"
    removed: Annotated[KindText, Meta(description="what stood on a background is gone")] = "fail"
    moved: Annotated[KindText, Meta(description="the same pixels are at another place")] = "fail"
    recoloured: Annotated[KindText, Meta(description="the same shapes in other colours")] = "fail"
    text: Annotated[KindText, Meta(description="another text on the same background")] = "fail"
    content: Annotated[KindText, Meta(description="other content")] = "fail"
    rendering: Annotated[KindText, Meta(description="the same content, drawn a little differently")] = "fail"


class ClipFields(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The part of a page that is captured, in CSS pixels from its top left corner."""

    x: Annotated[float, Meta(ge=0, description="from the left, in CSS pixels")]
    y: Annotated[float, Meta(ge=0, description="from the top, in CSS pixels")]
    width: Annotated[float, Meta(gt=0, description="in CSS pixels; above 0")]
    height: Annotated[float, Meta(gt=0, description="in CSS pixels; above 0")]


SelectorText = Annotated[
    str, Meta(min_length=1, description="CSS, or a selector of the browser's driver", extra={"expects": "a selector"})
]


class MaskFields(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Elements of a page that are not compared."""

    selector: SelectorText
    what: Annotated[
        Literal["box", "text"],
        Meta(description="box ignores each element's box, text only the lines of text in it; default box"),
    ] = "box"


class CaptureFields(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a page, an element or a figure becomes an image."""

    timeout: (
        Annotated[
            float,
            Meta(
                gt=0,
                le=LONGEST_CAPTURE,
                description="seconds until the target must have stood still, at most 300; default 5",
                extra={"expects": "seconds, above 0 and at most 300"},
            ),
        ]
        | UnsetType
    ) = UNSET
    full_page: (
        Annotated[bool, Meta(description="capture the whole page, not only the viewport; default false")] | UnsetType
    ) = UNSET
    clip: (
        Annotated[
            ClipFields | None,
            Meta(
                description="the part of the page to capture, in CSS pixels; default none: all of it",
                extra={"expects": "a rectangle such as {x: 0, y: 0, width: 640, height: 480}"},
            ),
        ]
        | UnsetType
    ) = UNSET
    scale: (
        Annotated[
            Literal["css", "device"],
            Meta(description="one pixel for each CSS pixel, or for each pixel of the screen; default css"),
        ]
        | UnsetType
    ) = UNSET
    animations: (
        Annotated[
            Literal["disabled", "allow"],
            Meta(description="finish or reset CSS animations and transitions for the capture; default disabled"),
        ]
        | UnsetType
    ) = UNSET
    caret: Annotated[Literal["hide", "initial"], Meta(description="hide the text caret; default hide")] | UnsetType = (
        UNSET
    )
    transparent: (
        Annotated[bool, Meta(description="leave out the default background of a page, figure or scene; default false")]
        | UnsetType
    ) = UNSET
    dpi: (
        Annotated[
            int,
            Meta(
                ge=10,
                le=2400,
                description="pixels for each inch of a figure or a PDF page; default: the figure's own, 150 for a PDF",
            ),
        ]
        | UnsetType
    ) = UNSET
    style: (
        Annotated[
            str,
            Meta(
                description="CSS for the capture alone, or the path of a .css file; a relative path starts from the "
                "folder of this file",
                extra={"expects": "CSS, or the path of a .css file"},
            ),
        ]
        | UnsetType
    ) = UNSET
    mask: (
        Annotated[
            list[SelectorText | MaskFields],
            Meta(
                description="elements that are not compared: selectors, or {selector: ..., what: box or text}; the "
                "list replaces the one that held before; default []",
                extra={"expects": 'a list of selectors such as [".clock", {selector: ".price", what: text}]'},
            ),
        ]
        | UnsetType
    ) = UNSET


class LimitFields(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What one picture may cost."""

    megapixels: (
        Annotated[
            float,
            Meta(
                gt=0,
                le=LARGEST_MEGAPIXELS,
                description="the largest width x height that is decoded, in millions of pixels; default 100",
            ),
        ]
        | UnsetType
    ) = UNSET


MEASURE_FORM = "a list of metrics such as [orb, {ssim: {window: 9}}]"

OneSidedText = Literal["fail", "allow"]


class PolicyFields(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What decides whether two pictures are alike enough."""

    metrics: (
        Annotated[
            dict[str, Any],
            Meta(
                min_length=1,
                description="the rules; each must hold. They replace all rules that held before; "
                "default {visible: {max: 1}}",
                extra={"expects": METRICS_FORM},
            ),
        ]
        | UnsetType
    ) = UNSET
    measure: (
        Annotated[
            list[str | Annotated[dict[str, Any], Meta(min_length=1, max_length=1)]],
            Meta(
                description="metrics to measure and report that decide nothing: names, or a name with its options; "
                "the list replaces the one that held before; default []",
                extra={"expects": MEASURE_FORM},
            ),
        ]
        | UnsetType
    ) = UNSET
    ignore: (
        Annotated[
            list[Area],
            Meta(
                description="where not to look; the list replaces the one that held before; default []",
                extra={"expects": "a list of areas such as [{x: 0, y: 0, width: 200, height: 40}]"},
            ),
        ]
        | UnsetType
    ) = UNSET
    size: (
        Annotated[
            Literal["fail", "pad", "crop", "scale"],
            Meta(description="what to do with two pictures of unequal size; default fail"),
        ]
        | UnsetType
    ) = UNSET
    frames: (
        Annotated[
            Literal["refuse", "all"] | Annotated[int, Meta(ge=0)],
            Meta(
                description="of an animated or multi-page file: refuse it, compare all frames, or the frame with "
                "this index (the first is 0); default refuse",
                extra={"expects": "refuse, all, or the index of a frame (the first is 0)"},
            ),
        ]
        | UnsetType
    ) = UNSET
    mask: (
        Annotated[
            str,
            Meta(
                description="the metric whose heat becomes the difference mask; default auto: visible where a rule "
                "names it; else ssim where a rule names it and none is about pixels; else perceptual",
                extra={"expects": "auto, or the name of a metric"},
            ),
        ]
        | UnsetType
    ) = UNSET
    regions: RegionFields | UnsetType = UNSET
    kinds: (
        Annotated[
            KindFields,
            Meta(
                description="what to do with a pair all of whose regions are of these kinds; default fail for each",
                extra={"expects": "kinds and what to do, such as {moved: warn, rendering: allow}"},
            ),
        ]
        | UnsetType
    ) = UNSET
    capture: CaptureFields | UnsetType = UNSET
    limits: LimitFields | UnsetType = UNSET
    missing: (
        Annotated[OneSidedText, Meta(description="whether a picture without an expected one fails; default fail")]
        | UnsetType
    ) = UNSET
    moved: (
        Annotated[
            OneSidedText,
            Meta(
                description="whether a pair fails whose pictures differ in nothing but whole rows or columns of plain "
                "space; default fail"
            ),
        ]
        | UnsetType
    ) = UNSET
    unmatched: (
        Annotated[
            OneSidedText, Meta(description="whether an expected picture without an actual one fails; default fail")
        ]
        | UnsetType
    ) = UNSET


class OverrideFields(PolicyFields, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Settings for the pictures whose names match; a later override wins over an earlier one."""

    match: Annotated[
        GlobText | Annotated[list[GlobText], Meta(min_length=1)],
        Meta(
            description="a glob, or a list of globs, for the names of pictures; / separates folders, ** stands for any",
            extra={"expects": 'a glob such as "charts/**", or a list of globs'},
        ),
    ]


class ScanFields(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Two folders whose pictures are compared, name by name."""

    expected: Annotated[PathText, Meta(description="the folder of the expected pictures, or its URL")]
    actual: Annotated[PathText, Meta(description="the folder of the actual pictures, or its URL")]
    include: (
        Annotated[
            list[GlobText],
            Meta(
                min_length=1,
                description="globs: the pictures to compare; default: every file with a picture's extension",
                extra={"expects": 'a list of globs such as ["**/*.png"]'},
            ),
        ]
        | UnsetType
    ) = UNSET
    exclude: Annotated[
        list[GlobText],
        Meta(
            description="globs: pictures to leave out, though included",
            extra={"expects": 'a list of globs such as ["drafts/**"]'},
        ),
    ] = []
    others: Annotated[
        Literal["tell", "fail", "ignore"],
        Meta(
            description="files of kinds that are not read, where there is no include: tell counts them in the summary, "
            "fail makes each one fail, ignore says nothing"
        ),
    ] = "tell"


class BaselineFields(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where assert_images_similar keeps expected pictures."""

    folder: Annotated[PathText, Meta(description="the folder of the baselines")] = "baselines"
    layout: Annotated[
        str,
        Meta(
            min_length=1,
            description="a baseline's path in that folder; {module}, {test}, {platform}, {browser}, {viewport}, {dpr} "
            "and {color_scheme} are filled in",
            extra={"expects": 'a path such as "{module}/{test}.png"'},
        ),
    ] = "{module}/{test}.png"
    store: (
        Annotated[
            PathText,
            Meta(
                description="where `pytest-imgdiff baselines push` keeps the baselines of each commit: a URL such as "
                "s3://bucket/baselines, or a folder; default none: they stand in Git",
                extra={"expects": "a URL such as s3://bucket/baselines, or a path"},
            ),
        ]
        | UnsetType
    ) = UNSET


class ReportFields(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is written about a run."""

    folder: Annotated[PathText, Meta(description="the folder that the report is written to")] = "imgdiff-report"
    pictures: Annotated[
        Literal["different", "failed", "all", "none"],
        Meta(description="of which comparisons the report holds pictures"),
    ] = "failed"
    self_contained: Annotated[
        bool, Meta(description="whether report.html is written as well, the page with everything inside")
    ] = False
    parquet: Annotated[
        bool, Meta(description="whether results.parquet is written as well, the comparisons as a table")
    ] = False
    templates: (
        Annotated[PathText, Meta(description="a folder of Jinja templates that come before the report's own")]
        | UnsetType
    ) = UNSET
    title: Annotated[str, Meta(min_length=1, description="the headline of the report")] = "Image comparison"


class FileFields(PolicyFields, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The content of imgdiff.yaml."""

    overrides: Annotated[
        list[OverrideFields],
        Meta(
            description="settings for some pictures, applied in this order",
            extra={"expects": 'a list such as [{match: "charts/**", size: pad}]'},
        ),
    ] = []
    scans: Annotated[
        list[ScanFields],
        Meta(
            description="pairs of folders that `pytest imgdiff.yaml` compares",
            extra={"expects": "a list such as [{expected: shots/expected, actual: shots/actual}]"},
        ),
    ] = []
    memory: Annotated[
        int,
        Meta(
            ge=1,
            description="mebibytes that a pair may take while it is compared, and all pairs compared at once together",
        ),
    ] = DEFAULT_MEMORY >> 20
    baselines: BaselineFields = BaselineFields()
    report: ReportFields = ReportFields()
