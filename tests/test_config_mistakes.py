"""Every mistake in imgdiff.yaml is one message with file, line, column and key.

``▸`` stands where the message must point to; it is taken out before the file is written.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

import pytest

from pytest_imgdiff.base.errors import ConfigError
from pytest_imgdiff.comparison.registry import Registry
from pytest_imgdiff.config import find_config, load_settings
from tests.config_metrics import METRICS, Lookup

MISTAKES = [
    # keys
    ("▸metric: {ssim: {min: 0.9}}", "metric", 'unknown key "metric"; did you mean "metrics"? (known: baselines,'),
    ("size: fail\n▸hue: red", "hue", 'unknown key "hue" (known: '),
    (
        "metrics:\n  ssim:\n    ▸mim: 0.9\n    min: 0.9",
        "metrics.ssim.mim",
        'did you mean "min"? (known: min, size, warn',
    ),
    ("metrics:\n  ssim: {min: 0.9, ▸gaussian: true}", "metrics.ssim.gaussian", 'unknown key "gaussian" (known: min,'),
    ("overrides:\n  - match: a/**\n    ▸sise: pad", "overrides[0].sise", 'did you mean "size"?'),
    ("overrides:\n  - {match: a/**, ▸scans: []}", "overrides[0].scans", 'unknown key "scans"'),
    ("overrides:\n  - ▸size: pad", "overrides[0]", 'the key "match" is missing; add match: a glob such as'),
    ("scans:\n  - ▸expected: a", "scans[0]", 'the key "actual" is missing; add actual: a path'),
    ("scans: [{expected: a, actual: b, ▸inclde: [x]}]", "scans[0].inclde", 'did you mean "include"?'),
    ("regions: {▸merge_distance: 8}", "regions.merge_distance", 'unknown key "merge_distance" (known: '),
    ("limits: {▸pixels: 8}", "limits.pixels", "(known: megapixels"),
    ("report:\n  ▸dir: out", "report.dir", 'unknown key "dir"'),
    ("baselines: {▸folders: x}", "baselines.folders", 'did you mean "folder"?'),
    ("size: pad\nframes: all\n▸size: crop", "size", "duplicate key, also on line 1; keep one of them"),
    ("metrics:\n  ssim: {min: 0.9}\n  ▸ssim: {min: 0.8}", "metrics.ssim", "duplicate key, also on line 2"),
    ("ignore:\n  - {x: 0, y: 0, width: 9, ▸x: 1, height: 9}", "ignore[0].x", "duplicate key, also on line 2"),
    ("▸1: 2", "(top level)", "the key 1 is not a string; put it in quotes"),
    ("metrics:\n  ▸true: {min: 1}", "metrics", "the key true is not a string"),
    ("▸~: 2", "(top level)", "the key ~ is not a string"),
    ("metrics: {perceptual: {max: 0,▸01}}", "metrics.perceptual", "a comma ends the value before it; write 0.01, with"),
    (
        "metrics:\n  ssim:\n    min: ▸0,99",
        "metrics.ssim.min",
        'not the string "0,99"; write 0.99, with a point in place',
    ),
    ("regions: {merge: 1, ▸5: 2}", "regions", "write 1.5, with a point"),
    ("regions: {merge: x, ▸5: 2}", "regions", "the key 5 is not a string; put it in quotes"),
    ("?▸\n: 2", "(top level)", "the key (nothing) is not a string"),
    ("? ▸[a]\n: 2", "(top level)", "a key must be a plain string"),
    ("▸&a size: pad", "(top level)", "a key must be a plain string"),
    # metrics and limits
    ("metrics:\n  ▸sssim: {min: 1}", "metrics.sssim", 'unknown metric "sssim"; did you mean "ssim"?'),
    ("metrics: {▸lpips: {max: 1}}", "metrics.lpips", "run: pip install pytest-imgdiff[lpips]"),
    ("metrics: {ssim: ▸0.99}", "metrics.ssim", "expected limits and options such as ssim: {min: 0.99}, not 0.99"),
    ("metrics: {ssim:▸ }", "metrics.ssim", "such as ssim: {min: 1}, not nothing"),
    ("metrics: {perceptual: ▸[0]}", "metrics.perceptual", "such as perceptual: {max: 0}, not a list of 1"),
    (
        "metrics: ▸[ssim]",
        "metrics",
        "expected a mapping of metrics to their limits, such as {ssim: {min: 0.99}}, not a list",
    ),
    ("metrics: ▸ssim", "metrics", 'not the string "ssim"'),
    ("metrics:▸\nsize: pad", "metrics", "not nothing; give it a value, or remove the key"),
    ("metrics: ▸{}", "metrics", "not an empty mapping"),
    ("metrics: {▸ssim: {}}", "metrics.ssim", "no limit, so the rule can never fail; add min: a number from -1 to 1"),
    (
        "metrics: {▸perceptual: {threshold: 0.2}}",
        "metrics.perceptual",
        "add max (or max_pixels): a number from 0 to 1",
    ),
    ("metrics: {▸ssim: {warn: 0.9}}", "metrics.ssim", "no limit, so the rule can never fail"),
    (
        "metrics: {perceptual: {max: ▸1}}",
        "metrics.perceptual.max",
        "can never fail: the worst value of perceptual is 1",
    ),
    ("metrics: {ssim: {min: ▸-1}}", "metrics.ssim.min", "can never fail: the worst value of ssim is -1"),
    (
        "metrics: {ssim: {▸max: 1}}",
        "metrics.ssim.max",
        "ssim is a similarity (larger is more similar): its limit is min, not max",
    ),
    (
        "metrics: {perceptual: {max: 0, ▸min: 1}}",
        "metrics.perceptual.min",
        "is a distance (smaller is more similar): its limit is max",
    ),
    (
        "metrics: {ssim: {min: 1, ▸max_pixels: 3}}",
        "metrics.ssim.max_pixels",
        "ssim does not count pixels; its limit is min",
    ),
    ("metrics: {ssim: {min: ▸1.5}}", "metrics.ssim.min", "a number from -1 to 1 (the range of ssim), not 1.5"),
    ("metrics: {ssim: {min: ▸-2}}", "metrics.ssim.min", "not -2"),
    (
        "metrics: {perceptual: {max: ▸5}}",
        "metrics.perceptual.max",
        "a number from 0 to 1 (the range of perceptual)",
    ),
    ("metrics: {perceptual: {max: ▸-1e-9}}", "metrics.perceptual.max", "not -1e-09"),
    ("metrics: {psnr: {min: ▸1001}}", "metrics.psnr.min", "a number from 0 to 1000 (the range of psnr)"),
    (
        "metrics: {weighted: {weights: [1, 1, 1], max: ▸-1}}",
        "metrics.weighted.max",
        "a number of at least 0 (the smallest value",
    ),
    ("metrics: {ssim: {min: ▸.inf}}", "metrics.ssim.min", "must be a finite number, not .inf"),
    ("metrics: {ssim: {min: ▸.NaN}}", "metrics.ssim.min", "must be a finite number, not .NaN"),
    ("metrics: {ssim: {min: ▸1e999}}", "metrics.ssim.min", "1e999 is too large a number"),
    (f"metrics: {{ssim: {{min: ▸{'9' * 5000}}}}}", "metrics.ssim.min", "a number of more than 40 characters"),
    ('metrics: {ssim: {min: ▸"0.9"}}', "metrics.ssim.min", 'not the string "0.9"'),
    ("metrics: {ssim: {min: ▸1:30}}", "metrics.ssim.min", 'not the string "1:30"'),
    ("metrics: {ssim: {min: ▸true}}", "metrics.ssim.min", "not true"),
    ("metrics: {ssim: {min:▸ }}", "metrics.ssim.min", "not nothing"),
    (
        "metrics: {ssim: {min: 0.9, warn: ▸0.9}}",
        "metrics.ssim.warn",
        "warn must be stricter than the limit: 0.9 is not above min: 0.9",
    ),
    ("metrics: {perceptual: {max: 0.1, warn: ▸0.2}}", "metrics.perceptual.warn", "0.2 is not below max: 0.1"),
    (
        "metrics: {perceptual: {max_pixels: ▸-1}}",
        "metrics.perceptual.max_pixels",
        "an integer of at least 0, not -1",
    ),
    (
        "metrics: {perceptual: {max_pixels: ▸0.5}}",
        "metrics.perceptual.max_pixels",
        "an integer of at least 0, not 0.5",
    ),
    # options
    (
        "metrics: {perceptual: {max: 0, threshold: ▸2}}",
        "metrics.perceptual.threshold",
        "expected a number from 0 to 1, not 2",
    ),
    ("metrics: {perceptual: {max: 0, radius: ▸0}}", "metrics.perceptual.radius", "an integer of at least 1, not 0"),
    (
        "metrics: {perceptual: {max: 0, antialiasing: ▸yes}}",
        "metrics.perceptual.antialiasing",
        'true or false, not the string "yes"',
    ),
    ("metrics: {ssim: {min: 1, window: ▸gausian}}", "metrics.ssim.window", 'did you mean "gaussian"?'),
    ("metrics: {▸ssim: {min: 1, size: 8}}", "metrics.ssim", "a window of 8 pixels has no middle; change the options"),
    ("metrics: {▸weighted: {max: 1}}", "metrics.weighted", 'the key "weights" is missing'),
    ("metrics: {weighted: {max: 1, weights: ▸[1, 2]}}", "metrics.weighted.weights", "expected a list"),
    (
        "metrics: {weighted: {max: 1, weights: [1, ▸x, 2]}}",
        "metrics.weighted.weights[1]",
        'expected a number, not the string "x"',
    ),
    # choices
    ("size: ▸padd", "size", 'expected crop, fail, pad or scale, not the string "padd"; did you mean "pad"?'),
    ("size: ▸off", "size", 'not the string "off"'),
    ("size: ▸[pad]", "size", "not a list of 1"),
    ("frames: ▸-1", "frames", "expected refuse, all, or the index of a frame (the first is 0), not -1"),
    ("frames: ▸first", "frames", 'not the string "first"'),
    ("frames: ▸1.5", "frames", "not 1.5"),
    ("mask: ▸sim", "mask", 'unknown metric "sim"; did you mean "ssim"?'),
    ("mask: ▸psnr", "mask", "psnr does not return heat, so it cannot show where images differ"),
    ("mask: ▸3", "mask", "expected auto, or the name of a metric, not 3; put strings in quotes"),
    ("missing: ▸no", "missing", 'expected allow or fail, not the string "no"'),
    ("unmatched: ▸ignore", "unmatched", "expected allow or fail"),
    ("kinds: {moved: ▸pass}", "kinds.moved", "expected allow, fail or warn"),
    ("regions: {merge: ▸-1}", "regions.merge", "an integer of at least 0, not -1"),
    ("regions: {min_area: ▸0}", "regions.min_area", "an integer of at least 1, not 0"),
    ("regions: ▸8", "regions", "expected a mapping (key: value), not 8"),
    ("limits: {megapixels: ▸0}", "limits.megapixels", "a number above 0 and of at most 10000, not 0"),
    ("limits: {megapixels: ▸100_000_000}", "limits.megapixels", 'not the string "100_000_000"'),
    ("limits: {megapixels: ▸100000000}", "limits.megapixels", "not 100000000"),
    # ignore areas
    (
        "ignore: ▸{x: 0}",
        "ignore",
        "expected a list of areas such as [{x: 0, y: 0, width: 200, height: 40}], not a mapping",
    ),
    ("ignore: [▸7]", "ignore[0]", "expected an area such as {x: 0,"),
    ("ignore:\n  - ▸{x: 0, y: 0, width: 4}", "ignore[0]", "a rectangle needs x, y, width and height; add height"),
    ("ignore: [▸{}]", "ignore[0]", "add x, y, width, height (or give polygon, or mask)"),
    ("ignore: [{x: ▸-1, y: 0, width: 4, height: 4}]", "ignore[0].x", "not -1"),
    ("ignore: [{x: 0, y: 0, width: ▸0, height: 4}]", "ignore[0].width", "above 0, not 0"),
    ("ignore: [{x: 0, y: 0, width: 4, height: ▸0.0%}]", "ignore[0].height", 'above 0, not the string "0.0%"'),
    ("ignore: [{x: 0, y: 0, width: ▸101%, height: 4}]", "ignore[0].width", 'percent such as "12.5%"'),
    ("ignore: [{x: 0, y: ▸4px, width: 4, height: 4}]", "ignore[0].y", 'not the string "4px"'),
    (
        "ignore: [{polygon: ▸[[0, 0], [4, 4]]}]",
        "ignore[0].polygon",
        "a list of at least 3 corners [x, y], not a list of 2",
    ),
    (
        "ignore: [{polygon: [[0, 0], ▸[4], [0, 4]]}]",
        "ignore[0].polygon[1]",
        "expected a corner [x, y], not a list of 1",
    ),
    ("ignore: [{polygon: [[0, 0], [4, ▸a], [0, 4]]}]", "ignore[0].polygon[1][1]", 'not the string "a"'),
    (
        "ignore: [▸{polygon: [[0, 0], [4, 0], [0, 4]], x: 3}]",
        "ignore[0]",
        "an area must have one shape, not x and polygon",
    ),
    ("ignore: [{mask: ▸nowhere.png}]", "ignore[0].mask", 'there is no file "nowhere.png"; relative paths start from'),
    ('ignore: [{mask: ▸""}]', "ignore[0].mask", "expected a path"),
    # overrides, scans, baselines, report
    ("overrides: ▸{match: a}", "overrides", "expected a list such as"),
    ("overrides: [{match: ▸3}]", "overrides[0].match", "or a list of globs, not 3"),
    ("overrides: [{match: ▸[]}]", "overrides[0].match", "not an empty list"),
    ("overrides: [{match: [a, ▸'b\\c']}]", "overrides[0].match[1]", "has a backslash; use / on every system"),
    (
        "overrides: [{match: ▸'*.{png,jpg}'}]",
        "overrides[0].match",
        "has braces, which are not supported; pass several globs",
    ),
    ("overrides: [{match: ▸charts/}]", "overrides[0].match", 'has an empty part between slashes; write "charts/**"'),
    ("overrides: [{match: ▸../a}]", "overrides[0].match", 'has a part ".."'),
    ("overrides: [{match: ▸'a**'}]", "overrides[0].match", "must be alone between slashes"),
    ("overrides: [{match: ▸'a[b'}]", "overrides[0].match", 'has a "[" without "]"'),
    ("overrides: [{match: ▸'[z-a]'}]", "overrides[0].match", 'a reversed range, "z-a"'),
    ("overrides:\n  - match: a\n    metrics: {ssim: {min: ▸3}}", "overrides[0].metrics.ssim.min", "not 3"),
    ("overrides: [{match: a, ignore: [{mask: ▸x.png}]}]", "overrides[0].ignore[0].mask", "there is no file"),
    ("scans: [{expected: shots, actual: ▸./shots/../shots}]", "scans[0].actual", "the same folder as expected"),
    ("scans: [{expected: a, actual: b, include: ▸'*.png'}]", "scans[0].include", "expected a list of globs"),
    ("scans: [{expected: a, actual: b, include: ▸[]}]", "scans[0].include", "not an empty list"),
    ("scans: [{expected: a, actual: b, exclude: [▸'/x']}]", "scans[0].exclude[0]", "has an empty part between slashes"),
    ("scans: [{expected: ▸2024, actual: b}]", "scans[0].expected", "expected a path, not 2024; put strings in quotes"),
    ('baselines: {folder: ▸"a\\0b"}', "baselines.folder", r'expected a path, not the string "a\x00b"'),
    (
        'baselines: {layout: ▸"{modul}/{test}.png"}',
        "baselines.layout",
        'unknown placeholder "{modul}"; did you mean "module"?',
    ),
    (
        'baselines: {layout: ▸"{module}.png"}',
        "baselines.layout",
        "without {test} all tests of a module would share one",
    ),
    ('baselines: {layout: ▸"../{test}.png"}', "baselines.layout", "not a path below the baselines folder"),
    ('baselines: {layout: ▸"/{test}.png"}', "baselines.layout", "not a path below the baselines folder"),
    ('baselines: {layout: ▸"{test:>9}.png"}', "baselines.layout", "a placeholder must not have a format"),
    ('baselines: {layout: ▸"{test.png"}', "baselines.layout", "unbalanced brace"),
    ('baselines: {layout: ▸"C:{test}.png"}', "baselines.layout", "are not allowed in file names"),
    ('baselines: {layout: ▸"{test}.jpg"}', "baselines.layout", "end it with .png"),
    ("baselines: {store: ▸baselines/store}", "baselines.store", "must not contain each other"),
    ("baselines: {folder: a/b, store: ▸a}", "baselines.store", "must not contain each other"),
    ('baselines: {store: ▸""}', "baselines.store", "expected a URL such as s3://bucket/baselines, or a path"),
    ("report: {pictures: ▸some}", "report.pictures", "expected all, different, failed or none"),
    ("report: {templates: ▸nowhere}", "report.templates", "there is no folder"),
    ("report: {title:▸ }", "report.title", "expected a string, not nothing"),
    # YAML
    ("▸[size, pad]", "(top level)", "expected a mapping (key: value), not a list of 2"),
    ("▸size", "(top level)", 'expected a mapping (key: value), not the string "size"'),
    ("metrics:\n▸\tssim: {min: 1}", "metrics", "a tab cannot indent YAML; use spaces"),
    ("size: pad\n  frames▸: all", "(top level)", "check the indentation"),
    ("metrics:\n  ssim:\n    min: 1\n   ▸psnr: {min: 1}", "metrics", "check the indentation"),
    ("ignore: [{x: 0}▸", "ignore", "close every bracket"),
    ('report: {title: ▸"a}', "report.title", "a quote that opens here is never closed"),
    ("size: ▸%pad", "size", "quote texts that begin with a special character"),
    ("size: pad\n▸---\nsize: crop", "(top level)", "a second document"),
    ("size: ▸!!str pad", "size", "the tag tag:yaml.org,2002:str is not read; remove it"),
    ("size: ▸!!python/object:os.system x", "size", "is not read; remove it"),
    ("report: &r {folder: x}\nbaselines:\n  ▸<<: *r", "baselines", "merge keys (<<) are not part of YAML 1.2"),
    ("size: ▸*pad", "size", "the alias *pad has no anchor &pad before it"),
    ("scans: &s [▸*s]", "scans[0]", "the alias *s is inside its own anchor"),
    ("report: &a {}\nbaselines: ▸&a {}", "baselines", "duplicate anchor &a"),
    ('size: ▸"\\ud800"', "size", "an unpaired surrogate"),
    ("size: pad▸\0", "(top level)", "the character U+0000 is not allowed in YAML; remove it"),
    ("size: pad\nx: ▸\x1b[0m", "(top level)", "the character U+001B is not allowed in YAML"),
    (f"size: {'[' * 20}▸{'[' * 5000}", "size" + "[0]" * 20, "nested more than 20 levels deep"),
]


@pytest.mark.parametrize(("text", "key", "phrase"), MISTAKES)
def test_a_mistake_is_told_with_file_line_column_and_key(tmp_path, monkeypatch, text, key, phrase):
    monkeypatch.chdir(tmp_path)
    before, _, after = text.partition("▸")
    line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
    Path("imgdiff.yaml").write_text(before + after, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_settings(Path("imgdiff.yaml"), METRICS)
    message = str(caught.value)
    assert message.startswith(f"imgdiff.yaml:{line}:{column}: {key}: "), message
    assert phrase in message
    assert "\n" not in message


def test_columns_count_characters_and_a_byte_order_mark_is_none(tmp_path):
    assert told(tmp_path, "\ufeffsize: padd".encode()).startswith("imgdiff.yaml:1:7: size: ")
    assert told(tmp_path, "{report: {title: äö€}, size: 3}".encode()).startswith("imgdiff.yaml:1:30: size: ")


def test_a_mistake_behind_an_alias_is_shown_where_it_is_written(tmp_path):
    text = b"report: {title: x}\nmetrics: &rules\n  ssim: {min: 7}\noverrides: [{match: a, metrics: *rules}]"
    assert told(tmp_path, text).startswith("imgdiff.yaml:3:15: metrics.ssim.min: ")
    text = b"overrides: [{match: a, metrics: &rules {ssim: {min: 1}}}, {match: b, size: *rules}]"
    assert told(tmp_path, text).startswith("imgdiff.yaml:1:76: overrides[1].size: ")


def test_a_bomb_of_aliases_is_refused_before_it_is_unfolded(tmp_path):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    message = told(tmp_path, "\n".join(lines).encode())
    assert message.startswith("imgdiff.yaml:5:")
    assert "more than 20000 keys and values, aliases counted as written out" in message


def test_a_text_of_very_many_items_is_refused(tmp_path):
    assert "more than 20000 keys and values" in told(tmp_path, b"[" + b"x," * 30_000 + b"]")


@pytest.mark.parametrize(
    ("data", "place", "phrase"),
    [
        (b"size: fail\ntitle: caf\xe9", "2:11", "the byte 0xe9 is not UTF-8; save the file as UTF-8"),
        ("size: fail".encode("utf-16"), "1:1", "is not UTF-8"),
        (b'x: "\\UFFFFFFFF"', "1:7", "an escape or a version that is out of range"),
        (b'x: "\\U00110000"', "1:7", "an escape or a version that is out of range"),
    ],
)
def test_bytes_that_are_no_text_are_told_by_place(tmp_path, data, place, phrase):
    message = told(tmp_path, data)
    assert message.startswith(f"imgdiff.yaml:{place}: ")
    assert phrase in message


def test_a_file_that_is_too_large_is_not_parsed(tmp_path):
    assert told(tmp_path, b"#" * 300_000) == "imgdiff.yaml: 300000 bytes; a configuration has at most 262144"


def test_what_is_no_file_is_told_and_never_waited_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("folder.yaml").mkdir()
    Path("loop.yaml").symlink_to("loop.yaml")
    os.mkfifo("pipe.yaml")
    for name, phrase in {
        "folder.yaml": "a directory, not a file; give the path of a YAML file",
        "loop.yaml": "cannot be read: ",
        "pipe.yaml": "a device, pipe or socket, not a file",
        "nowhere.yaml": "cannot be read: No such file or directory; check the path and its permissions",
        "nul\0.yaml": "cannot be read: ",
    }.items():
        with pytest.raises(ConfigError) as caught:
            load_settings(Path(name), METRICS)
        assert str(caught.value).startswith(f"{name}: ".replace("\0", r"\x00"))
        assert phrase in str(caught.value)


def test_two_configuration_files_are_one_too_many(tmp_path):
    (tmp_path / "imgdiff.yml").touch()
    assert find_config(tmp_path) == tmp_path / "imgdiff.yml"
    (tmp_path / "imgdiff.yaml").touch()
    with pytest.raises(ConfigError, match=r"both imgdiff\.yaml and imgdiff\.yml are there; remove one of them"):
        find_config(tmp_path)


def test_a_link_that_leads_nowhere_is_not_taken_for_no_file(tmp_path):
    (tmp_path / "imgdiff.yaml").symlink_to("gone.yaml")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_settings(find_config(tmp_path), METRICS)


@dataclass(frozen=True)
class Odd:
    name: ClassVar[str] = "odd"
    direction: ClassVar[str] = "distance"
    perfect: ClassVar[float] = 0.0
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    unit: ClassVar[str] = "share"
    heat_threshold: ClassVar[str] = "none"


@dataclass(frozen=True)
class NamedAsALimit(Odd):
    max: int = 3


@dataclass(frozen=True)
class Listed(Odd):
    sizes: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Undefined(Odd):
    sizes: Nowhere = 3  # noqa: F821 - the mistake that is reported


@dataclass(frozen=True)
class Unbounded(Odd):
    bounds: ClassVar[tuple[float]] = (0.0,)


@dataclass(frozen=True)
class Nested(Odd):
    window: Listed | None = None
    gains: dict[str, float] | None = None
    either: Listed | NamedAsALimit | None = None


@pytest.mark.parametrize(
    ("metric", "rule", "place", "phrase"),
    [
        (NamedAsALimit, "max: 0", "1:11: metrics.odd", 'has an option "max", which every rule has already; rename it'),
        (Listed, "max: 0, sizes: [1]", "1:11: metrics.odd", "unhashable type: 'list'; change the options"),
        (Undefined, "max: 0", "1:11: metrics.odd", "cannot be used: name 'Nowhere' is not defined; fix its"),
        (Unbounded, "max: 0", "1:11: metrics.odd", "cannot be used: not enough values to unpack"),
        (Nested, "max: 0", "1:11: metrics.odd", "cannot be used: Type unions may not contain more than one"),
    ],
)
def test_a_mistake_of_a_metrics_author_is_told_and_not_a_traceback(tmp_path, metric, rule, place, phrase):
    message = told(tmp_path, f"metrics: {{odd: {{{rule}}}}}".encode(), Lookup(metric))
    assert message.startswith(f"imgdiff.yaml:{place}: ")
    assert phrase in message


@dataclass(frozen=True)
class Window:
    side: int
    shape: Literal["round", "square"] = "round"


@dataclass(frozen=True)
class Composed(Odd):
    window: Window | None = None
    gains: dict[str, float] | None = None


@pytest.mark.parametrize(
    ("options", "place", "phrase"),
    [
        ("window: 3", "1:33: metrics.odd.window", "a mapping (key: value) or null, not 3"),
        ("window: {}", "1:25: metrics.odd.window", 'the key "side" is missing; add side: an integer'),
        ("window: {side: x}", "1:40: metrics.odd.window.side", 'expected an integer, not the string "x"'),
        ("window: {side: 3, shape: rond}", "1:50: metrics.odd.window.shape", 'did you mean "round"?'),
        ("gains: {red: x}", "1:32: metrics.odd.gains", "expected `float`, got `str`"),
    ],
)
def test_the_options_of_anybodys_metric_are_checked_by_their_types(tmp_path, options, place, phrase):
    message = told(tmp_path, f"metrics: {{odd: {{max: 0, {options}}}}}".encode(), Lookup(Composed))
    assert message.startswith(f"imgdiff.yaml:{place}: ")
    assert phrase in message


def told(folder: Path, data: bytes, metrics: Lookup = METRICS) -> str:
    """Return the message for a file of these bytes, without the folder."""
    file = folder / "imgdiff.yaml"
    file.write_bytes(data)
    with pytest.raises(ConfigError) as caught:
        load_settings(file, metrics)
    message = str(caught.value)
    assert message.startswith(f"{file}:")
    return message.removeprefix(f"{folder}/")


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ("pixel_match: {min: 0}", "the worst value of pixel_match is 0; set a larger min, or add a `warn`"),
        ("perceptual: {max: 1.0}", "the worst value of perceptual is 1; set a smaller max"),
        ("orb: {min: 0}", "the worst value of orb is 0"),
        ("dhash: {max: 64}", "the worst value of dhash is 64"),
        ("phash: {max: 70, hash_size: 6}", "the worst value of phash is 36"),
        ("psnr: {min: 0}", "the worst value of psnr is 0"),
        ("mse: {max: 4294836225}", "the worst value of mse is 4294836225"),
        ("ssim: {min: -0.999}", "the worst value of ssim is -0.99"),
        ("pixel_match: {min: 1, tolerance: 255}", ": metrics.pixel_match.tolerance: can never"),
        (
            "pixel_match: {max_pixels: 0, tolerance: 255}",
            "pixel_match sees no difference between any two images with tol",
        ),
        ("pixel_match: {min: 1, tolerance: 255}", "with tolerance: 255; change the options"),
        ("perceptual: {max_in_window: {pixels: 1024}}", "a window of 32x32 has only 1024 pixels; set fewer pixels"),
        ("perceptual: {max: 0, max_in_window: {size: 3, pixels: 9}}", "a window of 3x3 has only 9 pixels"),
        ("pixel_match: {min: 0.5, warn: 1, tolerance: 255}", "with tolerance: 255; change the options"),
    ],
)
def test_a_limit_that_any_two_pictures_hold_is_refused(tmp_path, rule, told):
    file = tmp_path / "imgdiff.yaml"
    file.write_text(f"metrics: {{{rule}}}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="can never fail: ") as refused:
        load_settings(file, Registry())
    assert told in str(refused.value)


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        (
            "ssim: {max_in_window: {pixels: 9}}",
            "metrics.ssim.max_in_window: ssim does not mark pixels; its limit is min",
        ),
        ("perceptual: {max: 0, threshold: 1}", "threshold: expected a number of at least 0 and below 1, not 1"),
        ("perceptual: {max_in_window: 9}", "metrics.perceptual.max_in_window: expected a mapping (key: value), not 9"),
        (
            "perceptual: {max_in_window: {size: 9}}",
            'the key "pixels" is missing; add pixels: an integer of at least 0',
        ),
        ("perceptual: {max_in_window: {size: 0, pixels: 9}}", "size: expected an integer of at least 1, not 0"),
        ("perceptual: {max_in_window: {pixel: 9}}", 'unknown key "pixel"; did you mean "pixels"?'),
        ("perceptual: {max_in_windows: {pixels: 9}}", 'unknown key "max_in_windows"; did you mean "max_in_window"?'),
    ],
)
def test_mistakes_in_a_limit_on_a_window_are_told(tmp_path, rule, told):
    file = tmp_path / "imgdiff.yaml"
    file.write_text(f"metrics: {{{rule}}}\n", encoding="utf-8")
    with pytest.raises(ConfigError) as refused:
        load_settings(file, Registry())
    assert told in str(refused.value)


@pytest.mark.parametrize(
    "rule",
    [
        "dhash: {max: 63}",
        "phash: {max: 70, hash_size: 9}",
        "ssim: {min: -1, warn: 0.9}",
        "perceptual: {max: 1, max_pixels: 9}",
        "pixel_match: {min: 0, warn: 1}",
        "mse: {max: 65025}",  # of 8 bits, not of 16
        "perceptual: {max: 0, threshold: 0.9}",
    ],
)
def test_a_limit_at_the_worst_may_stand_beside_what_is_told(tmp_path, rule):
    file = tmp_path / "imgdiff.yaml"
    file.write_text(f"metrics: {{{rule}}}\n", encoding="utf-8")
    assert load_settings(file, Registry()).policy_for("a.png").metrics
