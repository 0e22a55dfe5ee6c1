"""imgdiff.yaml as types, for its validation, the JSON Schema for editors and the tables in docs/.

The keys of a policy come from the settings classes of `pytest_imgdiff.base.model`; the keys of the whole file (scans,
baselines, report) are defined here. ``description`` is Markdown for editors and docs/; ``expects`` describes a
valid value in messages.
"""

from __future__ import annotations

import dataclasses
import enum
import types
import typing
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from pytest_imgdiff.base.memory import DEFAULT_MEMORY
from pytest_imgdiff.base.model import CaptureSettings, LimitSettings, Policy, RegionSettings

_LENGTH = 'pixels as a number, or percent such as "12.5%"'
_PERCENT = r"(100(\.0+)?|[0-9]{1,2}(\.[0-9]+)?)%$"
_NOT_ZERO = r"(?!0+(\.0+)?%)"

Offset = Annotated[
    Annotated[float, Meta(ge=0)] | Annotated[str, Meta(pattern=f"^{_PERCENT}")],
    Meta(description=f"{_LENGTH} of the image's width or height", extra={"expects": _LENGTH}),
]
Extent = Annotated[
    Annotated[float, Meta(gt=0)] | Annotated[str, Meta(pattern=f"^{_NOT_ZERO}{_PERCENT}")],
    Meta(
        description=f"{_LENGTH} of the image's width or height; above 0",
        extra={"expects": f"{_LENGTH}; above 0"},
    ),
]
PathText = Annotated[
    str,
    Meta(
        min_length=1,
        pattern=r"^[^\x00-\x1f\x7f]*$",
        description="a path, relative to the folder of this file",
        extra={"expects": "a path"},
    ),
]
GlobText = Annotated[str, Meta(min_length=1, extra={"expects": 'a glob such as "charts/**"'})]


class AreaFields(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An ignored area: a rectangle (x, y, width, height), a polygon, or a mask image."""

    x: Offset | UnsetType = UNSET
    y: Offset | UnsetType = UNSET
    width: Extent | UnsetType = UNSET
    height: Extent | UnsetType = UNSET
    polygon: (
        Annotated[
            list[Annotated[tuple[Offset, Offset], Meta(extra={"expects": "a corner [x, y]"})]],
            Meta(
                min_length=3,
                description="instead of a rectangle: the corners `[x, y]` of an outline, at least three; they may be "
                "outside the image",
                extra={"expects": "a list of at least 3 corners [x, y]"},
            ),
        ]
        | UnsetType
    ) = UNSET
    mask: (
        Annotated[
            PathText,
            Meta(
                description="instead of a rectangle: an image of the compared size. Everything that is not black in it "
                "is ignored. The file must exist"
            ),
        ]
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


KindText = Literal["fail", "warn", "allow"]


class KindFields(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Whether a difference of this kind fails: fail, warn (pass with a warning) or allow (pass with a note)."""

    added: Annotated[KindText, Meta(description="new content on what was background")] = "fail"
    removed: Annotated[KindText, Meta(description="content was removed; background is in its place")] = "fail"
    moved: Annotated[KindText, Meta(description="the same pixels at another position")] = "fail"
    recoloured: Annotated[KindText, Meta(description="the same shapes in other colours")] = "fail"
    text: Annotated[KindText, Meta(description="different text on the same background")] = "fail"
    content: Annotated[KindText, Meta(description="different content")] = "fail"
    rendering: Annotated[KindText, Meta(description="the same content with other smoothing, hinting or encoding")] = (
        "fail"
    )


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
        Meta(description="box ignores each element's box, text only the lines of text in it"),
    ] = "box"


_BOUNDS = ("ge", "gt", "le", "lt", "min_length")
_FORMS: dict[type, dict[str, Any]] = {
    CaptureSettings: {
        "clip": ClipFields | None,
        "dpi": int,
        "style": str,
        "mask": list[SelectorText | MaskFields],
    },
    Policy: {
        "metrics": dict[str, Any],
        "measure": list[str | Annotated[dict[str, Any], Meta(min_length=1, max_length=1)]],
        "ignore": list[Area],
        "kinds": KindFields,
    },
}
"""Types of keys whose form in imgdiff.yaml differs from the form in Python."""


def _struct(name: str, owner: type, forms: dict[str, Any]) -> type[msgspec.Struct]:
    """Return the type that validates a section of imgdiff.yaml, from its class in Python.

    Every key is optional: if it is absent (UNSET), the value of the layer below applies.
    """
    hints = typing.get_type_hints(owner) | forms
    fields = []
    for field in dataclasses.fields(owner):
        if "description" not in field.metadata:
            continue  # not a key of imgdiff.yaml
        bounds = {bound: field.metadata[bound] for bound in _BOUNDS if bound in field.metadata}
        expects = {"expects": field.metadata["expects"]} if "expects" in field.metadata else None
        meta = Meta(description=field.metadata["description"], extra=expects)
        hint = hints[field.name]
        if isinstance(hint, type) and issubclass(hint, enum.Enum):
            hint = Literal.__getitem__(tuple(member.value for member in hint))
        fields.append((field.name, Annotated[_bounded(hint, bounds), meta] | UnsetType, UNSET))
    summary = (owner.__doc__ or "").partition("\n")[0]
    return msgspec.defstruct(
        name,
        fields,
        namespace={"__doc__": summary},
        module=__name__,
        frozen=True,
        forbid_unknown_fields=True,
        kw_only=True,
    )


def _bounded(form: Any, bounds: dict[str, Any]) -> Any:
    """Return the type with bounds; in a union they apply to its number."""
    if not bounds:
        return form
    parts = (
        typing.get_args(form) if isinstance(form, types.UnionType) or typing.get_origin(form) is typing.Union else ()
    )
    if parts:
        return typing.Union[tuple(Annotated[part, Meta(**bounds)] if part is int else part for part in parts)]  # noqa: UP007 - made at run time
    return Annotated[form, Meta(**bounds)]


SECTIONS: dict[str, type[msgspec.Struct]] = {
    "regions": _struct("RegionFields", RegionSettings, {}),
    "capture": _struct("CaptureFields", CaptureSettings, _FORMS[CaptureSettings]),
    "limits": _struct("LimitFields", LimitSettings, {}),
}
"""The keys of a policy with keys of their own. Layers replace each of those separately."""

if TYPE_CHECKING:

    class PolicyFields(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
        """The keys of a policy; each is one of `Policy`."""

else:
    PolicyFields = _struct("PolicyFields", Policy, _FORMS[Policy] | SECTIONS)


class OverrideFields(PolicyFields, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Settings for the images whose names match; a later override wins over an earlier one."""

    match: Annotated[
        GlobText | Annotated[list[GlobText], Meta(min_length=1)],
        Meta(
            description="a glob for the names of images, or a list of globs of which one must match",
            extra={"expects": 'a glob such as "charts/**", or a list of globs'},
        ),
    ]


class ScanFields(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Two folders whose images are compared, name by name."""

    expected: Annotated[PathText, Meta(description="the folder of the expected images, or its URL")]
    actual: Annotated[PathText, Meta(description="the folder of the actual images, or its URL; not the same folder")]
    include: (
        Annotated[
            list[GlobText],
            Meta(
                min_length=1,
                description="globs of the names to compare. Without it: every file with an image's extension, and "
                "files without an extension that hold an image",
                extra={"expects": 'a list of globs such as ["**/*.png"]'},
            ),
        ]
        | UnsetType
    ) = UNSET
    exclude: Annotated[
        list[GlobText],
        Meta(
            description="globs of the names to leave out of these",
            extra={"expects": 'a list of globs such as ["drafts/**"]'},
        ),
    ] = []
    others: Annotated[
        Literal["tell", "fail", "ignore"],
        Meta(
            description="files of types that are not read (`.svg`, `.pdf`, `.png.bak`, ...), where there is no "
            "`include`: `tell` counts them by extension in one line of the summary and the report. `fail` compares "
            "them like images, so that each file that cannot be read fails by name. `ignore` does not mention them. "
            "Names that begin with a dot are never counted"
        ),
    ] = "tell"


class BaselineFields(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where assert_images_similar keeps expected images."""

    folder: Annotated[PathText, Meta(description="the folder where `assert_images_similar` keeps expected images")] = (
        "baselines"
    )
    layout: Annotated[
        str,
        Meta(
            min_length=1,
            description="a baseline's path in that folder. Placeholders: `{module}` (the test's file), `{test}` (the "
            "rest of its node id; required), `{platform}` (`linux`, `darwin`, `win32`), `{browser}` (`chromium`), and "
            "for captured pages `{viewport}` (`1280x720`), `{dpr}` (`1`, `1.5`) and `{color_scheme}` (`light`, "
            "`dark`); "
            "see [browsers.md](browsers.md)",
            extra={"expects": 'a path such as "{module}/{test}.png"'},
        ),
    ] = "{module}/{test}.png"
    store: (
        Annotated[
            PathText,
            Meta(
                description="where `pytest-imgdiff baselines push` keeps the baselines of each commit: a URL such as "
                "`s3://bucket/baselines`, or a folder. Without it they belong in Git; see [baselines.md](baselines.md)",
                extra={"expects": "a URL such as s3://bucket/baselines, or a path"},
            ),
        ]
        | UnsetType
    ) = UNSET


class ReportFields(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a run writes."""

    folder: Annotated[PathText, Meta(description="the folder of the report")] = "imgdiff-report"
    pictures: Annotated[
        Literal["different", "failed", "all", "none"],
        Meta(
            description="the comparisons whose images are in the report: those that `failed` or passed with a warning, "
            "those that are `different` in any pixel, `all`, `none`"
        ),
    ] = "failed"
    self_contained: Annotated[
        bool, Meta(description="also write `report.html`: one file with the images inside, to send alone")
    ] = False
    parquet: Annotated[
        bool,
        Meta(
            description="also write [`results.parquet`](results.md#resultsparquet) (extra `parquet`): the comparisons "
            "as a table"
        ),
    ] = False
    templates: (
        Annotated[
            PathText,
            Meta(description="a folder of Jinja templates and `assets` that replace the report's own. It must exist"),
        ]
        | UnsetType
    ) = UNSET
    title: Annotated[str, Meta(min_length=1, description="the report's headline")] = "Image comparison"


class ClusterFields(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How `pytest-imgdiff compare --cluster` uses a Dask cluster."""

    resources: Annotated[
        dict[
            Annotated[str, Meta(min_length=1)],
            Annotated[float, Meta(gt=0, extra={"expects": "a number above 0, as workers offer it"})],
        ],
        Meta(
            description="what a worker must offer to compare images whose rules use a model, as in "
            '`dask worker --resources "GPU=1"`, and how much of it a batch takes; see '
            "[scale.md](scale.md#models-on-a-cluster)",
            extra={"expects": "names and numbers such as {GPU: 1}"},
        ),
    ] = msgspec.field(default_factory=dict)


class FileFields(PolicyFields, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The content of imgdiff.yaml."""

    overrides: Annotated[
        list[OverrideFields],
        Meta(
            description="settings for some images, applied in this order",
            extra={"expects": 'a list such as [{match: "charts/**", size: pad}]'},
        ),
    ] = msgspec.field(default_factory=list)
    scans: Annotated[
        list[ScanFields],
        Meta(
            description="pairs of folders that `pytest imgdiff.yaml` compares; a URL (`s3://bucket/folder`) names a "
            "[folder of a store](scale.md#images-in-a-store)",
            extra={"expects": "a list such as [{expected: shots/expected, actual: shots/actual}]"},
        ),
    ] = msgspec.field(default_factory=list)
    memory: Annotated[
        int,
        Meta(
            ge=1,
            description="mebibytes that a pair may take while it is compared, and that all pairs in progress may take "
            "together. Bytes count as they are in use: four per pixel, eight at 16 bits, 16 or 32 for floats, twice "
            "while the files are read, and what the chosen metrics hold. A pair that needs more is `broken`. The "
            "default is enough for two images of 100 megapixels and 8 bits under the default rule. The server applies "
            "it too",
        ),
    ] = DEFAULT_MEMORY >> 20
    baselines: BaselineFields = BaselineFields()
    report: ReportFields = ReportFields()
    cluster: ClusterFields = ClusterFields()
