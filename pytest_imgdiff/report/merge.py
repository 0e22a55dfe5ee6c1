"""Merging of runs: one column for each run, or the shards of one run joined."""

from __future__ import annotations

import hashlib
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from pytest_imgdiff.base.errors import ReportError
from pytest_imgdiff.base.record import RunRecord, ToolRecord
from pytest_imgdiff.base.text import counted, visible
from pytest_imgdiff.report.records import RecordSpool

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_imgdiff.base.record import ComparisonRecord, ShardRecord


_CHANGED = "the file was changed; run the comparison again"


@dataclass(frozen=True, slots=True)
class Part:
    """One of the runs to merge.

    Attributes:
        run: its results.
        source: path of its results, for error messages.
        column: its column in the merged run; None if its comparisons are joined with those of the other parts (shards).
    """

    run: RunRecord
    source: str
    column: str | None = None


def merged(parts: Sequence[Part], title: str | None = None, *, keeps_shard: bool = False) -> RunRecord:
    """Return one run with the comparisons of all parts, in their order.

    The comparisons are stored on disk (`RecordSpool`). The run is complete if every part is. Among shards, a baseline
    is unused if one of them reports it. Among columns, it is unused only if all report it, because another platform may
    use it.

    The same image has two names if one part is a scan under pytest (``shots/expected::page.png``, a node id) and
    another is a comparison by the command (``page.png``). Among columns both get the short name.

    Numbered shards must be from one set, each passed once. If some are missing the run is incomplete, and
    `RunRecord.unrecorded` lists them.

    Args:
        parts: at least one.
        title: of the merged run; default: the title of the first part.
        keeps_shard: the only part remains a shard.

    Raises:
        ReportError: shards are from different sets, or one is passed twice; two comparisons have the same name in the
            same column, or two columns the same label. The message names both sources.
    """
    columns = _columns(parts)
    missing = [] if keeps_shard else missing_shards(parts)
    names = _plain_names(parts)
    comparisons = RecordSpool()
    try:
        _join(parts, names, comparisons)
    except BaseException:
        comparisons.close()
        raise
    return RunRecord(
        tool=_tool([part.run.tool for part in parts]),
        complete=all(part.run.complete and not part.run.unrecorded for part in parts) and not missing,
        unrecorded=[*missing, *(_placed(name, part) for part in parts for name in part.run.unrecorded)],
        comparisons=comparisons,
        unused_baselines=_unused(parts),
        renames=[
            msgspec.structs.replace(rename, name=_placed(rename.name, part))
            for part in parts
            for rename in part.run.renames
            if part.column is None
        ],
        not_compared=list(dict.fromkeys(_placed(line, part) for part in parts for line in part.run.not_compared)),
        settings=list(dict.fromkeys(name for part in parts for name in part.run.settings)),
        title=parts[0].run.title if title is None else title,
        run=_run_id([part.run.run for part in parts]),
        columns=columns,
        shard=parts[0].run.shard if keeps_shard else None,
    )


def missing_shards(parts: Sequence[Part]) -> list[str]:
    """Return a line for each missing shard.

    Raises:
        ReportError: shards are from different sets, one is passed twice, or only some are numbered.
    """
    shards = {part.source: part.run.shard for part in parts}
    numbered = {source: shard for source, shard in shards.items() if shard is not None}
    if not numbered:
        return []
    first, shard = next(iter(numbered.items()))
    for source, other in shards.items():
        if other is None:
            raise ReportError(
                f"{visible(source)}: is a complete run, but {visible(first)} is shard {shard.number}/{shard.count}: "
                "join the shards first, then pass the joined report"
            )
        if (other.count, other.digest, other.whole) != (shard.count, shard.digest, shard.whole):
            raise ReportError(
                f"{visible(first)} (shard {shard.number}/{shard.count} of {_sized(shard)}) and {visible(source)} "
                f"(shard {other.number}/{other.count} of {_sized(other)}): not shards of one set: all must see the "
                "same images and tests"
            )
    for part in parts:
        found, here = len(part.run.comparisons), 0 if part.run.shard is None else part.run.shard.here
        is_of_pairs = any(record.test is None for record in part.run.comparisons[:1])  # pytest counts tests
        if part.run.complete and is_of_pairs and found != here:
            raise ReportError(f"{visible(part.source)}: has {found} of {counted(here, 'pair')}: {_CHANGED}")
    sources: dict[int, str] = {}
    for source, other in numbered.items():
        if other.number in sources:
            raise ReportError(
                f"{visible(sources[other.number])} and {visible(source)}: both are shard {other.number}/{other.count}: "
                "pass each shard once"
            )
        sources[other.number] = source
    lost = [number for number in range(1, shard.count + 1) if number not in sources]
    here = sum(other.here for other in numbered.values())
    if shard.whole is not None and (here > shard.whole or (here < shard.whole and not lost)):
        raise ReportError(
            f"the shards have {here} pairs or tests in total, but the set that was split has {shard.whole}: some are "
            "in no shard or in two; with pytest-split, use the same durations file for all groups"
        )
    return [f"shard {number}/{shard.count}: its results are missing" for number in lost]


def _sized(shard: ShardRecord) -> str:
    return "a set" if shard.whole is None else f"{shard.whole} pairs or tests"


def _plain_names(parts: Sequence[Part]) -> dict[str, str]:
    """Return short names, by node id, of pairs that both a scan under pytest and the command have compared."""
    if all(part.column is None for part in parts):
        return {}
    by_command = {
        record.name
        for part in parts
        if part.column is not None
        for record in part.run.comparisons
        if record.test is None
    }
    plain: dict[str, str] = {}
    doubtful: set[str] = set()  # several scans of one run may have images with the same name
    for part in parts:
        taken: dict[str, str] = {}
        for record in part.run.comparisons:
            name = record.name.partition("::")[2]
            if record.test == record.name and name in by_command and part.column is not None:
                plain[record.name] = name
                if taken.setdefault(f"{record.column}\0{name}", record.name) != record.name:
                    doubtful.add(name)
    return {name: short for name, short in plain.items() if short not in doubtful}


def _in_column(record: ComparisonRecord, part: Part, name: str | None) -> ComparisonRecord:
    if part.column is None:
        return record
    return msgspec.structs.replace(record, name=name or record.name, column=_column(part, record.column))


def _column(part: Part, inner: str | None) -> str | None:
    """Return the label of a column. A run that was merged earlier has its own columns."""
    return part.column if inner is None or part.column is None else f"{part.column}: {inner}"


def _columns(parts: Sequence[Part]) -> list[str]:
    sources: dict[str, str] = {}
    for part in parts:
        if part.column is None:
            sources.update(dict.fromkeys(part.run.columns, part.source))
            continue
        inner: Sequence[str | None] = part.run.columns or [None]
        for label in [_column(part, name) or "" for name in inner]:
            if label in sources:
                raise ReportError(
                    f"{visible(sources[label])} and {visible(part.source)}: both would be the column "
                    f"{visible(label)!r}: give each its own label (--name LABEL, once for each --from)"
                )
            sources[label] = part.source
    return list(sources)


def _join(parts: Sequence[Part], names: dict[str, str], comparisons: RecordSpool) -> None:
    """Store the comparisons of all parts, in their order; raises like `merged`."""
    hashes = array("q")
    ends: list[int] = []
    for part in parts:
        for record in part.run.comparisons:
            if record.passed and record.verdict == "broken":
                raise ReportError(f"{visible(part.source)}: {visible(record.name)} is broken and passed: {_CHANGED}")
            placed = _in_column(record, part, names.get(record.name) if record.test == record.name else None)
            comparisons.append(placed)
            hashes.append(hash((placed.name, placed.column)))
        ends.append(len(hashes))
    _refuse_duplicates(comparisons, hashes, [(end, part.source) for end, part in zip(ends, parts, strict=True)])


def _refuse_duplicates(comparisons: RecordSpool, hashes: array[int], ends: Sequence[tuple[int, str]]) -> None:
    """Raise for two comparisons with one name in one column. Only those with equal hashes are read again.

    Args:
        comparisons: the comparisons of all parts.
        hashes: of the name and column of each.
        ends: for each part, the number of comparisons up to its end, and its source.
    """
    import numpy as np  # 8 bytes for each comparison; a set of Python integers takes ten times as much

    ordered = np.sort(np.frombuffer(hashes, np.int64))
    doubtful = set(ordered[1:][ordered[1:] == ordered[:-1]].tolist())
    if not doubtful:
        return
    seen: dict[tuple[str, str | None], str] = {}
    for number, hashed in enumerate(hashes):
        if hashed not in doubtful:
            continue
        record, source = comparisons[number], next(source for end, source in ends if number < end)
        key = record.name, record.column
        if key not in seen:
            seen[key] = source
            continue
        what = f"the comparison {visible(record.name)}"
        if record.column is not None:
            what += f" in the column {visible(record.column)!r}"
        if seen[key] == source:
            raise ReportError(f"{visible(source)}: contains {what} twice: run the comparison again")
        raise ReportError(
            f"{visible(seen[key])} and {visible(source)}: both contain {what}: shards of one run have no common names; "
            "to merge runs of the same tests as columns, omit --shards"
        )


def _placed(name: str, part: Part) -> str:
    return name if part.column is None else f"{part.column}: {name}"


def _unused(parts: Sequence[Part]) -> list[str]:
    named = list(dict.fromkeys(name for part in parts for name in part.run.unused_baselines))
    if parts[0].column is None:
        return named
    return [name for name in named if all(name in part.run.unused_baselines for part in parts)]


def _tool(tools: Sequence[ToolRecord]) -> ToolRecord:
    """Return the tool and package versions; all of them where the runs differ."""
    names = dict.fromkeys(name for tool in tools for name in tool.packages)
    packages = {name: [tool.packages[name] for tool in tools if name in tool.packages] for name in names}
    return ToolRecord(
        name=_all_of([tool.name for tool in tools]),
        version=_all_of([tool.version for tool in tools]),
        packages={name: _all_of(versions) for name, versions in packages.items()},
    )


def _all_of(texts: Iterable[str]) -> str:
    return " / ".join(dict.fromkeys(texts))


def _run_id(ids: Sequence[str]) -> str:
    """Return an identifier for the merged run that depends only on its parts."""
    return ids[0] if len(ids) == 1 else hashlib.sha256("\n".join(ids).encode()).hexdigest()[:32]


def unique_labels(paths: Sequence[tuple[str, ...]]) -> list[str]:
    """Return the shortest distinct label for each path: its last components, without those that all paths share.

    ``chromium/imgdiff-report`` and ``firefox/imgdiff-report`` become ``chromium`` and ``firefox``. Equal paths have
    equal labels.
    """
    while len({path[-1:] for path in paths}) == 1 and len(paths) > 1 and all(len(path) > 1 for path in paths):
        paths = [path[:-1] for path in paths]
    for depth in range(1, max(map(len, paths), default=1) + 1):
        labels = ["/".join(path[-depth:]) for path in paths]
        if len(set(labels)) == len(labels):
            return labels
    return ["/".join(path) for path in paths]
