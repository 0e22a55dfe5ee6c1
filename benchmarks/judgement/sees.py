"""Renders one pair for each kind of change and noise, and says which metric sees it: the table of docs/metrics.md.

    python -m benchmarks.judgement.sees OUT        renders into OUT what is not there yet, prints the table as Markdown

Needs what `benchmarks.judgement` needs to render, and the extras flip and ssimulacra2.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.judgement.generate import Studio, generate, planned
from benchmarks.processes import ROOT
from benchmarks.rivals import set_up_font
from pytest_imgdiff import Registry, compare
from pytest_imgdiff.config import load_settings

CHANGES = {
    "added-dot": "a dot of 5 pixels",
    "removed-badge": "a badge removed",
    "text-digit": "a digit",
    "text-paragraph": "a word in a paragraph",
    "l-i": "`l` for `I`",
    "moved-button": "a button moved",
    "recolour-text": "another text colour",
    "error-success": "an error box that becomes a success box",
    "row-selected": "a row selected",
    "watermark-gone": "a watermark gone",
    "shadow-raised": "a stronger shadow",
    "page-warm": "a page a little warmer",
    "content-picture": "another picture",
    "picture-faded": "a picture faded",
    "inserted-banner": "a banner inserted",
}
"""What a person sees, by the name of the change."""
NOISES = {
    "ok-text-1px": "a heading moved by 1 pixel",
    "type-hinted": "type hinted otherwise",
    "type-lcd": "type smoothed for an LCD",
    "sub-pixel-text": "type moved by 0.3 pixels",
    "layers": "drawn in layers",
    "picture-jpeg": "a picture re-encoded",
    "card-1-level": "a card 1 level darker",
    "caret": "a text caret",
}
"""What a person does not see, or does not mind."""
RULES: dict[str, dict[str, Any]] = {
    "visible": {"max": 1},
    "perceptual": {"max": 0},
    "perceptual, yiq": {"max": 0, "difference": "yiq"},
    "pixel_match": {"min": 1},
    "ciede2000": {"max": 0},
    "mae": {"max": 0.001},
    "psnr": {"min": 40},
    "ssim": {"min": 0.99},
    "flip": {"max": 0.01},
    "ssimulacra2": {"min": 85},
    "nmi": {"min": 1.5},
    "orb": {"min": 0.6},
    "shift": {"max": 1},
    "phash": {"max": 4},
}
"""Metrics at usual limits; those that ask a network are left out."""
MARKS = {"different": "●", "match": "·", "broken": "-"}


def main() -> None:
    """Render what is missing, measure, print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.judgement.sees",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("out", type=Path, metavar="OUT", help="folder for expected, actual and truth.json")
    parser.add_argument("--seed", type=int, default=0, help="of the pages (default: %(default)s)")
    options = parser.parse_args()
    if not (options.out / "truth.json").is_file():
        _render(options.out, options.seed)
    truth = json.loads((options.out / "truth.json").read_text(encoding="utf-8"))
    files = {row["change"]: name for name, row in truth.items()}
    names = [name for name in RULES if name.partition(",")[0] in Registry().names()]
    rows = [(change, words, kind) for kind in (CHANGES, NOISES) for change, words in kind.items() if change in files]
    with ProcessPoolExecutor(2) as pool:
        found = pool.map(_seen, [options.out] * len(rows), [files[change] for change, _, _ in rows])
        print(_table(names, rows, list(found)))


def _render(out: Path, seed: int) -> None:
    cjk = set_up_font(ROOT / "build" / "benchmarks" / "rivals")
    with ExitStack() as ended, tempfile.TemporaryDirectory() as scratch:
        studio = Studio(ended, Path(scratch), cjk)
        wanted = {**CHANGES, **NOISES}
        pairs = (replace(pair, scale=1) for pair in planned(seed) if pair.change.name in wanted)
        generate(out, pairs, studio)


def _seen(folder: Path, name: str) -> dict[str, str]:
    """Return the verdict of each metric alone."""
    settings = load_settings(None, Registry())
    pair = folder / "expected" / name, folder / "actual" / name
    verdicts = {}
    for rule, limits in RULES.items():
        metric = rule.partition(",")[0]
        if metric in Registry().names():
            policy = settings.policy_for(name, call={"metrics": {metric: limits}})
            verdicts[rule] = compare(*pair, policy).verdict.value
    return verdicts


def _table(names: list[str], rows: list[tuple[str, str, Any]], found: list[dict[str, str]]) -> str:
    limits = [" ".join(f"{key} {value}" for key, value in RULES[name].items() if key != "difference") for name in names]
    lines = [
        f"| | {' | '.join(f'`{name}`' if ',' not in name else f'`perceptual`, {name[12:]}' for name in names)} |",
        f"|---|{'---|' * len(names)}",
        f"| limit | {' | '.join(limits)} |",
    ]
    for kind, title in ((CHANGES, "**to be seen**"), (NOISES, "**not to be seen**")):
        lines.append(f"| {title} |{' |' * len(names)}")
        for (_, words, of), verdicts in zip(rows, found, strict=True):
            if of is kind:
                lines.append(f"| {words} | {' | '.join(MARKS[verdicts[name]] for name in names)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
