"""The rooms of docs/architecture.md: a file imports only from lower ones, and no files import each other in a circle."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_imgdiff.comparison.registry import METRICS

PACKAGE = Path(__file__).parent.parent / "pytest_imgdiff"
TABLE = Path(__file__).parent.parent / "docs" / "architecture.md"


def floors() -> dict[str, int]:
    """Read the table of the documentation: room to floor."""
    rows = re.findall(r"^\| (\d+) \| ([^|]+) \|", TABLE.read_text(encoding="utf-8"), re.MULTILINE)
    return {room: int(floor) for floor, rooms in rows for room in re.findall(r"`([\w./]+)`", rooms)}


def modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def room_of(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0]
    return first if first.endswith(".py") else f"{first}/"


def imported(path: Path) -> set[str]:
    """The project's own modules that a file imports, those for type checkers too."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            submodules = {f"{node.module}.{alias.name}" for alias in node.names}
            names.update({name for name in submodules if target_of(name)} or {node.module})
    return {name for name in names if name.startswith("pytest_imgdiff.")}


def target_of(name: str) -> Path | None:
    parts = name.split(".")[1:]
    for path in (PACKAGE.joinpath(*parts).with_suffix(".py"), PACKAGE.joinpath(*parts) / "__init__.py"):
        if path.is_file():
            return path
    return None


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_a_file_imports_only_from_lower_floors_and_its_own_room(path):
    known = floors()
    room = room_of(path)
    assert room in known, f"{room} has no floor in {TABLE.name}"
    for target in filter(None, map(target_of, imported(path))):
        other = room_of(target)
        if other != room:
            assert known[other] < known[room], f"{room} (floor {known[room]}) imports {other} (floor {known[other]})"


def test_every_room_of_the_table_exists():
    assert [room for room in floors() if not (PACKAGE / room).exists()] == []


def test_there_are_at_most_nine_floors():
    assert max(floors().values()) <= 9


def test_no_files_import_each_other_in_a_circle():
    left = {path: {target_of(name) for name in imported(path)} - {path, None} for path in modules()}
    while free := [path for path, targets in left.items() if not targets & left.keys()]:
        for path in free:
            del left[path]
    assert not left


def test_metrics_do_not_import_one_another():
    metrics = {target_of(place.partition(":")[0]) for place in METRICS.values()}
    for path in filter(None, metrics):
        assert not {target_of(name) for name in imported(path)} & (metrics - {path})


def test_only_the_pytest_side_imports_pytest():
    for path in modules():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if any(isinstance(node, ast.Import) and node.names[0].name == "pytest" for node in ast.walk(tree)):
            assert room_of(path) == "plugin/"


HEAVY = (
    "numpy", "cv2", "skimage", "scipy", "jinja2", "yaml", "msgspec", "PIL", "imagehash", "diffimg", "tensorflow",
    "tensorflow_hub", "kagglehub",
)  # fmt: skip
ON_DEMAND = ("skimage", "diffimg", "tensorflow", "tensorflow_hub", "kagglehub")
"""What only some metrics need, and no comparison without them brings in."""


def test_the_plugin_brings_in_nothing_heavy():
    code = f"import pytest_imgdiff.plugin, sys; print(*[name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_a_run_without_images_brings_in_nothing_heavy(pytester):
    pytester.makepyfile(
        f"""
        import sys
        def test_nothing():
            assert [name for name in {HEAVY} if name in sys.modules] == []
        """
    )
    # Not from a process that has imported everything already, as other tests of the plugin do.
    done = subprocess.run(
        [sys.executable, "-m", "pytest"], cwd=pytester.path, capture_output=True, text=True, check=False
    )
    assert "1 passed" in done.stdout, done.stdout
    assert not (pytester.path / "imgdiff-report").exists()


@pytest.mark.parametrize(("metric", "brought_in"), [("ssim", []), ("shift", ["skimage"]), ("diffimg", ["diffimg"])])
def test_a_comparison_brings_in_what_its_metrics_need_and_no_more(metric, brought_in):
    code = f"""
import sys
import numpy as np
from pytest_imgdiff import Policy, Rule, compare
picture = np.random.default_rng(0).integers(0, 256, (60, 60, 3), np.uint8)
limit = {{"min": 0.5}} if {metric!r} == "ssim" else {{"max": 0.5}}
compare(picture, np.roll(picture, 4, axis=0), Policy(metrics=(Rule({metric!r}, **limit),)))
print(*[name for name in {ON_DEMAND} if name in sys.modules])
"""
    without_core = {**os.environ, "IMGDIFF_CORE": "python"}  # which does what diffimg does
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=without_core)
    assert done.stdout.split() == brought_in


def test_the_public_names():
    import pytest_imgdiff

    assert pytest_imgdiff.__all__ == [
        "BrokenImageError",
        "CaptureError",
        "CaptureSettings",
        "Capturer",
        "Comparison",
        "ConfigError",
        "Image",
        "ImageAssertionError",
        "ImgdiffError",
        "LimitSettings",
        "Metric",
        "MetricError",
        "MetricResult",
        "Policy",
        "Region",
        "RegionSettings",
        "Registry",
        "Rule",
        "Score",
        "Shot",
        "SizePolicy",
        "Verdict",
        "compare",
        "hookimpl",
    ]
    for name in pytest_imgdiff.__all__:
        assert getattr(pytest_imgdiff, name) is not None
