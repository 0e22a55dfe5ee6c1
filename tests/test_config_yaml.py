"""YAML 1.2, read strictly."""

from __future__ import annotations

import json
import string
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_imgdiff.base.errors import ConfigError
from pytest_imgdiff.config import load_settings
from pytest_imgdiff.config.yaml_source import parse_yaml
from tests.config_metrics import METRICS

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        (".5", 0.5),
        ("5.", 5.0),
        ("-1E+2", -100.0),
        ("010", 10),
        ("0o10", 8),
        ("0x1F", 31),
        ("+7", 7),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("0b1", "0b1"),
        ("yes", "yes"),
        ("no", "no"),
        ("On", "On"),
        ("off", "off"),
        ("y", "y"),
        ("true", True),
        ("FALSE", False),
        ("tRue", "tRue"),
        ("null", None),
        ("~", None),
        ("nULL", "nULL"),
        ("2024-01-02", "2024-01-02"),
        ("=", "="),
        ('"1"', "1"),
        ("'true'", "true"),
        ("|\n  1", "1"),
        ("'it''s'", "it's"),
        ("12%", "12%"),
        ("Grüße", "Grüße"),
    ],
)
def test_a_scalar_means_what_yaml_1_2_says(text, value):
    found = parse_yaml(f"key: {text}", "file").root.value["key"]
    assert found == value
    assert type(found) is type(value)


def test_a_value_can_be_anchored_and_used_again():
    data = parse_yaml("a: &x {b: [1, &y 2]}\nc: *x\nd: [*y, *y]", "file").root.value
    assert data == {"a": {"b": [1, 2]}, "c": {"b": [1, 2]}, "d": [2, 2]}


LETTERS = st.text(string.printable.replace("\x0b", "").replace("\x0c", "") + "äß€漢𝄞\u00a0", max_size=12)
NUMBERS = st.integers(-(10**18), 10**18) | st.floats(allow_nan=False, allow_infinity=False, width=64)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | LETTERS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(LETTERS.filter(lambda key: key != "<<"), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(JSON)
def test_json_is_read_as_what_it_is(data):
    for text in (json.dumps(data, ensure_ascii=False), json.dumps(data, ensure_ascii=False, indent=2)):
        found = parse_yaml(text, "file").root.value
        assert found == data
        assert repr(found) == repr(data)


VALID = """\
metrics: &rules
  perceptual: {max: 0, threshold: 0.1}
  ssim: {min: 0.99, warn: 0.995, window: "gaussian"}
ignore: [{x: 0, y: 0%, width: 200, height: 40}, {polygon: [[0, 0], [9, 0], [0, 9]]}]
size: fail   # a comment
frames: all
regions: {merge: 8, min_area: 1}
limits:
  megapixels: 100
overrides:
  - match: "charts/**"
    metrics: *rules
  - match: [a.png, 'b/[!c]?.png']
scans:
  - {expected: shots/expected, actual: shots/actual, include: ["**/*.png"]}
baselines: {layout: "{module}/{test}.png"}
report:
  title: |-
    Two words
"""
PIECES = [
    "",
    " ",
    "\n",
    "\t",
    ":",
    "- ",
    "{",
    "}",
    "[",
    "]",
    '"',
    "'",
    "#",
    "&a ",
    "*a",
    "*rules",
    "!t ",
    "|",
    ">",
    "%",
    "@",
]
PIECES += [
    "\0",
    "\ud800",
    "\u2028",
    "\x85",
    "\x1b",
    "1e999",
    "9" * 50,
    ".nan",
    "null",
    "true",
    "-1",
    "---\n",
    "...\n",
    "<<: ",
]
PIECES += [
    "ssim",
    "max",
    "min",
    "match: ",
    "? ",
    "\\",
    "\\x00",
    "{test}",
    "**",
    "../",
    "é",
    "\r",
    "size: pad\n",
    ",",
    "~",
]


KEYS = ["metrics", "ignore", "size", "frames", "mask", "regions", "limits", "missing", "overrides", "scans", "report"]


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("mutated") / "imgdiff.yaml"


@settings(max_examples=400, deadline=None)
@given(
    edits=st.lists(
        st.tuples(st.integers(0, len(VALID)), st.integers(0, 12), st.sampled_from(PIECES) | LETTERS),
        min_size=1,
        max_size=4,
    )
)
def test_no_mistake_in_a_file_is_a_traceback(file, edits):
    text = VALID
    for start, length, piece in edits:
        text = text[:start] + piece + text[start + length :]
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    _loads_or_says_why(file)


@settings(max_examples=150, deadline=None)
@given(data=st.binary(max_size=60), at=st.integers(0, len(VALID)))
def test_no_bytes_in_a_file_are_a_traceback(file, data, at):
    file.write_bytes(VALID[:at].encode() + data + VALID[at:].encode())
    _loads_or_says_why(file)


@settings(max_examples=200, deadline=None)
@given(key=st.sampled_from(KEYS), data=JSON)
def test_no_data_of_the_wrong_shape_are_a_traceback(file, key, data):
    file.write_text(json.dumps({key: data}, ensure_ascii=False), encoding="utf-8")
    _loads_or_says_why(file)


def _loads_or_says_why(file: Path) -> None:
    try:
        load_settings(file, METRICS).policy_for("charts/a.png")
    except ConfigError as error:
        message = str(error)
        assert message.startswith(f"{file}:")
        assert "\n" not in message
        assert len(message) < 1500


def test_the_file_that_is_mutated_is_sound(file):
    file.write_text(VALID, encoding="utf-8")
    assert [rule.metric for rule in load_settings(file, METRICS).policy_for("charts/a.png").metrics] == [
        "perceptual",
        "ssim",
    ]


def test_positions_are_known_for_every_key_and_value():
    source = parse_yaml("a:\n  - b: 1\n    c: {d: 2}\n", "file")
    assert str(source.error(("a", 0, "c", "d"), "x")) == "file:3:12: a[0].c.d: x"
    assert str(source.error(("a", 0, "c", "d"), "x", at_key=True)) == "file:3:9: a[0].c.d: x"
    assert str(source.error(("a", 0, "none", "deeper"), "x")) == "file:2:5: a[0].none.deeper: x"
    with pytest.raises(ConfigError, match=r"^file:2:1: a: "):
        parse_yaml("a: 1\na: 2", "file")
