"""Baselines in a store: pulled and pushed by commit, from several checkouts, whatever goes wrong between them."""

from __future__ import annotations

import json
import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path  # noqa: TC003 - a dataclass names it

import pytest

from pytest_imgdiff.cli.parser import main
from tests.report_records import png

RED, BLUE, GREEN = png(9, 9, (255, 0, 0)), png(9, 9, (0, 0, 255)), png(9, 9, (0, 255, 0))
LFS_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n"
DAY = 86400


@dataclass
class Checkout:
    """A working copy of the project, as somebody has it on a machine."""

    path: Path

    def git(self, *words):
        done = subprocess.run(["git", "-C", self.path, *words], check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def commit(self, message="more"):
        """Commit a change of the code and return the commit's hash."""
        with (self.path / "code.txt").open("a") as file:
            file.write(f"{message}\n")
        self.git("add", "-A")
        self.git("commit", "-qm", message)
        return self.git("rev-parse", "HEAD")

    def put(self, **pictures):
        for name, data in pictures.items():
            path = self.path / "baselines" / f"{name}.png"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)

    def pictures(self):
        folder = self.path / "baselines"
        return {path.relative_to(folder).stem: path.read_bytes() for path in folder.rglob("*.png")}


@pytest.fixture
def command(monkeypatch, capsys):
    """Run the command in a checkout; what it said comes back as code, output and errors."""

    def run(checkout, *words):
        monkeypatch.chdir(checkout.path)
        capsys.readouterr()
        code = main(["baselines", *words])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@pytest.fixture
def told(command):
    """Run the command with --json and return what it wrote."""

    def run(checkout, *words):
        return json.loads(command(checkout, *words, "--json", "-")[1])

    return run


@pytest.fixture(autouse=True)
def surroundings(monkeypatch, tmp_path):
    monkeypatch.setenv("IMGDIFF_CACHE", str(tmp_path / "cache"))
    for name, value in {"CONFIG_GLOBAL": os.devnull, "AUTHOR_NAME": "a", "AUTHOR_EMAIL": "a@example.org"}.items():
        monkeypatch.setenv(f"GIT_{name}", value)
    monkeypatch.setenv("GIT_COMMITTER_NAME", "a")
    monkeypatch.setenv("GIT_COMMITTER_EMAIL", "a@example.org")


def begun(tmp_path, url):
    checkout = Checkout(tmp_path / "one")
    checkout.path.mkdir()
    checkout.git("init", "-q", "-b", "main")
    (checkout.path / "imgdiff.yaml").write_text(f"baselines: {{store: '{url}'}}\n")
    (checkout.path / ".gitignore").write_text("baselines/\nimgdiff-report/\n")
    checkout.commit("first")
    return checkout


@pytest.fixture
def store(tmp_path):
    return tmp_path / "store"


@pytest.fixture
def one(tmp_path, store):
    return begun(tmp_path, store)


@pytest.fixture
def clone(tmp_path):
    def make(checkout, name, *options):
        path = tmp_path / name
        words = ["git", "clone", "-q", *options, f"file://{checkout.path}", str(path)]
        subprocess.run(words, check=True, capture_output=True)
        return Checkout(path)

    return make


def objects(store):
    return sorted(path for path in (store / "objects").rglob("*") if path.is_file())


def age(store, days):
    """Let everything in the store be so many days old."""
    for path in store.rglob("*"):
        os.utime(path, (time.time() - days * DAY,) * 2)


def test_what_one_checkout_pushes_another_one_pulls(one, clone, command, told, store):
    one.put(a=RED, b=BLUE, c=RED)
    assert command(one, "status")[0] == 1
    code, out, _ = command(one, "push")
    assert (code, len(objects(store))) == (0, 2)  # a and c have one content
    assert "3 baselines" in out
    two = clone(one, "two")
    assert told(two, "pull")["fetched"] == 2
    assert two.pictures() == {"a": RED, "b": BLUE, "c": RED}
    for checkout in (one, two):
        assert command(checkout, "status")[0] == 0
    assert told(clone(one, "three"), "pull")["cached"] == 2


def test_a_second_push_sends_what_is_new_alone(one, told):
    one.put(a=RED, b=BLUE)
    told(one, "push")
    assert told(one, "push")["already_there"]
    one.put(b=GREEN)
    assert told(one, "push", "--dry-run")["uploaded"] == ["b.png"]
    assert told(one, "push")["uploaded"] == ["b.png"]
    assert told(one, "status")["in_step"]


def test_the_nearest_commit_with_baselines_counts(one, told, clone):
    one.put(a=RED)
    first = told(one, "push")["commit"]
    one.commit()
    one.put(a=BLUE)
    second = told(one, "push")["commit"]
    one.commit()
    two = clone(one, "two")
    assert [source["commit"] for source in told(two, "pull")["sources"]] == [second]
    assert two.pictures() == {"a": BLUE}
    assert told(two, "pull", "--commit", first)["written"] == ["a.png"]
    assert two.pictures() == {"a": RED}
    assert not told(two, "status")["current"]


def test_a_squashed_branch_keeps_its_baselines(one, told, clone):
    one.put(a=RED)
    told(one, "push")
    one.git("checkout", "-q", "-b", "topic")
    one.commit("a")
    one.commit("b")
    one.put(a=BLUE)
    told(one, "push")
    one.git("checkout", "-q", "main")
    one.git("merge", "-q", "--squash", "topic")
    one.git("commit", "-qm", "squashed")
    one.git("branch", "-D", "topic")
    two = clone(one, "two")
    assert told(two, "pull")["written"] == ["a.png"]
    assert two.pictures() == {"a": BLUE}


@pytest.fixture
def merged(one, told):
    """Two branches with baselines of their own, merged as a CI service merges them: HEAD is detached."""

    def make(ours, theirs):
        one.put(a=RED, b=RED)
        told(one, "push")
        one.git("checkout", "-q", "-b", "topic")
        (one.path / "topic.txt").write_text("x")
        one.git("add", "-A")
        one.git("commit", "-qm", "topic")
        one.put(**theirs)
        told(one, "push")
        one.git("checkout", "-q", "main")
        one.commit("main")
        told(one, "pull")
        one.put(**ours)
        told(one, "push")
        one.git("checkout", "-q", "--detach")
        one.git("merge", "-q", "--no-ff", "--no-edit", "topic")
        return one

    return make


def test_baselines_of_merged_branches_are_joined(merged, command):
    one = merged({"a": BLUE}, {"b": GREEN})
    code, out, err = command(one, "pull")
    assert (code, one.pictures()) == (0, {"a": BLUE, "b": GREEN}), err
    assert "joined with" in out
    assert command(one, "push")[0] == 0


def test_a_baseline_that_both_branches_changed_is_a_conflict_by_name(merged, command):
    one = merged({"a": BLUE}, {"a": GREEN})
    before = one.pictures()
    code, _, err = command(one, "pull")
    assert (code, err.count("\n"), one.pictures()) == (2, 1, before)
    assert "both changed a.png" in err
    assert command(one, "push")[0] == 2
    assert command(one, "push", "--force")[0] == 0
    assert command(one, "pull")[0] == 0


def test_a_shallow_clone_is_told_to_fetch_the_history(one, clone, command):
    one.put(a=RED)
    command(one, "push")
    one.commit()
    two = clone(one, "two", "--depth", "1")
    for verb in ("pull", "status"):
        code, _, err = command(two, verb)
        assert (code, err.count("\n")) == (2, 1)
        assert "fetch-depth: 0" in err
    code, _, err = command(two, "gc")
    assert code == 2
    assert "fetch-depth: 0" in err
    command(one, "push")
    assert command(clone(one, "three", "--depth", "1"), "pull")[0] == 0  # HEAD has its own


def test_a_commit_by_its_whole_hash_needs_no_repository(one, command, tmp_path):
    one.put(a=RED)
    command(one, "push")
    commit = one.git("rev-parse", "HEAD")
    bare = Checkout(tmp_path / "image")
    bare.path.mkdir()
    (bare.path / "imgdiff.yaml").write_bytes((one.path / "imgdiff.yaml").read_bytes())
    code, _, err = command(bare, "pull")
    assert code == 2
    assert "not in a Git repository" in err
    assert command(bare, "pull", "--commit", commit)[0] == 0
    assert bare.pictures() == {"a": RED}


def test_what_was_changed_here_is_never_overwritten(one, clone, command):
    one.put(a=RED, b=RED)
    command(one, "push")
    two = clone(one, "two")
    command(two, "pull")
    one.put(a=BLUE)
    command(one, "push")
    two.put(b=GREEN, c=GREEN)
    assert command(two, "push")[0] == 2  # it would undo a
    assert command(two, "pull")[0] == 0
    assert two.pictures() == {"a": BLUE, "b": GREEN, "c": GREEN}
    one.put(a=GREEN)
    command(one, "push")
    two.put(a=RED)
    code, _, err = command(two, "pull")
    assert (code, err.count("\n"), two.pictures()["a"]) == (2, 1, RED)
    assert "a.png changed both here and in the store" in err
    assert command(two, "pull", "--force")[0] == 0
    assert two.pictures() == {"a": GREEN, "b": RED, "c": GREEN}


def test_what_was_removed_here_comes_back_with_force(one, command):
    one.put(a=RED, b=BLUE)
    command(one, "push")
    (one.path / "baselines" / "a.png").unlink()
    _, out, _ = command(one, "pull")
    assert "not restored, removed here: a.png" in out
    command(one, "pull", "--force")
    assert one.pictures() == {"a": RED, "b": BLUE}


def test_a_baseline_that_is_gone_from_the_store_goes_here_too(one, clone, command):
    one.put(a=RED)
    one.put(b=BLUE)
    command(one, "push")
    two = clone(one, "two")
    command(two, "pull")
    (one.path / "baselines" / "b.png").unlink()
    command(one, "push")
    command(two, "pull", "--dry-run")
    assert two.pictures() == {"a": RED, "b": BLUE}
    command(two, "pull")
    assert two.pictures() == {"a": RED}


def test_a_push_from_a_dirty_checkout_is_refused(one, command):
    one.put(a=RED)
    (one.path / "code.txt").write_text("something else")
    code, _, err = command(one, "push")
    assert (code, err.count("\n")) == (2, 1)
    assert "code.txt uncommitted" in err
    assert command(one, "push", "--allow-dirty")[0] == 0


@pytest.mark.parametrize(
    ("content", "words"),
    [(LFS_POINTER, "git lfs pull"), (b"", "holds no bytes"), (b"<html>", "HTML")],
    ids=["Git LFS pointer", "empty", "HTML"],
)
def test_what_is_no_picture_is_refused_by_name(one, command, store, content, words):
    one.put(a=RED, b=content)
    code, _, err = command(one, "push")
    assert (code, err.count("\n"), store.exists()) == (2, 1, False)
    assert "baselines/b.png" in err
    assert words in err
