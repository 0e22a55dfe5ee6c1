"""The rules that are compared: what each says of a pair, as a number, and from where on it calls the two different.

What a rule said is kept in the cache, by the contents of the two files and the rule's version.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING

from benchmarks.processes import ROOT, environment
from benchmarks.rivals import UnavailableError, node

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from benchmarks.rivals import Rivals

HERE = Path(__file__).parent
VISIBLE = "**`visible`**"
Scores = dict[str, float]
"""A rule's scores of one pair, by setting: 0 for equal, larger for more different."""


@dataclass(frozen=True)
class Pair:
    """Two files and the truth about them.

    Attributes:
        expected, actual: the files.
        match: whether they show the same.
        seed: what they were rendered from; pairs of one seed are held out together.
        suite: the set that they belong to.
        about: their entry in ``truth.json``.
    """

    expected: Path
    actual: Path
    match: bool
    seed: str
    suite: str
    about: Mapping[str, object] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The set and the file."""
        return f"{self.suite}/{self.expected.name}"


def pairs_of(folder: Path) -> list[Pair]:
    """Read a set; pairs without a right answer are left out.

    Raises:
        FileNotFoundError: there is no ``truth.json`` in the folder, or a picture that it names is not there.
    """
    pairs = []
    for name, row in json.loads((folder / "truth.json").read_text(encoding="utf-8")).items():
        if row["match"] is not None:
            files = folder / "expected" / name, folder / "actual" / name
            for file in files:
                if not file.is_file():
                    raise FileNotFoundError(f"{folder / 'truth.json'} names {name}, but there is no {file}")
            pairs.append(Pair(*files, row["match"], name.partition("-")[0], folder.name, row))
    return pairs


@dataclass(frozen=True)
class Rule:
    """A rule of ours or of a rival.

    Attributes:
        name: in the table.
        setting: the one of its settings that is its default, or is usual.
        limit: the largest score that it calls the same by default; None where it has no verdict of its own.
        ask: takes pairs, gives the scores of each, in their order.
        version: the answers of another version are not taken from the cache.
    """

    name: str
    setting: str
    limit: float | None
    ask: Callable[[Sequence[Pair]], Iterator[Scores]]
    version: str


def rules(rivals: Rivals) -> list[Rule]:
    """Return every rule that is there; a rival that could not be installed is left out."""
    mine = _own_version()
    found = [
        Rule(f"`perceptual`, {difference}", "pixels", 0, partial(_ours, {"difference": difference}), mine)
        for difference in ("yiq", "oklab")
    ]
    if _has_visible():
        found.insert(0, Rule(VISIBLE, "value", 1, partial(_ours, {}, metric="visible"), mine))
    folder = str(rivals.folder / "node" / "node_modules")
    for name, package, setting in (
        ("pixelmatch 8", "pixelmatch8", "0.1"),
        ("pixelmatch 7.2", "pixelmatch", "0.1"),
        ("odiff", "odiff-bin", "0.1"),
        ("looks-same", "looks-same", "2.3"),
    ):
        if package in rivals.versions:
            more = [str(rivals.odiff)] if name == "odiff" else []
            words = [node(), str(HERE / "asked.mjs"), name, folder, *more]
            found.append(Rule(name, setting, 0, partial(_asked, words), rivals.versions[package]))
    for name, package, setting, limit in (
        ("blazediff", "blazediff", "0.1", 0.0),
        ("SSIM", "scikit-image", "mean", 0.01),
        ("FLIP", "flip-evaluator", "mean", None),
    ):
        if package in rivals.versions:
            words = [str(rivals.python), str(HERE / "asked.py"), name]
            found.append(Rule(name, setting, limit, partial(_asked, words), rivals.versions[package]))
    return found


def scored(rule: Rule, pairs: Sequence[Pair], cache: Path) -> list[Scores]:
    """Return the rule's scores of each pair, from the cache if they are in it.

    Raises:
        UnavailableError: it ended with an error; what it said is on standard error.
    """
    cache.mkdir(parents=True, exist_ok=True)
    file = cache / f"{hashlib.sha256(f'{rule.name} {rule.version}'.encode()).hexdigest()[:16]}.json"
    known: dict[str, Scores] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    keys = [_contents(pair) for pair in pairs]
    asked = {key: pair for key, pair in zip(keys, pairs, strict=True) if key not in known}
    try:
        known.update(zip(asked, rule.ask(list(asked.values())) if asked else (), strict=True))
    finally:  # what was said before an error or Ctrl-C is not asked again
        file.write_text(json.dumps(known), encoding="utf-8")
    return [known[key] for key in keys]


def _asked(words: list[str], pairs: Sequence[Pair]) -> Iterator[Scores]:
    given = json.dumps([[str(pair.expected.resolve()), str(pair.actual.resolve())] for pair in pairs])
    with TemporaryFile("w+", encoding="utf-8") as question:
        question.write(given)
        question.seek(0)
        with subprocess.Popen(  # noqa: S603 - Node or Python, with our own script
            words, stdin=question, stdout=subprocess.PIPE, text=True, env=environment()
        ) as running:
            yield from map(json.loads, running.stdout or ())
    if running.returncode:
        raise UnavailableError(f"{words[2]} ended with exit code {running.returncode}; what it said stands above")


def _ours(options: Mapping[str, str], pairs: Sequence[Pair], metric: str = "perceptual") -> Iterator[Scores]:
    from pytest_imgdiff import Policy, Registry, Rule, compare

    registry, policy = Registry(), Policy(metrics=(Rule(metric, options=tuple(options.items()), max=0.0),))
    for pair in pairs:
        comparison = compare(pair.expected, pair.actual, policy, registry=registry)
        if comparison.verdict.value == "broken":
            raise UnavailableError(f"{pair.name}: {comparison.reason}")
        score = None if comparison.equal else comparison.scores[0]
        value = 0.0 if score is None or score.value is None else score.value
        pixels = 0 if score is None else score.details.get("pixels", 0)
        yield {"value": float(value), "pixels": float(str(pixels))}


def _has_visible() -> bool:
    from pytest_imgdiff import Registry

    return "visible" in Registry().names()


def _own_version() -> str:
    """Return a digest of every file of the package, on which our verdict may depend."""
    digest = hashlib.sha256()
    for path in sorted((ROOT / "pytest_imgdiff").rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _contents(pair: Pair) -> str:
    digest = hashlib.sha256(pair.expected.read_bytes())
    digest.update(pair.actual.read_bytes())
    return digest.hexdigest()
