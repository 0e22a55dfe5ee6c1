"""``pytest-imgdiff compare``: its options, and a fast path for two PNG files that pass.

The fast path uses only the compiled core and does not import NumPy or OpenCV. It prints what `full_compare.py` prints
and returns the same exit code. `full_compare.py` handles all other cases: pairs that fail, invalid or unusual files,
and options that need more than a verdict.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_imgdiff._core import CORE
from pytest_imgdiff.base.errors import ImgdiffError
from pytest_imgdiff.base.image import Image
from pytest_imgdiff.base.model import AUTO, DEFAULT_RULES, Comparison, Policy, Rule, Verdict, regions_of_boxes
from pytest_imgdiff.base.project import refuse_other_settings
from pytest_imgdiff.base.record import RunRecord, ToolRecord, record_of
from pytest_imgdiff.cli.parser import above_zero, add_shared, positive
from pytest_imgdiff.comparison.registry import Registry
from pytest_imgdiff.comparison.scoring import score
from pytest_imgdiff.config import find_config, load_settings
from pytest_imgdiff.config.policy import could_fail
from pytest_imgdiff.config.settings import assigned, merged_rules, merges_metrics
from pytest_imgdiff.images.counting import together
from pytest_imgdiff.images.png_pair import PngPair, count_png_pair
from pytest_imgdiff.report.words import named_line, summary_line

if TYPE_CHECKING:
    import argparse
    from typing import NoReturn

    from pytest_imgdiff.base.model import Metric, MetricResult, Score

METRICS = frozenset({"perceptual", "pixel_match", "diffimg", "mse"})
"""The metrics with a method ``of_counts``."""
_DEPTH = "uint8"
_MASK = "perceptual"
"""The metric of the difference mask, unless the settings set another one."""
_BYTES = 128
"""The most memory per pixel that a pair needs."""

_SUPPORTED = frozenset(("run", "expected", "actual", "set", "config", "quiet", "cluster_timeout"))
"""The options that the fast path supports; `full_compare.py` supports all."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.description = (
        "Compare two images or two folders; without arguments, run the scans of imgdiff.yaml. Exit code 0: "
        "similar, 1: different, 2: not compared or invalid."
    )
    parser.add_argument("expected", nargs="?", metavar="EXPECTED", help="an image, or a folder of images")
    parser.add_argument("actual", nargs="?", metavar="ACTUAL", help="an image, or a folder of images")
    add_shared(parser, "--config")
    parser.add_argument("--report", metavar="DIR", help="write the HTML report and its images to this folder")
    parser.add_argument(
        "--self-contained", action="store_true", help="also write the report as one HTML file: report.html in DIR"
    )
    add_shared(parser, "--json", "--set")
    parser.add_argument(
        "--measure",
        metavar="METRICS",
        help="also measure these metrics, without limits: orb,ssim, or with options: 'ssim: {window: 9}'",
    )
    parser.add_argument(
        "--glance",
        action="store_true",
        help="measure pixel match, SSIM, ORB, distances and classes of both images, and write a page that shows "
        "them (to --report DIR; default: imgdiff-glance)",
    )
    parser.add_argument(
        "--include", action="append", default=[], metavar="GLOB", help="compare only names that match; can be repeated"
    )
    parser.add_argument(
        "--exclude", action="append", default=[], metavar="GLOB", help="exclude names that match; can be repeated"
    )
    parser.add_argument(
        "--shard", metavar="K/N", help="compare shard K of N of the folders; merge with `pytest-imgdiff report`"
    )
    parser.add_argument(
        "--jobs", type=positive, metavar="N", help="compare N pairs in parallel (default: the number of cores)"
    )
    parser.add_argument(
        "--cluster",
        metavar="WHERE",
        help="compare on a Dask cluster: local, a scheduler's address (tcp://HOST:8786), or MODULE:FACTORY",
    )
    parser.add_argument(
        "--cluster-timeout",
        type=above_zero,
        default=60.0,
        metavar="S",
        help="seconds to wait for the scheduler and the first worker (default: 60)",
    )
    verbosity = parser.add_mutually_exclusive_group()
    verbosity.add_argument("--quiet", "-q", action="store_true", help="print the summary only")
    verbosity.add_argument("--verbose", "-v", action="store_true", help="print a line for every pair")


def run(options: argparse.Namespace) -> int:
    """Compare and return the exit code."""
    if _passes_fast(options):
        return 0
    from pytest_imgdiff.cli.full_compare import run_compare

    return run_compare(options)


def _passes_fast(options: argparse.Namespace) -> bool:
    """Return whether two files pass, after printing so; False means undecided."""
    others = [value for name, value in vars(options).items() if name not in _SUPPORTED]
    if CORE is None or any(value is not None and value is not False and value != [] for value in others):
        return False
    if not (options.expected and options.actual):
        return False
    try:
        comparison = _compared(options)
    except ImgdiffError:  # the full comparison raises it again
        return False
    if comparison is None:
        return False
    record = record_of(comparison)
    run = RunRecord(ToolRecord("", "", {}), complete=True, unrecorded=[], comparisons=[record])
    lines = [] if options.quiet else [named_line(record)]
    print(*lines, summary_line(run), sep="\n")
    return True


def _compared(options: argparse.Namespace) -> Comparison | None:
    name = Path(options.actual).as_posix()
    registry = Registry()
    if registry.extended:  # a plugin may change any result
        return None
    policy = _policy(options, name, registry)
    rules = () if policy is None or policy.metrics == DEFAULT_RULES else policy.metrics
    if policy is None or not {rule.metric for rule in rules} <= METRICS:
        return None
    if policy.ignore or policy.measure or policy.frames != "refuse":
        return None
    mask = next((rule for rule in rules if rule.metric == _MASK), Rule(_MASK))
    metrics = {rule: registry.metric(rule.metric, rule.options) for rule in dict.fromkeys((*rules, mask))}
    asked = together(metric._asked for metric in metrics.values())  # type: ignore[attr-defined]  # noqa: SLF001 - as `measuring.asked_by`
    most = min(policy.limits.pixels, policy.memory // _BYTES)
    pair = None if asked is None else count_png_pair(options.expected, options.actual, most, asked)
    if pair is None:
        return None
    images = [Image(_no_pixels, info, b"") for info in pair.infos]  # the digest of their bytes is not used
    comparison = Comparison(
        name=name,
        verdict=Verdict.MATCH,
        passed=True,
        policy=policy,
        expected=images[0],
        actual=images[1],
        compared=(images[0], images[1]),
        differing_pixels=0,
    )
    if not pair.counts.unequal:
        return replace(comparison, equal="bytes" if pair.equal_bytes else "pixels")
    return _judged(comparison, {rule: metrics[rule] for rule in rules}, pair)


def _policy(options: argparse.Namespace, name: str, registry: Registry) -> Policy | None:
    """Return the policy of this image; None if its metrics need NumPy."""
    command_line = assigned(options.set, "--set")
    if "measure" in command_line:
        return None
    config = Path(options.config) if options.config else find_config(Path.cwd())
    if not options.config:
        refuse_other_settings(config, [options.expected, options.actual])
    settings = load_settings(config, registry, folder=Path.cwd())
    rules = settings.policy_for(name).metrics
    if merges_metrics(options.set):
        if not {rule.metric for rule in rules} <= METRICS:
            return None
        command_line["metrics"] = merged_rules(rules, command_line["metrics"])
    return settings.policy_for(name, command_line=command_line)


def _judged(comparison: Comparison, metrics: dict[Rule, Metric], pair: PngPair) -> Comparison | None:
    """Return a comparison that passes all rules without a warning; None if undecided."""
    policy, heat = comparison.policy, pair.counts.heat
    if CORE is None or heat is None or not metrics or policy.mask not in (AUTO, _MASK):
        return None
    scores = [_passed(rule, metric, pair, heat) for rule, metric in metrics.items()]
    boxes = CORE.regions(heat, pair.width, pair.height, policy.regions.merge)
    passed = [found for found in scores if found is not None]
    if len(passed) < len(metrics) or boxes is None:
        return None
    return replace(
        comparison,
        scores=tuple(passed),
        differing_pixels=pair.counts.unequal,
        regions=regions_of_boxes(boxes, policy.regions.min_area),
        mask_metric=_MASK if boxes else None,
    )


def _passed(rule: Rule, metric: Metric, pair: PngPair, heat: bytearray) -> Score | None:
    """Return the score of a rule that passes without a warning and could fail; None if undecided."""
    size = pair.width, pair.height
    result: MetricResult | None = metric.of_counts(pair)  # type: ignore[attr-defined]  # all METRICS have it
    if CORE is None or result is None or not could_fail(rule, metric, (_DEPTH,), pair.pixels, size):
        return None
    most = None
    if rule.max_in_window is not None:
        if rule.metric != _MASK:
            return None
        most = CORE.most_in_window(heat, *size, rule.max_in_window.size)
        if most is None:
            return None
    found = score(rule, metric, result, most)
    return found if found.passed and not found.warned else None


def _no_pixels() -> NoReturn:
    raise AssertionError("the line of a pair that passes needs no pixels")
