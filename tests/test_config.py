"""What imgdiff.yaml, the command line and a call make of a policy."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_imgdiff.base.errors import ConfigError
from pytest_imgdiff.base.model import (
    Length,
    LimitSettings,
    MaskArea,
    Policy,
    PolygonArea,
    RectangleArea,
    RegionSettings,
    Rule,
    SizePolicy,
)
from pytest_imgdiff.comparison.registry import Registry
from pytest_imgdiff.config import ScanSettings, find_config, load_settings
from tests.config_metrics import METRICS


@pytest.fixture
def load(tmp_path):
    def load(text):
        file = tmp_path / "imgdiff.yaml"
        file.write_text(text, encoding="utf-8")
        return load_settings(file, METRICS)

    return load


@pytest.mark.parametrize(
    "text", ["", "# nothing yet\n", "---\n", "{}", "\ufeff", "null", "overrides: []\r\nscans: []\r\n"]
)
def test_an_empty_file_is_the_default_policy(load, text):
    assert load(text).policy_for("a.png") == Policy()


def test_without_a_file_the_defaults_hold_and_paths_start_from_the_folder(tmp_path):
    settings = load_settings(None, METRICS, folder=tmp_path)
    assert settings.policy_for("a.png") == Policy()
    assert settings.path is None
    assert settings.scans == ()
    assert settings.baselines.folder == tmp_path / "baselines"
    assert settings.baselines.layout == "{module}/{test}.png"
    assert settings.baselines.store is None
    assert settings.report.folder == tmp_path / "imgdiff-report"
    assert (settings.report.pictures, settings.report.templates) == ("failed", None)


def test_every_setting_of_a_policy_arrives(load, tmp_path):
    (tmp_path / "mask.png").touch()
    policy = load("""
        metrics:
          perceptual: {max: 1e-3, max_pixels: 0x10, warn: .0005, threshold: 0.2}
          ssim: {min: 0.99, warn: 0.995, window: gaussian}
        ignore:
          - {x: 0, y: 10.5, width: 50%, height: 7}
          - {polygon: [[0, 0], [100%, 0], [0, 12.5%]]}
          - {mask: mask.png}
        size: pad
        frames: 3
        mask: ssim
        regions: {merge: 0, min_area: 4}
        limits: {megapixels: 2.5}
        missing: allow
        unmatched: allow
        """).policy_for("a.png")
    whole, zero = Length(100.0, percent=True), Length(0.0)
    assert policy == Policy(
        metrics=(
            Rule("perceptual", (("threshold", 0.2),), max=0.001, max_pixels=16, warn=0.0005),
            Rule("ssim", (("window", "gaussian"),), min=0.99, warn=0.995),
        ),
        ignore=(
            RectangleArea(zero, Length(10.5), Length(50.0, percent=True), Length(7.0)),
            PolygonArea(((zero, zero), (whole, zero), (zero, Length(12.5, percent=True)))),
            MaskArea(str(tmp_path / "mask.png")),
        ),
        size=SizePolicy.PAD,
        frames=3,
        mask="ssim",
        regions=RegionSettings(merge=0, min_area=4),
        limits=LimitSettings(2.5),
        missing="allow",
        unmatched="allow",
    )


def test_places_start_from_the_folder_of_the_file_and_not_from_where_pytest_was_started(load, tmp_path, monkeypatch):
    (tmp_path / "own").mkdir()
    monkeypatch.chdir("/")
    settings = load("""
        scans:
          - {expected: shots/expected, actual: ../new, include: ["*.png"], exclude: ["x-*"]}
          - {expected: a, actual: b}
        baselines: {folder: base, layout: "{platform}/{browser}/{module}/{test}.png"}
        report: {folder: out, pictures: different, templates: own, title: Shop}
        """)
    assert settings.folder == tmp_path
    assert settings.scans == (
        ScanSettings(tmp_path / "shots/expected", tmp_path / "../new", ("*.png",), ("x-*",)),
        ScanSettings(tmp_path / "a", tmp_path / "b"),
    )
    assert settings.baselines.folder == tmp_path / "base"
    assert settings.baselines.layout == "{platform}/{browser}/{module}/{test}.png"
    assert settings.report.folder == tmp_path / "out"
    assert settings.report.templates == tmp_path / "own"
    assert (settings.report.pictures, settings.report.title) == ("different", "Shop")


def test_overrides_are_laid_over_one_another_in_their_order(load):
    settings = load("""
        size: pad
        regions: {merge: 1, min_area: 2}
        overrides:
          - {match: "charts/**", size: crop, frames: all, regions: {merge: 5}}
          - {match: ["**/big.png", "**/huge.png"], size: scale}
        """)
    assert settings.policy_for("a.png") == Policy(size=SizePolicy.PAD, regions=RegionSettings(merge=1, min_area=2))
    chart = settings.policy_for("charts/a.png")
    assert (chart.size, chart.frames, chart.regions) == (SizePolicy.CROP, "all", RegionSettings(merge=5, min_area=2))
    both = settings.policy_for("charts/big.png")
    assert (both.size, both.frames) == (SizePolicy.SCALE, "all")


def test_naming_metrics_replaces_the_rules_that_held_before_so_that_an_override_can_relax(load):
    settings = load("""
        metrics: {perceptual: {max: 0}, psnr: {min: 40}}
        overrides: [{match: "charts/**", metrics: {ssim: {min: 0.95}}}]
        """)
    assert [rule.metric for rule in settings.policy_for("a.png").metrics] == ["perceptual", "psnr"]
    assert settings.policy_for("charts/a.png").metrics == (Rule("ssim", min=0.95),)


def test_a_call_wins_over_the_command_line_over_overrides_over_defaults(load):
    settings = load("size: pad\noverrides: [{match: a.png, size: crop}]")
    size = SizePolicy
    assert settings.policy_for("b.png").size is size.PAD
    assert settings.policy_for("a.png").size is size.CROP
    assert settings.policy_for("a.png", command_line={"size": "scale"}).size is size.SCALE
    assert settings.policy_for("a.png", command_line={"size": "scale"}, call={"size": "fail"}).size is size.FAIL


def test_a_call_takes_python_values(load, tmp_path):
    mask = tmp_path / "mask.png"
    mask.touch()
    box = {"x": 1, "y": 2.5, "width": 3, "height": 4}
    policy = load("").policy_for("a.png", call={"size": SizePolicy.PAD, "ignore": (box, {"mask": mask}), "frames": 2})
    assert policy.size is SizePolicy.PAD
    assert policy.ignore == (
        RectangleArea(Length(1.0), Length(2.5), Length(3.0), Length(4.0)),
        MaskArea(str(mask)),
    )
    assert policy.frames == 2


def test_a_call_takes_numbers_of_numpy(load):
    numpy = pytest.importorskip("numpy")
    call = {"metrics": {"ssim": {"min": numpy.float32(0.5), "size": numpy.int64(9)}}}
    assert load("").policy_for("a.png", call=call).metrics == (Rule("ssim", (("size", 9),), min=0.5),)


ENDLESS: list[object] = []
ENDLESS.append(ENDLESS)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ({"sise": "pad"}, 'sise: unknown key "sise"; did you mean "size"? (known: capture, frames, ignore, '),
        ({"scans": []}, 'scans: unknown key "scans"'),
        ({"size": None}, "size: expected crop, fail, pad or scale, not nothing"),
        ({"metrics": {"ssim": 0.9}}, "metrics.ssim: expected limits and options such as ssim: {min: 0.9}, not 0.9"),
        ({"metrics": {"ssim": {"min": float("nan")}}}, "metrics.ssim.min: must be a finite number, not nan"),
        ({"metrics": {"sim": {"min": 1}}}, 'metrics.sim: unknown metric "sim"; did you mean "ssim"?'),
        ({"metrics": {3: {}}}, "metrics: a key must be a string, not 3"),
        ({"ignore": [{"mask": Path("gone.png")}]}, 'ignore[0].mask: there is no file "gone.png"'),
        ({"ignore": object()}, "ignore: expected a list of areas such as "),
        ({"ignore": b"x"}, "ignore: expected a list of areas such as "),
        ({"ignore": ENDLESS}, "nested more than 20 levels deep"),
        (
            {"limits": {"megapixels": 10**5000}},
            "limits.megapixels: expected a number above 0 and of at most 10000, not a number",
        ),
    ],
)
def test_a_mistake_in_a_call_names_the_argument(load, call, message):
    with pytest.raises(ConfigError) as caught:
        load("").policy_for("a.png", call=call)
    assert str(caught.value).startswith("assert_images_similar(...): ")
    assert message in str(caught.value)


MISPLACED = [
    (
        {"threshold": 0.2},
        "threshold: this is an option of a metric, such as perceptual: metrics={'perceptual': {'threshold': 0.2, ",
    ),
    (
        {"max_pixels": 100},
        "max_pixels: this is a limit of a metric, such as visible: metrics={'visible': {'max_pixels': 100}}",
    ),
    (
        {"tolerance": 3},
        "tolerance: this is an option of a metric, such as pixel_match: metrics={'pixel_match': {'tolerance': 3, ",
    ),
    ({"min": 0.9}, "min: this is a limit of a metric, such as pixel_match: metrics={'pixel_match': {'min': 0.9}}"),
    ({"ssim": 0.98}, "ssim: this is a metric: metrics={'ssim': {'min': 0.98}}"),
    ({"ssim": {"min": 0.98}}, "ssim: this is a metric: metrics={'ssim': {'min': 0.98}}"),
    ({"megapixels": 3}, "megapixels: this is a setting of limits: limits={'megapixels': 3}"),
    (
        {"mask": [{"x": 0}]},
        "ignored areas belong in ignore, in pixels: ignore=[{'x': 0, 'y': 0, 'width': 200, 'height': 40}]",
    ),
    ({"mask": ["#clock"]}, "elements that are not compared belong in capture: capture={'mask': ['#clock']}"),
    ({"mask": ".clock"}, "elements that are not compared belong in capture: capture={'mask': ['.clock']}"),
    ({"full_page": True}, "full_page: this is a setting of capture: capture={'full_page': True}"),
    ({"timeout": 3}, "timeout: this is a setting of capture: capture={'timeout': 3}"),
    ({"omit_background": True}, "this is a setting of capture: capture={'transparent': True}"),
    ({"mask": "clock.png"}, "ignored areas belong in ignore"),
]


@pytest.mark.parametrize(("call", "message"), MISPLACED)
def test_a_setting_in_the_wrong_place_is_shown_in_the_right_one(call, message):
    with pytest.raises(ConfigError) as caught:
        load_settings(None, Registry()).policy_for("a.png", call=call)
    assert str(caught.value).startswith("assert_images_similar(...): ")
    assert message in str(caught.value)


def test_a_misplaced_setting_is_shown_as_it_is_written_where_it_was_given(load):
    with pytest.raises(
        ConfigError, match=r"threshold: this is an option .*: --set metrics\.perceptual\.threshold=0\.2$"
    ):
        load("").policy_for("a.png", command_line={"threshold": 0.2})
    with pytest.raises(
        ConfigError, match=r"this is an option .*: metrics: \{perceptual: \{threshold: 0\.2, max: 0\}\}$"
    ):
        load("threshold: 0.2")


@pytest.mark.parametrize("key", ["threshold", "tolerance", "min", "max", "max_pixels", "ssim", "gaussian"])
def test_what_a_message_offers_for_a_misplaced_setting_can_be_followed(key):
    settings = load_settings(None, Registry())
    value = {"tolerance": 3, "max_pixels": 100, "gaussian": True}.get(key, 0.5)
    with pytest.raises(ConfigError) as caught:
        settings.policy_for("a.png", call={key: value})
    offered = str(caught.value).rpartition(": metrics=")[2]
    assert settings.policy_for("a.png", call={"metrics": ast.literal_eval(offered)}).metrics


def test_a_mistake_on_the_command_line_says_so(load):
    with pytest.raises(ConfigError, match=r"^command line: size: expected .*, not the string \"big\""):
        load("").policy_for("a.png", command_line={"size": "big"})


def test_the_nearest_file_is_found_from_a_folder_upward(tmp_path):
    inner = tmp_path / "middle" / "inner"
    inner.mkdir(parents=True)
    (tmp_path / "imgdiff.yaml").touch()
    assert find_config(tmp_path) == tmp_path / "imgdiff.yaml"
    assert find_config(inner) == tmp_path / "imgdiff.yaml"
    (tmp_path / "middle" / "imgdiff.yml").touch()
    assert find_config(inner) == tmp_path / "middle" / "imgdiff.yml"


@pytest.mark.parametrize("mark", [".git", ".hg"])
def test_the_search_for_a_file_ends_at_the_root_of_the_repository(tmp_path, mark):
    inner = tmp_path / "repository" / "inner"
    inner.mkdir(parents=True)
    (tmp_path / "imgdiff.yaml").touch()
    (tmp_path / "repository" / mark).touch()
    assert find_config(inner) is None
    (tmp_path / "repository" / "imgdiff.yaml").touch()
    assert find_config(inner) == tmp_path / "repository" / "imgdiff.yaml"


def test_messages_call_a_file_by_its_path_from_the_working_directory(tmp_path, monkeypatch):
    file = tmp_path / "project" / "imgdiff.yaml"
    file.parent.mkdir()
    file.write_text("size: x")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=re.escape(f"project{os.sep}imgdiff.yaml:1:7: size: ")):
        load_settings(file, METRICS)


def test_the_shipped_example_loads_and_means_what_it_says(root):
    settings = load_settings(root / "imgdiff.yaml", Registry())
    assert settings.policy_for("pages/home.png").metrics == (Rule("visible", (("level", "normal"),), max=1.0),)
    assert settings.policy_for("photos/cat.jpg").metrics == (Rule("ssim", min=0.95),)
    examples = root / "examples"
    assert settings.scans == (ScanSettings(examples / "expected", examples / "actual", ("**/*.png", "**/*.jpg")),)


def test_importing_the_configuration_brings_in_no_numpy_and_no_opencv(root):
    code = (
        "import sys; from pytest_imgdiff.config import load_settings, find_config, json_schema\n"
        "from pathlib import Path; from pytest_imgdiff.comparison.registry import Registry\n"
        "load_settings(None, Registry()).policy_for('a.png')\n"
        "print(sorted({'numpy', 'cv2', 'PIL', 'skimage', 'pytest'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=True)
    assert done.stdout == "[]\n"


def test_baselines_store_is_a_url_or_a_folder(load, tmp_path):
    def store(text):
        return load(f"baselines: {{store: '{text}'}}").baselines.store

    assert str(store("s3://shop/base")) == "s3://shop/base"
    assert store("shared/base") == tmp_path / "shared/base"
    assert store(f"file://{tmp_path}/base") == tmp_path / "base"
