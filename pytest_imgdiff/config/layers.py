"""One layer of settings (the file's defaults, an override, the command line, a call) and what it makes of a policy."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from msgspec import UNSET, structs

from pytest_imgdiff.config.origin import quoted
from pytest_imgdiff.config.rules import measured_from, rules_from
from pytest_imgdiff.errors import ImgdiffError
from pytest_imgdiff.model import (
    AUTO,
    Clip,
    IgnoreArea,
    Length,
    MaskArea,
    MaskedElements,
    Policy,
    PolygonArea,
    RectangleArea,
    SizePolicy,
)
from pytest_imgdiff.names import printable
from pytest_imgdiff.opening import read_regular
from pytest_imgdiff.project import label_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pytest_imgdiff.config.fields import AreaFields, CaptureFields, PolicyFields
    from pytest_imgdiff.config.origin import KeyPath, Origin
    from pytest_imgdiff.config.rules import MetricLookup
    from pytest_imgdiff.model import Rule

_AS_THEY_ARE = ("frames", "missing", "moved", "unmatched")
_RECTANGLE = ("x", "y", "width", "height")


@dataclass(frozen=True, slots=True)
class Layer:
    """What one layer changes.

    Attributes:
        policy: fields of `Policy` and their new values, replaced whole.
        regions: fields of `RegionSettings` and their new values; the others stay.
        capture: fields of `CaptureSettings` and their new values; the others stay.
    """

    policy: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    regions: Mapping[str, int] = dataclasses.field(default_factory=dict)
    capture: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def over(self, policy: Policy) -> Policy:
        """Return the policy with this layer laid over it."""
        return replace(
            policy,
            **self.policy,
            regions=replace(policy.regions, **self.regions),
            capture=replace(policy.capture, **self.capture),
        )


@dataclass(frozen=True, slots=True)
class LayerReader:
    """Makes layers of validated fields.

    Attributes:
        metrics: the known metrics.
        origin: what the settings come from.
        folder: what relative paths start from.
    """

    metrics: MetricLookup
    origin: Origin
    folder: Path

    def layer(self, fields: PolicyFields, path: KeyPath = ()) -> Layer:
        """Return the layer.

        Args:
            fields: the settings that were named.
            path: where they stand.

        Raises:
            ConfigError: a rule, an ignore area or the mask's metric cannot be followed.
        """
        policy: dict[str, Any] = {name: value for name in _AS_THEY_ARE if (value := getattr(fields, name)) is not UNSET}
        if fields.metrics is not UNSET:
            rules = rules_from(fields.metrics, self.metrics, self.origin, (*path, "metrics"))
            policy["rules"] = tuple(self._with_places(rule) for rule in rules)
        if fields.measure is not UNSET:
            measured = measured_from(fields.measure, self.metrics, self.origin, (*path, "measure"))
            policy["measure"] = tuple(self._with_places(rule) for rule in measured)
        if fields.ignore is not UNSET:
            policy["ignore"] = tuple(
                self._area(area, (*path, "ignore", index)) for index, area in enumerate(fields.ignore)
            )
        if fields.size is not UNSET:
            policy["size"] = SizePolicy(fields.size)
        if fields.kinds is not UNSET:
            chosen = structs.asdict(fields.kinds)
            policy["kinds"] = tuple((kind, choice) for kind, choice in chosen.items() if choice != "fail")
        if fields.mask is not UNSET:
            policy["mask"] = mask_metric(fields.mask, self.metrics, self.origin, (*path, "mask"))
        if fields.limits is not UNSET and fields.limits.megapixels is not UNSET:
            policy["max_pixels"] = max(1, round(fields.limits.megapixels * 1_000_000))
        regions = {}
        if fields.regions is not UNSET:
            named = {"merge_distance": fields.regions.merge, "min_area": fields.regions.min_area}
            regions = {name: value for name, value in named.items() if value is not UNSET}
        capture = {} if fields.capture is UNSET else self._capture(fields.capture, (*path, "capture"))
        return Layer(policy, regions, capture)

    def _capture(self, fields: CaptureFields, path: KeyPath) -> dict[str, Any]:
        named = {name: value for name, value in structs.asdict(fields).items() if value is not UNSET}
        if named.get("clip") is not None:
            named["clip"] = Clip(**structs.asdict(named["clip"]))
        if "style" in named:
            named["style"] = self._style(named["style"], (*path, "style"))
        if "mask" in named:
            named["mask"] = tuple(
                MaskedElements(item) if isinstance(item, str) else MaskedElements(item.selector, item.what)
                for item in named["mask"]
            )
        return named

    def _style(self, given: str, path: KeyPath) -> str:
        """Return the CSS itself: a text without a rule that ends with .css is the path of a file."""
        if "{" in given or not given.strip().lower().endswith(".css"):
            return given
        file = self.folder / given.strip()
        try:
            return read_regular(file).decode("utf-8-sig")
        except (OSError, ValueError) as error:
            cause = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise self.origin.error(
                path, f"{quoted(given)} cannot be read: {cause}; relative paths start from {label_of(self.folder)}"
            ) from error

    def _with_places(self, rule: Rule) -> Rule:
        """Return the rule with its relative paths starting from the folder, as all others of the file do."""
        paths = getattr(self.metrics.metric_class(rule.metric), "path_options", ())
        options = ((name, self._place(value) if name in paths else value) for name, value in rule.options)
        return replace(rule, options=tuple(options))

    def _place(self, value: object) -> object:
        if not isinstance(value, str) or "://" in value or value.startswith("~"):
            return value
        from pytest_imgdiff.models.handles import is_of_kaggle  # needed where a rule names a model

        place = self.folder / value
        return value if is_of_kaggle(value) and not place.exists() else str(place)

    def _area(self, area: AreaFields, path: KeyPath) -> IgnoreArea:
        named = [name for name in (*_RECTANGLE, "polygon", "mask") if getattr(area, name) is not UNSET]
        if area.polygon is not UNSET and named == ["polygon"]:
            return PolygonArea(tuple((_length(x), _length(y)) for x, y in area.polygon))
        if area.mask is not UNSET and named == ["mask"]:
            return self._mask_picture(area.mask, (*path, "mask"))
        if len(named) > 1 and {"polygon", "mask"} & set(named):
            raise self.origin.error(path, f"one area has one shape, not {' and '.join(named)}; write several areas")
        if lacking := [name for name in _RECTANGLE if name not in named]:
            raise self.origin.error(
                path, f"a rectangle needs x, y, width and height; add {', '.join(lacking)} (or give polygon, or mask)"
            )
        return RectangleArea(*(_length(getattr(area, name)) for name in _RECTANGLE))

    def _mask_picture(self, given: str, path: KeyPath) -> MaskArea:
        file = self.folder / given
        if not file.is_file():
            raise self.origin.error(
                path, f"there is no file {quoted(given)}; relative paths start from {label_of(self.folder)}"
            )
        return MaskArea(str(file))


def mask_metric(name: str, metrics: MetricLookup, origin: Origin, path: KeyPath) -> str:
    """Return the name of the metric that is to say where pictures differ, or `AUTO`.

    Raises:
        ConfigError: it is unknown, or paints no heat.
    """
    if name == AUTO:
        return name
    try:
        metric: Any = metrics.metric_class(name)
    except ImgdiffError as error:
        what = f"{printable(str(error))}; areas not to look at belong to ignore"
        raise origin.error(path, what) from error
    if metric.heat_threshold == "none":
        raise origin.error(path, f"{name} does not say where pictures differ; name a metric that paints heat")
    return name


def _length(given: float | str) -> Length:
    return Length(float(given.rstrip("%\n")), percent=True) if isinstance(given, str) else Length(given)
