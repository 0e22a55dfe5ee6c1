"""Globs over picture names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_imgdiff.base.errors import ConfigError
from pytest_imgdiff.config import glob_matches


@pytest.mark.parametrize(
    ("glob", "matching", "others"),
    [
        ("a.png", ["a.png"], ["b/a.png", "a.png/b", "A.png", "aXpng", "a.png2"]),
        ("*.png", ["a.png", ".png", "a b.png", "a\nb.png"], ["b/a.png", "a.PNG", "a.png.bak"]),
        ("**/*.png", ["a.png", "b/a.png", "c/b/a.png"], ["a.jpg", "a.png/b"]),
        ("**", ["a", "a/b", "a/b/c"], []),
        ("charts/**", ["charts/a.png", "charts/b/a.png"], ["charts", "chartsb/a.png", "x/charts/a.png"]),
        ("**/charts/**", ["charts/a", "x/charts/a", "x/y/charts/z/a"], ["charts", "x/charts", "xcharts/a"]),
        ("a/**/b", ["a/b", "a/x/b", "a/x/y/b"], ["ab", "a/xb", "a/b/x", "b"]),
        ("a/**/**/b", ["a/b", "a/x/b"], ["b"]),
        ("a/*/b", ["a/x/b"], ["a/b", "a/x/y/b"]),
        ("?.png", ["a.png", "漢.png"], [".png", "ab.png", "/.png"]),
        ("[ab].png", ["a.png", "b.png"], ["c.png", "[ab].png"]),
        ("[!ab].png", ["c.png", "!.png"], ["a.png", "/.png"]),
        ("[a-c]x", ["ax", "cx"], ["dx", "-x"]),
        ("[[]x]", ["[x]"], ["x", "[x"]),
        ("[]]x", ["]x"], ["x", "[x"]),
        ("[*]x", ["*x"], ["ax"]),
        ("[{]x}", ["{x}"], ["x"]),
        ("a.b+c(d)^$|", ["a.b+c(d)^$|"], ["aXb+c(d)^$|"]),
    ],
)
def test_a_glob_matches_whole_names(glob, matching, others):
    assert [name for name in [*matching, *others] if glob_matches(glob, name)] == matching


@pytest.mark.parametrize(
    "glob", ["", "/a", "a/", "a//b", "./a", "a/../b", "a\\b", "a**", "**.png", "[a", "[]", "[!]", "{a}", "[b-a]"]
)
def test_an_ambiguous_or_hopeless_glob_is_refused(glob):
    with pytest.raises(ConfigError, match=r"the glob .* has "):
        glob_matches(glob, "a")


def test_stars_without_end_do_not_make_it_slow():
    assert not glob_matches("*a" * 30 + "/" + "**/" * 30 + "b", "a" * 200 + "/" + "c/" * 200 + "c")


NAMES = st.lists(st.text("ab.", min_size=1, max_size=4).filter(lambda part: part.strip(".")), min_size=1, max_size=4)


@given(NAMES)
def test_a_name_without_wildcards_matches_itself_and_what_stands_for_its_folders(parts):
    name = "/".join(parts)
    assert glob_matches(name, name)
    assert glob_matches("**", name)
    assert glob_matches(f"**/{parts[-1]}", name)
    assert glob_matches("/".join("*" for _ in parts), name)
    assert glob_matches(f"{parts[0]}/**", name) == (len(parts) > 1)
    assert not glob_matches(name + "/*", name)
