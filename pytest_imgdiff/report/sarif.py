"""Failed comparisons as SARIF 2.1.0, for tools that annotate code with findings.

Source: OASIS, "Static Analysis Results Interchange Format (SARIF) Version 2.1.0", 2020. Comments cite its sections.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from pytest_imgdiff.base.text import visible
from pytest_imgdiff.report.records import failures
from pytest_imgdiff.report.words import HEADLINES, NOT_FILES, capture_facts, elements_of, kinds_of, verdict_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_imgdiff.base.captured import Element
    from pytest_imgdiff.base.record import ComparisonRecord, RunRecord

SARIF_FILE = "results.sarif"
SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
HOME = "https://pypi.org/project/pytest-imgdiff/"
MOST_RESULTS = 5000
"""GitHub shows at most this many results of a run."""
MOST_ELEMENTS = 10
"""Most page elements that one result names."""
SOURCE_ROOT = "%SRCROOT%"
"""Base of relative paths: the root of the checked-out sources (3.4.4)."""
FINGERPRINT = "imgdiffComparison/v1"
"""Name and version (3.27.17) of the fingerprint that identifies a failure across runs."""
GITHUB_FINGERPRINT = "primaryLocationLineHash"
"""The only fingerprint that GitHub uses. Without it, GitHub hashes the line, which all failures of a file share."""
HELP = "Review the report of the run: accept the change as the new baseline, or fix its cause."


def sarif(run: RunRecord) -> bytes:
    """Return the run's failures as a SARIF log: UTF-8 JSON, the worst failure first, at most `MOST_RESULTS`.

    Each failed comparison is one result. Its rule is the first metric whose limit is not met or, if no metric decided,
    the verdict (``missing``, ``resized``, ...). Its location is the test that made the comparison or, in a scan, the
    baseline.
    """
    failed = failures(run.comparisons)[:MOST_RESULTS]
    rules = list(dict.fromkeys(_rule_of(record) for record in failed))
    log = {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": _driver(run, rules)},
                "invocations": [{"executionSuccessful": run.complete}],  # 3.20.14: the run finished
                "columnKind": "unicodeCodePoints",
                "results": [_result(record, rules) for record in failed],
            }
        ],
    }
    return msgspec.json.format(msgspec.json.encode(log), indent=2) + b"\n"


def _driver(run: RunRecord, rules: Sequence[str]) -> dict[str, Any]:
    return {
        "name": visible(run.tool.name),
        "version": visible(run.tool.version),
        "informationUri": HOME,
        "rules": [_rule(identifier) for identifier in rules],
    }


def _rule(identifier: str) -> dict[str, Any]:
    words = HEADLINES.get(identifier, f"the limit of the metric {identifier} is not met")
    sentence = {"text": f"{words[0].upper()}{words[1:]}."}
    return {
        "id": identifier,
        "shortDescription": sentence,
        "fullDescription": sentence,
        "help": {"text": HELP},
        "defaultConfiguration": {"level": "error"},
    }


def _rule_of(record: ComparisonRecord) -> str:
    failed = (score.metric for score in record.scores if not score.passed)
    return visible(next(failed, record.verdict))


def _result(record: ComparisonRecord, rules: Sequence[str]) -> dict[str, Any]:
    rule = _rule_of(record)
    name = visible(record.name)
    in_run = "" if record.column is None else f" ({visible(record.column)})"
    known = f"{record.column or ''}\n{record.name}".encode("utf-8", "surrogatepass")
    fingerprint = hashlib.sha256(known).hexdigest()
    kinds = kinds_of(record)
    capture = dict(capture_facts(record))
    properties = {**({"kinds": kinds} if kinds else {}), **({"capture": capture} if capture else {})}
    return {
        "ruleId": rule,
        "ruleIndex": rules.index(rule),
        "level": "error",
        "message": {"text": _plain(f"{name}{in_run}: {verdict_line(record)}")},
        "locations": [_location(record, name)],
        "partialFingerprints": {FINGERPRINT: fingerprint, GITHUB_FINGERPRINT: f"{fingerprint[:16]}:1"},
        **({"properties": properties} if properties else {}),  # 3.8: a property bag
    }


def _plain(text: str) -> str:
    r"""Escape a message so that ``{0}`` is not a placeholder (3.11.5) and ``[a](b)`` is not a link (3.11.6).

    Brackets outside links are unchanged, such as in ``test_page[chromium]``.
    """
    if "](" in text:
        text = re.sub(r"([\\\[\]])", r"\\\1", text)
    return re.sub(r"\{(\d+)\}", r"{{\1}}", text)


def _location(record: ComparisonRecord, name: str) -> dict[str, Any]:
    elements = [_logical_location(element) for element in elements_of(record)[:MOST_ELEMENTS]]
    location: dict[str, Any] = {"logicalLocations": [{"fullyQualifiedName": name}, *elements]}
    path = next(_places(record), None)
    if path is not None:
        address = {"uri": quote(path, safe="/", errors="surrogateescape"), "uriBaseId": SOURCE_ROOT}
        # 3.30: GitHub needs a line; for an image or a test it is the first.
        location["physicalLocation"] = {"artifactLocation": address, "region": {"startLine": 1}}
    return location


def _logical_location(element: Element) -> dict[str, Any]:
    """Return an element of a page as a logical location (3.33): its name and its selector."""
    name = {} if element.name is None else {"name": visible(element.name)}
    return {"fullyQualifiedName": visible(element.path), **name, "kind": "element"}


def _places(record: ComparisonRecord) -> Iterator[str]:
    """Yield the files where the failure can be shown, the best first: relative, with forward slashes."""
    test = (record.test or "").partition("::")[0]
    if test.endswith(".py"):
        yield from _relative(test)
    if record.accepts is not None:
        yield from _relative(record.accepts.baseline)
    for side in (record.expected, record.actual):
        if side is not None and side.label not in NOT_FILES:
            yield from _relative(side.label)
    yield from _relative(test)


def _relative(path: str) -> Iterator[str]:
    plain = path.replace("\\", "/")
    posix = PurePosixPath(plain)
    if plain and not posix.is_absolute() and not PureWindowsPath(plain).drive and ".." not in posix.parts:
        yield str(posix)
