"""How Sphinx builds the site: ``sphinx-build --fail-on-warning -c docs . site`` in the root folder.

The site's source is the root folder: README, CONTRIBUTING and the pages of ``docs/`` are the files that GitHub shows,
and their links are the same.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_imgdiff import __version__

if TYPE_CHECKING:
    from sphinx.application import Sphinx

NAVIGATION = {
    "Start": ["examples/README", "docs/migrating", "docs/glossary"],
    "pytest": ["docs/pytest", "docs/accepting"],
    "Capture": ["docs/capture", "docs/browsers"],
    "Compare folders": ["docs/cli", "docs/images"],
    "Judging: metrics and kinds": [
        "docs/metrics",
        "docs/judgement",
        "docs/calibrating",
        "docs/category",
        "docs/models",
    ],
    "Reports": ["docs/reports", "docs/results", "docs/serve"],
    "CI": ["docs/ci"],
    "Scale": ["docs/scale", "docs/baselines", "docs/performance"],
    "Extending": ["docs/extending", "docs/architecture", "docs/dependencies", "CONTRIBUTING"],
    "Reference": ["docs/config", "docs/api", "docs/errors", "CHANGELOG", "SECURITY"],
}
"""The pages of each group in the sidebar."""

project = "pytest-imgdiff"
author = "The pytest-imgdiff developers"
project_copyright = author
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.intersphinx"]
root_doc = "README"
include_patterns = ["*.md", "docs/*.md", "docs/pictures/*", "examples/README.md"]
exclude_patterns = [".*", "site", "build", "dist"]

myst_heading_anchors = 4  # the anchors that GitHub makes
myst_enable_extensions = ["fieldlist"]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False
default_role = "code"

html_theme = "furo"
html_title = f"pytest-imgdiff {release}"
html_show_sphinx = False
html_show_copyright = False


def add_navigation(_app: Sphinx, page: str, source: list[str]) -> None:
    """Append the sidebar's groups to the README, which GitHub shows without them."""
    if page != root_doc:
        return
    for group, pages in NAVIGATION.items():
        source[0] += "\n\n```{toctree}\n" + f":hidden:\n:caption: {group}\n\n" + "\n".join(pages) + "\n```\n"


def add_index(app: Sphinx, error: Exception | None) -> None:
    """Let the site's address show the README."""
    if error is None and app.builder.format == "html":
        shutil.copyfile(Path(app.outdir, f"{root_doc}.html"), Path(app.outdir, "index.html"))


def setup(app: Sphinx) -> None:
    """Connect the functions above."""
    app.connect("source-read", add_navigation)
    app.connect("build-finished", add_index)
