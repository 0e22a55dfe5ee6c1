"""The JSON Schema of imgdiff.yaml says what the loading says."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import jsonschema
import pytest

from pytest_imgdiff.base.errors import ConfigError
from pytest_imgdiff.comparison.registry import Registry
from pytest_imgdiff.config import json_schema, load_settings
from pytest_imgdiff.config.yaml_source import parse_yaml
from tests.config_metrics import METRICS


@pytest.fixture(scope="module")
def schema():
    return json_schema(METRICS)


@pytest.fixture(scope="module")
def validator(schema):
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def uncommented(text: str) -> str:
    """Return the example with every key active: those stand behind a "#" that no blank follows."""
    return re.sub(r"(?m)^( *)#(?! |$)", r"\1", text)


def test_the_shipped_example_is_valid_with_and_without_its_inactive_keys(root):
    validator = jsonschema.Draft202012Validator(json_schema(Registry()))
    text = (root / "imgdiff.yaml").read_text(encoding="utf-8")
    validator.validate(parse_yaml(text, "imgdiff.yaml").root.value)
    validator.validate(parse_yaml(uncommented(text), "imgdiff.yaml").root.value)


def test_the_shipped_example_shows_every_key_and_loads_with_all_of_them(root, tmp_path, schema):
    text = uncommented((root / "imgdiff.yaml").read_text(encoding="utf-8"))
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks" / "clock.png").touch()
    (tmp_path / "report-templates").mkdir()
    file = tmp_path / "imgdiff.yaml"
    file.write_text(text, encoding="utf-8")
    load_settings(file, Registry())
    shown = set(re.findall(r"([a-z_]+):", re.sub(r"#.*", "", text)))
    assert keys_of(schema) - shown == set()


def test_the_documentation_describes_every_key(root, schema):
    text = "".join((root / "docs" / name).read_text(encoding="utf-8") for name in ("config.md", "capture.md"))
    assert {key for key in keys_of(schema) if f"`{key}`" not in text} == set()


def test_the_tables_in_the_documentation_have_the_keys_and_defaults_of_the_code(root):
    checked = subprocess.run(
        [sys.executable, "docs/write_config_tables.py", "--check"],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (checked.returncode, checked.stdout) == (0, "")


def test_the_shipped_example_shows_the_default_of_every_key_but_these(root, schema):
    examples = {"dpi", "clip", "style", "templates", "kinds.moved", "kinds.rendering", "baselines.folder", "metrics"}
    text = (root / "imgdiff.yaml").read_text(encoding="utf-8")
    definitions = schema["$defs"]
    shown = parse_yaml(uncommented(text), "imgdiff.yaml").root.value

    def others(name, values, prefix=""):
        for key, property_ in definitions[name]["properties"].items():
            below = property_.get("$ref", "").rpartition("/")[2] or next(
                (one["$ref"].rpartition("/")[2] for one in property_.get("anyOf", ()) if "$ref" in one), ""
            )
            if below in definitions and isinstance(values.get(key), dict):
                yield from others(below, values[key], f"{key}.")
            elif not isinstance(values.get(key), list) and values.get(key) != property_.get("default", values.get(key)):
                yield f"{prefix}{key}"

    assert set(others("FileFields", shown)) <= examples


def test_the_documentation_s_examples_load(root, tmp_path):
    text = (root / "docs" / "config.md").read_text(encoding="utf-8")
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks" / "clock.png").touch()
    examples = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert len(examples) >= 5
    for example in examples:
        file = tmp_path / "imgdiff.yaml"
        file.write_text(example, encoding="utf-8")
        load_settings(file, Registry())


def keys_of(schema) -> set[str]:
    return {key for definition in schema["$defs"].values() for key in definition["properties"]}


def test_the_schema_is_json_and_closed_everywhere(schema):
    text = json.dumps(schema, allow_nan=False)
    assert text.count('"properties"') == text.count('"additionalProperties": false')


def test_the_schema_describes_every_key_for_editors(schema):
    for definition in schema["$defs"].values():
        assert definition["description"]
        for key, value in definition["properties"].items():
            target = schema["$defs"][value["$ref"].rpartition("/")[2]] if "$ref" in value else value
            assert target.get("description"), key


def test_a_metric_that_is_not_installed_may_have_any_rule(validator):
    validator.validate({"metrics": {"lpips": {"max": 0.1, "net": "alex"}}})


def test_the_schema_knows_the_limits_and_options_of_each_metric(schema):
    rules = schema["$defs"]["FileFields"]["properties"]["metrics"]["properties"]
    assert sorted(rules["perceptual"]["properties"]) == [
        "antialiasing",
        "max",
        "max_pixels",
        "radius",
        "threshold",
        "warn",
        "when",
    ]
    assert sorted(rules["ssim"]["properties"]) == ["min", "size", "warn", "when", "window"]
    assert rules["ssim"]["properties"]["min"]["maximum"] == 1.0


SOUND = [
    {},
    {"metrics": {"perceptual": {"max": 0}}},
    {"metrics": {"perceptual": {"max_pixels": 5, "warn": 0.1}}},
    {"metrics": {"ssim": {"min": 0.9, "warn": 0.95, "size": 9}}},
    {"metrics": {"weighted": {"max": 3, "weights": [1, 2, 3]}}},
    {"ignore": [{"x": 0, "y": "0%", "width": "100%", "height": 0.5}]},
    {"ignore": [{"polygon": [[0, 0], ["5%", 0], [0, 9]]}]},
    {"frames": 0},
    {"frames": "all"},
    {"overrides": [{"match": "a/**", "size": "pad"}, {"match": ["a", "b"], "metrics": {"ssim": {"min": 1}}}]},
    {"scans": [{"expected": "a", "actual": "b"}]},
    {"limits": {"megapixels": 0.5}, "regions": {"merge": 0}},
    {"kinds": {"moved": "warn", "rendering": "allow", "text": "fail"}},
    {"baselines": {"layout": "{platform}/{test}.png"}, "report": {"pictures": "none"}},
]
UNSOUND = [
    [],
    "size",
    {"metric": {}},
    {"metrics": {}},
    {"metrics": {"ssim": {}}},
    {"metrics": {"ssim": 0.9}},
    {"metrics": {"ssim": {"max": 0.9}}},
    {"metrics": {"ssim": {"min": 1.1}}},
    {"metrics": {"ssim": {"min": "1"}}},
    {"metrics": {"ssim": {"min": True}}},
    {"metrics": {"ssim": {"warn": 0.9}}},
    {"metrics": {"ssim": {"min": 0.9, "max_pixels": 1}}},
    {"metrics": {"ssim": {"min": 0.9, "window": "round"}}},
    {"metrics": {"perceptual": {"threshold": 0.2}}},
    {"metrics": {"perceptual": {"max": -0.1}}},
    {"metrics": {"perceptual": {"max_pixels": 0.5}}},
    {"metrics": {"weighted": {"max": 1}}},
    {"metrics": {"weighted": {"max": 1, "weights": [1, 2]}}},
    {"metrics": {"sssim": {"min": 0.9}}},
    {"ignore": {"x": 0}},
    {"ignore": [{}]},
    {"ignore": [{"x": 0, "y": 0, "width": 1}]},
    {"ignore": [{"x": -1, "y": 0, "width": 1, "height": 1}]},
    {"ignore": [{"x": 0, "y": 0, "width": 0, "height": 1}]},
    {"ignore": [{"x": 0, "y": 0, "width": "0%", "height": 1}]},
    {"ignore": [{"x": 0, "y": 0, "width": "101%", "height": 1}]},
    {"ignore": [{"x": 0, "y": 0, "width": 1, "height": 1, "mask": "m.png"}]},
    {"ignore": [{"polygon": [[0, 0], [1, 1]]}]},
    {"ignore": [{"polygon": [[0, 0], [1], [1, 1]]}]},
    {"ignore": [{"mask": ""}]},
    {"size": "padd"},
    {"size": None},
    {"frames": -1},
    {"frames": "first"},
    {"mask": 1},
    {"regions": {"merge": -1}},
    {"regions": {"min_area": 0}},
    {"kinds": {"moved": "pass"}},
    {"kinds": {"shifted": "warn"}},
    {"limits": {"megapixels": 0}},
    {"limits": {"megapixels": 100000000}},
    {"missing": "maybe"},
    {"overrides": {"match": "a"}},
    {"overrides": [{"size": "pad"}]},
    {"overrides": [{"match": []}]},
    {"overrides": [{"match": "a", "report": {}}]},
    {"scans": [{"expected": "a"}]},
    {"scans": [{"expected": "a", "actual": "b", "include": []}]},
    {"scans": [{"expected": "a", "actual": "b", "include": "*.png"}]},
    {"baselines": {"folder": ""}},
    {"baselines": {"folder": 3}},
    {"report": {"pictures": "some"}},
    {"report": {"title": ""}},
]


@pytest.mark.parametrize("data", SOUND, ids=json.dumps)
def test_what_is_sound_passes_both(data, validator, tmp_path):
    validator.validate(data)
    load(data, tmp_path)


@pytest.mark.parametrize("data", UNSOUND, ids=json.dumps)
def test_what_is_unsound_fails_both(data, validator, tmp_path):
    assert not validator.is_valid(data)
    with pytest.raises(ConfigError):
        load(data, tmp_path)


def load(data, folder):
    (folder / "imgdiff.yaml").write_text(json.dumps(data), encoding="utf-8")
    return load_settings(folder / "imgdiff.yaml", METRICS)
