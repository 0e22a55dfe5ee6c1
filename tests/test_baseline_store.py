"""Baselines in a store: pulled and pushed by commit, from several checkouts, whatever goes wrong between them."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import fsspec
import pytest
import s3fs
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_imgdiff.base.errors import BaselineError
from pytest_imgdiff.base.git import Git
from pytest_imgdiff.base.stores import ObjectStore
from pytest_imgdiff.cli.parser import main
from pytest_imgdiff.run.baseline_store import STAGE, BaselineStore
from tests import s3_server
from tests.report_records import png
from tests.test_stores import served

RED, BLUE, GREEN = png(9, 9, (255, 0, 0)), png(9, 9, (0, 0, 255)), png(9, 9, (0, 255, 0))
LFS_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n"
DAY = 86400


@dataclass
class Checkout:
    """A working copy of the project on a machine."""

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
    """Make everything in the store this number of days old."""
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


def test_of_commits_with_the_same_files_the_latest_counts(one, told):
    one.put(a=RED)
    told(one, "push")
    for look in (BLUE, GREEN):
        one.git("commit", "-q", "--allow-empty", "-m", "nothing")
        told(one, "pull")
        one.put(a=look)
        told(one, "push")
    one.git("commit", "-q", "--allow-empty", "-m", "nothing")
    assert told(one, "status")["current"]
    told(one, "pull", "--force")
    assert one.pictures() == {"a": GREEN}


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


def test_a_branch_that_was_squashed_onto_a_newer_main_is_joined_by_hand(one, told, command):
    one.put(a=RED, b=RED)
    told(one, "push")
    one.git("checkout", "-q", "-b", "topic")
    (one.path / "topic.txt").write_text("x")
    one.git("add", "-A")
    one.git("commit", "-qm", "topic")
    one.put(a=BLUE, c=BLUE)
    told(one, "push")
    one.git("checkout", "-q", "main")
    one.commit("main")
    told(one, "pull")
    one.put(b=GREEN)
    told(one, "push")
    one.git("merge", "-q", "--squash", "topic")
    one.git("commit", "-qm", "squashed")
    told(one, "pull")
    assert one.pictures() == {"a": RED, "b": GREEN}
    told(one, "pull", "--merge", "topic")
    assert one.pictures() == {"a": BLUE, "b": GREEN, "c": BLUE}
    assert told(one, "status")["local"] == {"new": ["c.png"], "changed": ["a.png"], "removed": []}
    assert command(one, "push")[0] == 0
    assert command(one, "status")[0] == 0


def test_a_rebased_branch_is_told_how_to_keep_its_baselines(one, told, command):
    one.put(a=RED, b=RED)
    told(one, "push")
    one.git("checkout", "-q", "-b", "topic")
    (one.path / "topic.txt").write_text("x")
    one.git("add", "-A")
    one.git("commit", "-qm", "topic")
    one.put(a=BLUE)
    old = told(one, "push")["commit"]
    one.git("checkout", "-q", "main")
    one.commit("main")
    assert "note: this branch" not in command(one, "pull")[1]  # another branch, not a rebased one
    one.put(b=GREEN)
    told(one, "push")
    one.git("checkout", "-q", "topic")
    told(one, "pull")
    one.git("rebase", "-q", "main")
    _, out, _ = command(one, "pull")
    assert f"`pytest-imgdiff baselines pull --merge {old[:8]}` adds them" in out
    told(one, "pull", "--merge", old[:8])
    assert one.pictures() == {"a": BLUE, "b": GREEN}


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


def test_a_commit_by_its_whole_hash_needs_no_repository(one, command, tmp_path, monkeypatch):
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
    monkeypatch.setenv("PATH", str(bare.path))  # nor Git itself
    assert command(bare, "pull", "--commit", commit)[0] == 0


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


def test_a_half_written_object_is_sent_again(one, clone, command, store):
    one.put(a=RED)
    command(one, "push")
    (path,) = objects(store)
    path.write_bytes(RED[:20])
    code, out, _ = command(one, "status")
    assert (code, "missing in the store: a.png" in out) == (1, True)
    assert command(one, "push")[0] == 0
    assert command(clone(one, "two"), "pull")[0] == 0


def test_a_folder_that_git_tracks_makes_no_push_dirty_and_is_told(one, command):
    one.put(a=RED)
    (one.path / ".gitignore").write_text("")
    one.commit("tracked")
    one.put(a=BLUE)
    assert command(one, "push")[0] == 0
    assert "add baselines/ to .gitignore" in command(one, "pull")[1]


@pytest.mark.parametrize(
    ("break_it", "words"),
    [
        (lambda one, _: one.git("update-ref", "-d", "HEAD"), "there is no commit yet"),
        (lambda one, _: shutil.rmtree(one.path / ".git"), "not in a Git repository"),
        (lambda one, patch: patch.setenv("PATH", str(one.path)), "git is not installed"),
        (lambda one, _: (one.path / ".git" / "HEAD").write_text("nonsense"), "not in a Git repository"),
        (lambda one, _: (one.path / "imgdiff.yaml").write_text("{}"), "baselines.store is not set"),
        (lambda one, _: (one.path / "baselines" / ".imgdiff-store.json").write_text("{"), "delete it and pull again"),
    ],
    ids=["no commit", "no repository", "no git", "damaged repository", "no store", "damaged record"],
)
def test_what_is_wrong_here_is_one_line(one, command, monkeypatch, break_it, words):
    one.put(a=RED)
    command(one, "push")
    break_it(one, monkeypatch)
    for verb in ("pull", "status"):
        code, _, err = command(one, verb)
        assert (code, err.count("\n")) == (2, 1), err
        assert words in err


@pytest.mark.parametrize("commit", ["nowhere", "0" * 40, "--all", "HEAD~7", ""])
def test_a_commit_that_is_not_there_is_one_line(one, command, commit):
    one.put(a=RED)
    for verb in ("pull", "push", "status"):
        code, _, err = command(one, verb, f"--commit={commit}")
        assert (code, err.count("\n")) == (2, 1), err


def test_a_cache_that_cannot_be_written_is_no_hindrance(one, clone, command, tmp_path):
    one.put(a=RED)
    command(one, "push")
    (tmp_path / "cache").write_text("a file")
    two = clone(one, "two")
    assert command(two, "pull")[0] == 0
    assert two.pictures() == {"a": RED}


def test_a_folder_in_the_way_is_refused_before_anything_changes(one, clone, command):
    one.put(a=RED, b=BLUE)
    command(one, "push")
    two = clone(one, "two")
    (two.path / "baselines" / "b.png").mkdir(parents=True)
    code, _, err = command(two, "pull")
    assert (code, err.count("\n"), (two.path / "baselines" / "a.png").exists()) == (2, 1, False)
    assert "b.png: in the way of the baseline b.png" in err


def test_a_store_that_is_only_served_can_be_pulled_from(one, clone, command, store, tmp_path):
    one.put(a=RED, b=BLUE)
    command(one, "push")
    with served(store) as url:
        web = clone(one, "web")
        (web.path / "imgdiff.yaml").write_text(f"baselines: {{store: '{url}'}}\n")
        assert command(web, "pull")[0] == 0
        assert web.pictures() == {"a": RED, "b": BLUE}
        web.put(a=GREEN)
        code, _, err = command(web, "push", "--allow-dirty")
        assert (code, err.count("\n")) == (2, 1)
    archive = shutil.make_archive(str(tmp_path / "store"), "zip", store)
    (web.path / "imgdiff.yaml").write_text(f"baselines: {{store: 'zip://::file://{archive}'}}\n")
    web.put(a=RED)
    assert command(web, "pull")[0] == 0


# ---- Two at once


class Shared(MemoryFileSystem):
    """A store of which a test decides what happens at each write; it has no conditional writes."""

    protocol = "shared"
    store: ClassVar[dict] = {}
    pseudo_dirs: ClassVar[list] = [""]

    @staticmethod
    def before_write(path):
        """Do nothing, until a test has something done."""

    def pipe_file(self, path, value, mode="overwrite", **options):
        type(self).before_write(path)
        super().pipe_file(path, value, mode=mode, **options)


@pytest.fixture
def shared():
    fsspec.register_implementation("shared", Shared, clobber=True)
    Shared.store.clear()
    Shared.pseudo_dirs[:] = [""]
    return Shared


def once(monkeypatch, shared, part, act):
    """Let something happen just before an object with this in its name is written."""
    done = []

    def before(path):
        if part in path and not done:
            done.append(path)
            act()

    monkeypatch.setattr(shared, "before_write", staticmethod(before))


def test_two_pushes_at_once_lose_nothing_and_report_the_conflict(tmp_path, clone, command, told, shared, monkeypatch):
    one = begun(tmp_path, "shared://shop/base")
    two = clone(one, "two")
    one.put(a=RED)
    two.put(a=BLUE, b=BLUE)
    once(monkeypatch, shared, "manifests/", lambda: main(["baselines", "push", "--config", f"{two.path}/imgdiff.yaml"]))
    code, out, _ = command(one, "push")
    assert code == 2
    assert "both are kept" in out
    three = clone(one, "three")
    for verb in ("pull", "push"):
        three.put(a=RED)
        code, _, err = command(three, verb)
        assert (code, err.count("\n")) == (2, 1)
    manifests = [Path(path).stem.partition(".")[2] for path in shared.store if "/manifests/" in path]
    assert len(manifests) == 2
    assert all(digest[:8] in command(three, "pull")[2] for digest in manifests)
    (three.path / "baselines" / "a.png").unlink()
    kept = []
    for digest in manifests:
        told(three, "pull", "--force", "--manifest", digest[:12])
        kept.append(three.pictures())
    assert {"a": RED} in kept
    assert {"a": BLUE, "b": BLUE} in kept
    assert command(three, "push")[0] == 0  # who chose has seen both
    assert command(two, "pull", "--force")[0] == 0
    assert two.pictures() == three.pictures()


def test_equal_pushes_at_once_are_one(tmp_path, clone, command, shared, monkeypatch):
    one = begun(tmp_path, "shared://shop/base")
    two = clone(one, "two")
    one.put(a=RED)
    two.put(a=RED)
    once(monkeypatch, shared, "manifests/", lambda: main(["baselines", "push", "--config", f"{two.path}/imgdiff.yaml"]))
    assert command(one, "push")[0] == 0
    assert len([path for path in shared.store if "/manifests/" in path]) == 1


def test_an_object_that_a_collection_removes_during_a_push_is_sent_again(tmp_path, clone, command, shared, monkeypatch):
    one = begun(tmp_path, "shared://shop/base")
    one.put(a=RED, b=BLUE)

    def lose():
        del shared.store[next(path for path in shared.store if "/objects/" in path)]

    once(monkeypatch, shared, "manifests/", lose)
    command(one, "push")
    two = clone(one, "two")
    assert command(two, "pull")[0] == 0
    assert two.pictures() == {"a": RED, "b": BLUE}


def test_a_store_that_fails_for_a_moment_is_asked_again(tmp_path, clone, command, shared, monkeypatch):
    one = begun(tmp_path, "shared://shop/base")
    one.put(a=RED)

    def fail():
        raise ConnectionResetError

    once(monkeypatch, shared, "objects/", fail)
    assert command(one, "push")[0] == 0
    assert command(clone(one, "two"), "pull")[0] == 0


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(28, "No space left on device"), "it cannot be written: OSError: [Errno 28] No space left on device"),
        (PermissionError("expired"), "no permission: the store refuses it"),
        (TimeoutError(), "time limit: the store did not answer within 60 seconds"),
        (NotImplementedError(), "it cannot be written: NotImplementedError"),
    ],
    ids=["full", "no permission", "slow", "read-only"],
)
def test_a_push_that_fails_half_way_counts_for_nothing(tmp_path, clone, command, shared, monkeypatch, error, words):
    one = begun(tmp_path, "shared://shop/base")
    one.put(a=RED, b=BLUE, c=GREEN)

    def fail(_path):
        if shared.store:
            raise error

    with monkeypatch.context() as patch:
        patch.setattr(shared, "before_write", fail)
        code, _, err = command(one, "push")
    assert (code, err.count("\n")) == (2, 1)
    assert words in err
    assert command(clone(one, "two"), "pull")[0] == 2
    assert command(one, "push")[0] == 0


# ---- Pulls that end early, and stores that lie

KILLED_AT = """
import os, pathlib, signal, sys
from pytest_imgdiff.cli.parser import main
left = int(sys.argv[1])
replace = pathlib.Path.replace
def counted(self, target):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return replace(self, target)
pathlib.Path.replace = counted
sys.exit(main(["baselines", "pull"]))
"""


@pytest.mark.parametrize("at", [2, 4, 5, 6, 8])  # the cache: 1 to 3; the plan: 4; the files: 5 to 7; what was pulled: 8
def test_a_pull_that_is_killed_leaves_the_old_state_or_is_finished_by_the_next_one(one, clone, command, pytester, at):
    one.put(a=RED, b=RED, c=RED)
    command(one, "push")
    two = clone(one, "two")
    command(two, "pull")
    one.put(a=png(8, 8, (1, 1, 1)), b=png(8, 8, (2, 2, 2)), c=png(8, 8, (3, 3, 3)))
    command(one, "push")
    old, new = two.pictures(), one.pictures()
    done = subprocess.run([sys.executable, "-c", KILLED_AT, str(at)], cwd=two.path, check=False)
    assert done.returncode == -9
    if at <= 4:
        assert two.pictures() == old
        assert command(two, "status")[0] == 1
    else:
        assert at == 5 or two.pictures() != old
        assert "interrupted" in command(two, "status")[2]
        assert "interrupted" in command(two, "push")[2]
    if at == 6:
        (two.path / "test_x.py").write_text("def test(assert_images_similar): assert_images_similar(b'')")
        run = pytester.runpytest_subprocess("--rootdir", two.path, two.path, "-p", "no:cacheprovider")
        assert run.ret == pytest.ExitCode.USAGE_ERROR
        run.stderr.fnmatch_lines(["*a pull was interrupted*run `pytest-imgdiff baselines pull`*"])
    assert command(two, "pull")[0] == 0
    assert two.pictures() == new
    assert command(two, "status")[0] == 0
    assert not (two.path / "baselines" / STAGE).exists()


def damaged(data):
    return data[:-9], data[:-9] + bytes(9), data + b"more", b""


@pytest.mark.parametrize("how", range(4), ids=["truncated", "forged", "longer", "empty"])
@pytest.mark.parametrize("what", ["objects", "manifests"])
def test_a_damaged_object_is_refused_by_name_and_nothing_changes(one, clone, command, store, what, how):
    one.put(a=RED)
    command(one, "push")
    path = next(path for path in (store / what).rglob("*") if path.is_file())
    path.write_bytes(damaged(path.read_bytes())[how])
    two = clone(one, "two")
    two.put(b=GREEN)
    code, _, err = command(two, "pull")
    assert (code, err.count("\n"), two.pictures()) == (2, 1, {"b": GREEN})
    assert path.name[-20:] in err
    assert not (two.path / "cache").exists()


def test_a_damaged_object_of_the_cache_is_fetched_again(one, clone, told, tmp_path):
    one.put(a=RED)
    told(one, "push")
    told(clone(one, "two"), "pull")
    (cached,) = (path for path in (tmp_path / "cache").rglob("*") if path.is_file())
    cached.write_bytes(BLUE)
    three = clone(one, "three")
    assert told(three, "pull")["fetched"] == 1
    assert three.pictures() == {"a": RED}
    assert cached.read_bytes() == RED


@pytest.mark.parametrize("name", ["../../evil.png", "conftest.py", "/evil.png", ".imgdiff-pull/0.png"])
def test_a_forged_manifest_writes_no_other_files(one, command, store, name):
    one.put(a=RED)
    command(one, "push")
    (path,) = (path for path in (store / "manifests").rglob("*.json"))
    data = path.read_bytes().replace(b'"a.png"', json.dumps(name).encode())
    path.unlink()
    path.with_name(f"{path.name.partition('.')[0]}.{hashlib.sha256(data).hexdigest()}.json").write_bytes(data)
    code, _, err = command(one, "pull", "--force")
    assert (code, err.count("\n"), one.pictures()) == (2, 1, {"a": RED})
    assert not list(one.path.parent.rglob("evil.png"))


def test_a_manifest_of_another_version_is_told(one, command, store):
    one.put(a=RED)
    command(one, "push")
    (path,) = (path for path in (store / "manifests").rglob("*.json"))
    data = path.read_bytes().replace(b'"version":1', b'"version":2,"more":1')
    path.unlink()
    path.with_name(f"{path.name.partition('.')[0]}.{hashlib.sha256(data).hexdigest()}.json").write_bytes(data)
    assert "unsupported version 2 of the format" in command(one, "pull")[2]


def test_a_manifest_under_the_name_of_another_commit_is_refused(one, command, store):
    one.put(a=RED)
    command(one, "push")
    (path,) = (path for path in (store / "manifests").rglob("*.json"))
    (store / "manifests" / one.commit()).mkdir()
    path.rename(store / "manifests" / one.git("rev-parse", "HEAD") / path.name)
    code, _, err = command(one, "pull")
    assert (code, err.count("\n")) == (2, 1)
    assert "it is the manifest of another commit" in err


# ---- Garbage


def test_gc_removes_what_nobody_needs_and_nothing_else(one, command, told, store):
    one.put(a=RED)
    told(one, "push")
    one.git("checkout", "-q", "-b", "topic")
    (one.path / "topic.txt").write_text("x")
    one.git("add", "-A")
    one.git("commit", "-qm", "topic")
    one.put(a=BLUE)
    told(one, "push")
    one.git("checkout", "-q", "main")
    one.git("branch", "-D", "topic")
    (store / "objects" / "ab").mkdir(exist_ok=True)
    (store / "objects" / "ab" / "orphan").write_bytes(b"of a push that ended early")
    assert told(one, "gc")["objects"] == {}  # all objects are new
    age(store, 2)
    assert list(told(one, "gc")["objects"]) == ["objects/ab/orphan"]
    age(store, 40)
    found = told(one, "gc", "--dry-run")
    assert (len(found["manifests"]), len(found["objects"])) == (1, 2)
    assert len(objects(store)) == 3
    told(one, "gc", "--delete")
    assert [path.read_bytes() for path in objects(store)] == [RED]
    command(one, "pull", "--force")
    assert one.pictures() == {"a": RED}


def test_gc_stops_where_it_is_not_known_what_is_needed(one, command, store):
    one.put(a=RED)
    command(one, "push")
    age(store, 40)
    (path,) = (path for path in (store / "manifests").rglob("*.json"))
    data = path.read_bytes()
    path.write_bytes(data[:-1])
    assert command(one, "gc", "--delete")[0] == 2
    path.unlink()
    assert "would be removed" in command(one, "gc", "--delete")[2]
    assert len(objects(store)) == 1


PICTURES = [png(5, 5, (shade, 0, 0)) for shade in range(4)]


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    """A repository in which a branch was merged, and one commit is on no branch any more."""
    checkout = Checkout(tmp_path_factory.mktemp("history"))
    checkout.git("init", "-q", "-b", "main")
    checkout.git("config", "user.name", "a")
    checkout.git("config", "user.email", "a@example.org")
    commits = [checkout.commit(f"main {number}") for number in range(3)]
    checkout.git("checkout", "-q", "-b", "topic", commits[0])
    (checkout.path / "topic.txt").write_text("x")
    checkout.git("add", "-A")
    checkout.git("commit", "-qm", "topic")
    commits.append(checkout.git("rev-parse", "HEAD"))
    checkout.git("checkout", "-q", "main")
    checkout.git("merge", "-q", "--no-ff", "--no-edit", "topic")
    commits.append(checkout.git("rev-parse", "HEAD"))
    checkout.git("checkout", "-q", "--detach")
    commits.append(checkout.commit("gone"))
    checkout.git("checkout", "-q", "main")
    return checkout.path, commits


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("push"), st.integers(0, 5), st.lists(st.integers(0, 3), min_size=1, max_size=3)),
        st.tuples(st.just("pull"), st.integers(0, 5), st.none()),
        st.tuples(st.just("gc"), st.none(), st.none()),
        st.tuples(st.just("wait"), st.sampled_from([2, 40]), st.none()),
    ),
    min_size=3,
    max_size=9,
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_after_any_steps_each_manifest_that_is_kept_can_be_pulled_whole(history, tmp_path_factory, steps):
    repository, commits = history
    space = tmp_path_factory.mktemp("space")
    folder = space / "baselines"
    place = space / "store"
    place.mkdir()
    baselines = BaselineStore(ObjectStore(place), folder, Git(repository))
    pushed = {}
    for act, commit, pictures in [*steps, ("wait", 40, None), ("gc", None, None)]:
        if act == "push":
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            for number, which in enumerate(pictures):
                (folder / f"{number}.png").write_bytes(PICTURES[which])
            baselines.push(commits[commit], force=True)
            pushed[commit] = {path.name: path.read_bytes() for path in folder.glob("*.png")}
        elif act == "pull":
            with suppress(BaselineError):  # there is none yet, or the branches changed one picture
                baselines.pull(commits[commit], force=True)
        elif act == "gc":
            with suppress(BaselineError):  # it would remove everything
                baselines.collect(30, delete=True)
        else:
            age(place, commit)
    for number, content in pushed.items():
        if number == 5 and not list((place / "manifests" / commits[5]).glob("*")):
            continue  # its commit is on no branch, so that its manifest was removed
        whole = BaselineStore(ObjectStore(place), space / f"whole-{number}", Git(repository))
        whole.pull(commits[number])
        assert {path.name: path.read_bytes() for path in whole.folder.glob("*.png")} == content
    for path in place.glob("manifests/*/*.json"):
        for entry in json.loads(path.read_bytes())["files"].values():
            data = (place / "objects" / entry["sha256"][:2] / entry["sha256"][2:]).read_bytes()
            assert hashlib.sha256(data).hexdigest() == entry["sha256"]


# ---- Under pytest, and in S3

TEST = """
import pathlib
def test_shop(assert_images_similar):
    assert_images_similar(pathlib.Path(__file__).with_name("shot.png"))
"""


def with_tests(checkout, shot=RED):
    (checkout.path / "test_shop.py").write_text(TEST)
    (checkout.path / "shot.png").write_bytes(shot)
    (checkout.path / "pytest.ini").write_text("[pytest]\naddopts = -p no:cacheprovider\n")
    checkout.commit("tests")


@pytest.fixture
def tested(pytester, monkeypatch):
    def run(checkout):
        monkeypatch.chdir(checkout.path)
        return pytester.runpytest_subprocess("--rootdir", checkout.path, "-p", "no:hypothesispytest")

    return run


def test_a_run_says_what_to_pull(one, clone, command, tested):
    with_tests(one)
    two = clone(one, "two")
    run = tested(two)
    run.assert_outcomes(failed=1)
    run.stdout.fnmatch_lines(["*nothing was pulled from the store yet; run `pytest-imgdiff baselines pull`*"])
    one.put(shop=RED)
    (one.path / "baselines" / "test_shop").mkdir()
    (one.path / "baselines" / "shop.png").rename(one.path / "baselines" / "test_shop" / "test_shop.png")
    command(one, "push")
    command(two, "pull")
    run = tested(two)
    run.assert_outcomes(passed=1)
    run.stdout.no_fnmatch_line("*out of date*")
    two.commit()
    run = tested(two)
    run.assert_outcomes(passed=1)
    run.stdout.fnmatch_lines(
        ["the baselines may be out of date: they were pulled for *, and HEAD is 1 commit later; *"]
    )
    two.git("reset", "-q", "--hard", "HEAD~2")
    two.git("checkout", "-q", "--orphan", "other")
    with_tests(two)
    tested(two).stdout.fnmatch_lines(["the baselines may be out of date: *, which is not in the history of HEAD *"])


@pytest.fixture(scope="module")
def server():
    with s3_server.running() as running:
        yield running


@pytest.fixture
def bucket(server, monkeypatch):
    server.faults.__init__()
    server.set_environment(monkeypatch)
    s3fs.S3FileSystem.clear_instance_cache()
    client = server.client()
    if client.exists("shop"):
        client.rm("shop", recursive=True)
    server.put({"shop/readme.txt": b"a bucket"})
    return server


def test_the_story_from_the_first_run_to_another_checkout(
    tmp_path, clone, command, tested, bucket, monkeypatch, capsys
):
    one = begun(tmp_path, "s3://shop/base")
    with_tests(one)
    tested(one).assert_outcomes(failed=1)
    monkeypatch.delenv("CI", raising=False)
    assert main(["accept", "imgdiff-report", "--only", "**"]) == 0
    assert "then run `pytest-imgdiff baselines push`" in capsys.readouterr().out
    tested(one).assert_outcomes(passed=1)
    code, out, _ = command(one, "push")
    assert (code, "1 object uploaded" in out) == (0, True)
    (one.path / "shot.png").write_bytes(BLUE)
    one.commit("a new look")
    two = clone(one, "two")
    command(two, "pull")
    tested(two).assert_outcomes(failed=1)
    assert main(["accept", "imgdiff-report", "--only", "**"]) == 0
    assert command(two, "push")[0] == 0
    assert command(one, "pull")[0] == 0
    tested(one).assert_outcomes(passed=1)
    assert command(one, "status")[0] == 0
    assert command(one, "gc", "--delete")[0] == 0
    names = bucket.client().find("shop/base")
    assert len(names) == 4  # two pictures, two manifests


def test_one_call_in_five_answered_with_503_loses_nothing(tmp_path, clone, command, bucket):
    one = begun(tmp_path, "s3://shop/base")
    one.put(**{f"n{number}": png(9, 9, (number, 0, 0)) for number in range(6)})
    bucket.faults.every = 5
    assert command(one, "push")[0] == 0
    two = clone(one, "two")
    assert command(two, "pull")[0] == 0
    assert two.pictures() == one.pictures()
    assert bucket.faults.requests > 15


@pytest.mark.parametrize(
    ("faults", "words"),
    [
        ({"truncated": "objects"}, "truncated: the store has more bytes"),
        ({"truncated": "manifests"}, "truncated: the store has more bytes"),
        ({"refused": "AccessDenied"}, "no permission: the store refuses it (AccessDenied)"),
        ({"refused": "ExpiredToken"}, "the credentials have expired (ExpiredToken); renew them"),
        ({"slow": 3}, "time limit: the store did not send it within 1 seconds"),
    ],
    ids=["truncated object", "truncated manifest", "no permission", "expired token", "slow"],
)
def test_what_s3_does_wrong_is_one_line_without_credentials(
    tmp_path, clone, command, bucket, faults, words, monkeypatch
):
    one = begun(tmp_path, "s3://shop/base")
    one.put(a=RED)
    assert command(one, "push")[0] == 0
    two = clone(one, "two")
    two.put(b=GREEN)
    for name, value in faults.items():
        setattr(bucket.faults, name, value)
    monkeypatch.setenv("IMGDIFF_STORE_TIMEOUT", "1" if "slow" in faults else "30")
    code, out, err = command(two, "pull")
    assert (code, err.count("\n"), two.pictures()) == (2, 1, {"b": GREEN})
    assert words in err
    assert s3_server.SECRET not in out + err


@pytest.mark.usefixtures("bucket")
@pytest.mark.parametrize("user", ["", f"{s3_server.KEY}:{s3_server.SECRET}@"], ids=["wrong", "with credentials"])
def test_a_wrong_bucket_is_one_line(tmp_path, command, user):
    one = begun(tmp_path, f"s3://{user}no-such-bucket/base")
    one.put(a=RED)
    for verb in ("push", "pull", "status", "gc"):
        code, out, err = command(one, verb)
        assert (code, err.count("\n")) == (2, 1), err
        assert err.startswith("pytest-imgdiff: s3://no-such-bucket/base: ")
        assert "there is no such object or bucket" in err or user
        assert s3_server.SECRET not in out + err
