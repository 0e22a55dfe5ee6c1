"""The HTML report: a page, its scripts and styles, and the data that they show."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from pytest_imgdiff.report.companions import companions_of, write_companions
from pytest_imgdiff.report.content import content_of, run_data
from pytest_imgdiff.report.figures import LinkedPictures
from pytest_imgdiff.report.files import replace_derived, replace_file
from pytest_imgdiff.report.order import in_order
from pytest_imgdiff.report.plain import plain_groups
from pytest_imgdiff.report.script import receiving
from pytest_imgdiff.report.templates import ASSETS, Templates, asset_bytes
from pytest_imgdiff.report.view import page_view

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pytest_imgdiff.record import RunRecord

PAGE = "index.html"
PAGE_TEMPLATE = "report.html.j2"
PLAIN_PAGE = "plain.html"
PLAIN_TEMPLATE = "plain.html.j2"
SERVERS_OWN = ("live", "upload")
"""How the assets are called that only `pytest-imgdiff serve` shows."""
DATA = "data"
RUN_SCRIPT = f"{DATA}/run.js"


def write_page(directory: Path, run: RunRecord, *, templates: Path | None = None) -> Path:
    """Draw the run into the directory: ``index.html``, ``plain.html``, ``assets`` and ``data``.

    The page works from ``file://`` and names nothing outside its folder; ``plain.html`` holds every comparison
    without scripts, and is what one prints. The pictures that the records name are expected below the directory;
    those of the failures are written once more as scripts, so that the page may tell colours. Nothing is written
    before everything is drawn, and ``index.html`` comes last.

    Args:
        directory: the report's folder; made where it is missing.
        run: what to draw.
        templates: a folder of the user's own templates and assets, see `Templates`.

    Returns:
        The path of the page.

    Raises:
        ReportError: a file cannot be written, a picture's path leads out of the folder, or a template of the
            user's is at fault (the message names its file and line).
    """
    shelf = Templates(templates)
    view = page_view(run)
    records = in_order(run.comparisons)
    companions = companions_of(directory, records)
    content = content_of(records, run.columns, LinkedPictures(companions))
    page = shelf.rendered(PAGE_TEMPLATE, page=view)
    plain = shelf.rendered(PLAIN_TEMPLATE, page=view, groups=plain_groups(content))
    run_script = receiving("run", run_data(run, view, content.rows))
    assets = {name: asset_bytes(path) for name, path in shelf.assets().items() if not name.startswith(SERVERS_OWN)}

    write_companions(directory, companions)
    for name, asset in assets.items():
        replace_derived(directory / ASSETS / name, asset)
    _write_shards(directory / DATA, content.shards)
    replace_file(directory / RUN_SCRIPT, run_script)
    replace_file(directory / PLAIN_PAGE, plain.encode())
    return replace_file(directory / PAGE, page.encode())


def _write_shards(folder: Path, shards: Sequence[bytes]) -> None:
    """Write the details, and remove those of a larger report that was here before."""
    written = {replace_derived(folder / f"details-{number}.js", shard) for number, shard in enumerate(shards)}
    for path in set(folder.glob("details-*.js")) - written:
        with suppress(OSError):  # nothing asks for it
            path.unlink()
