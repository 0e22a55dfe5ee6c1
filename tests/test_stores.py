"""Pictures in stores: a real S3 server, well and badly behaved; other URLs; and no credentials anywhere."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import subprocess
import sys
import threading
import zipfile
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fsspec
import psutil
import pytest

from pytest_imgdiff.base.stores import redacted
from pytest_imgdiff.cli.parser import main
from tests import s3_server
from tests.report_records import png

RED, BLUE = png(9, 9, (255, 0, 0)), png(9, 9, (0, 0, 255))
BROKEN = RED[:-20]


@pytest.fixture(scope="module")
def server():
    with s3_server.running() as store:
        yield store


@pytest.fixture
def store(server, monkeypatch, tmp_path):
    for field in dataclasses.fields(s3_server.Faults):
        empty = field.default if field.default is not dataclasses.MISSING else []
        setattr(server.faults, field.name, empty)
    monkeypatch.chdir(tmp_path)
    server.set_environment(monkeypatch)
    client = server.client()
    if client.exists("shop"):
        client.rm("shop", recursive=True)
    return server


def compared(*words, environment=None):
    """Run the command as users do, and return what came of it; a report is written."""
    command = [sys.executable, "-m", "pytest_imgdiff", "compare", *words, "--report", "out"]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=120, env=os.environ | (environment or {})
    )


def verdicts():
    return {
        record["name"]: record["verdict"]
        for record in json.loads(Path("out/results.json").read_text("utf-8"))["comparisons"]
    }


def reason(name):
    records = json.loads(Path("out/results.json").read_text("utf-8"))["comparisons"]
    return next(record["reason"] for record in records if record["name"] == name)


def test_two_folders_of_a_bucket_have_the_verdicts_of_local_ones(store):
    expected = {"same.png": RED, "other.png": RED, "broken.png": BROKEN, "gone.png": RED}
    actual = {"same.png": RED, "other.png": BLUE, "broken.png": BROKEN, "deep/new.png": RED}
    for folder, objects in (("approved", expected), ("nightly", actual)):
        store.put({f"shop/{folder}/{name}": data for name, data in objects.items()})
    run = compared("s3://shop/approved", "s3://shop/nightly")
    assert run.returncode == 2, run.stderr
    assert verdicts() == {
        "same.png": "match",
        "other.png": "different",
        "broken.png": "broken",
        "gone.png": "unmatched",
        "deep/new.png": "missing",
    }
    assert "s3://shop/nightly/broken.png" in reason("broken.png")
    assert "/shop/nightly/same.png" not in store.faults.fetched  # the MD5 of both was proved by one of them


def test_one_call_in_five_answered_with_503_changes_no_verdict(store):
    names = [f"{number}.png" for number in range(8)]
    store.put({f"shop/a/{name}": RED for name in names} | {f"shop/b/{name}": BLUE for name in names})
    store.faults.every = 5
    assert compared("s3://shop/a", "s3://shop/b").returncode == 1
    assert set(verdicts().values()) == {"different"}


@pytest.mark.parametrize(
    ("faults", "words"),
    [
        ({"truncated": "b/x"}, "object: truncated: the store has more bytes"),
        ({"refused": "AccessDenied"}, "no permission: the store refuses it (AccessDenied)"),
        ({"refused": "ExpiredToken"}, "no permission: the credentials have expired (ExpiredToken); renew them"),
        ({"changing": "b/x"}, "object: it changed after it was listed"),
        ({"slow": 5}, "time limit: the store did not send it within 1 seconds"),
    ],
)
def test_an_object_that_cannot_be_read_is_broken_by_name(store, faults, words):
    store.put({"shop/a/x.png": RED, "shop/b/x.png": BLUE})
    for name, value in faults.items():
        setattr(store.faults, name, value)
    run = compared(
        "s3://shop/a", "s3://shop/b", environment={"IMGDIFF_STORE_TIMEOUT": "1" if "slow" in faults else "30"}
    )
    assert (run.returncode, verdicts()) == (2, {"x.png": "broken"})
    assert f"s3://shop/b/x.png: {words}" in reason("x.png")
    assert s3_server.SECRET not in run.stdout + run.stderr + Path("out/results.json").read_text("utf-8")
    assert "Traceback" not in run.stderr


def test_one_picture_that_changes_while_it_is_read_is_broken(store):
    store.put({"shop/x.png": RED, "shop/y.png": BLUE})
    assert compared("s3://shop/x.png", "s3://shop/y.png").returncode == 1
    store.faults.rewritten = "y.png"
    assert compared("s3://shop/x.png", "s3://shop/y.png").returncode == 2
    assert "s3://shop/y.png: object: it changed after it was listed" in reason("s3://shop/y.png")


@pytest.fixture
def scene(store, tmp_path):
    """Some dozens of pairs, in folders and in the store, and the records of a quiet run over the folders."""
    for number in range(COUNT):
        other = BLUE if number % 7 == 0 else BROKEN if number == 5 else png(9, 9, (number, 0, 0))
        for side, data in (("expected", png(9, 9, (number, 0, 0))), ("actual", other)):
            (tmp_path / side).mkdir(exist_ok=True)
            (tmp_path / side / f"{number:02}.png").write_bytes(data)
    folders = [tmp_path / side for side in ("expected", "actual")]
    store.put(
        {f"shop/{path.parent.name}/{path.name}": path.read_bytes() for side in folders for path in side.iterdir()}
    )
    assert compared("expected", "actual").returncode == 2
    return records()


def records():
    """Return the records of the latest run, with the paths of a local one; without times and what could be accepted.

    Nothing is accepted into a store by a path.
    """
    text = Path("out/results.json").read_text("utf-8").replace("s3://shop/", "")
    left_out = {"seconds": 0, "accepts": None, "accept": None}
    return [record | left_out for record in json.loads(text)["comparisons"]]


COUNT = 40


def test_a_busy_store_and_a_worker_that_dies_while_it_reads_change_no_record(store, scene):
    killed = []

    def kill(fetched):
        if fetched > COUNT // 2 and not killed:
            workers = [
                each for each in psutil.Process().children(recursive=True) if "spawn_main" in str(each.cmdline())
            ]
            killed.append(workers[-1].pid)
            workers[-1].kill()

    store.faults.on_fetch = kill
    store.faults.every = 5
    run = compared("s3://shop/expected", "s3://shop/actual", "--cluster", "local", "--jobs", "2")
    assert (run.returncode, run.stderr) == (2, "")
    assert records() == scene
    assert killed


def test_a_token_that_expires_midway_breaks_what_is_left_and_nothing_else(store, scene):
    store.faults.expires_after = COUNT
    run = compared("s3://shop/expected", "s3://shop/actual", "--jobs", "1")
    assert run.returncode == 2
    found = records()
    assert [record["name"] for record in found] == [record["name"] for record in scene]
    changed = [record for record, quiet in zip(found, scene, strict=True) if record != quiet]
    assert 0 < len(changed) < COUNT
    assert {record["verdict"] for record in changed} == {"broken"}
    assert all("the credentials have expired" in record["reason"] for record in changed)


def test_a_bucket_or_folder_that_is_not_there_is_one_line(store):
    store.put({"shop/a/x.png": RED})
    for url in ("s3://shop/nothing", "s3://no-such-bucket/a"):
        run = compared("s3://shop/a", url)
        assert (run.returncode, run.stderr.count("\n")) == (2, 1)
        assert url in run.stderr


def test_a_scan_of_a_bucket_under_pytest(store, pytester):
    store.put({"shop/a/x.png": RED, "shop/b/x.png": BLUE, "shop/a/y.png": RED, "shop/b/y.png": RED})
    pytester.makefile(".yaml", imgdiff="scans: [{expected: 's3://shop/a', actual: 's3://shop/b'}]")
    result = pytester.runpytest_subprocess("imgdiff.yaml")
    result.assert_outcomes(passed=1, failed=1)
    result = pytester.runpytest_subprocess("--imgdiff-scan", "s3://shop/a", "s3://shop/b", "--imgdiff-update=all")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*a scan cannot write to a store*"])
    assert store.client().cat_file("shop/a/x.png") == RED


def test_a_zip_file_against_a_folder(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "actual").mkdir()
    (tmp_path / "actual" / "x.png").write_bytes(RED)
    with zipfile.ZipFile("old.zip", "w") as archive:
        archive.writestr("x.png", RED)
    assert main(["compare", f"zip://::file://{tmp_path}/old.zip", f"file://{tmp_path}/actual"]) == 0
    with zipfile.ZipFile("old.zip", "w") as archive:
        archive.writestr("../x.png", RED)
    assert main(["compare", f"zip://::file://{tmp_path}/old.zip", "actual"]) == 2
    assert "has no name that a file can have" in capsys.readouterr().err


@pytest.mark.parametrize("url", ["file://{}", "local://{}", "simplecache::file://{}", "zip://x.png::file://{}"])
def test_a_named_pipe_behind_a_url_keeps_nobody_waiting(url, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.png").write_bytes(RED)
    os.mkfifo(tmp_path / "pipe.png")
    run = compared("x.png", url.format(tmp_path / "pipe.png"))
    assert (run.returncode, list(verdicts().values())) == (2, ["broken"])
    assert "only regular files are read" in run.stdout


@contextmanager
def served(folder):
    """Serve a folder over HTTP, with listings, as any static host does."""
    handler = functools.partial(QuietHandler, directory=folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{web.server_port}"
        web.shutdown()


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def test_folders_behind_http_have_the_verdicts_of_local_ones(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, data in {"a/same.png": RED, "b/same.png": RED, "a/x/other.png": RED, "b/x/other.png": BLUE}.items():
        (tmp_path / "web" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "web" / name).write_bytes(data)
    (tmp_path / "web" / "a" / "gone.png").write_bytes(RED)
    (tmp_path / "web" / "b" / "broken.png").write_bytes(BROKEN)
    (tmp_path / "web" / "a" / "broken.png").write_bytes(BROKEN)
    with served(tmp_path / "web") as url:
        run = compared(f"{url}/a/", f"{url}/b/")
    assert run.returncode == 2, run.stderr
    expected = {"same.png": "match", "x/other.png": "different", "gone.png": "unmatched", "broken.png": "broken"}
    assert verdicts() == expected


def test_pictures_in_memory(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    memory = fsspec.filesystem("memory")
    memory.pipe({"/shots/a/x.png": RED, "/shots/b/x.png": BLUE, "/shots/c/x.png": RED})
    try:
        assert main(["compare", "memory://shots/a", "memory://shots/c"]) == 0
        assert main(["compare", "memory://shots/a", "memory://shots/b"]) == 1
        assert main(["compare", "memory://shots/a/x.png", "memory://shots/none.png"]) == 2
        assert "memory://shots/none.png: missing" in capsys.readouterr().out
    finally:
        memory.rm("/shots", recursive=True)


@pytest.mark.parametrize("url", ["https://me:pass-word@127.0.0.1:9/x.png", "https://127.0.0.1:9/x.png?X-Sig=pass-word"])
def test_credentials_of_a_url_stand_nowhere(url, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.png").write_bytes(RED)
    run = compared("x.png", url)
    assert run.returncode == 2
    assert "127.0.0.1:9/x.png" in run.stdout
    files = [path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert b"pass-word" not in b"".join([run.stdout.encode(), run.stderr.encode(), *files])


@pytest.mark.parametrize(("module", "words"), [("s3fs", "pip install s3fs"), ("fsspec", "pytest-imgdiff[remote]")])
def test_a_package_that_is_not_installed_is_named(module, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code = f"import sys; sys.modules[{module!r}] = None; from pytest_imgdiff.cli.parser import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "compare", "s3://a/b", "s3://a/c"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr.count("\n")) == (2, 1)
    assert words in run.stderr


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("s3://AKIA:wJ/hush+K7@shop/a", "s3://shop/a"),
        ("https://user:p@hush@host/a", "https://host/a"),
        ("https://token@host/a?sig=hush", "https://host/a?..."),
        ("zip://a.png::s3://AKIA:wJ/hush@shop/b.zip", "zip://a.png::s3://shop/b.zip"),
        ("http://host:8000/logo@2x.png", "http://host:8000/logo@2x.png"),
        ("s3://shop/icons/logo@2x.png", "s3://shop/icons/logo@2x.png"),
    ],
)
def test_a_label_has_no_credentials(url, shown):
    assert redacted(url) == shown
