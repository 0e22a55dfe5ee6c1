"""The command ``pytest-imgdiff``."""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
import traceback
from contextlib import contextmanager, redirect_stderr, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from pytest_imgdiff import __version__
from pytest_imgdiff._core import described
from pytest_imgdiff.base.errors import ImgdiffError, ReportError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ALIKE, DIFFERENT, NOT_JUDGED = 0, 1, 2

_LARGEST = 1_000_000
"""Of seconds and megabytes; timers and disks end somewhere."""
_LAST_PORT = 65535


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        0: alike. 1: different. 2: something could not be judged, or the command cannot be followed.
    """
    with _standard_error():
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")  # names may hold what a terminal has no characters for
        code = _followed(arguments)
        streams = [_is_flushed(stream) for stream in (sys.stdout, sys.stderr)]
        return code if all(streams) else NOT_JUDGED


def _followed(arguments: Sequence[str] | None) -> int:
    """Follow the command; whatever goes wrong is told on standard error."""
    try:
        _require_standard_output()
        options = _parser().parse_args(arguments)
        code = int(options.run(options))
        sys.stdout.flush()
    except SystemExit as end:  # argparse has said all: its help, its version, or what is wrong
        return int(end.code or ALIKE)
    except ImgdiffError as error:
        _tell(str(error))
    except OSError as error:  # standard output is gone (`... | head -1`) or full, or a file is
        _tell(f"{error.filename or 'standard output'}: {error.strerror or error}")
    except KeyboardInterrupt:
        _tell("interrupted; not all was judged")
    except Exception:  # noqa: BLE001 - a mistake of ours: code 1 of Python's own would say that pictures differ
        _tell("internal error; please report it with these lines:\n" + traceback.format_exc().rstrip())
    else:
        return code
    return NOT_JUDGED


def _require_standard_output() -> None:
    if sys.stdout is None:
        raise ReportError("standard output is closed; redirect it, for example to /dev/null")


def _tell(message: str) -> None:
    with suppress(OSError):  # standard error may be gone too; the exit code still tells
        print(f"pytest-imgdiff: {message}", file=sys.stderr)  # noqa: T201 - a command's own output


@contextmanager
def _standard_error() -> Iterator[None]:
    """Have a standard error, where it is closed one that drops everything: print() would take standard output."""
    if sys.stderr is not None:
        yield
        return
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere, redirect_stderr(nowhere):
        yield


def _is_flushed(stream: TextIO | None) -> bool:
    """Return whether all was written; what was not is dropped, so that Python does not complain of it at its end."""
    if stream is None:
        return True
    try:
        stream.flush()
    except OSError:
        with suppress(OSError):  # one that is no file, as in a test
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return False
    return True


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pytest-imgdiff", description="Compare images: two pictures, or two folders of them."
    )
    parser.add_argument("--version", action="version", version=f"pytest-imgdiff {__version__} (core: {described()})")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    compare = commands.add_parser(
        "compare",
        help="compare two pictures or two folders",
        description="Compare two pictures or two folders; without either, the scans of imgdiff.yaml. Exit code 0: "
        "alike, 1: different, 2: could not be judged.",
    )
    compare.add_argument("expected", nargs="?", metavar="EXPECTED", help="an image, or a folder of images")
    compare.add_argument("actual", nargs="?", metavar="ACTUAL", help="an image, or a folder of images")
    compare.add_argument("--config", metavar="FILE", help="the configuration (default: the nearest imgdiff.yaml)")
    compare.add_argument("--report", metavar="DIR", help="write the HTML report and its pictures to this folder")
    compare.add_argument(
        "--self-contained", action="store_true", help="write the report as one HTML file, too: report.html in DIR"
    )
    compare.add_argument("--json", metavar="FILE", help="write the results as JSON (- for standard output)")
    compare.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="set a key of imgdiff.yaml, such as metrics.ssim.min=0.98 or size=pad; may be given several times",
    )
    compare.add_argument(
        "--measure",
        metavar="METRICS",
        help="measure these as well, without limits: names such as orb,ssim, with options 'ssim: {window: 9}'",
    )
    compare.add_argument(
        "--glance",
        action="store_true",
        help="measure pixel match, SSIM, ORB, distances and classes of both pictures, and write a page that shows "
        "them at a glance (to --report DIR, otherwise imgdiff-glance)",
    )
    compare.add_argument("--include", action="append", default=[], metavar="GLOB", help="compare only these names")
    compare.add_argument("--exclude", action="append", default=[], metavar="GLOB", help="leave these names out")
    compare.add_argument(
        "--shard", metavar="K/N", help="compare the K-th of N shards of the folders; `pytest-imgdiff report` joins them"
    )
    compare.add_argument(
        "--jobs", type=_positive, metavar="N", help="compare N pairs in parallel (default: the number of cores)"
    )
    compare.add_argument(
        "--cluster",
        metavar="WHERE",
        help="compare on a Dask cluster: local, a scheduler's address (tcp://HOST:8786), or MODULE:FACTORY",
    )
    compare.add_argument(
        "--cluster-timeout",
        type=_above_zero,
        default=60.0,
        metavar="S",
        help="seconds to wait for the scheduler, and for a worker where there is none (default: 60)",
    )
    told = compare.add_mutually_exclusive_group()
    told.add_argument("--quiet", "-q", action="store_true", help="print the summary only")
    told.add_argument("--verbose", "-v", action="store_true", help="print a line for every pair")
    compare.set_defaults(run=_compare)
    _add_report(commands)
    schema = commands.add_parser("schema", help="print the JSON Schema of imgdiff.yaml, for editors")
    schema.add_argument("--results", action="store_true", help="print the schema of results.json instead")
    schema.set_defaults(run=_schema)
    _add_accept(commands)
    _add_baselines(commands)
    _add_calibrate(commands)
    _add_flaky(commands)
    _add_import(commands)
    _add_init(commands)
    _add_models(commands)
    _add_serve(commands)
    return parser


def _add_accept(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    accept = commands.add_parser(
        "accept",
        help="make pictures of a report the new baselines",
        description="Write what was accepted on a report's page over the baselines, if the pictures and the baselines "
        "are still those that were looked at. Exit code 0: done, 2: something was refused or could not be written.",
    )
    accept.add_argument("target", metavar="MANIFEST|REPORT", help="the exported decisions, or a report's folder")
    accept.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="GLOB",
        help="of a report, accept the failed comparisons of these names; may be given several times",
    )
    accept.add_argument(
        "--alternative",
        action="store_true",
        help="of a report, keep the baselines and store the pictures beside them, as alternatives",
    )
    accept.add_argument(
        "--renames",
        action="store_true",
        help="of a report, rename the unused baselines that have the pictures of tests without one; --only GLOB "
        "chooses the tests",
    )
    accept.add_argument("--dry-run", action="store_true", help="verify and tell, write nothing")
    accept.add_argument(
        "--root",
        metavar="DIR",
        help="the folder that the baselines' paths start from (default: this one, or the one above it that fits)",
    )
    accept.add_argument(
        "--report",
        metavar="DIR",
        help="where the pictures of a manifest are (default: beside it, else the configuration's report folder)",
    )
    accept.add_argument("--in-ci", action="store_true", help="write baselines in CI, too")
    accept.set_defaults(run=_accept)


def _add_baselines(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    baselines = commands.add_parser(
        "baselines",
        help="pull, push, status and gc of baselines in a store (baselines.store in imgdiff.yaml)",
        description="Keep baselines in a store such as S3, by commit, and not in Git. Exit code 0: done, 1: status "
        "found a difference, 2: not done, or a push found another one for the same commit.",
    )
    baselines.set_defaults(run=_baselines)
    verbs = baselines.add_subparsers(required=True, metavar="VERB", dest="verb")
    pull = verbs.add_parser("pull", help="bring the baselines folder to the baselines of the commit")
    push = verbs.add_parser("push", help="store the baselines folder as the baselines of the commit")
    status = verbs.add_parser("status", help="tell how folder, commit and store differ")
    gc = verbs.add_parser("gc", help="remove what no kept commit needs; without --delete, tell only")
    for verb in (pull, push, status, gc):
        verb.add_argument("--config", metavar="FILE", help="the configuration (default: the nearest imgdiff.yaml)")
        verb.add_argument("--json", metavar="FILE", help="write the result as JSON (- for standard output)")
    for verb in (pull, push, status):
        verb.add_argument("--commit", metavar="COMMIT", help="a branch, tag or hash (default: HEAD)")
    for verb in (pull, push):
        verb.add_argument("--dry-run", action="store_true", help="tell only; write nothing")
    source = pull.add_mutually_exclusive_group()
    source.add_argument(
        "--merge",
        metavar="COMMIT",
        help="join the baselines of this commit, as if it were merged: after its branch was squashed",
    )
    source.add_argument(
        "--manifest", metavar="SHA256", help="where a commit has several: how the one begins that is meant"
    )
    pull.add_argument(
        "--force", action="store_true", help="overwrite what was changed here and not pushed, restore what was removed"
    )
    push.add_argument(
        "--force", action="store_true", help="push although the store has baselines that were not pulled here"
    )
    push.add_argument(
        "--allow-dirty", action="store_true", help="push although tracked files have changes that are not committed"
    )
    gc.add_argument(
        "--keep-days",
        type=_above_zero,
        default=30.0,
        metavar="DAYS",
        help="keep younger manifests of commits that are not known here (default: 30)",
    )
    removing = gc.add_mutually_exclusive_group()
    removing.add_argument("--delete", action="store_true", help="remove it")
    removing.add_argument("--dry-run", action="store_true", help="tell only; this is the default")


def _add_calibrate(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    calibrate = commands.add_parser(
        "calibrate",
        help="propose limits from runs, or folders of renderings, in which nothing changed",
        description="Propose limits as a fragment of imgdiff.yaml, from runs or renderings in which nothing changed, "
        "and say what they would miss. Exit code 0: limits for every picture, 1: not for all, 2: something could not "
        "be read.",
    )
    calibrate.add_argument(
        "sources",
        nargs="*",
        metavar="RESULTS|FOLDER",
        help="results.json or report folders of several runs; or folders with renderings of the same pictures",
    )
    calibrate.add_argument(
        "--pairs",
        choices=("first", "all"),
        default="first",
        help="of folders: compare all with the first one, or each with each (default: first)",
    )
    calibrate.add_argument(
        "--same",
        nargs=2,
        action="append",
        metavar=("A", "B"),
        help="two folders whose images are similar; may be repeated",
    )
    calibrate.add_argument(
        "--different", nargs=2, action="append", metavar=("C", "D"), help="two folders whose pictures all differ"
    )
    calibrate.add_argument(
        "--margin", type=_margin, default=1.5, metavar="X", help="times the worst value (default: 1.5)"
    )
    calibrate.add_argument(
        "--per",
        choices=("auto", "picture", "folder", "suite"),
        default="auto",
        help="which pictures share limits (default: those with fewer than 20 comparisons)",
    )
    calibrate.add_argument("--output", "-o", metavar="FILE", help="write the fragment here (default: standard output)")
    calibrate.add_argument("--force", action="store_true", help="replace FILE where it is there already")
    calibrate.add_argument("--config", metavar="FILE", help="the configuration (default: the nearest imgdiff.yaml)")
    calibrate.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="set a key of imgdiff.yaml, as for compare"
    )
    calibrate.add_argument("--measure", metavar="METRICS", help="of folders: measure these as well, as for compare")
    calibrate.set_defaults(run=_calibrate)


def _add_import(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    importing = commands.add_parser(
        "import",
        help="copy the baselines of another tool to the places of ours",
        description="Find the stored pictures of pytest-playwright-visual-snapshot, pytest-playwright-visual, "
        "pytest-playwright-snapshot, pytest-image-snapshot, pytest-mpl, pytest-regressions, syrupy or playwright, and "
        "copy them to the places of our baselines. Theirs stay as they are. Exit code 0: done, 1: not for all pictures "
        "a place is known, 2: something was refused or could not be written.",
    )
    importing.add_argument(
        "what",
        nargs="*",
        metavar="FROM|PATH",
        help="the tool first (default: all of them), then files and folders (default: the whole project)",
    )
    importing.add_argument("--dry-run", action="store_true", help="print which picture goes where, write nothing")
    importing.add_argument("--replace", action="store_true", help="replace baselines that are other pictures")
    for option, metavar, what in (
        (
            "--browser",
            "NAME",
            "the browser of pictures whose names do not tell it, where the layout has a place for it",
        ),
        ("--platform", "NAME", "the platform of images whose names do not contain it: linux, darwin or win32"),
        ("--viewport", "WxH", "the viewport: 1280x720"),
        ("--dpr", "N", "the screen pixels per CSS pixel: 1 or 2"),
        ("--color-scheme", "NAME", "the colour scheme: light or dark"),
    ):
        importing.add_argument(option, metavar=metavar, help=what)
    importing.add_argument(
        "--root", metavar="DIR", help="the folder that test modules are named from (default: pytest's rootdir)"
    )
    importing.add_argument("--config", metavar="FILE", help="the configuration (default: the nearest imgdiff.yaml)")
    importing.add_argument("--in-ci", action="store_true", help="write baselines in CI, too")
    importing.set_defaults(run=_import)


def _add_init(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    init = commands.add_parser(
        "init",
        help="write a commented imgdiff.yaml to begin with",
        description="Write a commented imgdiff.yaml into this folder, never over one that is there. Exit code 0: "
        "written, 2: not.",
    )
    init.add_argument(
        "--preset",
        choices=("pages", "charts", "photographs", "generated", "video"),
        default="pages",
        help="what the pictures show (default: pages)",
    )
    init.set_defaults(run=_init)


def _add_flaky(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    flaky = commands.add_parser(
        "flaky",
        help="list the pictures whose verdict changed over several runs without their baseline",
        description="Read the results of several runs, in their order, and list the pictures whose verdict changed "
        "although their baseline did not. Exit code 0: none, 1: at least one, 2: something could not be read.",
    )
    flaky.add_argument(
        "results", nargs="+", metavar="RESULTS", help="the results.json of a run, or the folder of its report"
    )
    flaky.add_argument("--json", metavar="FILE", help="write the result as JSON (- for standard output)")
    flaky.set_defaults(run=_flaky)


def _add_report(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    report = commands.add_parser(
        "report",
        help="draw a report again from its results, alone or several as one",
        description="Draw a report from results.json; of several, one report with a column for each. Exit code 0: all "
        "passed, 1: some differ, 2: something could not be judged, a run is incomplete, or nothing was compared.",
    )
    report.add_argument(
        "--from",
        dest="sources",
        action="extend",
        nargs="+",
        required=True,
        metavar="RESULTS",
        help="reports' folders, or their results.json; may be given several times",
    )
    report.add_argument("--report", metavar="DIR", help="the folder to make (default: the one folder it is drawn from)")
    report.add_argument(
        "--name", action="append", default=[], metavar="LABEL", help="label of a column, once for each --from"
    )
    report.add_argument(
        "--shards",
        action="store_true",
        help="the results are parts of one run: no columns, and no name twice (runs that know which shard they are "
        "need no such word)",
    )
    report.add_argument("--title", metavar="TEXT", help="the page's title (default: that of the first results)")
    report.add_argument("--templates", metavar="DIR", help="templates and assets of your own")
    report.add_argument("--self-contained", action="store_true", help="write report.html as well: one file, all inside")
    report.add_argument("--parquet", action="store_true", help="write results.parquet as well: a table for data frames")
    report.add_argument("--sarif", metavar="FILE", help="write the findings here as well, as SARIF 2.1.0")
    report.add_argument(
        "--pictures-at", metavar="URL", help="where the folder is published: the Markdown shows pictures from there"
    )
    report.set_defaults(run=_report)


def _add_models(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    models = commands.add_parser(
        "models",
        help="fetch, list, verify and export the models of the category metrics",
        description="The models that tell what is in a picture. Exit code 0: done, 2: not, or not for all.",
    )
    models.set_defaults(run=_models)
    verbs = models.add_subparsers(required=True, metavar="VERB", dest="verb")
    fetch = verbs.add_parser("fetch", help="download models of TensorFlow Hub into the cache")
    listing = verbs.add_parser("list", help="print what the cache holds")
    verify = verbs.add_parser("verify", help="read every byte of cached models to see that they are what was fetched")
    export = verbs.add_parser("export", help="convert models to ONNX, once; this needs TensorFlow")
    for verb, default in ((fetch, "the default models"), (verify, "all in the cache"), (export, "the default models")):
        verb.add_argument(
            "handles", nargs="*", metavar="HANDLE", help=f"address, folder or archive (default: {default})"
        )
    for verb in (fetch, listing, verify, export):
        verb.add_argument("--cache", metavar="DIR", help="the cache (default: $TFHUB_CACHE_DIR, else the user's own)")
    export.add_argument("--output", metavar="FILE", help="write the ONNX file of one model here, not into the cache")
    fetch.add_argument("--timeout", type=_above_zero, metavar="S", help="seconds for a whole download (default: 300)")
    fetch.add_argument(
        "--labels",
        metavar="ADDRESS",
        help="download the names of the classes from here (default: with the default models, TensorFlow's list)",
    )
    fetch.add_argument(
        "--connect-timeout", type=_above_zero, metavar="S", help="seconds that a server may keep silent (default: 10)"
    )
    fetch.add_argument(
        "--max-megabytes", type=_above_zero, metavar="MB", help="the largest download and model (default: 1000)"
    )


def _add_serve(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    serve = commands.add_parser(
        "serve",
        help="serve a report in which accepting acts at once, and a page that compares uploaded pictures",
        description="Serve a report, in which accepting acts at once, and a page on which pictures are dropped and "
        "compared; without REPORT the page only. Ctrl-C ends it.",
    )
    serve.add_argument("report", nargs="?", metavar="REPORT", help="the folder of a report")
    serve.add_argument(
        "--root",
        metavar="DIR",
        help="baselines are written below it (default: this folder, or the one above it that fits the report)",
    )
    serve.add_argument("--config", metavar="FILE", help="the configuration (default: the nearest imgdiff.yaml)")
    serve.add_argument("--host", default="127.0.0.1", metavar="H", help="the address to serve at (default: 127.0.0.1)")
    serve.add_argument("--port", type=_port, default=8765, metavar="N", help="its port (default: 8765; 0: any free)")
    serve.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="HOST:PORT",
        help="answer to this name too, where a port is forwarded; may be given several times",
    )
    serve.add_argument(
        "--upload-limit", type=_above_zero, default=200.0, metavar="MB", help="the largest upload (default: 200)"
    )
    serve.add_argument(
        "--timeout", type=_above_zero, default=15.0, metavar="S", help="seconds a client may be silent (default: 15)"
    )
    serve.set_defaults(run=_serve)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text) <= _LAST_PORT):
        raise argparse.ArgumentTypeError(f"expected a port from 0 to {_LAST_PORT}, not {text!r}")
    return int(text)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected an integer of at least 1, not {text!r}")
    return int(text)


def _margin(text: str) -> float:
    number = _above_zero(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a number of at least 1, not {text!r}")
    return number


def _above_zero(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number <= _LARGEST:
        raise argparse.ArgumentTypeError(f"expected a number above 0, at most {_LARGEST}, not {text!r}")
    return number


def _report(options: argparse.Namespace) -> int:
    from pytest_imgdiff.cli.report import run_report

    return run_report(options)


def _models(options: argparse.Namespace) -> int:
    from pytest_imgdiff.cli.models import run_models

    return run_models(options)


def _serve(options: argparse.Namespace) -> int:
    from pytest_imgdiff.cli.serve import run_serve

    return run_serve(options)


def _compare(options: argparse.Namespace) -> int:
    from pytest_imgdiff.cli.quick_compare import passes_at_once

    if passes_at_once(options):
        return ALIKE
    from pytest_imgdiff.cli.compare import run_compare

    return run_compare(options)


def _accept(options: argparse.Namespace) -> int:
    from pytest_imgdiff.cli.accept import run_accept

    return run_accept(options)


def _baselines(options: argparse.Namespace) -> int:
    from pytest_imgdiff.cli.baselines import run_baselines

    return run_baselines(options)


def _calibrate(options: argparse.Namespace) -> int:
    from pytest_imgdiff.cli.calibrate import run_calibrate

    return run_calibrate(options)


def _init(options: argparse.Namespace) -> int:
    from pytest_imgdiff.cli.presets import run_init

    return run_init(options)


def _import(options: argparse.Namespace) -> int:
    from pytest_imgdiff.cli.migrate import run_import

    return run_import(options)


def _flaky(options: argparse.Namespace) -> int:
    from pytest_imgdiff.cli.calibrate import run_flaky

    return run_flaky(options)


def _schema(options: argparse.Namespace) -> int:
    if options.results:
        from pytest_imgdiff.report import results_schema

        schema = results_schema()
    else:
        from pytest_imgdiff.comparison.registry import Registry
        from pytest_imgdiff.config import json_schema

        schema = json_schema(Registry())
    print(json.dumps(schema, indent=2))  # noqa: T201 - a command's own output
    return 0
