"""``pytest-imgdiff schema``: print the JSON Schema of imgdiff.yaml or of results.json."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pytest_imgdiff.comparison.registry import Registry
from pytest_imgdiff.config import json_schema
from pytest_imgdiff.report import results_schema

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.description = "Print the JSON Schema of imgdiff.yaml."
    parser.add_argument("--results", action="store_true", help="print the schema of results.json instead")


def run(options: argparse.Namespace) -> int:
    """Print the schema."""
    print(json.dumps(results_schema() if options.results else json_schema(Registry()), indent=2))
    return 0
