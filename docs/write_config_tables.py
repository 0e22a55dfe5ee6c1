"""Write the tables of keys in docs/ from the types that validate imgdiff.yaml.

Run it after a key, a default or a description has changed: ``python docs/write_config_tables.py``. With ``--check`` it
changes nothing and fails if a table is out of date.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from pytest_imgdiff.config.schema import markdown_definitions

DOCS = Path(__file__).parent
TABLE = re.compile(r"(<!-- keys: ([^>\n]+) -->\n).*?(<!-- /keys -->)", re.DOTALL)


def table(names: str, definitions: dict[str, Any]) -> str:
    """Return the table for names such as ``FileFields except scans, AreaFields`` or ``RegionFields as regions``."""
    rows = ["| key | default | meaning |", "|---|---|---|"]
    for part in names.split(", "):
        name, *words = part.split(" ")
        options = dict(zip(words[::2], words[1::2], strict=True))
        definition = definitions[name]
        required = definition.get("required", ())
        keys = options.get("only", ",".join(definition["properties"])).split(",")
        for key in keys:
            if key in options.get("except", "").split(","):
                continue
            prefix = f"`{options['as']}`: " if "as" in options else ""
            schema = definition["properties"][key]
            default = "required" if key in required else written(schema.get("default", ""))
            meaning = schema.get("description") or definitions[schema["$ref"].rpartition("/")[2]]["description"]
            rows.append(f"| {prefix}`{key}` | {default} | {meaning} |")
    return "\n".join(rows) + "\n"


def written(default: Any) -> str:
    """Return a default as YAML has it, between backticks."""
    if isinstance(default, str):
        return f"`{default}`" if default else ""
    text = re.sub(r"([0-9])[.]0(?![0-9])", r"\1", json.dumps(default).replace('"', ""))
    return f"`{text}`"


def main(arguments: list[str]) -> int:
    """Write, or check, every document that has such a table."""
    definitions = markdown_definitions()
    outdated = []
    for path in sorted(DOCS.glob("*.md")):
        text = path.read_text(encoding="utf-8")
        wanted = TABLE.sub(lambda found: found[1] + table(found[2], definitions) + found[3], text)
        if wanted != text:
            outdated.append(path.name)
            if arguments != ["--check"]:
                path.write_text(wanted, encoding="utf-8")
    if outdated and arguments == ["--check"]:
        print(f"out of date: {', '.join(outdated)}; run python docs/write_config_tables.py")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
