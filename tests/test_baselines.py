"""Where baselines live and what their names promise."""

from __future__ import annotations

import hashlib
import io
import json
import sys

import numpy as np
import PIL.Image
import pytest

from pytest_imgdiff.base.errors import BaselineError
from pytest_imgdiff.run.baselines import BaselineKey, Baselines
from tests.pictures import BLUE, RED, square, write

HEAD = """
    import numpy as np
    import pytest

    def square(*colour):
        pixels = np.full((40, 40, 3), 255, np.uint8)
        pixels[10:30, 10:30] = colour
        return pixels
"""


def stored(pytester):
    folder = pytester.path / "baselines"
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*"))


def results(pytester):
    return json.loads((pytester.path / "imgdiff-report/results.json").read_text(encoding="utf-8"))


def test_no_two_tests_share_a_name(pytester):
    body = (
        HEAD
        + """
    def test_page(assert_images_similar):
        assert_images_similar(square(1, 0, 0))
        assert_images_similar(square(2, 0, 0))
        assert_images_similar(square(3, 0, 0), name="footer")

    class TestPage:
        class TestInner:
            def test_page(self, assert_images_similar):
                assert_images_similar(square(4, 0, 0))

    @pytest.mark.parametrize("size", ["a/b", "a-b", "a b", "ä", "con", "x" * 300])
    def test_sizes(assert_images_similar, size):
        assert_images_similar(square(5, 0, 0))
    """
    )
    for folder in ("one", "two"):
        pytester.mkpydir(folder)
        (pytester.path / folder / "test_shop.py").write_text(
            pytester.makepyfile(body).read_text(encoding="utf-8"), encoding="utf-8"
        )
    next(pytester.path.glob("test_*.py")).unlink()
    pytester.runpytest_subprocess("--imgdiff-update=missing").assert_outcomes(passed=16)
    names = stored(pytester)
    assert len(names) == 20
    assert len({name.casefold() for name in names}) == 20
    for expected in ("one/test_shop/test_page.png", "one/test_shop/test_page-2.png", "two/test_shop/footer.png"):
        assert expected in names
    assert "one/test_shop/TestPage.TestInner.test_page.png" in names
    assert max(len(name.rpartition("/")[2]) for name in names) < 120
    pytester.runpytest_subprocess().assert_outcomes(passed=16)


@pytest.mark.parametrize(
    "tests",
    [
        pytest.param(
            """
    @pytest.mark.parametrize("letter", ["a", "A"])
    def test_letter(assert_images_similar, letter):
        assert_images_similar(square(9, 9, 9))
    """,
            id="case",
        ),
        pytest.param(
            """
    def test_one(assert_images_similar):
        assert_images_similar(square(9, 9, 9), name="page")

    def test_two(assert_images_similar):
        assert_images_similar(square(9, 9, 9), name="page")
    """,
            id="name",
        ),
    ],
)
def test_two_tests_that_would_share_a_baseline_are_an_error(pytester, tests):
    pytester.makepyfile(HEAD + tests)
    run = pytester.runpytest_subprocess("--imgdiff-update=missing")
    run.assert_outcomes(passed=1, failed=1)
    run.stdout.fnmatch_lines(["*would share the baseline*"])


def test_one_name_twice_in_a_test_is_an_error(pytester):
    pytester.makepyfile(
        HEAD
        + """
    def test_one(assert_images_similar):
        assert_images_similar(square(9, 9, 9), name="page")
        assert_images_similar(square(0, 0, 0), name="page")
    """
    )
    run = pytester.runpytest_subprocess("--imgdiff-update=all")
    run.assert_outcomes(failed=1)
    run.stdout.fnmatch_lines(["*name='page': a call with this name has already passed*"])


def test_platform_and_browser_have_baselines_of_their_own(pytester):
    (pytester.path / "imgdiff.yaml").write_text(
        'baselines: {folder: shots, layout: "{platform}/{browser}/{module}/{test}.png"}\n', encoding="utf-8"
    )
    pytester.makepyfile(
        test_page=HEAD
        + """
    @pytest.fixture(params=["chromium", "firefox"])
    def browser_name(request):
        return request.param

    def test_page(assert_images_similar, browser_name):
        assert_images_similar(square(*{"chromium": (9, 0, 0), "firefox": (200, 0, 0)}[browser_name]))
    """
    )
    pytester.runpytest_subprocess("--imgdiff-update=missing").assert_outcomes(passed=2)
    folder = pytester.path / "shots" / sys.platform
    assert (folder / "chromium/test_page/test_page[chromium].png").is_file()
    assert (folder / "firefox/test_page/test_page[firefox].png").is_file()
    other = write(pytester.path / "shots/elsewhere/chromium/test_page/test_page[chromium].png", square(RED))
    run = pytester.runpytest_subprocess("--imgdiff-prune")
    run.assert_outcomes(passed=2)
    assert other.is_file()


@pytest.fixture
def accepted_red(pytester):
    pytester.makepyfile(
        test_page=HEAD
        + "\n    def test_page(assert_images_similar):\n        assert_images_similar(square(220, 20, 20))\n"
    )
    pytester.runpytest_subprocess("--imgdiff-update=missing").assert_outcomes(passed=1)
    return pytester.path / "baselines/test_page/test_page.png"


def test_any_of_several_accepted_baselines_will_do(pytester, accepted_red):
    write(accepted_red, square(BLUE))
    pytester.runpytest_subprocess().assert_outcomes(failed=1)
    write(accepted_red.with_name("test_page.alt1.png"), square((0, 0, 0)))
    run = pytester.runpytest_subprocess()
    run.assert_outcomes(failed=1)
    assert "its alternative does not match either" in run.stdout.str()
    write(accepted_red.with_name("test_page.alt2.png"), square(RED))
    run = pytester.runpytest_subprocess()
    run.assert_outcomes(passed=1)
    run.stdout.no_fnmatch_line("*unused*")


def test_an_equal_alternative_counts_before_a_baseline_that_passes_with_a_warning(pytester):
    pytester.makepyfile(
        test_page=HEAD
        + """
    def test_page(assert_images_similar):
        rule = {"max": 0.5, "warn": 0, "threshold": 0.01}
        assert_images_similar(square(250, 250, 250), metrics={"perceptual": rule})
    """
    )
    baseline = write(pytester.path / "baselines/test_page/test_page.png", square((240, 240, 240)))
    run = pytester.runpytest_subprocess()
    run.assert_outcomes(passed=1)
    run.stdout.fnmatch_lines(["*1 passed (1 with a warning*"])
    write(baseline.with_name("test_page.alt1.png"), square((230, 230, 230)))
    write(baseline.with_name("test_page.alt2.png"), square((250, 250, 250)))
    run = pytester.runpytest_subprocess()
    run.assert_outcomes(passed=1)
    run.stdout.fnmatch_lines(["1 comparison: 1 passed"])
    (record,) = results(pytester)["comparisons"]
    assert record["equal"] == "pixels"
    assert record["expected"]["label"] == "baselines/test_page/test_page.alt2.png"


@pytest.mark.parametrize("baseline", [pytest.param(RED, id="equal"), pytest.param(BLUE, id="different")])
def test_an_alternative_that_cannot_be_read_is_never_skipped(pytester, accepted_red, baseline):
    good = write(accepted_red, square(baseline)).read_bytes()
    broken = accepted_red.with_name("test_page.alt1.png")
    broken.write_bytes(good[:60])
    for options in ([], ["--imgdiff-update=failed"], ["--imgdiff-update=all"]):
        run = pytester.runpytest_subprocess(*options)
        run.assert_outcomes(failed=1)
        run.stdout.fnmatch_lines(["*baselines/test_page/test_page.alt1.png: PNG: truncated*"])
        (record,) = results(pytester)["comparisons"]
        assert (record["verdict"], record["passed"]) == ("broken", False)
    assert accepted_red.read_bytes() == good


def test_an_alternative_without_its_baseline_is_a_missing_baseline(pytester):
    pytester.makepyfile("""
        import numpy as np
        def test_one(assert_images_similar):
            assert_images_similar(np.zeros((9, 9), np.uint8))
    """)
    pytester.runpytest_subprocess("--imgdiff-update=missing").assert_outcomes(passed=1)
    (baseline,) = (pytester.path / "baselines").rglob("test_one.png")
    baseline.rename(baseline.with_name("test_one.alt1.png"))
    run = pytester.runpytest_subprocess()
    run.assert_outcomes(failed=1)
    run.stdout.fnmatch_lines(
        ["*there is no baseline *test_one.png yet; test_one.alt1.png is an alternative, which needs a baseline*"]
    )
    pytester.runpytest_subprocess("--imgdiff-update=missing").assert_outcomes(passed=1)
    assert baseline.is_file()


def test_what_failed_is_stored_as_an_alternative_on_request(pytester, accepted_red):
    good = accepted_red.read_bytes()
    now_blue(pytester)
    run = pytester.runpytest_subprocess("--imgdiff-update=alternative")
    run.assert_outcomes(passed=1)
    run.stdout.fnmatch_lines(["baseline written: baselines/test_page/test_page.alt1.png"])
    assert stored(pytester) == ["test_page/test_page.alt1.png", "test_page/test_page.png"]
    assert accepted_red.read_bytes() == good
    for options in ([], ["--imgdiff-update=alternative"]):
        pytester.runpytest_subprocess(*options).assert_outcomes(passed=1)
        assert len(stored(pytester)) == 2
    accepted_red.unlink()
    accepted_red.with_name("test_page.alt1.png").unlink()
    pytester.runpytest_subprocess("--imgdiff-update=alternative").assert_outcomes(passed=1)
    assert stored(pytester) == ["test_page/test_page.png"]


def test_an_alternative_does_not_hide_a_broken_baseline(pytester, accepted_red):
    accepted_red.write_bytes(b"broken")
    pytester.runpytest_subprocess("--imgdiff-update=alternative").assert_outcomes(failed=1)
    assert stored(pytester) == ["test_page/test_page.png"]


@pytest.mark.usefixtures("accepted_red")
def test_alternatives_are_refused_in_ci_and_in_scans(pytester, monkeypatch):
    write(pytester.path / "e/a.png", square(RED))
    write(pytester.path / "a/a.png", square(BLUE))
    run = pytester.runpytest_subprocess("--imgdiff-scan", "e", "a", "--imgdiff-update=alternative")
    assert run.ret != 0
    run.stdout.fnmatch_lines(["*scans have no alternatives*"])
    now_blue(pytester)
    monkeypatch.setenv("CI", "true")
    assert pytester.runpytest_subprocess("--imgdiff-update=alternative").ret == pytest.ExitCode.USAGE_ERROR
    assert stored(pytester) == ["test_page/test_page.png"]


def test_a_report_says_which_pictures_can_be_alternatives(pytester, accepted_red):
    now_blue(pytester)
    pytester.runpytest_subprocess().assert_outcomes(failed=1)
    (record,) = results(pytester)["comparisons"]
    assert record["accepts"]["alternative"] is True
    accepted_red.unlink()
    pytester.runpytest_subprocess().assert_outcomes(failed=1)
    (record,) = results(pytester)["comparisons"]
    assert record["accepts"]["alternative"] is False


@pytest.fixture
def linked(pytester, accepted_red):
    """A baseline that is a symbolic link to the picture in another folder."""
    target = pytester.path / "store/red.png"
    target.parent.mkdir()
    accepted_red.rename(target)
    accepted_red.symlink_to("../../store/red.png")
    return accepted_red, target


def now_blue(pytester):
    pytester.makepyfile(
        test_page=HEAD + "\n    def test_page(assert_images_similar): assert_images_similar(square(20, 20, 220))\n"
    )


def test_a_baseline_that_is_a_link_is_updated_at_its_target(pytester, linked):
    link, target = linked
    pytester.runpytest_subprocess().assert_outcomes(passed=1)
    now_blue(pytester)
    pytester.runpytest_subprocess("--imgdiff-update=failed").assert_outcomes(passed=1)
    assert link.is_symlink()
    assert target.is_file()
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


@pytest.mark.parametrize("mode", ["none", "missing", "failed", "all"])
@pytest.mark.parametrize("suffix", ["", ".alt1"])
def test_a_link_to_content_that_was_not_fetched_is_broken_and_stays(pytester, accepted_red, mode, suffix):
    link = accepted_red.with_name(f"test_page{suffix}.png")
    link.unlink(missing_ok=True)
    link.symlink_to("../../.git/annex/objects/gone.png")
    run = pytester.runpytest_subprocess(f"--imgdiff-update={mode}")
    run.assert_outcomes(failed=1)
    run.stdout.fnmatch_lines([f"*test_page{suffix}.png*.git/annex/objects/gone.png*git annex get*dvc pull*"])
    assert link.is_symlink()
    assert not (pytester.path / ".git").exists()
    assert [record["verdict"] for record in results(pytester)["comparisons"]] == ["broken"]


@pytest.mark.parametrize(
    ("place", "kind", "advice"),
    [
        pytest.param(".git/annex/objects/K3/{}.png", "sha256", "git annex unlock", id="git-annex"),
        pytest.param(".dvc/cache/files/md5/{:.2}/{}", "md5", "dvc unprotect", id="DVC"),
        pytest.param("objects/{}.png", "sha1", "replace the link by a copy", id="another"),
    ],
)
@pytest.mark.parametrize("read_only", [True, False])
def test_a_link_into_a_store_is_refused_and_the_store_is_left(pytester, accepted_red, place, kind, advice, read_only):
    content = accepted_red.read_bytes()
    name = hashlib.new(kind, content).hexdigest()
    words = (name[:2], name[2:]) if "{:.2}" in place else (name,)
    stored_file = pytester.path / place.format(*words)
    stored_file.parent.mkdir(parents=True)
    accepted_red.rename(stored_file)
    accepted_red.symlink_to(stored_file)
    if read_only:
        stored_file.chmod(0o444)
    pytester.runpytest_subprocess().assert_outcomes(passed=1)
    now_blue(pytester)
    run = pytester.runpytest_subprocess("--imgdiff-update=failed")
    run.assert_outcomes(failed=1)
    run.stdout.fnmatch_lines([f"*test_page.png: the baseline is a symbolic link to *must not change*{advice}*"])
    assert accepted_red.is_symlink()
    assert stored_file.read_bytes() == content


@pytest.mark.parametrize("tracked", ["baselines/test_page/test_page.png.dvc", "baselines/test_page.dvc"])
def test_a_baseline_that_dvc_tracks_and_has_not_fetched_is_not_missing(pytester, accepted_red, tracked):
    accepted_red.unlink()
    accepted_red.parent.rmdir()
    (pytester.path / tracked).parent.mkdir(exist_ok=True)
    (pytester.path / tracked).write_text("outs: []\n", encoding="utf-8")
    run = pytester.runpytest_subprocess("--imgdiff-update=missing")
    run.assert_outcomes(failed=1)
    run.stdout.fnmatch_lines(["*test_page.png: tracked by DVC*dvc pull*"])
    assert not accepted_red.exists()


def test_a_pointer_of_git_annex_is_named(pytester, accepted_red):
    accepted_red.write_text("/annex/objects/SHA256E-s100--abc.png\n", encoding="utf-8")
    run = pytester.runpytest_subprocess()
    run.assert_outcomes(failed=1)
    run.stdout.fnmatch_lines(["*test_page.png: git-annex pointer: *git annex get*"])


def test_a_baseline_in_two_formats_is_an_error_and_neither_is_taken(pytester, accepted_red):
    PIL.Image.fromarray(square(RED)).save(accepted_red.with_suffix(".webp"), lossless=True)
    run = pytester.runpytest_subprocess()
    run.assert_outcomes(failed=1)
    run.stdout.fnmatch_lines(["*are baselines of the same image*"])


def test_a_broken_baseline_fails_and_is_replaced_on_request(pytester, accepted_red):
    good = accepted_red.read_bytes()
    accepted_red.write_bytes(good[:60])
    run = pytester.runpytest_subprocess()
    run.assert_outcomes(failed=1)
    run.stdout.fnmatch_lines(["*baselines/test_page/test_page.png: PNG: truncated*"])
    pytester.runpytest_subprocess("--imgdiff-update=missing").assert_outcomes(failed=1)
    pytester.runpytest_subprocess("--imgdiff-update=failed").assert_outcomes(passed=1)
    assert accepted_red.read_bytes() == good


def test_a_broken_actual_picture_is_never_accepted(pytester, accepted_red):
    good = accepted_red.read_bytes()
    pytester.makepyfile(
        test_page="def test_page(assert_images_similar):\n    assert_images_similar(b'\\x89PNG\\r\\n\\x1a\\n')\n"
    )
    run = pytester.runpytest_subprocess("--imgdiff-update=all")
    run.assert_outcomes(failed=1)
    assert accepted_red.read_bytes() == good


def test_encoded_pictures_are_stored_as_they_are(pytester):
    stream = io.BytesIO()
    PIL.Image.fromarray(square(RED)).save(stream, "JPEG")
    (pytester.path / "photo.jpg").write_bytes(stream.getvalue())
    pytester.makepyfile(test_photo="def test_photo(assert_images_similar): assert_images_similar('photo.jpg')")
    pytester.runpytest_subprocess("--imgdiff-update=missing").assert_outcomes(passed=1)
    assert stored(pytester) == ["test_photo/test_photo.jpg"]
    assert (pytester.path / "baselines/test_photo/test_photo.jpg").read_bytes() == stream.getvalue()
    run = pytester.runpytest_subprocess()
    run.assert_outcomes(passed=1)
    assert results(pytester)["comparisons"][0]["equal"] == "bytes"


def test_a_baseline_of_another_format_takes_the_place_of_the_old_one(pytester, accepted_red):
    PIL.Image.fromarray(square(BLUE)).save(pytester.path / "blue.bmp")
    pytester.makepyfile(test_page="def test_page(assert_images_similar): assert_images_similar('blue.bmp')")
    pytester.runpytest_subprocess("--imgdiff-update=failed").assert_outcomes(passed=1)
    assert stored(pytester) == ["test_page/test_page.bmp"]
    pytester.runpytest_subprocess().assert_outcomes(passed=1)
    assert not accepted_red.exists()


def test_sixteen_bits_are_stored_as_such(pytester):
    pytester.makepyfile(
        test_deep="""
        import numpy as np
        def test_deep(assert_images_similar):
            ramp = np.arange(30 * 40, dtype=np.uint16).reshape(30, 40)
            assert_images_similar(ramp, metrics={"pixel_match": {"min": 1}})
        """
    )
    pytester.runpytest_subprocess("--imgdiff-update=missing").assert_outcomes(passed=1)
    pytester.runpytest_subprocess().assert_outcomes(passed=1)
    assert results(pytester)["comparisons"][0]["equal"] == "pixels"


def test_floats_can_be_compared_and_are_not_narrowed_into_a_baseline(pytester):
    pytester.makepyfile(
        test_float="""
        import numpy as np
        def test_float(assert_images_similar):
            ramp = np.linspace(0, 1, 1200).reshape(30, 40)
            assert_images_similar(ramp, ramp.copy(), metrics={"pixel_match": {"min": 1}})
            assert_images_similar(ramp)
        """
    )
    run = pytester.runpytest_subprocess("--imgdiff-update=missing")
    run.assert_outcomes(failed=1)
    run.stdout.fnmatch_lines(["*uint16*"])
    assert not (pytester.path / "baselines").exists()


def test_settings_of_a_call_win_and_are_checked(pytester):
    pytester.makepyfile(
        test_call=HEAD
        + """
    def test_ignored(assert_images_similar):
        box = {"x": 10, "y": 10, "width": 20, "height": 20}
        comparison = assert_images_similar(square(9, 9, 9), square(200, 0, 0), ignore=[box])
        assert comparison.passed and comparison.ignored == 0.25

    def test_mistaken(assert_images_similar):
        assert_images_similar(square(9, 9, 9), square(9, 9, 9), metrics={"sim": {"min": 1}})

    def test_compare_does_not_fail(assert_images_similar):
        comparison = assert_images_similar.compare(square(9, 9, 9), square(200, 0, 0))
        assert not comparison.passed
        assert comparison.regions[0].area == 400
    """
    )
    run = pytester.runpytest_subprocess()
    run.assert_outcomes(passed=2, failed=1)
    run.stdout.fnmatch_lines(["*metrics.sim*did you mean*ssim*"])
    assert "Traceback" not in run.stdout.str()


def test_a_file_object_is_read_once_for_all_alternatives(pytester, accepted_red):
    write(accepted_red.with_name("test_page.alt1.png"), square(BLUE))
    write(pytester.path / "now.png", square(BLUE))
    pytester.makepyfile(
        test_page="""
        def test_page(assert_images_similar):
            with open("now.png", "rb") as stream:
                assert_images_similar(stream)
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


@pytest.mark.parametrize("test", ["a/../../b", "..", ".", "a\0b", "/etc/passwd", "~root", "C:\\x", "nul", "x" * 5000])
def test_no_name_leaves_the_folder(tmp_path, test):
    baselines = Baselines(tmp_path / "baselines", "{module}/{test}.png")
    path = baselines.path(BaselineKey("../../m", test), "me")
    assert path.resolve().is_relative_to((tmp_path / "baselines").resolve())
    assert len(path.name) < 150


def test_names_that_differ_stay_different(tmp_path):
    names = ["a/b", "a\\b", "a b", "a  b", "a-b", "a:b", "ä", "a\u0308", "..", ".", "con", "x" * 200, "x" * 201]
    baselines = Baselines(tmp_path, "{test}.png")
    paths = {baselines.path(BaselineKey("m", name), name) for name in names}
    assert len(paths) == len(names)


def test_the_second_owner_of_a_name_is_told_who_has_it(tmp_path):
    baselines = Baselines(tmp_path, "{test}.png")
    baselines.path(BaselineKey("one", "page"), "one.py::test_page")
    with pytest.raises(BaselineError, match=r"one\.py::test_page and two\.py::test_page would share"):
        baselines.path(BaselineKey("two", "Page"), "two.py::test_page")


def test_a_rerun_may_ask_again(tmp_path):
    baselines = Baselines(tmp_path, "{test}.png")
    assert baselines.path(BaselineKey("m", "page"), "me") == baselines.path(BaselineKey("m", "page"), "me")


def test_arrays_that_are_no_pictures_are_told(pytester):
    pytester.makepyfile(
        test_array="""
        import numpy as np
        import pytest
        @pytest.mark.parametrize("dtype", ["int32", "complex64", "uint32", "object"])
        def test_array(assert_images_similar, dtype):
            assert_images_similar(np.ones((9, 9), dtype), np.ones((9, 9), dtype))
        """
    )
    run = pytester.runpytest_subprocess()
    run.assert_outcomes(failed=4)
    run.stdout.fnmatch_lines(["*int32*", "*complex64*", "*uint32*", "*object*"])
    assert "Traceback" not in run.stdout.str()


def test_arrays_in_memory_are_not_changed():
    from pytest_imgdiff import compare

    pixels = np.asfortranarray(square(RED))
    before = pixels.copy()
    assert compare(pixels, pixels[:, ::-1]).passed
    assert (pixels == before).all()
