"""Texts of pages: a report's own with what makes it act, and refusals."""

from __future__ import annotations

import re

from markupsafe import escape

SECURITY_POLICY = (
    "default-src 'none'; img-src 'self' data: blob:; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""What served pages may load and ask: this server, and nothing else."""
_MAIN_SCRIPT = re.compile(r"""<script\b[^>]*\bsrc=["']?[^"'>]*\bmain\.js""", re.IGNORECASE)
_END_OF_HEAD = re.compile(r"</head\s*>", re.IGNORECASE)


def live_page(page: str, token: str, kind: str) -> str:
    """Return a report's page with the script that asks the server, and the token that it is to show.

    Args:
        page: the report's ``index.html``.
        token: what a request that writes has to carry.
        kind: ``report``, where accepting acts at once, or ``job``.
    """
    added = (
        f'<meta name="imgdiff-token" content="{escape(token)}"><meta name="imgdiff-served" content="{escape(kind)}">'
        '<script src="/server/live.js" defer></script>'
    )
    place = _MAIN_SCRIPT.search(page) or _END_OF_HEAD.search(page)
    at = place.start() if place else 0
    return page[:at] + added + page[at:]


def refusal_page(code: int, phrase: str, line: str) -> str:
    """Return a page that says in one line why there is no other."""
    return (
        '<!DOCTYPE html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{code} {escape(phrase)}</title>"
        '<link rel="stylesheet" href="/server/base.css"><link rel="stylesheet" href="/server/upload.css">'
        f'<main class="refusal"><h1>{code} {escape(phrase)}</h1><p>{escape(line)}</p>'
        '<p><a href="/">To the first page</a></p></main></html>\n'
    )
