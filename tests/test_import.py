"""``pytest-imgdiff import``: stored pictures of other tools serve the rewritten tests, and theirs stay as they are."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import textwrap
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageChops
import pytest

from pytest_imgdiff import Policy, Rule, compare
from pytest_imgdiff.base.text import safe_name
from pytest_imgdiff.cli.parser import main
from tests.image_files import photograph, saved
from tests.report_records import png

DONE, NOT_ALL, REFUSED = 0, 1, 2
COLOURS = [(200, 0, 0), (0, 160, 0), (0, 0, 220), (90, 90, 0), (0, 0, 0), (0, 200, 200), (200, 0, 200), (255, 128, 0)]

CONFTEST = f"""
    import PIL.Image
    import pytest

    COLOURS = {COLOURS}

    @pytest.fixture
    def shot():
        return lambda number: PIL.Image.new("RGB", (16, 16), COLOURS[number])

    @pytest.fixture
    def page(browser_name):  # as pytest-playwright has it: the browser is the first parameter of a test
        return object()

    def pytest_generate_tests(metafunc):
        if "browser_name" in metafunc.fixturenames:
            metafunc.parametrize("browser_name", ["chromium"], scope="session")
"""


def picture(number: int) -> bytes:
    return png(16, 16, COLOURS[number])


@dataclass
class Case:
    """A project of another tool, and the tests that take its place.

    Attributes:
        theirs: the stored pictures by their paths: a number of `COLOURS`, or the content.
        before: sources and other files of theirs.
        after: the rewritten tests.
        passed: how many they are.
        stay: the line of imgdiff.yaml with which the pictures can stay where they are.
    """

    theirs: dict[str, int | bytes]
    before: dict[str, str]
    after: dict[str, str]
    passed: int
    stay: str | None = None
    words: list[str] = field(default_factory=list)


CASES = {
    "pytest-playwright-visual-snapshot": Case(
        theirs={
            "__snapshots__/test_shop/test_login/test_login[chromium][linux].png": 0,
            "__snapshots__/test_shop/test_login/header.png": 1,
            "__snapshots__/test_shop/test_login/test_login[chromium][linux]_2.png": 2,
            "__snapshots__/test_shop/test_theme/test_theme[chromium-dark][linux].png": 3,
            "__snapshots__/test_shop/test_theme/test_theme[chromium-light mode][linux].png": 4,
            "__snapshots__/test_shop/test_full/test_full[chromium][linux].png": 5,
        },
        before={
            "tests/test_shop.py": """
                import pytest

                def test_login(page, assert_snapshot):
                    assert_snapshot(page)
                    assert_snapshot(page, name="header.png")
                    assert_snapshot(page)

                @pytest.mark.parametrize("theme", ["dark", "light mode"])
                def test_theme(page, assert_snapshot, theme):
                    assert_snapshot(page)

                class TestCart:
                    def test_full(self, page, assert_snapshot):
                        assert_snapshot(page)
            """
        },
        after={
            "tests/test_shop.py": """
                import pytest

                def test_login(page, shot, assert_images_similar):
                    assert_images_similar(shot(0))
                    assert_images_similar(shot(1), name="header")
                    assert_images_similar(shot(2))

                @pytest.mark.parametrize("theme", ["dark", "light mode"])
                def test_theme(page, shot, assert_images_similar, theme):
                    assert_images_similar(shot(3 if theme == "dark" else 4))

                class TestCart:
                    def test_full(self, page, shot, assert_images_similar):
                        assert_images_similar(shot(5))
            """
        },
        passed=4,
        words=['header.png -> baselines/tests/test_shop/header.png; pass name="header"'],
    ),
    "pytest-playwright-visual": Case(
        theirs={  # this tool takes the letters of ".py" off both ends of the file's name
            "tests/snapshots/test_ha/test_home/test_home[chromium][linux].png": 0,
            "tests/snapshots/test_ha/test_home/menu.png": 1,
        },
        before={
            "tests/test_happy.py": """
                def test_home(page, assert_snapshot):
                    assert_snapshot(page.screenshot())
                    assert_snapshot(page.screenshot(), name="menu.png")
            """
        },
        after={
            "tests/test_happy.py": """
                def test_home(page, shot, assert_images_similar):
                    assert_images_similar(shot(0))
                    assert_images_similar(shot(1), name="menu")
            """
        },
        passed=1,
    ),
    "pytest-playwright-snapshot": Case(
        theirs={
            f"tests/__snapshots__/chromium/{sys.platform}/home.png": 0,
            f"tests/__snapshots__/chromium/{sys.platform}/menu.png": 1,
        },
        before={
            "tests/test_one.py": """
                def test_home(page, assert_snapshot):
                    assert_snapshot(page.screenshot(), "home.png")
            """,
            "tests/test_two.py": """
                def test_menu(page, assert_snapshot):
                    assert_snapshot(page.screenshot(), name="menu.png")
            """,
        },
        after={
            "tests/test_one.py": """
                def test_home(page, shot, assert_images_similar):
                    assert_images_similar(shot(0), name="home")
            """,
            "tests/test_two.py": """
                def test_menu(page, shot, assert_images_similar):
                    assert_images_similar(shot(1), name="menu")
            """,
        },
        passed=2,
        stay='baselines: {folder: "tests/__snapshots__", layout: "{browser}/{platform}/{test}.png"}',
    ),
    "pytest-image-snapshot": Case(
        theirs={
            "test_snapshots/home.png": 0,
            "test_snapshots/shop-dark.png": 1,
            "test_snapshots/shop-light.png": 2,
            "test_snapshots/menu.png": 3,
            "test_snapshots/home.diff.png": 4,
            "test_snapshots/home.new.png": 5,
        },
        before={
            "tests/test_pages.py": """
                from pathlib import Path
                import pytest

                HERE = Path(__file__).resolve().parent
                FOLDER = HERE.parent / "test_snapshots"

                def test_home(image_snapshot):
                    image_snapshot(image, "test_snapshots/home.png", threshold=0.2)

                @pytest.mark.parametrize("theme", ["dark", "light"])
                def test_shop(image_snapshot, theme):
                    image_snapshot(image, f"test_snapshots/shop-{theme}.png")

                def test_menu(image_snapshot):
                    place = FOLDER / "menu.png"
                    image_snapshot(image, img_path=place)
            """
        },
        after={
            "tests/test_pages.py": """
                import pytest

                def test_home(shot, assert_images_similar):
                    assert_images_similar(shot(0), name="home")

                @pytest.mark.parametrize("theme", ["dark", "light"])
                def test_shop(shot, assert_images_similar, theme):
                    assert_images_similar(shot(1 if theme == "dark" else 2), name=f"shop-{theme}")

                def test_menu(shot, assert_images_similar):
                    assert_images_similar(shot(3), name="menu")
            """
        },
        passed=4,
        stay='baselines: {folder: "test_snapshots", layout: "{test}.png"}',
    ),
    "pytest-mpl": Case(
        theirs={
            "tests/baseline/test_line.png": 0,
            "tests/baseline/bars.png": 1,
            "tests/baseline/test_scale_a_b-1.5.png": 2,
            "tests/baseline/test_scale_c-None.png": 3,
            "tests/baseline/test_in_class.png": 4,
            "tests/own/test_elsewhere.png": 5,
        },
        before={
            "tests/test_plot.py": """
                import pytest

                @pytest.mark.mpl_image_compare
                def test_line():
                    return figure

                @pytest.mark.mpl_image_compare(filename="bars.png", tolerance=5)
                def test_bars():
                    return figure

                @pytest.mark.mpl_image_compare
                @pytest.mark.parametrize("name, width", [("a/b", 1.5), ("c", None)])
                def test_scale(name, width):
                    return figure

                class TestPlot:
                    @pytest.mark.mpl_image_compare
                    def test_in_class(self):
                        return figure

                @pytest.mark.mpl_image_compare(baseline_dir="own")
                def test_elsewhere():
                    return figure
            """
        },
        after={
            "tests/test_plot.py": """
                import pytest

                def test_line(shot, assert_images_similar):
                    assert_images_similar(shot(0))

                def test_bars(shot, assert_images_similar):
                    assert_images_similar(shot(1))

                @pytest.mark.parametrize("name, width", [("a/b", 1.5), ("c", None)])
                def test_scale(name, width, shot, assert_images_similar):
                    assert_images_similar(shot(2 if width else 3))

                class TestPlot:
                    def test_in_class(self, shot, assert_images_similar):
                        assert_images_similar(shot(4))

                def test_elsewhere(shot, assert_images_similar):
                    assert_images_similar(shot(5))
            """
        },
        passed=6,
    ),
    "pytest-regressions": Case(
        theirs={
            "tests/test_render/test_plain.png": 0,
            "tests/test_render/test_sizes_a_b_1_.png": 1,
            "tests/test_render/test_sizes__xe9_2_.png": 2,
            "tests/test_render/base name.png": 3,
            "tests/test_render/test_in_class.png": 4,
            "tests/test_render/TestNamed_test_other.png": 5,
        },
        before={
            "tests/test_render.py": """
                import pytest

                SIZES = [("a-b", 1), ("\\u00e9", 2)]

                def test_plain(image_regression):
                    image_regression.check(data)

                @pytest.mark.parametrize(("word", "size"), SIZES)
                def test_sizes(image_regression, word, size):
                    image_regression.check(data, diff_threshold=1)

                def test_named(image_regression):
                    image_regression.check(data, basename="base name")

                class TestRender:
                    def test_in_class(self, image_regression):
                        image_regression.check(data)

                class TestNamed:
                    def test_other(self, image_regression):
                        image_regression.check(data)
            """
        },
        after={
            "tests/test_render.py": """
                import pytest

                SIZES = [("a-b", 1), ("\\u00e9", 2)]

                def test_plain(shot, assert_images_similar):
                    assert_images_similar(shot(0))

                @pytest.mark.parametrize(("word", "size"), SIZES)
                def test_sizes(shot, assert_images_similar, word, size):
                    assert_images_similar(shot(size))

                def test_named(shot, assert_images_similar):
                    assert_images_similar(shot(3), name="base name")

                class TestRender:
                    def test_in_class(self, shot, assert_images_similar):
                        assert_images_similar(shot(4))

                class TestNamed:
                    def test_other(self, shot, assert_images_similar):
                        assert_images_similar(shot(5))
            """
        },
        passed=6,
    ),
    "syrupy": Case(
        theirs={
            "tests/__snapshots__/test_views/test_one.png": 0,
            "tests/__snapshots__/test_views/test_one[large].png": 1,
            "tests/__snapshots__/test_views/test_one.2.png": 2,
            "tests/__snapshots__/test_views/test_two[red].png": 3,
            "tests/__snapshots__/test_views/test_two[abc].png": 4,
            "tests/__snapshots__/test_views/TestOuter.TestInner.test_deep.png": 5,
            "tests/__snapshots__/test_views/test_raw.raw": 6,
            "tests/__snapshots__/test_views/test_text.raw": b"no picture",
            "tests/__snapshots__/test_views.ambr": b"# serializer version: 1",
        },
        before={
            "tests/test_views.py": """
                import pytest
                from syrupy.extensions.image import PNGImageSnapshotExtension

                def test_one(snapshot):
                    assert data == snapshot
                    assert data == snapshot(name="large")
                    assert data == snapshot

                @pytest.mark.parametrize("word", ["red", "a/b:c"])
                def test_two(snapshot, word):
                    assert data == snapshot

                class TestOuter:
                    class TestInner:
                        def test_deep(self, snapshot):
                            assert data == snapshot

                def test_raw(snapshot):
                    assert data == snapshot(extension_class=SingleFileSnapshotExtension)

                def test_text(snapshot):
                    assert b"no picture" == snapshot(extension_class=SingleFileSnapshotExtension)
            """
        },
        after={
            "tests/test_views.py": """
                import pytest

                def test_one(shot, assert_images_similar):
                    assert_images_similar(shot(0))
                    assert_images_similar(shot(1), name="large")
                    assert_images_similar(shot(2))

                @pytest.mark.parametrize("word", ["red", "a/b:c"])
                def test_two(shot, assert_images_similar, word):
                    assert_images_similar(shot(3 if word == "red" else 4))

                class TestOuter:
                    class TestInner:
                        def test_deep(self, shot, assert_images_similar):
                            assert_images_similar(shot(5))

                def test_raw(shot, assert_images_similar):
                    assert_images_similar(shot(6))
            """
        },
        passed=5,
    ),
    "playwright": Case(
        theirs={
            "e2e/example.spec.ts-snapshots/example-test-1-chromium-linux.png": 0,
            "e2e/example.spec.ts-snapshots/landing-page-chromium-linux.png": 1,
            "e2e/example.spec.ts-snapshots/example-test-1-Mobile-Chrome-linux.png": 2,
            "e2e/example.spec.ts-snapshots/a/b-chromium-linux.png": 3,
        },
        before={
            "playwright.config.ts": """
                export default defineConfig({ projects: [
                  { name: 'chromium' },
                  { name: "Mobile Chrome", use: { ...devices['Pixel 5'] } },
                ] });
            """,
            "e2e/example.spec.ts": "test('example test', async ({ page }) => {});",
        },
        after={
            "e2e/test_example.py": """
                def test_example(page, shot, assert_images_similar):
                    assert_images_similar(shot(0), name="example-test-1")
                    assert_images_similar(shot(1), name="landing-page")
                    assert_images_similar(shot(2), name="example-test-1-Mobile-Chrome")
                    assert_images_similar(shot(3), name="a-b")
            """
        },
        passed=1,
    ),
}


class Project:
    """A project in the current folder."""

    def __init__(self, pytester, capsys):
        self.pytester = pytester
        self.path = pytester.path
        self._capsys = capsys
        self.write({"conftest.py": CONFTEST, "pytest.ini": "[pytest]"})

    def write(self, files: dict[str, str | bytes | int]) -> None:
        for name, content in files.items():
            path = self.path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            data = picture(content) if isinstance(content, int) else content
            path.write_bytes(data if isinstance(data, bytes) else textwrap.dedent(data).encode())

    def of(self, case: Case) -> None:
        self.write({**case.theirs, **case.before})

    def files(self, folder: str = ".") -> dict[str, bytes]:
        found = (path for path in (self.path / folder).rglob("*") if path.is_file())
        return {path.relative_to(self.path).as_posix(): path.read_bytes() for path in found}

    def run(self, *arguments: str) -> tuple[int, list[str], list[str]]:
        """Run the command as a shell would; no line of it is a traceback or has anything unprintable."""
        code = main(["import", *arguments])
        captured = self._capsys.readouterr()
        for line in (captured.out + captured.err).splitlines():
            assert line.isprintable()
        assert "Traceback" not in captured.err
        return code, captured.out.splitlines(), captured.err.splitlines()

    def passes(self, case: Case) -> None:
        """Run the rewritten tests: each passes, and each stored baseline is used."""
        for name in case.before:
            if name.endswith(".py"):
                (self.path / name).unlink()
        self.write(case.after)
        result = self.pytester.runpytest_inprocess()
        result.assert_outcomes(passed=case.passed)
        result.stdout.no_fnmatch_line("*unused*")


@pytest.fixture
def project(pytester, capsys):
    return Project(pytester, capsys)


def has_line(lines: list[str], *pieces: str) -> bool:
    return any(all(piece in line for piece in pieces) for line in lines)


# ---- Each tool


@pytest.mark.parametrize("name", CASES)
def test_the_rewritten_tests_pass_with_the_imported_baselines(project, name):
    case = CASES[name]
    project.of(case)
    before = project.files()
    code, out, err = project.run()
    assert (code, err) == (DONE, []), out
    assert out[0].startswith(f"{name}: ")
    for words in case.words:
        assert has_line(out, words)
    after = project.files()
    assert {path: after[path] for path in before} == before
    assert all(path.startswith("baselines/") for path in after.keys() - before.keys())
    project.passes(case)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.stay])
def test_the_pictures_can_stay_where_a_layout_names_them(project, name):
    case = CASES[name]
    project.of(case)
    _, out, _ = project.run("--dry-run")
    assert out[out.index("  or keep them where they are, with this in imgdiff.yaml:") + 1].strip() == case.stay
    project.write({"imgdiff.yaml": case.stay})
    project.passes(case)


def test_no_layout_is_offered_where_the_pictures_cannot_stay(project):
    project.of(CASES["syrupy"])
    assert not has_line(project.run("--dry-run")[1], "keep them where they are")


@pytest.mark.parametrize("name", CASES)
def test_a_tool_can_be_named_alone(project, name):
    for case in CASES.values():
        project.of(case)
    code, out, _ = project.run(name, "--dry-run")
    assert code == DONE
    assert out[0].startswith(f"{name}: ")
    assert not any(line.startswith(f"{other}: ") for other in CASES if other != name for line in out)


def test_all_tools_of_one_project_are_found(project):
    for case in CASES.values():
        project.of(case)
    code, out, err = project.run()
    assert (code, err) == (DONE, [])
    assert sorted(line.partition(":")[0] for line in out[:-1] if not line.startswith(" ")) == sorted(CASES)


@pytest.mark.parametrize(
    ("template", "theirs", "ours"),
    [
        ("{testDir}/__screenshots__/{testFilePath}/{arg}{ext}", "e2e/__screenshots__/shop/cart.spec.ts/home.png", "linux/any/e2e/shop/test_cart/home"),
        ("__shots__/{platform}/{projectName}/{testFileDir}/{testFileName}/{arg}{ext}", "__shots__/linux/firefox/shop/cart.spec.ts/home.png", "linux/firefox/e2e/shop/test_cart/home"),
        ("{snapshotDir}/{testFileName}-shots/{arg}{-projectName}{-snapshotSuffix}{ext}", "stored/cart.spec.ts-shots/home-Desk-Top-darwin.png", "darwin/any/e2e/test_cart/home-Desk-Top"),
        ("{snapshotDir}/{testFileName}-shots/{arg}{-projectName}{-snapshotSuffix}{ext}", "stored/cart.spec.ts-shots/home-webkit.png", "linux/webkit/e2e/test_cart/home"),
    ],
)  # fmt: skip
def test_a_path_template_of_playwright_is_followed(project, template, theirs, ours):
    config = f"{{ testDir: './e2e', snapshotDir: './stored', snapshotPathTemplate: '{template}', projects: [{{ name: 'Desk Top' }}] }}"
    project.write({"playwright.config.ts": f"export default defineConfig({config});", theirs: 0, "e2e/other.png": 1})
    project.write({"imgdiff.yaml": 'baselines: {layout: "{platform}/{browser}/{module}/{test}.png"}'})
    code, out, err = project.run("--platform", "linux", "--browser", "any")
    assert (code, err) == (DONE, []), out
    assert list(project.files("baselines")) == [f"baselines/{ours}.png"]


# ---- What is written


def test_a_dry_run_prints_the_table_and_writes_nothing(project):
    case = CASES["pytest-mpl"]
    project.of(case)
    project.write({"tests/baseline/gone.png": 7})
    before = project.files()
    code, out, err = project.run("--dry-run")
    assert project.files() == before
    assert (code, err) == (NOT_ALL, [])
    assert "  would be imported: tests/baseline/bars.png -> baselines/tests/test_plot/test_bars.png" in out
    assert "  not mapped: tests/baseline/gone.png: no test has this name" in out
    assert out[-1] == "6 would be imported, 1 not mapped; nothing was written (--dry-run)"


def test_a_second_run_changes_nothing_and_says_so(project):
    project.of(CASES["syrupy"])
    assert project.run()[0] == DONE
    before = {path: path.stat().st_mtime_ns for path in (project.path / "baselines").rglob("*")}
    code, out, err = project.run()
    assert (code, err) == (DONE, [])
    assert out == ["syrupy: 7 images", "nothing to import: all 7 baselines already exist"]
    assert {path: path.stat().st_mtime_ns for path in (project.path / "baselines").rglob("*")} == before


def test_another_picture_is_replaced_only_when_it_is_asked_for(project):
    project.of(CASES["pytest-image-snapshot"])
    taken = "baselines/tests/test_pages/home.png"
    project.write({taken: 7})
    code, out, err = project.run()
    assert code == REFUSED
    (line,) = err
    assert line.startswith("pytest-imgdiff: refused: test_snapshots/home.png: the baseline " + taken)
    assert "--replace" in line
    assert out[-1] == "1 refused, 3 imported"
    assert project.files()[taken] == picture(7)
    code, out, err = project.run("--replace")
    assert (code, err) == (DONE, [])
    assert has_line(out, f"  replaced: test_snapshots/home.png -> {taken}")
    assert project.files()[taken] == picture(0)


def test_a_baseline_of_another_format_counts_as_another_picture(project):
    project.of(CASES["pytest-image-snapshot"])
    (project.path / "baselines/tests/test_pages").mkdir(parents=True)
    (project.path / "baselines/tests/test_pages/home.gif").write_bytes(b"GIF89a")
    assert project.run()[0] == REFUSED
    assert project.run("--replace")[0] == DONE
    assert sorted(path for path in project.files("baselines") if "/home." in path) == [
        "baselines/tests/test_pages/home.png"
    ]


def test_a_broken_picture_is_refused_in_the_words_of_its_decoder(project):
    project.of(CASES["pytest-image-snapshot"])
    project.write({"test_snapshots/home.png": picture(0)[:-20], "test_snapshots/menu.png": b""})
    code, out, err = project.run()
    assert code == REFUSED
    assert len(err) == 2
    assert err[0].startswith("pytest-imgdiff: refused: test_snapshots/home.png: PNG: ")
    assert err[1].startswith("pytest-imgdiff: refused: test_snapshots/menu.png: ")
    assert out[-1] == "2 refused, 2 imported"
    assert sorted(project.files("baselines")) == [
        "baselines/tests/test_pages/shop-dark.png",
        "baselines/tests/test_pages/shop-light.png",
    ]


def test_a_broken_picture_of_syrupy_is_refused_whatever_its_extension(project):
    project.of(CASES["syrupy"])
    project.write({"tests/__snapshots__/test_views/test_raw.raw": picture(0)[:-20]})
    code, out, err = project.run()
    assert code == REFUSED
    assert err[0].startswith("pytest-imgdiff: refused: tests/__snapshots__/test_views/test_raw.raw: PNG: ")
    assert out[-1] == "6 imported, 1 refused"


def test_what_cannot_be_written_is_told_and_the_rest_is_imported(project):
    project.of(CASES["pytest-playwright-snapshot"])
    project.write({"baselines/tests/test_one": b"a file where a folder is needed"})
    code, out, err = project.run()
    assert code == REFUSED
    (line,) = err
    assert line.startswith("pytest-imgdiff: not written: ")
    assert "baselines/tests/test_one/home.png" in line
    assert out[-1] == "1 not written, 1 imported"


def test_a_folder_that_cannot_be_looked_at_is_told(project):
    project.of(CASES["pytest-mpl"])
    project.write({"closed/picture.png": 7})
    (project.path / "closed").chmod(0)
    try:
        command = ["unshare", "--user", sys.executable, "-m", "pytest_imgdiff", "import"]  # root may read everything
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    finally:
        (project.path / "closed").chmod(0o755)
    if "unshare failed" in done.stderr:
        pytest.skip("this system has no user namespaces")
    assert done.returncode == REFUSED
    assert re.fullmatch(r"pytest-imgdiff: \S*closed: cannot be listed: Permission denied\n", done.stderr)
    assert done.stdout.endswith("6 imported\n")


def test_a_link_that_leads_nowhere_is_not_replaced(project):
    project.of(CASES["pytest-playwright-snapshot"])
    link = project.path / "baselines/tests/test_one/home.png"
    link.parent.mkdir(parents=True)
    link.symlink_to("gone.png")
    code, _, err = project.run("--replace")
    assert code == REFUSED
    assert "the baseline is a symbolic link to gone.png, which does not exist" in err[0]
    assert link.is_symlink()


def test_in_ci_nothing_is_written_without_the_flag(project, monkeypatch):
    project.of(CASES["pytest-mpl"])
    monkeypatch.setenv("CI", "true")
    code, out, err = project.run()
    assert (code, out) == (REFUSED, [])
    assert "--in-ci" in err[0]
    assert project.files("baselines") == {}
    assert project.run("--dry-run")[0] == DONE
    assert project.files("baselines") == {}
    assert project.run("--in-ci")[0] == DONE
    assert len(project.files("baselines")) == 6


# ---- Platforms and browsers


VISUAL = """
    def test_home(page, assert_snapshot):
        assert_snapshot(page)
        assert_snapshot(page, name="menu.png")
"""


def visual(*names: str) -> dict[str, int | str]:
    folder = "__snapshots__/test_shop/test_home"
    return {"test_shop.py": VISUAL, **{f"{folder}/{name}.png": number for number, name in enumerate(names)}}


def test_platforms_and_browsers_of_their_names_fill_the_layout(project):
    project.write(visual("test_home[chromium][linux]", "test_home[firefox][darwin]"))
    project.write({"imgdiff.yaml": 'baselines: {layout: "{platform}/{browser}/{module}/{test}.png"}'})
    assert project.run()[0] == DONE
    assert project.files("baselines") == {
        "baselines/linux/chromium/test_shop/test_home[chromium].png": picture(0),
        "baselines/darwin/firefox/test_shop/test_home[firefox].png": picture(1),
    }


def test_a_layout_that_names_what_their_names_do_not_tell_needs_the_option(project):
    project.write(visual("menu"))
    project.write({"imgdiff.yaml": 'baselines: {layout: "{platform}/{browser}/{module}/{test}.png"}'})
    code, out, _ = project.run()
    assert code == NOT_ALL
    assert has_line(out, "not mapped: ", "menu.png: the layout contains {platform}", "--platform VALUE")
    assert has_line(project.run("--platform", "linux")[1], "the layout contains {browser}", "--browser VALUE")
    assert project.run("--platform", "linux", "--browser", "webkit")[0] == DONE
    assert list(project.files("baselines")) == ["baselines/linux/webkit/test_shop/menu.png"]


def test_what_the_layout_knows_of_a_page_is_given_by_options(project):
    project.write(visual("test_home[chromium][linux]"))
    project.write({"imgdiff.yaml": 'baselines: {layout: "{viewport}/{dpr}/{color_scheme}/{module}/{test}.png"}'})
    assert has_line(project.run()[1], "not mapped: ", "the layout contains {viewport}", "add --viewport VALUE")
    assert has_line(project.run("--viewport", "1280x720", "--dpr", "1")[1], "add --color-scheme VALUE")
    assert project.run("--viewport", "1280x720", "--dpr", "1", "--color-scheme", "dark")[0] == DONE
    assert list(project.files("baselines")) == ["baselines/1280x720/1/dark/test_shop/test_home[chromium].png"]


def test_a_test_without_a_browser_has_none_in_its_place(project):
    project.of(CASES["pytest-mpl"])
    project.write({"imgdiff.yaml": 'baselines: {layout: "{browser}/{viewport}/{module}/{test}.png"}'})
    assert project.run()[0] == DONE
    assert {path.split("/")[1] for path in project.files("baselines")} == {"any"}
    project.passes(CASES["pytest-mpl"])


def test_pictures_of_two_platforms_for_one_place_are_refused_by_name(project):
    project.write(visual("test_home[chromium][linux]", "test_home[chromium][darwin]"))
    code, _, err = project.run()
    assert code == REFUSED
    assert len(err) == 2
    assert "[darwin].png would have the same baseline baselines/test_shop/test_home[chromium].png" in err[1]
    assert 'set a layout that distinguishes them: "{platform}/{module}/{test}.png"' in err[1]
    assert project.files("baselines") == {}


def test_equal_pictures_for_one_place_are_one_baseline(project):
    project.write(visual("test_home[chromium][linux]"))
    project.write({"__snapshots__/test_shop/test_home/test_home[chromium][darwin].png": 0})
    assert project.run()[0] == DONE
    assert list(project.files("baselines")) == ["baselines/test_shop/test_home[chromium].png"]


# ---- What is not mapped


def test_a_picture_whose_test_is_gone_is_not_mapped(project):
    project.write(visual("test_home[chromium][linux]"))
    project.write({"__snapshots__/test_shop/test_old/test_old[chromium][linux].png": 1})
    code, out, _ = project.run()
    assert code == NOT_ALL
    assert has_line(
        out, "not mapped: ", "test_old[chromium][linux].png: there is no test test_old in a file test_shop.py"
    )


def test_a_number_that_cannot_be_counted_is_not_mapped(project):
    project.write(visual("test_home[chromium][linux]", "test_home[chromium][linux]_3"))
    code, out, _ = project.run()
    assert code == NOT_ALL
    assert has_line(out, "not mapped: ", "_3.png: images with a smaller number are missing")


def test_parameters_that_only_a_run_knows_are_not_guessed(project):
    project.write(
        {
            "test_plot.py": """
                import pytest

                @pytest.mark.parametrize("name", sorted({"b", "a"}))
                @pytest.mark.mpl_image_compare
                def test_line(name):
                    return figure
            """,
            "baseline/test_line_a.png": 0,
        }
    )
    code, out, _ = project.run()
    assert code == NOT_ALL
    assert has_line(out, "not mapped: ", "the parameters of test_line in test_plot.py are not literals")


@pytest.mark.parametrize(
    ("marks", "ids"),
    [
        ('@pytest.mark.parametrize("a", [1, True, None, 1.5, "x y"])', ["1", "True", "None", "1.5", "x y"]),
        ('@pytest.mark.parametrize("a", [-1, [2], {3}])', ["-1", "a1", "a2"]),
        ('@pytest.mark.parametrize("a", [1, 2], ids=["one", None])', ["one", "2"]),
        ('@pytest.mark.parametrize("a", [pytest.param(1, id="one"), pytest.param(2)])', ["one", "2"]),
        ('@pytest.mark.parametrize("a", [1, 2])\n@pytest.mark.parametrize("b", "c,d".split(","))', None),
        ('@pytest.mark.parametrize("a", [1, 2])\n@pytest.mark.parametrize("b", ["x"])', ["x-1", "x-2"]),
        ('@pytest.mark.parametrize("a", [1, 1])', None),
        ('@pytest.mark.parametrize("a, b", [(1, 2), (3, 4)])', ["1-2", "3-4"]),
    ],
)
def test_parameters_are_named_as_pytest_names_them(project, marks, ids):
    """Their pictures are those that pytest-mpl stores; the names of ours are those that pytest gives."""
    arguments = "a, b" if '"b"' in marks or '"a, b"' in marks else "a"
    body = f"import pytest\n\n{marks}\n@pytest.mark.mpl_image_compare\ndef test_line({arguments}):\n    pass\n"
    (project.path / "test_plot.py").write_text(body, encoding="utf-8")
    listed = project.pytester.runpytest_inprocess("--collect-only", "-q", "-W", "ignore").outlines
    names = [line.partition("::")[2] for line in listed if "::" in line]
    for number, name in enumerate(names):
        file = re.sub(r"[\[\]/]", "_", name).removesuffix("_")
        project.write({f"baseline/{file}.png": number})
    code, _, _ = project.run()
    if ids is None:
        assert (code, project.files("baselines")) == (NOT_ALL, {})
        return
    assert code == DONE
    assert names == [f"test_line[{one}]" for one in ids]
    assert set(project.files("baselines")) == {f"baselines/test_plot/{safe_name(name)}.png" for name in names}


def test_vector_graphics_are_told(project):
    project.of(CASES["syrupy"])
    project.write({"tests/__snapshots__/test_views/test_one.svg": b"<svg/>"})
    code, out, _ = project.run()
    assert code == NOT_ALL
    assert has_line(out, "test_one.svg: an SVG is not an image of pixels")


def test_a_hash_library_has_no_pictures(project):
    project.of(CASES["pytest-mpl"])
    project.write({"tests/hashes.json": json.dumps({"tests.test_plot.test_line": "0" * 64}), "other.json": "{}"})
    code, out, _ = project.run()
    assert code == DONE
    assert has_line(out, "tests/hashes.json: 1 hash of pytest-mpl", "nothing to import")
    assert not has_line(out, "other.json")


def test_a_test_file_that_cannot_be_read_is_told(project):
    project.of(CASES["pytest-mpl"])
    project.write({"tests/test_broken.py": "def test_(:"})
    _, out, _ = project.run()
    assert has_line(out, "tests/test_broken.py: cannot be read, so its tests are unknown", "line 1")


# ---- Names


def test_a_name_that_two_tests_give_is_told_apart_by_the_test(project):
    project.write(
        {
            "test_shop.py": """
                def test_home(page, assert_snapshot):
                    assert_snapshot(page, name="menu.png")

                def test_cart(page, assert_snapshot):
                    assert_snapshot(page, name="menu.png")
            """,
            "__snapshots__/test_shop/test_home/menu.png": 0,
            "__snapshots__/test_shop/test_cart/menu.png": 1,
        }
    )
    code, out, _ = project.run()
    assert code == DONE
    assert has_line(out, 'pass name="test_home-menu"')
    assert project.files("baselines") == {
        "baselines/test_shop/test_home-menu.png": picture(0),
        "baselines/test_shop/test_cart-menu.png": picture(1),
    }


def test_a_file_that_two_tests_share_is_the_baseline_of_both(project):
    body = """
        class TestA:
            def test_home(self, page, assert_snapshot):
                assert_snapshot(page)

        class TestB(TestA):
            pass
    """
    project.write({"test_shop.py": body, "__snapshots__/test_shop/test_home/test_home[chromium][linux].png": 0})
    assert project.run()[0] == DONE
    assert sorted(project.files("baselines")) == [
        "baselines/test_shop/TestA.test_home[chromium].png",
        "baselines/test_shop/TestB.test_home[chromium].png",
    ]


def test_a_baseline_keeps_its_bytes_and_the_extension_of_its_format(project):
    project.of(CASES["syrupy"])
    data = saved(photograph(), "JPEG")
    project.write({"tests/__snapshots__/test_views/test_raw.raw": data})
    assert project.run()[0] == DONE
    assert project.files("baselines")["baselines/tests/test_views/test_raw.jpg"] == data


# ---- Where to look


def test_folders_of_the_ini_file_are_looked_at(project):
    project.write(
        {
            "pytest.ini": """
                [pytest]
                mpl-baseline-path = expected/plots
                playwright_visual_snapshots_path = expected/pages
            """,
            "tests/test_plot.py": """
                import pytest

                @pytest.mark.mpl_image_compare
                def test_line():
                    return figure

                def test_home(page, assert_snapshot):
                    assert_snapshot(page)
            """,
            "expected/plots/tests.test_plot.test_line.png": 0,
            "expected/pages/test_plot/test_home/test_home[chromium][linux].png": 1,
        }
    )
    assert project.run()[0] == DONE
    assert project.files("baselines") == {
        "baselines/tests/test_plot/test_line.png": picture(0),
        "baselines/tests/test_plot/test_home[chromium].png": picture(1),
    }


def test_options_in_addopts_are_followed(project):
    project.of(CASES["pytest-mpl"])
    project.write({"pytest.ini": "[pytest]\naddopts = --mpl --mpl-baseline-path=plots\n", "plots/test_line.png": 7})
    project.run()
    assert project.files("baselines")["baselines/tests/test_plot/test_line.png"] == picture(7)


def test_a_named_tool_takes_any_folder(project):
    project.of(CASES["pytest-mpl"])
    project.write({"elsewhere/test_line.png": 7})
    code, _, err = project.run("pytest-mpl", "elsewhere")
    assert (code, err) == (DONE, [])
    assert project.files("baselines") == {"baselines/tests/test_plot/test_line.png": picture(7)}


def test_a_named_folder_serves_tests_anywhere(project):
    project.of(CASES["syrupy"])
    (project.path / "tests/__snapshots__").rename(project.path / "pictures")
    code, out, err = project.run("syrupy", "pictures")
    assert (code, err) == (DONE, []), out
    project.passes(CASES["syrupy"])


@pytest.mark.parametrize("where", [".hidden/pictures", "../elsewhere"])
def test_a_folder_that_is_named_is_searched_wherever_it_is(project, where):
    project.of(CASES["pytest-mpl"])
    project.write({f"{where}/test_line.png": 7})
    code, _, err = project.run("pytest-mpl", where)
    assert (code, err) == (DONE, [])
    assert project.files("baselines") == {"baselines/tests/test_plot/test_line.png": picture(7)}


def test_paths_choose_among_what_is_found(project):
    project.of(CASES["syrupy"])
    project.of(CASES["pytest-mpl"])
    chosen = "tests/__snapshots__/test_views/test_one.png"
    code, out, _ = project.run(chosen)
    assert code == DONE
    assert out[-1] == "1 imported"
    assert list(project.files("baselines")) == ["baselines/tests/test_views/test_one.png"]


def test_from_a_folder_below_the_root_the_places_are_the_same(project, monkeypatch):
    project.of(CASES["pytest-mpl"])
    project.write({"imgdiff.yaml": ""})
    monkeypatch.chdir(project.path / "tests")
    code, out, _ = project.run()
    assert code == DONE
    assert has_line(out, "imported: baseline/test_line.png -> ../baselines/tests/test_plot/test_line.png")
    monkeypatch.chdir(project.path)
    project.passes(CASES["pytest-mpl"])


def test_environments_and_packages_are_not_searched(project):
    project.of(CASES["pytest-mpl"])
    for folder in ("node_modules/lib", "env", ".hidden"):
        project.write({f"{folder}/__snapshots__/test_plot/test_line.png": 7})
    project.write({"env/pyvenv.cfg": ""})
    assert project.run()[1][0] == "pytest-mpl: 6 images"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "no baselines of any of pytest-playwright-visual-snapshot, "),
        (["syrupy"], "no baselines of syrupy below "),
        (["sirupy"], "sirupy does not exist; the tools are pytest-playwright-visual-snapshot, "),
        (["syrupy", "gone"], "gone does not exist"),
        (["--root", "gone"], "--root gone: this folder does not exist"),
    ],
)
def test_a_command_that_cannot_be_followed_says_why(project, arguments, words):
    code, out, err = project.run(*arguments)
    assert (code, out) == (REFUSED, [])
    assert len(err) == 1
    assert words in err[0]


# ---- What the documentation says


ROOT = Path(__file__).parent.parent


def test_every_option_is_documented_and_exists(capsys):
    assert main(["import", "--help"]) == DONE
    options = set(re.findall(r"(?<![\w-])--[a-z-]+", capsys.readouterr().out)) - {"--help"}
    section = (ROOT / "docs/migrating.md").read_text(encoding="utf-8").partition("## Taking over the baselines")[2]
    rows = [line for line in section.partition("\n## ")[0].splitlines() if line.startswith("| `--")]
    assert {option for row in rows for option in re.findall(r"`(--[a-z-]+)", row.split("|")[1])} == options


@pytest.mark.parametrize("tool", CASES)
def test_every_tool_has_its_line_in_the_table_and_its_command(tool):
    text = (ROOT / "docs/migrating.md").read_text(encoding="utf-8")
    assert f"\n| `{tool}` | " in text
    assert f"`pytest-imgdiff import {tool}`" in text or tool in {
        "pytest-playwright-visual",
        "pytest-playwright-snapshot",
    }


def test_a_figure_looks_as_pytest_mpl_draws_it(project):
    """Their baseline is saved here as pytest-mpl does: in its style, at the resolution of the style's savefig.dpi."""
    pyplot = pytest.importorskip("matplotlib.pyplot", reason="the test extra brings it")
    text = (ROOT / "docs/migrating.md").read_text(encoding="utf-8")
    (fixture,) = re.findall(r"^```python\n(.*?look_of_pytest_mpl.*?)^```", text, re.MULTILINE | re.DOTALL)
    draw = "figure = plt.figure(figsize=(2, 1))\n    figure.suptitle('line')"
    with pyplot.style.context("classic"):
        figure = pyplot.figure(figsize=(2, 1))
        figure.suptitle("line")
        (project.path / "baseline").mkdir()
        figure.savefig(project.path / "baseline/test_line.png")
    marked = f"import pytest\n\n@pytest.mark.mpl_image_compare\ndef test_line():\n    {draw}\n    return figure\n"
    case = Case(
        theirs={},
        before={"test_plot.py": marked},
        after={
            "test_plot.py": f"{fixture}\n\ndef test_line(assert_images_similar):\n    {draw}\n    assert_images_similar(figure)\n"
        },
        passed=1,
    )
    project.of(case)
    assert project.run()[0] == DONE
    project.passes(case)


def test_a_tolerance_of_matplotlib_is_the_root_of_mse():
    compared = pytest.importorskip("matplotlib.testing.compare", reason="the test extra brings it")
    random = np.random.default_rng(1)
    expected, actual = random.integers(0, 256, (2, 24, 32, 3), np.uint8)
    tolerance = compared.calculate_rms(expected.astype(np.int16), actual.astype(np.int16))
    (score,) = compare(expected, actual, Policy(metrics=(Rule("mse", max=tolerance**2),))).scores
    assert score.value == pytest.approx(tolerance**2)


def test_a_threshold_of_pytest_regressions_is_mae_in_percent():
    random = np.random.default_rng(2)
    expected, actual = random.integers(0, 256, (2, 24, 32, 3), np.uint8)
    difference = PIL.ImageChops.difference(PIL.Image.fromarray(expected), PIL.Image.fromarray(actual))
    percent = 100 * np.sum(difference) / (3 * 24 * 32) / 255
    rule = Rule("mae", max=percent / 100, options=(("ignore_alpha", True),))
    (score,) = compare(expected, actual, Policy(metrics=(rule,))).scores
    assert score.value == pytest.approx(percent / 100)
