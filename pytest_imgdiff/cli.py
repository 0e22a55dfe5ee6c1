"""The command ``pytest-imgdiff``."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

from pytest_imgdiff import __version__
from pytest_imgdiff.errors import ImgdiffError

if TYPE_CHECKING:
    from collections.abc import Sequence

ALIKE, DIFFERENT, NOT_JUDGED = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        0: alike. 1: different. 2: something could not be judged, or the command cannot be followed.
    """
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except ImgdiffError as error:
        print(f"pytest-imgdiff: {error}", file=sys.stderr)  # noqa: T201 - a command's own output
        return NOT_JUDGED
    except KeyboardInterrupt:
        print("pytest-imgdiff: interrupted; nothing was judged", file=sys.stderr)  # noqa: T201 - the same
        return NOT_JUDGED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pytest-imgdiff", description="Compare images: two pictures, or two folders of them."
    )
    parser.add_argument("--version", action="version", version=f"pytest-imgdiff {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    compare = commands.add_parser(
        "compare",
        help="compare two pictures or two folders",
        description="Compare two pictures or two folders; without either, the scans of imgdiff.yaml. Exit code 0: "
        "alike, 1: different, 2: could not be judged.",
    )
    compare.add_argument("expected", nargs="?", metavar="EXPECTED", help="a picture, or a folder of pictures")
    compare.add_argument("actual", nargs="?", metavar="ACTUAL", help="likewise")
    compare.add_argument("--config", metavar="FILE", help="the configuration (default: imgdiff.yaml here, if any)")
    compare.add_argument("--report", metavar="DIR", help="write the HTML report and its pictures to this folder")
    compare.add_argument("--json", metavar="FILE", help="write the results as JSON (- for standard output)")
    compare.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="set a key of imgdiff.yaml, such as metrics.ssim.min=0.98 or size=pad; may be given several times",
    )
    compare.add_argument("--include", action="append", default=[], metavar="GLOB", help="compare only these names")
    compare.add_argument("--exclude", action="append", default=[], metavar="GLOB", help="leave these names out")
    compare.add_argument("--jobs", type=_positive, metavar="N", help="compare so many pairs at once (default: cores)")
    compare.add_argument("--quiet", "-q", action="store_true", help="print the summary only")
    compare.set_defaults(run=_compare)
    schema = commands.add_parser("schema", help="print the JSON Schema of imgdiff.yaml, for editors")
    schema.add_argument("--results", action="store_true", help="print the schema of results.json instead")
    schema.set_defaults(run=_schema)
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _compare(options: argparse.Namespace) -> int:
    from pytest_imgdiff.comparing import run_compare

    return run_compare(options)


def _schema(options: argparse.Namespace) -> int:
    if options.results:
        from pytest_imgdiff.report import results_schema

        schema = results_schema()
    else:
        from pytest_imgdiff.config import json_schema
        from pytest_imgdiff.registry import Registry

        schema = json_schema(Registry())
    print(json.dumps(schema, indent=2))  # noqa: T201 - a command's own output
    return 0
