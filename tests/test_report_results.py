"""results.json and the Markdown summary, and what of the report is drawn from them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from typing import get_args

import jsonschema
import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_imgdiff import compare
from pytest_imgdiff.base.errors import ReportError
from pytest_imgdiff.base.geometry import Box
from pytest_imgdiff.base.model import Region, RegionKind
from pytest_imgdiff.base.record import record_of
from pytest_imgdiff.report import (
    append_step_summary,
    markdown,
    read_results,
    results_schema,
    verdict_line,
    write_report,
    write_results,
)
from tests.report_records import HOSTILE_NAMES, captured, different, equal, perceptual, run_of, ssim, uncompared


def full_run():
    records = [different(), equal(), *(uncompared(v, v) for v in ("missing", "unmatched", "resized", "broken"))]
    return run_of(*records, complete=False, unrecorded=["x"], unused_baselines=["y.png"])


def test_what_has_its_default_is_left_out_and_read_again(tmp_path):
    pixels = np.zeros((20, 30, 3), np.uint8)
    record = record_of(compare(pixels, pixels.copy(), name="page"))
    path = write_results(tmp_path, run_of(record, different("other", asserted=False, seconds=0.25)))
    written = json.loads(path.read_text(encoding="utf-8"))["comparisons"]
    optional = {"equal", "expected", "actual", "compared_width", "compared_height", "scores", "differing_pixels"}
    assert set(written[0]) - optional == {"type", "name", "verdict", "passed", "asserted", "seconds"}
    assert set(written[0]["expected"]) == {"label", "format", "width", "height", "mode", "digest"}
    assert set(written[0]["scores"][0]) == {"metric", "value", "unit", "direction", "limit", "passed", "details"}
    assert (written[0]["asserted"], written[1]["asserted"]) == (True, False)
    schema = results_schema()["$defs"]
    assert set(schema["ComparisonRecord"]["required"]) == {"type", "name", "verdict", "passed", "asserted", "seconds"}
    assert schema["ComparisonRecord"]["properties"]["size_policy"]["default"] == "fail"
    assert schema["SideRecord"]["properties"]["orientation"]["default"] == 1
    assert read_results(path).comparisons[0] == record


def test_a_file_with_all_fields_is_read_and_means_the_same(tmp_path):
    run = full_run()
    path = write_results(tmp_path, run)
    content = json.loads(path.read_text(encoding="utf-8"))
    content["comparisons"] = [json.loads(json.dumps(_whole(record))) for record in run.comparisons]
    assert "reason" in content["comparisons"][0]
    path.write_text(json.dumps(content), encoding="utf-8")
    assert read_results(path) == run


def _whole(value):
    """Everything that a record says, its defaults too."""
    if isinstance(value, msgspec.Struct):
        tag = {} if value.__struct_config__.tag is None else {"type": value.__struct_config__.tag}
        return {**tag, **{name: _whole(getattr(value, name)) for name in value.__struct_fields__}}
    if isinstance(value, dict):
        return {name: _whole(item) for name, item in value.items()}
    return [_whole(item) for item in value] if isinstance(value, (list, tuple)) else value


def test_results_are_read_as_they_were_written(tmp_path):
    path = write_results(tmp_path / "new" / "folder", full_run())

    assert path == tmp_path / "new" / "folder" / "results.json"
    assert read_results(path) == full_run()
    assert [file.name for file in path.parent.iterdir()] == ["results.json"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(st.text(st.characters(exclude_categories=["Cs"])), st.floats(allow_nan=False, allow_infinity=False))
def test_any_text_and_number_comes_back(tmp_path, text, value):
    run = run_of(different(text, notes=[text], scores=[ssim(value, details={text: [value, None, True, text]})]))
    assert read_results(write_results(tmp_path, run)) == run


def test_results_are_the_same_bytes_for_the_same_run(tmp_path):
    one = run_of(different(scores=[ssim(details={"b": 1, "a": 2})], artefacts={"mask": "m.png", "actual": "a.png"}))
    other = run_of(different(scores=[ssim(details={"a": 2, "b": 1})], artefacts={"actual": "a.png", "mask": "m.png"}))

    content = write_results(tmp_path / "one", one).read_bytes()
    assert content == write_results(tmp_path / "other", other).read_bytes()
    assert list(json.loads(content))[:3] == ["tool", "complete", "unrecorded"]


def test_every_kind_of_region_comes_back_and_fits_the_schema(tmp_path):
    regions = [Region(Box(number, 0, 1, 1), 1, 1.0, kind) for number, kind in enumerate(get_args(RegionKind))]
    regions.append(Region(Box(40, 8, 3, 2), 5, 0.5, "moved", moved=(12, -3)))
    compared = compare(np.zeros((9, 50, 3), np.uint8), np.ones((9, 50, 3), np.uint8))
    run = run_of(record_of(replace(compared, regions=tuple(regions))))

    path = write_results(tmp_path, run)

    assert read_results(path) == run
    stored = json.loads(path.read_bytes())
    jsonschema.validate(stored, results_schema())
    written = stored["comparisons"][0]["regions"]
    assert [region["kind"] for region in written] == [region.kind for region in regions]
    assert written[-1] == {"x": 40, "y": 8, "width": 3, "height": 2, "area": 5, "peak": 0.5} | {
        "kind": "moved",
        "moved": [12, -3],
    }


def test_results_fit_their_schema(tmp_path):
    schema = results_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)

    results = json.loads(write_results(tmp_path, full_run()).read_bytes())
    validator.validate(results)
    del results["comparisons"][0]["verdict"]
    assert not validator.is_valid(results)


@pytest.mark.parametrize(
    ("record", "named"),
    [
        (different("charts/nan", scores=[ssim(float("nan"))]), "charts/nan"),
        (different("charts/nan", seconds=float("nan")), "float"),
        (different(reason="\ud800"), "surrogates"),
    ],
)
def test_what_json_cannot_hold_is_refused_and_the_old_results_stay(tmp_path, record, named):
    path = write_results(tmp_path, run_of(equal()))
    with pytest.raises(ReportError, match=named):
        write_results(tmp_path, run_of(record))
    assert read_results(path) == run_of(equal())


def test_missing_results_are_told(tmp_path):
    with pytest.raises(ReportError, match=r"results\.json: no such file"):
        read_results(tmp_path / "results.json")


def test_folder_in_place_of_results_is_told(tmp_path):
    with pytest.raises(ReportError, match="cannot be read"):
        read_results(tmp_path)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "not JSON"),
        (b"<html>", "not JSON"),
        (b'{"version": 1, "tool": {"name": "\xff"}}', "not JSON"),
        (b"[" * 100_000, "not JSON|not the results"),
        (b"[]", "not the results of pytest-imgdiff: Expected `object`, got `array`"),
        (b"{}", "missing required field `version`"),
        (b'{"version": 2, "news": []}', "results of version 2; this pytest-imgdiff reads version 1"),
        (b'{"version": 1}', "missing required field `tool`"),
    ],
)
def test_results_that_are_none_are_told(tmp_path, content, told):
    path = tmp_path / "results.json"
    path.write_bytes(content)
    with pytest.raises(ReportError, match=told):
        read_results(path)


def test_wrong_field_is_named(tmp_path):
    results = json.loads(write_results(tmp_path, full_run()).read_bytes())
    results["comparisons"][2]["verdict"] = "fine"
    (tmp_path / "results.json").write_text(json.dumps(results), encoding="utf-8")
    with pytest.raises(ReportError, match=r"Invalid enum value 'fine' - at `\$\.comparisons\[2\]\.verdict`"):
        read_results(tmp_path / "results.json")


def test_report_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ReportError, match="cannot be written"):
        write_report(tmp_path / "file" / "report", full_run())


def test_report_is_drawn_again_from_its_results(tmp_path):
    page = write_report(tmp_path / "one", full_run())
    again = write_report(tmp_path / "two", read_results(tmp_path / "one" / "results.json"))

    assert page.name == "index.html"
    for name in ("results.json", "index.html", "plain.html", "data/run.js", "data/details-0.js"):
        assert (again.parent / name).read_bytes() == (page.parent / name).read_bytes()


def test_page_names_no_outside_address_and_no_absolute_path(tmp_path):
    page = write_report(tmp_path, full_run())

    for path in (page, page.with_name("plain.html"), *tmp_path.glob("assets/*"), *tmp_path.glob("data/*")):
        text = path.read_text(encoding="utf-8")
        assert re.findall(r"[\"'(/]//\w|https?://(?!www\.w3\.org/2000/svg)|@import|(?:src|href)=[\"']?/", text) == [], (
            path.name
        )
        assert str(tmp_path) not in text


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../x.png", "a/../../b.png", "C:\\a.png", "C:a", "a\\..\\..\\b", "//a/b", "a\0", ""]
)
def test_picture_outside_of_the_report_is_refused(tmp_path, path):
    with pytest.raises(ReportError, match="charts/bar: invalid path of the image mask"):
        write_report(tmp_path, run_of(different(artefacts={"mask": path})))


def test_report_needs_no_image_library():
    program = (
        "import sys; import pytest_imgdiff.report.html; "
        "sys.exit(bool({'numpy', 'cv2', 'PIL', 'pytest', 'pytest_imgdiff.comparison.engine'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_words_need_no_jinja():
    program = "import sys; import pytest_imgdiff.report; sys.exit('jinja2' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)


# Markdown


def test_markdown_counts_and_lists_the_failures():
    assert markdown(run_of(different(), equal(), uncompared("missing", "charts/new"))) == (
        "## Image comparison\n"
        "\n"
        "**3 comparisons**\n"
        "\n"
        "| failed | passed | match | different | missing |\n"
        "| ---: | ---: | ---: | ---: | ---: |\n"
        "| 2 | 1 | 1 | 1 | 1 |\n"
        "\n"
        "settings&#58; defaults (no imgdiff.yaml)\n"
        "\n"
        "| failed | verdict | what |\n"
        "| --- | --- | --- |\n"
        "| <code>charts/bar</code> | different | fails perceptual&#58; 1 284 px, 0.8 % &#62; 0.5 %; "
        "passes ssim 0.993 &#62;= 0.99; 3 regions, largest 240x64 at 16,80 |\n"
        "| <code>charts/new</code> | missing | there is no expected image |\n"
    )


def test_markdown_warns_of_an_incomplete_run():
    text = markdown(run_of(complete=False, unrecorded=["test_a|b", *(f"t{i}" for i in range(30))]))
    assert text == (
        "## Image comparison\n"
        "\n"
        "> [!WARNING]\n"
        "> **Incomplete**: 31 of the collected items did not finish.\n"
        "> - <code>test&#95;a&#124;b</code>\n"
        + "".join(f"> - <code>t{i}</code>\n" for i in range(19))
        + "> - and 11 more\n\n**No image was compared.**\n\nsettings&#58; defaults (no imgdiff.yaml)\n"
    )


def test_markdown_lists_at_most_fifty_failures():
    text = markdown(run_of(*(different(f"c{i}", scores=[perceptual(i / 100)]) for i in range(1, 63))))
    assert text.count("| different |") == 51
    assert text.index("<code>c62</code>") < text.index("<code>c61</code>")
    assert text.endswith("\n\nand 12 more\n")


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_markdown_table_holds_hostile_names(name):
    text = markdown(run_of(different(name, reason=name, verdict="broken"), title=name))
    row = text.splitlines()[-1]
    assert row.count("|") == 4
    assert row.count("<") == row.count(">") == 2
    assert "`" not in text
    assert len(text) < 5000


def test_step_summary_is_appended(tmp_path):
    summary = tmp_path / "summary.md"
    summary.write_text("before\n", encoding="utf-8")

    assert append_step_summary("## Images\n", {"GITHUB_STEP_SUMMARY": str(summary)}) == summary
    append_step_summary("more", {"GITHUB_STEP_SUMMARY": str(summary)})
    assert summary.read_text(encoding="utf-8") == "before\n## Images\nmore\n"


def test_step_summary_is_written_only_where_asked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert append_step_summary("text", {}) is None
    assert append_step_summary("text", {"GITHUB_STEP_SUMMARY": ""}) is None
    assert list(tmp_path.iterdir()) == []


def test_step_summary_that_cannot_be_written_is_told(tmp_path):
    with pytest.raises(ReportError, match="summary cannot be written"):
        append_step_summary("text", {"GITHUB_STEP_SUMMARY": str(tmp_path)})


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_step_summary_does_not_wait_for_the_reader_of_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ReportError, match=r"summary cannot be written .*not a regular file"):
        append_step_summary("text", {"GITHUB_STEP_SUMMARY": str(tmp_path / "pipe")})


def test_unknown_fields_are_refused(tmp_path):
    results = json.loads(msgspec.json.encode(full_run()))
    results["comparisons"][0]["verdct"] = "match"
    (tmp_path / "results.json").write_text(json.dumps(results), encoding="utf-8")
    with pytest.raises(ReportError, match="unknown field `verdct`"):
        read_results(tmp_path / "results.json")


def test_results_without_captures_and_elements_are_read(tmp_path):
    path = write_results(tmp_path, run_of(captured("shop/cart"), different()))
    results = json.loads(path.read_text(encoding="utf-8"))
    assert results["comparisons"][0]["regions"][0].pop("element")["path"] == "nav > a.badge"
    for comparison in results["comparisons"]:
        comparison.pop("capture", None)
        for region in comparison["regions"]:
            region.pop("element", None)
    path.write_text(json.dumps(results), encoding="utf-8")

    run = read_results(path)

    assert [comparison.capture for comparison in run.comparisons] == [None, None]
    assert run.comparisons[0].regions[0].element is None
    assert "3 regions, largest 34x18 at 310,12" in verdict_line(run.comparisons[0])


def test_elements_and_captures_survive_the_file(tmp_path):
    run = run_of(captured("shop/cart", capture={"attempts": 4, "steady": False}))

    assert read_results(write_results(tmp_path, run)) == run
