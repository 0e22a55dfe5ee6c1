"""Counts who is right, with each rule's own limit and with the best one that other seeds choose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.judgement.rules import VISIBLE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.judgement.rules import Pair, Rule, Scores


@dataclass(frozen=True)
class Count:
    """The results of a rule on a set.

    Attributes:
        pairs: of the set.
        passes: pairs that differ and pass: false passes.
        alarms: pairs that match and fail: false alarms.
    """

    pairs: int
    passes: int
    alarms: int

    @property
    def right(self) -> int:
        """The number of pairs that it judged correctly."""
        return self.pairs - self.passes - self.alarms

    def __str__(self) -> str:
        return f"{self.right} ({self.passes}, {self.alarms})"


def counted(pairs: Sequence[Pair], different: Sequence[bool]) -> Count:
    """Count the judgements of pairs: whether each is different."""
    passes = sum(not pair.match and not said for pair, said in zip(pairs, different, strict=True))
    alarms = sum(pair.match and said for pair, said in zip(pairs, different, strict=True))
    return Count(len(pairs), passes, alarms)


def best_limit(pairs: Sequence[Pair], scores: Sequence[Scores]) -> tuple[str, float]:
    """Return the setting and the limit that are right most often; of several limits the middle one."""
    found: list[tuple[int, str, float]] = []
    for setting in scores[0]:
        ordered = sorted(zip((each[setting] for each in scores), (pair.match for pair in pairs), strict=True))
        right = sum(not match for _, match in ordered)  # below every score: all are called different
        limits = [(right, -1.0)]
        for at, (score, match) in enumerate(ordered):
            right += 1 if match else -1
            if at + 1 == len(ordered) or ordered[at + 1][0] > score:
                limits.append((right, score))
        most = max(limits)[0]
        among = [limit for count, limit in limits if count == most]
        found.append((most, setting, among[len(among) // 2]))
    _, setting, limit = max(found, key=lambda each: each[0])
    return setting, limit


def held_out(pairs: Sequence[Pair], scores: Sequence[Scores]) -> list[bool]:
    """Say of each pair whether it is different, by the limit that is best on all pairs of other seeds.

    Raises:
        ValueError: all pairs are of one seed.
    """
    said: dict[int, bool] = {}
    for seed in {pair.seed for pair in pairs}:
        others = [at for at, pair in enumerate(pairs) if pair.seed != seed]
        if not others:
            raise ValueError(f"cross-validation needs pairs of several seeds; all are of {seed}")
        setting, limit = best_limit([pairs[at] for at in others], [scores[at] for at in others])
        said |= {at: scores[at][setting] > limit for at, pair in enumerate(pairs) if pair.seed == seed}
    return [said[at] for at in range(len(pairs))]


def rows(rule: Rule, pairs: Sequence[Pair], scores: Sequence[Scores]) -> list[list[str]]:
    """Return the lines of a rule: its own limit where it has one, and the best one of other seeds."""
    suites = list(dict.fromkeys(pair.suite for pair in pairs))
    lines = []
    if rule.limit is not None:
        own = [each[rule.setting] > rule.limit for each in scores]
        lines.append([rule.name, "its own", *_by_suite(pairs, own, suites)])
    if rule.name != VISIBLE:  # it is judged as users get it
        lines.append([rule.name, "best of other seeds", *_by_suite(pairs, held_out(pairs, scores), suites)])
    return lines


def markdown(lines: Sequence[Sequence[str]], pairs: Sequence[Pair]) -> str:
    """Return the table: a line for each rule and limit, a column for each set and one for all."""
    suites = list(dict.fromkeys(pair.suite for pair in pairs))
    sizes = [sum(pair.suite == suite for pair in pairs) for suite in suites]
    heading = [f"{suite}, {size}" for suite, size in zip(suites, sizes, strict=True)]
    cells = [["rule: right (false passes, false alarms)", "limit", *heading, f"all, {len(pairs)}"]]
    cells += [["---"] * len(cells[0]), *lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def _by_suite(pairs: Sequence[Pair], different: Sequence[bool], suites: Sequence[str]) -> list[str]:
    counts = []
    for suite in suites:
        at = [index for index, pair in enumerate(pairs) if pair.suite == suite]
        counts.append(counted([pairs[index] for index in at], [different[index] for index in at]))
    return [*map(str, counts), str(counted(pairs, different))]
