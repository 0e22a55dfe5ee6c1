"""The HTML report: a page, its scripts and styles, and the data that they show."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from typing import TYPE_CHECKING

from pytest_imgdiff.report.companions import companions_of, write_companions
from pytest_imgdiff.report.content import RunScript, details_script, shards_of
from pytest_imgdiff.report.figures import LinkedPictures
from pytest_imgdiff.report.files import Staged, replace_derived, replace_file
from pytest_imgdiff.report.order import in_order
from pytest_imgdiff.report.plain import PlainGroups
from pytest_imgdiff.report.templates import ASSETS, Templates, asset_bytes
from pytest_imgdiff.report.view import page_view

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_imgdiff.record import RunRecord
    from pytest_imgdiff.report.view import PageView

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
    those of the failures are written once more as scripts, beside them, so that the page may tell colours. Nothing else
    takes its place before everything is drawn, and ``index.html`` comes last. What is drawn is put aside on disk:
    memory does not grow with it.

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
    page = shelf.rendered(PAGE_TEMPLATE, page=view)
    assets = {name: asset_bytes(path) for name, path in shelf.assets().items() if not name.startswith(SERVERS_OWN)}
    companions = companions_of(directory, in_order(run.comparisons))
    with Staged() as staged, ThreadPoolExecutor(1, thread_name_prefix="imgdiff-report") as beside:
        # Most of its time is the disk's, which can have it while the rest is drawn.
        copying = beside.submit(write_companions, directory, companions)
        shards = _draw(staged, directory, run, view, LinkedPictures(companions, directory, run.root), shelf)
        copying.result()
        for name, asset in assets.items():
            replace_derived(directory / ASSETS / name, asset)
        staged.put()
    _remove_shards(directory / DATA, shards)
    return replace_file(directory / PAGE, page.encode())


def _draw(
    staged: Staged, directory: Path, run: RunRecord, view: PageView, pictures: LinkedPictures, shelf: Templates
) -> int:
    """Draw all comparisons and return in how many shards."""
    count = 0
    with closing(RunScript(run, view)) as script, closing(PlainGroups()) as plain:
        for shard in shards_of(run, pictures):
            staged.write(directory / DATA / _shard_name(count), [details_script(count, shard)])
            count += 1
            for drawn in shard:
                script.add(drawn.row)
                plain.add(drawn)
        staged.write(directory / RUN_SCRIPT, script.content())
        staged.write(directory / PLAIN_PAGE, shelf.drawn(PLAIN_TEMPLATE, page=view, groups=plain.groups()))
    return count


def _shard_name(number: int) -> str:
    return f"details-{number}.js"


def _remove_shards(folder: Path, count: int) -> None:
    """Remove the details of a larger report that was here before."""
    written = {folder / _shard_name(number) for number in range(count)}
    for path in set(folder.glob("details-*.js")) - written:
        with suppress(OSError):  # nothing asks for it
            path.unlink()
