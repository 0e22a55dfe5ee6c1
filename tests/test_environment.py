"""Whether this is CI."""

from __future__ import annotations

import pytest

from pytest_imgdiff.environment import in_ci


@pytest.mark.parametrize("value", ["", " ", "0", "false", "False", "no", "n", "N", "off", "OFF"])
def test_what_says_no(value):
    assert not in_ci({"CI": value})


@pytest.mark.parametrize("value", ["1", "true", "yes", "on", "woodpecker"])
def test_what_says_yes(value):
    assert in_ci({"CI": value})


def test_nothing_says_no():
    assert not in_ci({})
