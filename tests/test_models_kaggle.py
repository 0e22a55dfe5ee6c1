"""Models of Kaggle, downloaded by kagglehub itself from a server on loopback that speaks Kaggle's protocol."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pytest

from pytest_imgdiff import Registry
from pytest_imgdiff.base.errors import ConfigError, ModelError, ModelUnavailableError
from pytest_imgdiff.config import load_settings
from pytest_imgdiff.networks import ModelSettings, fetch, locate
from pytest_imgdiff.networks.locating import stored_models
from pytest_imgdiff.networks.settings import kind_of
from tests.model_archives import FILES, contents, write_model
from tests.model_server import HEAD, body, serving, silent, trickle

HANDLE = "google/mobilenet-v2/tensorFlow2/100-224-classification/2"
UNVERSIONED = HANDLE.rpartition("/")[0]
SERVICE = "/api/v1/models.ModelApiService"


@pytest.fixture
def server(monkeypatch, tmp_path):
    """A server that kagglehub takes for Kaggle: asked through a proxy, as its own port for tests is one for all."""
    with serving() as server:
        for name in ("https_proxy", "all_proxy", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
            monkeypatch.delenv(name.upper(), raising=False)
        monkeypatch.setenv("http_proxy", server.address(""))
        monkeypatch.setenv("KAGGLE_API_ENVIRONMENT", "TEST")
        monkeypatch.setenv("HOME", str(tmp_path / "home"))  # not the credentials of the user who runs the tests
        (tmp_path / "home").mkdir()
        for name in ("KAGGLE_USERNAME", "KAGGLE_KEY", "KAGGLE_API_TOKEN", "KAGGLEHUB_CACHE"):
            monkeypatch.delenv(name, raising=False)
        offer(server, FILES)
        yield server


def offer(server, files):
    def send(handler):
        wanted = json.loads(handler.content)
        assert (wanted["ownerSlug"], wanted["modelSlug"]) == ("google", "mobilenet-v2")
        body(files[wanted["path"]], kind="application/octet-stream")(handler)

    listed = {"files": [{"name": name, "size": len(data)} for name, data in files.items()], "nextPageToken": ""}
    server.answers |= {
        f"{SERVICE}/GetModelInstance": as_json({"versionNumber": 2}),
        f"{SERVICE}/ListModelInstanceVersionFiles": as_json(listed),
        f"{SERVICE}/DownloadModelInstanceVersion": send,
    }


def as_json(value, status=200):
    return body(json.dumps(value).encode(), status=status, kind="application/json")


@pytest.fixture
def settings(tmp_path):
    def make(handle=HANDLE, **options):
        return ModelSettings(
            handle, **{"timeout": 30.0, "max_megabytes": 10, "cache": str(tmp_path / "cache"), **options}
        )

    return make


def refusal(settings):
    """Return the one line with which fetching fails; nothing is left in the cache."""
    with pytest.raises(ModelError) as caught:
        fetch(settings)
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"model {settings.model}: ")
    cache = Path(settings.cache)
    assert not cache.exists() or list(cache.iterdir()) == []
    return line.removeprefix(f"model {settings.model}: ")


@pytest.mark.parametrize("handle", [HANDLE, UNVERSIONED])
def test_a_model_of_kaggle_is_fetched_once_and_is_a_model_of_the_cache_like_others(server, settings, handle, capfd):
    assert fetch(settings(handle))
    located = locate(settings(handle))
    assert contents(located.saved_model) == FILES
    asked = len(server.asked)
    assert asked
    assert not fetch(settings(handle))
    assert len(server.asked) == asked
    (stored,) = stored_models(settings().cache, thorough=True)
    assert (stored.handle, stored.digest, stored.damage) == (handle, located.digest, None)
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("server")
def test_a_changed_file_is_found_and_the_model_is_fetched_anew(settings):
    fetch(settings())
    graph = locate(settings()).saved_model / "saved_model.pb"
    graph.write_bytes(b"changed")
    with pytest.raises(
        ModelError, match=r"has changed since it was cached.*to download it again: pytest-imgdiff models fetch"
    ):
        locate(settings())
    assert fetch(settings())
    assert contents(locate(settings()).saved_model) == FILES


def test_a_test_run_downloads_only_where_it_may(server, settings):
    with pytest.raises(ModelUnavailableError) as caught:
        locate(settings())
    assert f"to download it: pytest-imgdiff models fetch {HANDLE}" in str(caught.value)
    assert server.asked == []
    assert contents(locate(settings(download=True)).saved_model) == FILES


def test_what_kagglehub_has_in_its_own_cache_is_used_where_it_lies(settings, monkeypatch, tmp_path):
    folder = write_model(tmp_path / "theirs" / "models" / HANDLE)
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path / "theirs"))
    with pytest.raises(ModelUnavailableError):  # a download that was broken off
        locate(settings())
    folder.with_name("2.complete").touch()
    assert locate(settings()).saved_model == folder
    assert not fetch(settings())
    with pytest.raises(ModelUnavailableError):  # which version is meant only Kaggle knows
        locate(settings(UNVERSIONED))


@pytest.mark.parametrize(
    ("answers", "line"),
    [
        ({"ListModelInstanceVersionFiles": as_json({"code": 404, "message": "no"}, 404)}, "Resource not found"),
        ({"ListModelInstanceVersionFiles": as_json({"code": 403, "message": "no"}, 403)}, "Please make sure you are authenticated"),
        ({"DownloadModelInstanceVersion": body(b"", status=500)}, "500"),
        ({"DownloadModelInstanceVersion": body(b"x", length=99)}, "kagglehub could not download it"),
    ],
)  # fmt: skip
def test_what_kagglehub_says_is_told_in_one_line(server, settings, answers, line):
    server.answers |= {f"{SERVICE}/{name}": answer for name, answer in answers.items()}
    told = refusal(settings())
    assert told.startswith("kagglehub could not download it: ")
    assert line in told


@pytest.mark.parametrize("answer", [silent, trickle(HEAD + b"\r\n", b"x")])
def test_a_download_that_does_not_end_is_cut_off(server, settings, answer):
    server.answers[f"{SERVICE}/DownloadModelInstanceVersion"] = answer
    start = time.monotonic()
    assert refusal(settings(timeout=5.0)) == "the download took longer than 5 s (--timeout)"
    assert time.monotonic() - start < 30


def test_a_download_that_is_larger_than_allowed_is_cut_off(server, settings):
    offer(server, {**FILES, "assets/more": bytes(11_000_000)})
    assert refusal(settings()) == "larger than 10 MB (--max-megabytes)"


def test_what_is_no_saved_model_is_refused(server, settings):
    offer(server, {"model.h5": b"weights"})
    assert refusal(settings()) == "not a SavedModel: it has no saved_model.pb"


def test_without_kagglehub_the_extra_is_named(settings, monkeypatch):
    monkeypatch.setitem(sys.modules, "kagglehub", None)  # as where it is not installed
    assert refusal(settings()) == (
        "kagglehub, which downloads it, is not installed; run pip install 'pytest-imgdiff[kaggle]'"
    )


@pytest.mark.parametrize(
    ("handle", "kind"),
    [(HANDLE, "kaggle"), (UNVERSIONED, "kaggle"), (UNVERSIONED.replace("tensorFlow2", "TensorFlow2"), "kaggle")],
)
def test_handles_of_kaggle(handle, kind):
    assert kind_of(handle) == kind


@pytest.mark.parametrize("handle", ["google/mobilenet-v2", "google/gemma/pyTorch/2b/1", f"{HANDLE}/x", f"../{HANDLE}"])
def test_other_names_are_paths(handle):
    with pytest.raises(
        ModelUnavailableError, match=r"no such file or folder; pass its path.*tensorFlow2/VARIATION/VERSION of Kaggle"
    ):
        kind_of(handle)


def test_a_folder_of_that_name_is_the_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = write_model(tmp_path / HANDLE)
    assert kind_of(HANDLE) == "folder"
    with pytest.raises(ConfigError, match="is already on this machine"):
        fetch(ModelSettings(HANDLE))
    assert locate(ModelSettings(HANDLE)).saved_model.resolve() == folder


def test_in_imgdiff_yaml_a_handle_is_no_path_unless_there_is_such_a_folder(tmp_path):
    file = tmp_path / "imgdiff.yaml"
    file.write_text(f"metrics: {{embedding_cosine: {{max: 0.1, model: {HANDLE}}}}}")

    def model():
        (rule,) = load_settings(file, Registry()).policy_for("a.png").metrics
        return dict(rule.options)["model"]

    assert model() == HANDLE
    (tmp_path / HANDLE).mkdir(parents=True)
    assert model() == str(tmp_path / HANDLE)
