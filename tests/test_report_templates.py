"""Templates and assets of the user's own, before those that are shipped."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_imgdiff.base.errors import ReportError
from pytest_imgdiff.report import read_results, write_report
from tests.report_records import different, run_of

if TYPE_CHECKING:
    from pathlib import Path


def templates(tmp_path: Path, **files: str) -> Path:
    folder = tmp_path / "templates"
    (folder / "assets").mkdir(parents=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text, encoding="utf-8")
    return folder


def test_mistake_in_a_template_leaves_the_earlier_page_as_it_was(tmp_path):
    write_report(tmp_path / "out", run_of(different("earlier")))
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*.[hj]*") if path.name != "results.json"}
    folder = templates(tmp_path, plain__html__j2="{% for group in groups %}{{ group.nmae }}{% endfor %}")

    with pytest.raises(ReportError, match="no attribute 'nmae'"):
        write_report(tmp_path / "out", run_of(*(different(f"{number}") for number in range(300))), templates=folder)
    assert {path: path.read_bytes() for path in before} == before
    assert {path.name for path in (tmp_path / "out/data").iterdir()} == {"run.js", "details-0.js"}


def test_blocks_of_the_shipped_page_are_redefined(tmp_path):
    own = '{% extends "!report.html.j2" %}{% block footer %}<p>The <b>shop</b>: {{ page.title }}</p>{% endblock %}'
    folder = templates(tmp_path, report__html__j2=own)

    page = write_report(tmp_path / "out", run_of(different(), title="<i>"), templates=folder)
    text = page.read_text(encoding="utf-8")
    assert "<p>The <b>shop</b>: &lt;i&gt;</p>" in text
    assert 'id="list"' in text
    assert "<footer>" not in text


def test_page_without_scripts_is_replaced(tmp_path):
    own = "{% for group in groups %}{% for row, pictures in group.rows %}<p class=own>{{ row.name }}</p>{% endfor %}{% endfor %}"
    folder = templates(tmp_path, plain__html__j2=own)

    page = write_report(tmp_path / "out", run_of(different("a & b")), templates=folder)
    assert page.with_name("plain.html").read_text(encoding="utf-8") == "<p class=own>a &amp; b</p>"


def test_assets_are_replaced_and_added_by_name(tmp_path):
    folder = templates(tmp_path)
    (folder / "assets" / "base.css").write_text("body { color: teal; }", encoding="utf-8")
    (folder / "assets" / "shop.js").write_text("'use strict';", encoding="utf-8")

    assets = write_report(tmp_path / "out", run_of(different()), templates=folder).with_name("assets")
    assert (assets / "base.css").read_text(encoding="utf-8") == "body { color: teal; }"
    assert (assets / "shop.js").read_text(encoding="utf-8") == "'use strict';"
    assert "imgdiff" in (assets / "main.js").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", ["report", "plain"])
@pytest.mark.parametrize(
    ("template", "told"),
    [
        ("\n\n{% if %}", r"html\.j2:3: Expected an expression"),
        ("\n{{ page.nmae }}", r"html\.j2:2: .*has no attribute 'nmae'"),
        ("\n{{ 1 / 0 }}", r"html\.j2:2: ZeroDivisionError"),
        ("\n{{ page.title | shout }}", r"html\.j2:2: No filter named 'shout'"),
        ("\n{% include 'none.j2' %}", r"html\.j2:2: missing template 'none\.j2'"),
    ],
)
def test_mistake_in_a_template_is_told_by_file_and_line_and_costs_the_page_only(tmp_path, page, template, told):
    folder = templates(tmp_path, **{f"{page}__html__j2": template})
    with pytest.raises(ReportError, match=rf"templates.{page}\.{told}"):
        write_report(tmp_path / "out", run_of(different()), templates=folder)

    assert read_results(tmp_path / "out" / "results.json") == run_of(different())
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["results.json"]


def test_template_that_is_not_utf8_is_told(tmp_path):
    folder = templates(tmp_path)
    (folder / "report.html.j2").write_bytes(b"caf\xe9")
    with pytest.raises(ReportError, match="templates: a template is not UTF-8"):
        write_report(tmp_path / "out", run_of(different()), templates=folder)


def test_missing_template_folder_is_told(tmp_path):
    with pytest.raises(ReportError, match="nowhere: no such folder"):
        write_report(tmp_path / "out", run_of(), templates=tmp_path / "nowhere")
