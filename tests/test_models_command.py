"""``pytest-imgdiff models``, as a shell runs it, also when it is killed, runs twice, or has no room."""

from __future__ import annotations

import gzip
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests import warm
from tests.model_archives import FILES, contents, good, tar, write_model
from tests.model_server import body, model, serving, silent

COMMAND = [sys.executable, "-m", "pytest_imgdiff", "models"]
DONE, FAILED = 0, 2
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="uses Linux's capabilities and namespaces")


@pytest.fixture
def server():
    with serving() as server:
        yield server


@pytest.fixture
def environment(tmp_path):
    """The test's own, without caches and proxies of this machine."""
    hidden = {"TFHUB_CACHE_DIR", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"}
    kept = {name: value for name, value in os.environ.items() if name.upper() not in hidden}
    (tmp_path / "temporary").mkdir()
    return kept | {"TMPDIR": str(tmp_path / "temporary"), "XDG_CACHE_HOME": str(tmp_path / "xdg")}


@pytest.fixture
def models(tmp_path, environment):
    """Run the command in a folder of its own; it never prints a traceback."""

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [*COMMAND, *map(str, arguments)]
        done = warm.run(command, cwd=tmp_path, env=environment)
        assert "Traceback" not in done.stderr
        return done

    return run


def test_the_names_of_the_classes_are_fetched_beside_the_models(models, server, tmp_path):
    names = "background\ntench\ngoldfish\n"
    address = server.address("/labels.txt", body(names.encode(), kind="text/plain"))
    done = models("fetch", server.address("/m/1", model()), "--labels", address, "--cache", "cache")
    assert (done.returncode, done.stderr) == (DONE, "")
    file = Path("cache/ImageNetLabels.txt")
    assert done.stdout.splitlines()[-1].endswith(str(file))
    assert (tmp_path / file).read_text(encoding="utf-8") == names


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"<html>", "not a list of labels"), (b"a\n\nb\n", "not a list of labels"), (b"\xff\n\xff\n", "not UTF-8 text")],
)
def test_what_is_no_list_of_labels_is_refused_and_the_old_one_stays(models, server, tmp_path, content, says):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache/ImageNetLabels.txt").write_text("old\n", encoding="utf-8")
    address = server.address("/labels.txt", body(content, kind="text/plain"))
    done = models("fetch", server.address("/m/1", model()), "--labels", address, "--cache", "cache")
    assert done.returncode == FAILED
    assert says in done.stderr
    assert (tmp_path / "cache/ImageNetLabels.txt").read_text(encoding="utf-8") == "old\n"


def test_labels_are_downloaded_and_never_copied_from_this_machine(models):
    done = models("fetch", "--labels", "labels.txt", "http://127.0.0.1:9/m", "--cache", "cache")
    assert done.returncode == FAILED
    assert "labels labels.txt: must be a URL" in done.stderr


def test_fetched_listed_verified(models, server, tmp_path):
    address = server.address("/m/1", model())
    empty = models("list", "--cache", "cache")
    assert empty.stdout == "no models in cache; run pytest-imgdiff models fetch to download the default models\n"
    fetched = models("fetch", address, "--cache", "cache")
    assert (fetched.returncode, fetched.stderr) == (DONE, "")
    assert fetched.stdout.startswith(f"fetched: {address} (")
    assert models("fetch", address, "--cache", "cache").stdout.startswith(f"already in the cache: {address} (")
    head, row = models("list", "--cache", "cache").stdout.splitlines()
    assert head.split() == ["HANDLE", "MB", "SHA-256", "ONNX", "FOLDER"]
    assert row.split()[0::3] == [address, "no"]
    for arguments in ((), (address,)):
        verified = models("verify", *arguments, "--cache", "cache")
        assert (verified.returncode, verified.stdout.split(" (")[0]) == (DONE, f"intact: {address}")
    (graph,) = (tmp_path / "cache").glob("*/saved_model.pb")
    graph.write_bytes(b"another")
    assert "DAMAGED" in models("list", "--cache", "cache").stdout
    for arguments in ((), (address,)):
        damaged = models("verify", *arguments, "--cache", "cache")
        assert (damaged.returncode, damaged.stdout) == (FAILED, "")
        (line,) = damaged.stderr.splitlines()
        assert line.startswith(f"pytest-imgdiff: model {address}: ")
        assert "has changed since it was cached" in line
    assert models("fetch", address, "--cache", "cache").stdout.startswith(f"fetched: {address} (")
    assert graph.read_bytes() == FILES["saved_model.pb"]
    assert models("verify", "--cache", "cache").returncode == DONE


def test_without_a_cache_named_models_go_to_the_users_own(models, server, tmp_path):
    models("fetch", server.address("/m/1", model()))
    if sys.platform == "linux":
        assert len(list((tmp_path / "xdg/pytest-imgdiff/models").glob("*/saved_model.pb"))) == 1
    assert "no models" not in models("list").stdout


def test_one_model_that_fails_does_not_stop_the_others(models, server):
    absent, present = server.address("/absent"), server.address("/present", model())
    done = models("fetch", absent, present, "--cache", "cache")
    assert done.returncode == FAILED
    assert done.stdout.startswith(f"fetched: {present} (")
    assert done.stderr == f"pytest-imgdiff: model {absent}: 127.0.0.1 has no such model (404 Not Found)\n"


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--max-megabytes", "0.0001"], "larger than 0.0001 MB (--max-megabytes)"),
        (["--connect-timeout", "0.3"], "the server did not respond for 0.3 s (--connect-timeout)"),
        (["--timeout", "0.3"], "the download took longer than 0.3 s (--timeout)"),
    ],
)
def test_the_limits_of_a_download(models, server, options, line):
    address = server.address("/m/1", model() if "--max-megabytes" in options else silent)
    done = models("fetch", address, "--cache", "cache", *options)
    assert (done.returncode, done.stdout) == (FAILED, "")
    assert done.stderr == f"pytest-imgdiff: model {address}: {line}\n"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["fetch", "no/such/model"], "model 'no/such/model': no such file or folder"),
        (["verify", "no/such/model"], "model 'no/such/model': no such file or folder"),
        (["verify", "https://example.invalid/m"], "model https://example.invalid/m is not on this machine"),
        (["export", "https://example.invalid/m"], "model https://example.invalid/m is not on this machine"),
        (["export", "--output", "model.onnx"], "--output needs exactly one model"),
        (["export", "model.onnx"], "model model.onnx is already ONNX"),
        (["list", "--cache", "model.onnx"], "the cache model.onnx is not a folder"),
        (["list", "--cache", "model.onnx/below"], "the cache model.onnx/below cannot be accessed (Not a directory)"),
        (["fetch", "https://example.invalid/m", "--cache", "model.onnx/below"], "the cache model.onnx/below cannot be"),
    ],
)
def test_a_mistake_is_one_line(models, tmp_path, arguments, line):
    (tmp_path / "model.onnx").write_bytes(b"onnx")
    done = models(*arguments)
    assert (done.returncode, done.stdout) == (FAILED, "")
    (printed,) = done.stderr.splitlines()
    assert printed.startswith(f"pytest-imgdiff: {line}")


@pytest.mark.parametrize("number", ["0", "-1", "nan", "inf", "1e9", "soon"])
def test_a_limit_is_a_number_above_zero(models, number):
    done = models("fetch", f"--timeout={number}")
    assert done.returncode == FAILED
    assert f"expected a number above 0, at most 1000000, not '{number}'" in done.stderr


@pytest.mark.parametrize("verb", ["fetch", "list", "verify", "export"])
def test_every_option_is_documented(models, root, verb):
    printed = set(re.findall(r"(?<![\w-])--[a-z-]+", models(verb, "--help").stdout)) - {"--help"}
    text = (root / "docs" / "models.md").read_text(encoding="utf-8")
    assert {option for option in printed if f"`{option} " not in text} == set()
    assert f"`{verb}" in text


def half(started: threading.Event):
    """Send half an archive, and keep the rest."""

    def answer(handler) -> None:
        data = good()
        handler.wfile.write(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % len(data) + data[: len(data) // 2])
        started.set()
        handler.server.stopping.wait(60)

    return answer


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_killed_fetch_does_not_keep_the_next_one_waiting(models, server, tmp_path, environment):
    started = threading.Event()
    address = server.address("/m/1", half(started))
    command = [*COMMAND, "fetch", address, "--cache", "cache"]
    with subprocess.Popen(command, cwd=tmp_path, env=environment) as process:
        assert started.wait(60)
        while not list((tmp_path / "cache").glob("*.imgdiff-tmp/archive")):
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert list((tmp_path / "cache").glob("*.imgdiff-tmp")) != []
    assert models("list", "--cache", "cache").stdout.startswith("no models")
    server.address("/m/1", model())
    assert models("fetch", address, "--cache", "cache", "--timeout", "20").returncode == DONE
    (folder,) = [path for path in (tmp_path / "cache").iterdir() if path.is_dir()]
    assert contents(folder) == FILES
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == [folder.name, f"{folder.name}.imgdiff.json"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_what_a_killed_fetch_left_goes_with_the_next_of_any_model(models, server, tmp_path):
    left = tmp_path / "cache" / f"{'0' * 40}.abcdefgh.imgdiff-tmp"
    write_model(left)
    (tmp_path / "cache").chmod(0o700)
    assert models("fetch", server.address("/m/1", model()), "--cache", "cache").returncode == DONE
    assert not left.exists()


def test_control_c_leaves_nothing(server, tmp_path, environment):
    started = threading.Event()
    command = [*COMMAND, "fetch", server.address("/m/1", half(started)), "--cache", "cache"]
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert started.wait(60)
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        assert process.stderr.read().startswith("pytest-imgdiff: interrupted")
    assert process.returncode == FAILED
    assert list((tmp_path / "cache").iterdir()) == []


def test_of_processes_that_fetch_at_once_one_downloads(server, tmp_path, environment):
    all_wait = threading.Barrier(2, timeout=60)

    def slowly(handler) -> None:
        all_wait.wait()
        model()(handler)

    address = server.address("/m/1", slowly)
    command = [*COMMAND, "fetch", address, "--cache", "cache"]
    options = {"cwd": tmp_path, "env": environment, "stdout": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(command, **options) for _ in range(4)]
    while not server.asked:
        time.sleep(0.01)
    time.sleep(1)  # the others come to the lock
    all_wait.wait()
    outputs = sorted(process.communicate(timeout=60)[0].split(":")[0] for process in processes)
    assert [process.returncode for process in processes] == [DONE] * 4
    assert outputs == ["already in the cache", "already in the cache", "already in the cache", "fetched"]
    assert len(server.asked) == 1
    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_who_waits_for_another_process_waits_no_longer_than_it_was_told(models, server, tmp_path, environment):
    started = threading.Event()
    address = server.address("/m/1", half(started))
    with subprocess.Popen([*COMMAND, "fetch", address, "--cache", "cache"], cwd=tmp_path, env=environment) as process:
        assert started.wait(60)
        waited = models("fetch", address, "--cache", "cache", "--timeout", "0.3")
        process.terminate()
    assert waited.returncode == FAILED
    assert waited.stderr == f"pytest-imgdiff: model {address}: another process has used it for 0.3 s\n"


FETCH_ON = """
mount -t tmpfs -o {options} tmpfs cache && chmod 700 cache && {then}
{python} -m pytest_imgdiff models fetch {address} --cache cache; code=$?; ls -A cache > left; exit $code
"""


@on_linux
@pytest.mark.parametrize(
    ("options", "then", "cause"),
    [
        pytest.param("size=16m", "mount -o remount,ro cache", "Read-only file system", id="read-only"),
        pytest.param("size=64k", "true", "No space left on device", id="too small for the download"),
        pytest.param("size=400k", "true", "No space left on device", id="too small for the model"),
        pytest.param("size=16m,nr_inodes=6", "true", "No space left on device", id="too small for its files"),
    ],
)
def test_a_cache_without_room_or_permission_is_one_line_and_stays_empty(
    server, tmp_path, environment, options, then, cause
):
    """In a mount namespace of its own: a folder's permissions do not bind the superuser, a mount does."""
    data = gzip.compress(tar(*FILES.items(), ("noise", os.urandom(100_000)), ("zeros", bytes(500_000))))
    address = server.address("/m/1", body(data))
    (tmp_path / "cache").mkdir()
    script = FETCH_ON.format(options=options, then=then, python=sys.executable, address=address)
    done = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", script],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "unshare failed" in done.stderr:
        pytest.skip(f"this system lets nobody make a mount namespace: {done.stderr}")
    assert done.returncode == FAILED, done.stdout + done.stderr
    assert done.stderr == f"pytest-imgdiff: model {address}: the cache cache cannot be used: {cause}\n"
    assert (tmp_path / "left").read_text() == ""


@on_linux
def test_a_cache_without_permission_is_one_line(server, tmp_path, environment):
    (tmp_path / "cache").mkdir(mode=0o500)
    address = server.address("/m/1", model())
    bound = ["setpriv", "--bounding-set=-dac_override"] if os.geteuid() == 0 else []  # whom modes do not bind else
    done = subprocess.run(
        [*bound, *COMMAND, "fetch", address, "--cache", "cache"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == FAILED
    assert done.stderr == f"pytest-imgdiff: model {address}: the cache cache cannot be used: Permission denied\n"


@on_linux
def test_a_cache_of_another_user_is_refused(tmp_path, environment):
    """In a user namespace of its own everybody else is user 65534."""
    cache = tmp_path / "cache"
    cache.mkdir()
    if os.geteuid() == 0:
        os.chown(cache, 12345, 12345)
    else:
        cache = Path("/usr")
    done = subprocess.run(
        ["unshare", "--map-root-user", *COMMAND, "list", "--cache", cache],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "unshare failed" in done.stderr:
        pytest.skip(f"this system lets nobody make a user namespace: {done.stderr}")
    assert done.returncode == FAILED
    assert f"the cache {cache} belongs to another user (65534)" in done.stderr
