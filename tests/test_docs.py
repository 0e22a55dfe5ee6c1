"""The documentation and the program say the same."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
import yaml

import pytest_imgdiff
from pytest_imgdiff.base.hookspecs import HOOKS
from pytest_imgdiff.base.model import MetricGroup, Verdict
from pytest_imgdiff.cli.parser import main
from pytest_imgdiff.comparison.registry import METRICS, Registry
from pytest_imgdiff.config import load_settings

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")])


def text_of(document):
    return (ROOT / "docs" / document).read_text(encoding="utf-8")


def prose_of(path):
    """Return a document without its blocks of code, whose brackets are not links."""
    return re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def links(path):
    """Return what a document links to in this repository: path and anchor."""
    targets = re.findall(r"\]\(([^)\s]+)\)", prose_of(path))
    return [target.partition("#")[::2] for target in targets if not re.match(r"[a-z]+:", target)]


def anchors(path):
    """Return the anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", prose_of(path), re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", heading.replace("`", "")).strip().lower() for heading in headings]
    return {heading.replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_somewhere(document):
    for name, anchor in links(document):
        target = document.parent / name if name else document
        assert target.exists(), f"{document.name} links to {name}"
        if anchor:
            assert anchor in anchors(target), f"{document.name} links to {name}#{anchor}"


def test_every_document_is_linked_from_the_readme():
    linked = {name for name, _ in links(ROOT / "README.md")}
    assert {f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")} <= linked


def test_every_document_is_in_the_navigation_of_the_site():
    navigation = ast.parse(text_of("conf.py"))
    pages = {node.value for node in ast.walk(navigation) if isinstance(node, ast.Constant)}
    assert {f"docs/{path.stem}" for path in (ROOT / "docs").glob("*.md")} <= pages


def test_every_public_name_and_hook_is_in_the_api_reference_and_has_a_docstring():
    for name in pytest_imgdiff.__all__:
        assert f":: pytest_imgdiff.{name}\n" in text_of("api.md").replace("()\n", "\n"), name
        assert inspect.getdoc(getattr(pytest_imgdiff, name)), name
    for name in HOOKS:
        assert f":: pytest_imgdiff.base.hookspecs.{name}\n" in text_of("api.md")


def test_every_option_of_pytest_is_documented():
    plugin = (ROOT / "pytest_imgdiff" / "plugin" / "__init__.py").read_text(encoding="utf-8")
    options = set(re.findall(r'"(--imgdiff-[a-z-]+)"', plugin))
    keys = set(re.findall(r'addini\("(\w+)"', plugin))
    assert len(options) > 5
    assert len(keys) > 2
    rows = [line for line in text_of("pytest.md").splitlines() if line.startswith("| `--imgdiff-")]
    assert {re.match(r"\| `(--[a-z-]+)", row).group(1) for row in rows} == options
    assert {key for row in rows for key in re.findall(r"`(imgdiff_\w+)`", row)} == keys


def test_every_documented_option_of_pytest_exists():
    plugin = (ROOT / "pytest_imgdiff" / "plugin" / "__init__.py").read_text(encoding="utf-8")
    named = {option for path in DOCUMENTS for option in re.findall(r"--imgdiff-[a-z-]*[a-z]", path.read_text("utf-8"))}
    assert [option for option in named if f'"{option}"' not in plugin] == []


def test_every_option_of_the_command_is_documented_and_exists():
    command = [sys.executable, "-m", "pytest_imgdiff", "compare", "--help"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    options = set(re.findall(r"(?<![\w-])--[a-z-]+", printed))
    section = text_of("cli.md").partition("## compare")[2].partition("\n### ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    assert set(re.findall(r"`(--[a-z-]+)", "\n".join(row.split("|")[1] for row in rows))) == options


@pytest.mark.parametrize("verb", ["pull", "push", "status", "gc"])
def test_every_option_of_baselines_is_documented_for_its_verb(verb, capsys):
    main(["baselines", verb, "--help"])
    options = set(re.findall(r"(?<![\w-])--[a-z-]+", capsys.readouterr().out)) - {"--help"}
    rows = [row.split("|") for row in text_of("baselines.md").splitlines() if row.startswith("| `--")]
    documented = {re.findall("--[a-z-]+", row[1])[0] for row in rows if verb in row[2] or row[2].strip() == "all"}
    assert documented == options


def test_every_metric_is_documented():
    rows = [line for line in text_of("metrics.md").splitlines() if line.startswith("| [`")]
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])}
    assert named == set(METRICS)


def test_the_table_of_metrics_says_what_their_classes_say():
    """One row a metric, or a row for a family: limits, the value of equal pictures, and whether it paints heat."""
    for row in (line for line in text_of("metrics.md").splitlines() if line.startswith("| [`")):
        names, _, _, limits, equal, _, paints = (cell.strip() for cell in row.strip("|").split("|"))
        for name in re.findall(r"`(\w+)`", names):
            metric = Registry().metric_class(name)
            counts = ["max_pixels"] * metric.counts_pixels + ["max_in_window"] * getattr(metric, "marks_pixels", False)
            assert re.findall(r"`(\w+)`", limits) == ["max" if metric.direction == "distance" else "min", *counts]
            assert float(equal) == metric.perfect
            assert (paints == "heat") == (metric.heat_threshold != "none")


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_says_what_it_measures_and_where_to_start(name):
    metric = Registry().metric_class(name)
    low, high = metric.bounds
    assert metric.summary
    assert metric.group in get_args(MetricGroup)
    assert low <= metric.usual_limit <= high


def test_every_verdict_is_documented():
    errors = text_of("errors.md")
    for verdict in Verdict:
        assert f"`{verdict.value}`" in errors


SETTINGS = ("ci.md", "config.md", "pytest.md", "metrics.md", "images.md")


@pytest.mark.parametrize("document", SETTINGS)
def test_settings_in_the_documents_are_yaml(document):
    for block in re.findall(r"^```yaml\n(.*?)^```", text_of(document), re.MULTILINE | re.DOTALL):
        assert yaml.safe_load(block)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_no_document_names_a_place_on_somebodys_machine(document):
    text = document.read_text(encoding="utf-8")
    assert re.findall(r"/(?:home|root|tmp|work|Users)/\S*", text) == []


ROOMS = (
    "run/baseline_store",
    "run/baselines",
    "plugin/run",
    "cli/full_compare",
    "comparison/engine",
    "plugin/invocation",
    "comparison/measuring",
    "plugin/__init__",
    "comparison/registry",
    "run/journal",
    "run/pairing",
    "run/session",
)
LEAST = 12


def messages(room):
    """Return the literal pieces of each message that a room raises, an f-string's values left out."""
    tree = ast.parse((ROOT / "pytest_imgdiff" / f"{room}.py").read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        text = None
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node.exc.args:
            text = node.exc.args[0]
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "msg":
            text = node.value
        if isinstance(text, (ast.JoinedStr, ast.Constant)):
            pieces = [part.value for part in ast.walk(text) if isinstance(part, ast.Constant)]
            yield [piece.strip() for piece in pieces if isinstance(piece, str) and len(piece.strip()) >= LEAST]


@pytest.mark.parametrize("room", ROOMS)
def test_every_message_is_documented(room):
    errors = " ".join(text_of("errors.md").split())
    told = [pieces for pieces in messages(room) if pieces]
    assert told
    assert [pieces for pieces in told if not any(piece[:LEAST].strip() in errors for piece in pieces)] == []


MIGRATING = re.findall(r"^```yaml\n(.*?)^```", text_of("migrating.md"), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("block", MIGRATING)
def test_the_settings_that_stand_for_those_of_other_tools_load(tmp_path, block):
    file = tmp_path / "imgdiff.yaml"
    file.write_text(block, encoding="utf-8")
    assert load_settings(file, Registry()).policy_for("a.png").metrics


def test_settings_that_stand_for_those_of_other_tools_are_found():
    assert len(MIGRATING) >= text_of("migrating.md").count("\n## ")
