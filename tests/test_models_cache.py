"""Models on this machine: what each kind of handle finds, what the cache promises, and who may write there."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

from pytest_imgdiff.base.errors import ModelError, ModelUnavailableError
from pytest_imgdiff.networks import ModelSettings, fetch, locate
from pytest_imgdiff.networks.locating import keep_export, stored_models
from pytest_imgdiff.networks.store import cache_folder, digest_of
from tests.model_archives import FILES, HOSTILE, contents, good, write_model

HANDLE = "https://example.invalid/google/model/4"
posix = pytest.mark.skipif(sys.platform == "win32", reason="owners and modes are POSIX's")


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def settings(cache):
    return lambda handle, **options: ModelSettings(str(handle), **{"cache": str(cache), **options})


@pytest.fixture(autouse=True)
def _no_cache_of_this_machine(monkeypatch, tmp_path):
    monkeypatch.delenv("TFHUB_CACHE_DIR", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()


def put_as_the_hub_does(cache: Path, handle: str = HANDLE) -> Path:
    name = hashlib.sha1(handle.encode("utf8"), usedforsecurity=False).hexdigest()
    (cache / f"{name}.descriptor.txt").parent.mkdir(parents=True, exist_ok=True)
    (cache / f"{name}.descriptor.txt").write_text(f"Module: {handle}\nDownload Time: 2024-01-01", encoding="utf-8")
    return write_model(cache / name)


def line_of(call, *arguments, kind=ModelError) -> str:
    with pytest.raises(kind) as caught:
        call(*arguments)
    (line,) = str(caught.value).splitlines()
    return line


# Handles of this machine


def test_a_saved_model_folder_is_used_where_it_lies(settings, cache, tmp_path):
    folder = write_model(tmp_path / "model")
    located = locate(settings(folder))
    assert (located.saved_model, located.onnx) == (folder, None)
    assert located.digest == digest_of(folder)
    assert not cache.exists()


def test_an_onnx_file_is_used_where_it_lies(settings, cache, tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"onnx")
    located = locate(settings(tmp_path / "model.onnx"))
    assert (located.saved_model, located.onnx) == (None, tmp_path / "model.onnx")
    assert located.digest == hashlib.sha256(b"onnx").hexdigest()
    assert not cache.exists()


@pytest.mark.parametrize("name", ["model.tar.gz", "model.tgz", "MODEL.TAR.GZ"])
def test_an_archive_is_unpacked_into_the_cache_once(settings, cache, tmp_path, name):
    archive = tmp_path / name
    archive.write_bytes(good())
    located = locate(settings(archive))
    assert contents(located.saved_model) == FILES
    assert located.digest == digest_of(write_model(tmp_path / "same"))
    assert located.saved_model.parent == cache
    before = (located.saved_model / "saved_model.pb").stat().st_ino
    again = locate(settings(shutil.copy(archive, tmp_path / "copy.tar.gz")))
    assert again.saved_model == located.saved_model
    assert (again.saved_model / "saved_model.pb").stat().st_ino == before


def test_a_damaged_archive_names_its_file_and_leaves_nothing(settings, cache, tmp_path):
    archive = tmp_path / "model.tar.gz"
    archive.write_bytes(HOSTILE["cut off"][0]())
    assert line_of(locate, settings(archive)).startswith(f"model {archive}: the archive is damaged or incomplete")
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize(
    ("make", "words"),
    [
        pytest.param(lambda path: path.mkdir(), "not a SavedModel: it has no saved_model.pb", id="empty folder"),
        pytest.param(
            lambda path: write_model(path / "inner"), "no saved_model.pb at its top, but inner/ has one", id="too high"
        ),
        pytest.param(
            lambda path: write_model(path, {"saved_model.pb": b""}), "its saved_model.pb is empty", id="empty graph"
        ),
        pytest.param(
            lambda path: write_model(
                path, {**FILES, "variables/variables.index": b"version https://git-lfs.github.com"}
            ),
            "its variables.index is a Git LFS pointer (run: git lfs pull)",
            id="LFS",
        ),
        pytest.param(
            lambda path: path.write_bytes(b"x"),
            "neither a SavedModel folder nor a file called .tar.gz",
            id="other file",
        ),
    ],
)
def test_what_is_no_model_is_refused_by_name(settings, tmp_path, make, words):
    make(tmp_path / "model")
    line = line_of(locate, settings(tmp_path / "model"))
    assert line.startswith(f"model {tmp_path / 'model'}: ")
    assert words in line


@pytest.mark.parametrize("start", [b"", b"version https://git-lfs.github.com/spec/v1\n"])
def test_an_onnx_file_that_is_none_is_refused(settings, tmp_path, start):
    (tmp_path / "model.onnx").write_bytes(start)
    assert "its model.onnx is " in line_of(locate, settings(tmp_path / "model.onnx"))


@pytest.mark.parametrize(
    "handle", ["", "no/such/model", "model.tar.gz", "model.onnx", "google/mobilenet/4", "caf\udce9"]
)
def test_what_is_not_there_is_unavailable(settings, handle):
    line = line_of(locate, settings(handle), kind=ModelUnavailableError)
    assert "no such file or folder" in line
    line.encode()


@posix
def test_a_folder_whose_parts_are_links_is_hashed_with_what_they_lead_to(settings, tmp_path):
    folder = write_model(tmp_path / "model")
    whole = locate(settings(folder)).digest
    (folder / "variables").rename(tmp_path / "elsewhere")
    (folder / "variables").symlink_to(tmp_path / "elsewhere")
    assert locate(settings(folder)).digest == whole
    (tmp_path / "elsewhere" / "variables.index").write_bytes(b"another")
    assert locate(settings(folder)).digest != whole
    (folder / "self").symlink_to(folder)
    assert "a circular link" in line_of(locate, settings(folder))


def test_the_digest_depends_on_names_and_bytes_alone(tmp_path):
    first = write_model(tmp_path / "first", {"a": b"1", "b/c": b"2"})
    same = write_model(tmp_path / "same", {"b/c": b"2", "a": b"1"})
    (same / "empty folder").mkdir()
    assert digest_of(first) == digest_of(same)
    others = [
        {"a": b"2", "b/c": b"1"},
        {"a": b"1", "b/d": b"2"},
        {"a": b"1", "b": b"2"},
        {"a": b"1b/c\x001\x002"},
        {"a": b"1"},
    ]
    folders = [write_model(tmp_path / str(number), files) for number, files in enumerate(others)]
    assert len({digest_of(folder) for folder in (first, *folders)}) == 6


# The cache


def test_what_tensorflow_hub_fetched_is_found_and_not_changed(settings, cache, monkeypatch):
    folder = put_as_the_hub_does(cache)
    before = contents(cache)
    located = locate(settings(HANDLE))
    assert located.saved_model == folder
    assert not fetch(settings(HANDLE))
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(cache))
    assert locate(ModelSettings(HANDLE)).saved_model == folder
    assert contents(cache) == before


def test_where_the_hub_puts_models_if_told_nothing_is_looked_at_too(settings, tmp_path):
    folder = put_as_the_hub_does(tmp_path / "temporary" / "tfhub_modules")
    assert locate(settings(HANDLE)).saved_model == folder
    assert [model.handle for model in stored_models(settings(HANDLE).cache)] == [HANDLE]


@posix
def test_a_folder_of_that_name_which_anybody_may_write_to_is_not_looked_at(settings, tmp_path):
    put_as_the_hub_does(tmp_path / "temporary" / "tfhub_modules")
    (tmp_path / "temporary" / "tfhub_modules").chmod(0o777)
    line_of(locate, settings(HANDLE), kind=ModelUnavailableError)


def unpacked_model(settings, tmp_path) -> tuple[ModelSettings, Path]:
    """A model that came into the cache by us, with our record of it."""
    archive = tmp_path / "model.tar.gz"
    archive.write_bytes(good())
    return settings(archive), locate(settings(archive)).saved_model


def test_a_model_that_changed_is_refused(settings, tmp_path):
    handle, folder = unpacked_model(settings, tmp_path)
    (folder / "variables" / "variables.index").write_bytes(b"another")
    line = line_of(locate, handle)
    assert line.startswith(f"model {handle.model}: {folder} has changed since it was cached: SHA-256 ")


def test_a_file_too_many_or_too_few_is_a_change(settings, tmp_path):
    handle, folder = unpacked_model(settings, tmp_path)
    (folder / "more").write_bytes(b"")
    assert "changed since" in line_of(locate, handle)
    (folder / "more").unlink()
    locate(handle)
    (folder / "variables" / "variables.index").unlink()
    assert "changed since" in line_of(locate, handle)


def test_a_change_that_keeps_size_and_time_is_found_by_the_thorough_look(settings, tmp_path):
    handle, folder = unpacked_model(settings, tmp_path)
    path = folder / "variables" / "variables.index"
    stat, data = path.stat(), path.read_bytes()
    path.write_bytes(data[::-1])
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    locate(handle)
    with pytest.raises(ModelError, match="changed since"):
        locate(handle, thorough=True)
    (model,) = stored_models(handle.cache, thorough=True)
    assert model.digest is None
    assert "changed since" in model.damage


def test_a_copied_cache_with_other_times_is_the_same_cache(settings, tmp_path):
    handle, folder = unpacked_model(settings, tmp_path)
    os.utime(folder / "saved_model.pb", (1, 1))
    assert locate(handle).digest == digest_of(folder)


def test_a_damaged_record_is_named(settings, tmp_path):
    handle, folder = unpacked_model(settings, tmp_path)
    record = folder.with_name(f"{folder.name}.imgdiff.json")
    record.write_text("{", encoding="utf-8")
    assert f"{record} is damaged" in line_of(locate, handle)


@posix
@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o702])
def test_a_cache_that_everybody_may_write_to_is_refused(settings, cache, tmp_path, mode):
    cache.mkdir()
    cache.chmod(mode)
    (tmp_path / "model.tar.gz").write_bytes(good())
    for handle in (HANDLE, tmp_path / "model.tar.gz"):
        for call in (locate, fetch) if handle == HANDLE else (locate,):
            line = line_of(call, settings(handle, download=True))
            assert f"the cache {cache} is writable by everyone (chmod o-w)" in line
    assert list(cache.iterdir()) == []


@posix
def test_a_new_cache_is_its_users_alone(settings, cache, tmp_path):
    unpacked_model(settings, tmp_path)
    assert cache.stat().st_mode & 0o777 == 0o700


def test_a_cache_that_is_a_file_or_lies_below_one_is_one_line(cache, tmp_path):
    cache.write_bytes(b"")
    assert line_of(locate, ModelSettings(HANDLE, cache=str(cache))).startswith(f"the cache {cache} is not a folder")
    (tmp_path / "model.tar.gz").write_bytes(good())
    for handle in (HANDLE, str(tmp_path / "model.tar.gz")):
        line = line_of(locate, ModelSettings(handle, cache=str(cache / "below"), download=True))
        assert "Not a directory" in line


def test_the_cache_is_the_named_one_then_the_hubs_then_the_users(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "xdg"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    own = tmp_path / ("home/Library/Caches" if sys.platform == "darwin" else "xdg")
    assert cache_folder(None) == own / "pytest-imgdiff" / "models"
    if sys.platform == "linux":
        monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # which the specification has ignored
        assert cache_folder(None) == tmp_path / "home/.cache/pytest-imgdiff/models"
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path / "hub"))
    assert cache_folder(None) == tmp_path / "hub"
    assert cache_folder("named") == Path("named")
    monkeypatch.setenv("TFHUB_CACHE_DIR", "gs://bucket/models")
    assert "TFHUB_CACHE_DIR is gs://bucket/models, not a local folder" in line_of(cache_folder, None)


# Exports


def test_an_export_serves_every_handle_of_the_same_model_and_no_other(settings, tmp_path):
    handle, folder = unpacked_model(settings, tmp_path)
    assert locate(handle).onnx is None
    digest = locate(handle).digest
    onnx = keep_export(handle, folder, digest, lambda model, target: target.write_bytes((model / "saved_model.pb").read_bytes()))  # fmt: skip
    assert onnx.read_bytes() == FILES["saved_model.pb"]
    assert locate(handle).onnx == onnx
    assert locate(settings(write_model(tmp_path / "same"))).onnx == onnx
    assert locate(settings(write_model(tmp_path / "other", {"saved_model.pb": b"other"}))).onnx is None
    onnx.write_bytes(b"another")
    line = line_of(locate, handle)
    assert f"{onnx} has changed since it was cached" in line
    assert f"to export it again: pytest-imgdiff models export {handle.model}" in line
    assert locate(handle, exported=False).onnx is None


def test_an_export_that_fails_leaves_nothing(settings, tmp_path):
    handle, folder = unpacked_model(settings, tmp_path)
    before = contents(folder.parent)

    def broken(_: Path, target: Path) -> None:
        target.write_bytes(b"half")
        raise ModelError("no such operation")

    with pytest.raises(ModelError, match="no such operation"):
        keep_export(handle, folder, locate(handle).digest, broken)
    assert contents(folder.parent) == before


def test_tensorflow_hub_takes_our_folders_for_its_own(settings, tmp_path, monkeypatch):
    """Its own code resolves the handle to what we unpacked, without a download."""
    pytest.importorskip("tensorflow")
    hub = pytest.importorskip("tensorflow_hub")
    from tests.model_server import model, serving

    with serving() as server:
        address = server.address("/m/1", model())
        fetch(settings(address))
        monkeypatch.setenv("TFHUB_CACHE_DIR", settings(address).cache)
        assert Path(hub.resolve(address)) == locate(settings(address)).saved_model
        assert len(server.asked) == 1
        monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path / "theirs"))
        (tmp_path / "theirs").mkdir(mode=0o700)
        hub.resolve(address)
    assert contents(locate(ModelSettings(address)).saved_model) == FILES
