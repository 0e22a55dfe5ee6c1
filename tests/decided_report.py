"""A project with baselines and a report of a run that failed, as real files, for what is decided over it."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from pytest_imgdiff.base.record import AcceptRecord, ComparisonRecord
from pytest_imgdiff.report import write_report, write_results
from tests.report_records import different, png, run_of

if TYPE_CHECKING:
    from pathlib import Path

OLD = png(8, 8, (200, 0, 0))
NEW = png(8, 8, (0, 0, 200))


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Project:
    """A folder with ``baselines/`` and ``imgdiff-report/``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.report = root / "imgdiff-report"
        self.records: list[ComparisonRecord] = []

    def changed(
        self, name: str, *, baseline: str | None = None, old: bytes | None = OLD, new: bytes = NEW, **changes: Any
    ) -> AcceptRecord:
        """Have a comparison that failed: a stored baseline, and another picture in the report."""
        baseline = f"baselines/{name}.png" if baseline is None else baseline
        if old is not None:
            self.put(self.root / baseline, old)
        source = f"pictures/{len(self.records)}-actual.png"
        self.put(self.report / source, new)
        accepts = AcceptRecord(baseline, source, sha(new), None if old is None else sha(old))
        self.record(name, **{"accepts": accepts, "artefacts": {"actual": source}, **changes})
        return accepts

    def record(self, name: str, **changes: Any) -> None:
        self.records.append(different(name, **changes))
        write_results(self.report, run_of(*self.records, run="the-run"))

    def page(self, **changes: Any) -> Path:
        """Draw the report and return the page's path."""
        columns = sorted({record.column for record in self.records} - {None})
        run = run_of(*self.records, **{"run": "the-run", "columns": columns, **changes})
        return write_report(self.report, run)

    def put(self, path: Path, data: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def decisions(self, **decided: str) -> list[dict[str, Any]]:
        """Return every comparison accepted, as the page exports it; or as the keywords say of a name."""
        return [
            {
                "name": record.name,
                "column": record.column,
                "decision": decided.get(record.name, "accept"),
                "comment": "",
                "accepts": self.plain(record.accepts),
            }
            for record in self.records
        ]

    @staticmethod
    def plain(accepts: AcceptRecord | None) -> dict[str, Any] | None:
        if accepts is None:
            return None
        return {name: getattr(accepts, name) for name in accepts.__struct_fields__}

    def manifest(self, decisions: list[dict[str, Any]] | None = None, **changes: Any) -> Path:
        """Write the manifest of these decisions, of all accepted where omitted."""
        content = {
            "imgdiff": "decisions",
            "version": 1,
            "run": "the-run",
            "decisions": self.decisions() if decisions is None else decisions,
            **changes,
        }
        path = self.root / "imgdiff-decisions.json"
        path.write_text(json.dumps(content), encoding="utf-8")
        return path

    def files(self) -> dict[str, bytes]:
        """Return every file outside of the report, and what is in it."""
        return {
            path.relative_to(self.root).as_posix(): path.read_bytes()
            for path in sorted(self.root.rglob("*"))
            if path.is_file() and self.report not in path.parents and path.suffix != ".json"
        }
