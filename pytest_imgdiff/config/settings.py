"""imgdiff.yaml, loaded: settings of the project, the layout of baselines, and `--set` assignments."""

from __future__ import annotations

import string
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from msgspec import UNSET

from pytest_imgdiff.base.errors import ConfigError
from pytest_imgdiff.base.model import Policy
from pytest_imgdiff.base.project import label_of
from pytest_imgdiff.base.stores import StoreFolder, location
from pytest_imgdiff.base.text import printable
from pytest_imgdiff.config.fields import SECTIONS, BaselineFields, FileFields, PolicyFields, ReportFields
from pytest_imgdiff.config.globs import glob_error, glob_matches
from pytest_imgdiff.config.policy import Layer, LayerReader, place_of, written_limits
from pytest_imgdiff.config.validation import CallOrigin, clipped, convert, did_you_mean, number, plain, quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from pytest_imgdiff.base.model import Rule
    from pytest_imgdiff.config.fields import ScanFields
    from pytest_imgdiff.config.policy import MetricLookup
    from pytest_imgdiff.config.validation import KeyPath, Origin


PLACEHOLDERS = ("module", "test", "platform", "browser", "viewport", "dpr", "color_scheme")
_NOT_IN_FILE_NAMES = '\\:*?"<>|'


def layout_error(layout: str) -> str | None:
    """Return what is wrong with a layout and what to write; None if it is valid."""
    return next(_layout_errors(layout), None)


def _layout_errors(layout: str) -> Iterator[str]:
    try:
        pieces = list(string.Formatter().parse(layout))
    except ValueError:
        yield "unbalanced brace; write placeholders as {test}"
        return
    names = [name for _, name, _, _ in pieces if name is not None]
    for name in names:
        if name not in PLACEHOLDERS:
            known = ", ".join(f"{{{word}}}" for word in PLACEHOLDERS)
            yield f"unknown placeholder {quoted(f'{{{name}}}')}{did_you_mean(name, PLACEHOLDERS)} (known: {known})"
    if any(form or conversion for _, _, form, conversion in pieces):
        yield "a placeholder must not have a format; write {test}"
    if "test" not in names:
        yield "without {test} all tests of a module would share one baseline; add it"
    if any(part in {"", ".", ".."} for part in layout.split("/")):
        yield 'not a path below the baselines folder; write one such as "{module}/{test}.png"'
    literal = "".join(text for text, _, _, _ in pieces)
    if not literal.isprintable() or set(literal) & set(_NOT_IN_FILE_NAMES):
        yield f"the characters {' '.join(_NOT_IN_FILE_NAMES)} are not allowed in file names; remove them"
    if not layout.endswith(".png"):
        yield "a layout names PNG files (a baseline of another format keeps its own extension); end it with .png"


CALL = "assert_images_similar(...)"
COMMAND_LINE = "command line"
MEBIBYTE = 1 << 20
LONGEST_EXAMPLE = 200
"""The most characters of a suggestion in a message."""


@dataclass(frozen=True, slots=True)
class ScanSettings:
    """Two folders whose images are compared, name by name.

    Attributes:
        expected, actual: the folders: absolute, or in a store. The scan reports missing ones.
        include: globs of the names to compare; empty: every file with an image's extension.
        exclude: globs of the names to skip.
        others: what to do with files of other kinds, as in `pytest_imgdiff.run.pairing.scan_folders`.
    """

    expected: Path | StoreFolder
    actual: Path | StoreFolder
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    others: Literal["tell", "fail", "ignore"] = "tell"


@dataclass(frozen=True, slots=True)
class BaselineSettings:
    """Where expected images are stored.

    Attributes:
        folder: absolute.
        layout: the path of a file in it, with `PLACEHOLDERS`.
        store: the store of each commit's baselines; None if they are only in Git.
    """

    folder: Path
    layout: str
    store: Path | StoreFolder | None = None


@dataclass(frozen=True, slots=True)
class ReportSettings:
    """What a run writes.

    Attributes:
        folder: absolute.
        pictures: the comparisons whose images the report contains.
        self_contained: whether to write the page also as one file.
        parquet: whether to write the comparisons also as a table.
        templates: a folder with templates that replace those of the report, or None.
        title: the headline.
        is_set: whether the file has settings of the report.
    """

    folder: Path
    pictures: Literal["different", "failed", "all", "none"]
    self_contained: bool
    parquet: bool
    templates: Path | None
    title: str
    is_set: bool


@dataclass(frozen=True, slots=True)
class Override:
    """Settings for the images whose names match one of the globs."""

    globs: tuple[str, ...]
    layer: Layer

    def matches(self, name: str) -> bool:
        """Return whether it applies to the image with this name."""
        return any(glob_matches(glob, name) for glob in self.globs)


@dataclass(frozen=True, slots=True)
class Settings:
    """The content of imgdiff.yaml, or the defaults.

    Attributes:
        path: the file, or None.
        folder: the base folder of relative paths, which is the file's folder; absolute.
        metrics: the known metrics.
        defaults: the policy of every image, before overrides.
        overrides: in their order.
        scans: pairs of folders to compare.
        baselines: where expected images are stored.
        report: what a run writes.
        memory: bytes that all pairs in progress may take.
        resources: the resources that a worker of a cluster needs for a model, and the amount that a batch takes.
    """

    path: Path | None
    folder: Path
    metrics: MetricLookup
    defaults: Policy
    overrides: tuple[Override, ...]
    scans: tuple[ScanSettings, ...]
    baselines: BaselineSettings
    report: ReportSettings
    memory: int
    resources: Mapping[str, float]

    def policy_for(
        self, name: str, *, command_line: Mapping[str, Any] | None = None, call: Mapping[str, Any] | None = None
    ) -> Policy:
        """Return the policy of one image.

        Later layers replace values of earlier ones: the defaults, each override whose glob matches, the command line,
        the arguments of the call.

        Args:
            name: of the image, with forward slashes: its path below the folder of the scan or of the baselines.
            command_line: settings with the policy keys of the file, as Python values.
            call: settings of the call, likewise.

        Raises:
            ConfigError: the settings of the command line or of the call are invalid.
        """
        policy = self.defaults
        for override in self.overrides:
            if override.matches(name):
                policy = override.layer.over(policy)
        policy = self.apply(policy, command_line or {}, COMMAND_LINE)
        return self.apply(policy, call or {}, CALL)

    def idle_overrides(self, names: Sequence[str]) -> list[str]:
        """Return a line for each override that matches no image: its glob may be misspelt."""
        return [
            f"overrides[{index}] (match: {', '.join(map(printable, override.globs))}) matches none of these images"
            for index, override in enumerate(self.overrides)
            if not any(map(override.matches, names))
        ]

    def apply(self, policy: Policy, changes: Mapping[str, Any], origin: str) -> Policy:
        """Return the policy with further settings applied.

        Args:
            policy: the policy to change.
            changes: ``metrics``, ``ignore``, ``size``, ... as in the file; also tuples, enum members, paths and NumPy's
                numbers. Relative paths start from `folder`.
            origin: the name of the settings' source in messages.

        Raises:
            ConfigError: a setting is invalid.
        """
        if not changes:
            return policy
        source = CallOrigin(origin)
        data = plain(changes, source)
        _refuse_misplaced(data, PolicyFields, self.metrics, source, origin)
        fields = convert(data, PolicyFields, source, ())
        return LayerReader(self.metrics, source, self.folder).layer(fields).over(policy)


def load_settings(path: Path | None, metrics: MetricLookup, *, folder: Path | None = None) -> Settings:
    """Read and validate a whole settings file.

    Args:
        path: the file; None for the defaults.
        metrics: the known metrics. Only the classes of the file's metrics are imported.
        folder: the base folder of relative paths if there is no file; default: the working directory.

    Raises:
        ConfigError: ``FILE:LINE:COLUMN: KEY: what is wrong; what to do``.
    """
    if path is None:
        fields, origin = FileFields(), CallOrigin("the defaults")
        return _settings(None, Path.cwd() / (folder or ""), fields, metrics, origin)
    from pytest_imgdiff.config.yaml_source import parse_yaml, read_text  # not every run has a file; PyYAML is slow

    source = parse_yaml(read_text(path), label_of(path))
    data = {} if source.root.value is None else source.root.value
    _refuse_misplaced(data, FileFields, metrics, source, None)
    fields = convert(data, FileFields, source, ())
    settings = _settings(path, (Path.cwd() / path).parent, fields, metrics, source)
    return replace(settings, report=replace(settings.report, is_set="report" in data))


_OF_PLAYWRIGHT = {"max_diff_pixels": "max_pixels", "max_diff_pixel_ratio": "max", "omit_background": "transparent"}
"""Options of Playwright's ``to_have_screenshot`` to the keys of the same meaning."""
_INSIDE = {key: section for section, fields in SECTIONS.items() for key in fields.__struct_fields__}
"""Keys to the sections that they belong to."""


def _refuse_misplaced(
    data: Any, fields: type[msgspec.Struct], metrics: MetricLookup, source: Origin, origin: str | None
) -> None:
    """Raise if a key belongs to another section; the message says which one.

    Args:
        data: the settings.
        fields: the type of the settings.
        metrics: the known metrics.
        source: the source of the data.
        origin: its name in messages; None for a file.

    Raises:
        ConfigError: there is such a key, or ``mask`` has areas instead of a metric.
    """
    if not isinstance(data, dict):
        return
    for key, value in data.items():
        if not isinstance(key, str):
            continue
        if key == "mask" and _is_of_elements(value):
            what = "is the metric that shows where the images differ; elements that are not compared belong in capture"
            selectors = value if isinstance(value, list) else [value]
            raise source.error((key,), f"{what}: {_example(('capture',), {'mask': selectors}, origin)}")
        if key == "mask" and isinstance(value, (list, dict)):
            areas = _example(("ignore",), [{"x": 0, "y": 0, "width": 200, "height": 40}], origin)
            what = "is the metric that shows where the images differ; ignored areas belong in ignore, in pixels"
            raise source.error((key,), f"{what}: {areas}")
        if key in fields.__struct_fields__:
            continue
        named = _OF_PLAYWRIGHT.get(key, key)
        what, path, content = place_of(named, value, metrics) or ("", (), {})
        if named in _INSIDE:
            what, path, content = f"a setting of {_INSIDE[named]}", (_INSIDE[named],), {named: value}
        if what:
            raise source.error((key,), f"this is {what}: {_example(path, content, origin)}", at_key=True)


def _is_of_elements(value: Any) -> bool:
    """Return whether a value of ``mask`` is a CSS selector or a list of them, which belongs to a capture."""
    if isinstance(value, str):
        return value.startswith((".", "#", "[", "*", ":")) or any(sign in value for sign in " >=")
    if not isinstance(value, list) or not value:
        return False
    return all(isinstance(item, str) or (isinstance(item, dict) and "selector" in item) for item in value)


def _example(path: KeyPath, content: Any, origin: str | None) -> str:
    """Return an example of a section, in the form of its source.

    Args:
        path: of the section.
        content: its content.
        origin: as in `_refuse_misplaced`.
    """
    if origin == COMMAND_LINE and isinstance(content, dict) and content:
        key, value = next(iter(content.items()))
        return clipped(f"--set {'.'.join(map(str, (*path, key)))}={_flow(value)}", LONGEST_EXAMPLE)
    section, *inner = path
    for name in reversed(inner):
        content = {name: content}
    text = f"{section}={content!r}" if origin == CALL else f"{section}: {_flow(content)}"
    return clipped(text, LONGEST_EXAMPLE)


def _flow(value: Any) -> str:
    """Return plain data as one line of YAML."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_flow(item)}' for key, item in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_flow, value))}]"
    return number(value) if isinstance(value, float) else str(value)


def _settings(path: Path | None, folder: Path, fields: FileFields, metrics: MetricLookup, origin: Origin) -> Settings:
    reader = LayerReader(metrics, origin, folder)
    return Settings(
        path=path,
        folder=folder,
        metrics=metrics,
        defaults=reader.layer(fields).over(Policy(memory=fields.memory * MEBIBYTE)),
        overrides=tuple(
            Override(
                _globs(override.match, origin, ("overrides", index, "match")),
                reader.layer(override, ("overrides", index)),
            )
            for index, override in enumerate(fields.overrides)
        ),
        scans=tuple(_scan(scan, folder, origin, ("scans", index)) for index, scan in enumerate(fields.scans)),
        baselines=_baselines(fields.baselines, folder, origin),
        report=_report(fields.report, folder, origin),
        memory=fields.memory * MEBIBYTE,
        resources=fields.cluster.resources,
    )


def _scan(fields: ScanFields, folder: Path, origin: Origin, path: KeyPath) -> ScanSettings:
    expected, actual = location(fields.expected, folder), location(fields.actual, folder)
    if fields.expected == fields.actual or (
        isinstance(expected, Path) and isinstance(actual, Path) and expected.resolve() == actual.resolve()
    ):
        what = "the same folder as expected, so that nothing could differ; name the folder of the new images"
        raise origin.error((*path, "actual"), what)
    include = () if fields.include is UNSET else _globs(fields.include, origin, (*path, "include"))
    exclude = _globs(fields.exclude, origin, (*path, "exclude"))
    return ScanSettings(expected, actual, include, exclude, fields.others)


def _globs(given: str | list[str], origin: Origin, path: KeyPath) -> tuple[str, ...]:
    places = {path: given} if isinstance(given, str) else {(*path, index): glob for index, glob in enumerate(given)}
    for place, glob in places.items():
        if wrong := glob_error(glob):
            raise origin.error(place, wrong)
    return tuple(places.values())


def _report(fields: ReportFields, folder: Path, origin: Origin) -> ReportSettings:
    templates = None if fields.templates is UNSET else folder / fields.templates
    if templates is not None and not templates.is_dir():
        raise origin.error(
            ("report", "templates"),
            f"there is no folder {label_of(templates)}; relative paths start from {label_of(folder)}",
        )
    return ReportSettings(
        folder / fields.folder,
        fields.pictures,
        fields.self_contained,
        fields.parquet,
        templates,
        fields.title,
        is_set=False,
    )


def _baselines(fields: BaselineFields, folder: Path, origin: Origin) -> BaselineSettings:
    if wrong := layout_error(fields.layout):
        raise origin.error(("baselines", "layout"), wrong)
    place = folder / fields.folder
    store = None if fields.store is UNSET else location(fields.store, folder)
    if isinstance(store, Path):
        one, other = store.resolve(), place.resolve()
        if one.is_relative_to(other) or other.is_relative_to(one):
            what = f"the store and the baselines' folder {label_of(place)} must not contain each other"
            raise origin.error(("baselines", "store"), what)
    return BaselineSettings(place, fields.layout, store)


def assigned(assignments: Iterable[str], option: str) -> dict[str, Any]:
    """Return ``["metrics.ssim.min=0.98", "size=pad"]`` as ``{"metrics": {"ssim": {"min": 0.98}}, "size": "pad"}``.

    Values are YAML, read as in imgdiff.yaml.

    Args:
        assignments: keys, with dots between their levels, and values.
        option: the command line's option, for messages.

    Raises:
        ConfigError: an assignment has another form, or contradicts another one.
    """
    mapping: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not equals or not all(key.split(".")):
            raise ConfigError(f"{option} {assignment}: expected KEY=VALUE, such as size=pad or metrics.ssim.min=0.98")
        *folders, last = key.split(".")
        place = mapping
        for folder in folders:
            place = place.setdefault(folder, {})
            if not isinstance(place, dict):
                raise ConfigError(f"{option} {assignment}: {folder} was set to {place!r} before; give one or the other")
        if last in place:
            raise ConfigError(f"{option} {assignment}: {key} is set twice; give it once")
        from pytest_imgdiff.config.yaml_source import parse_yaml  # most command lines set nothing

        place[last] = parse_yaml(value, f"{option} {key}").root.value
    return mapping


def measure_list(text: str, option: str) -> list[Any]:
    """Return ``orb, ssim: {window: 9}`` as ``["orb", {"ssim": {"window": 9}}]``: the items of a YAML list.

    Args:
        text: names of metrics, with or without options.
        option: the command line's option, for messages.

    Raises:
        ConfigError: it is not such a list.
    """
    from pytest_imgdiff.config.yaml_source import parse_yaml  # most command lines measure nothing

    items: list[Any] = parse_yaml(f"[{text}]", option).root.value
    if not items:
        raise ConfigError(f"{option}: name at least one metric, such as {option} orb,ssim")
    return items


def with_options(measure: Iterable[Any], rules: Iterable[Rule]) -> list[Any]:
    """Return the metrics to measure. Those without options get the options of the first rule of the same metric."""
    options: dict[str, dict[str, Any]] = {}
    for rule in rules:
        options.setdefault(rule.metric, dict(rule.options))
    return [{item: options[item]} if isinstance(item, str) and options.get(item) else item for item in measure]


def merges_metrics(assignments: Iterable[str]) -> bool:
    """Return whether an assignment sets one key of a rule (``metrics.ssim.min=0.9``), so that other rules are kept."""
    return any(assignment.startswith("metrics.") for assignment in assignments)


def merged_rules(rules: Iterable[Rule], changes: dict[str, Any]) -> dict[str, Any]:
    """Return the rules as written in imgdiff.yaml, with some keys changed."""
    metrics: dict[str, Any] = {rule.metric: _written(rule) for rule in rules}
    for name, change in changes.items():
        both = isinstance(change, dict) and name in metrics
        metrics[name] = {**metrics[name], **change} if both else change
    return metrics


def _written(rule: Rule) -> dict[str, Any]:
    choices: dict[str, str] = {"when": rule.when} if rule.when != "always" else {}
    if rule.on_unavailable != "fail":
        choices["on_unavailable"] = rule.on_unavailable
    return {**dict(rule.options), **written_limits(rule), **choices}
