"""Outputs of a model in a store that machines share: computed on one, found by the others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pytest_imgdiff.base.derived import BLACK
from pytest_imgdiff.base.errors import ConfigError, ModelError
from pytest_imgdiff.cli.parser import main
from pytest_imgdiff.comparison.registry import Registry
from pytest_imgdiff.config import load_settings
from pytest_imgdiff.networks.service import InferenceCounts, InferenceService
from tests import s3_server
from tests.metric_pictures import image_of
from tests.pictures import write
from tests.test_inference_service import pictures, tiny
from tests.tiny_models import SIDE

pytest.importorskip("onnxruntime")
__all__ = ["tiny"]
IMAGES = [image_of(picture) for picture in pictures(4)]


@pytest.fixture(scope="module")
def server():
    with s3_server.running() as store:
        yield store


@pytest.fixture
def shared(server, monkeypatch, tiny):
    """Settings with an empty bucket."""
    server.set_environment(monkeypatch)
    server.faults.refused = ""
    client = server.client()
    if client.exists("outputs"):
        client.rm("outputs", recursive=True)
    client.mkdir("outputs")
    return replace(tiny, shared_cache="s3://outputs/of/models")


def on_machine(settings, name):
    """Return a service of a machine with a disk of its own."""
    return InferenceService(replace(settings, cache=f"{settings.cache}-{name}"))


def objects(server):
    client = server.client()
    return {name: client.cat_file(name) for name in client.find("outputs")}


def test_what_one_machine_computed_no_other_computes(shared, server):
    first = on_machine(shared, "one").outputs(IMAGES, BLACK)
    assert len(objects(server)) == len(IMAGES)
    second = on_machine(shared, "two")
    assert np.array_equal(second.outputs(IMAGES, BLACK), first)
    assert second.counts == InferenceCounts(cache_hits=len(IMAGES))
    assert second.device is None
    assert second.notices == ()

    server.faults.fetched.clear()
    again = on_machine(shared, "two")  # from its own disk
    assert np.array_equal(again.outputs(IMAGES, BLACK), first)
    assert again.counts == InferenceCounts(cache_hits=len(IMAGES))
    assert server.faults.fetched == []


def test_other_settings_find_nothing_there(shared):
    on_machine(shared, "one").outputs(IMAGES, BLACK)
    other = on_machine(replace(shared, value_range=(-1.0, 1.0)), "two")
    other.outputs(IMAGES, BLACK)
    assert other.counts.images_embedded == len(IMAGES)


def test_damaged_objects_are_computed_again_and_replaced(shared, server):
    first = on_machine(shared, "one").outputs(IMAGES, BLACK)
    whole = objects(server)
    names = sorted(whole)
    truncated, of_another_image = whole[names[1]][:-1], whole[names[1]]
    for name, data in zip(names, (b"", truncated, of_another_image, bytes(5000)), strict=True):
        server.client().pipe_file(name, data)
    second = on_machine(shared, "two")
    assert np.array_equal(second.outputs(IMAGES, BLACK), first)
    assert second.notices == ()
    assert objects(server) == whole


@pytest.mark.parametrize(
    ("bucket", "refused", "cause"),
    [
        pytest.param("nowhere", "", "there is no such object or bucket", id="missing"),
        pytest.param("outputs", "AccessDenied", "check the credentials", id="refused"),
        pytest.param("outputs", "ExpiredToken", "expired", id="expired"),
    ],
)
def test_a_store_that_fails_is_named_once_and_changes_no_result(shared, server, bucket, refused, cause):
    expected = on_machine(replace(shared, shared_cache=None), "alone").outputs(IMAGES, BLACK)
    server.faults.refused = refused
    service = on_machine(replace(shared, shared_cache=f"s3://{bucket}/of/models"), "one")
    assert np.array_equal(service.outputs(IMAGES, BLACK), expected)
    [notice] = service.notices
    assert f"s3://{bucket}/of/models" in notice
    assert cause in notice
    server.faults.refused = ""
    service.outputs([image_of(picture) for picture in pictures(2, seed=9)], BLACK)
    assert len(service.notices) == 1
    assert objects(server) == {}


def test_the_summary_names_a_store_that_fails(shared, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for side, picture in zip(("a", "b"), pictures(2), strict=True):
        write(tmp_path / f"{side}.png", picture)
    rule = f"{{max: 1.9, model: {shared.model}, input_size: {SIDE}, device: cpu, cache: models, shared_cache: 's3://nowhere/x'}}"
    assert main(["compare", "a.png", "b.png", f"--set=metrics={{embedding_cosine: {rule}}}"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "s3://nowhere/x" in line]
    (line,) = lines
    assert line.startswith(
        "models: outputs of the model cannot be stored in shared_cache s3://nowhere/x: there is no such"
    )


def test_a_local_folder_is_a_store_too(tiny, tmp_path):
    settings = replace(tiny, shared_cache=f"local://{tmp_path.as_posix()}/shared/outputs")
    first = on_machine(settings, "one").outputs(IMAGES, BLACK)
    second = on_machine(settings, "two")
    assert np.array_equal(second.outputs(IMAGES, BLACK), first)
    assert second.counts == InferenceCounts(cache_hits=len(IMAGES))


def test_a_time_limit_that_is_no_number_is_told_before_the_first_image(shared, monkeypatch):
    monkeypatch.setenv("IMGDIFF_STORE_TIMEOUT", "soon")
    with pytest.raises(ModelError, match="IMGDIFF_STORE_TIMEOUT=soon"):
        on_machine(shared, "one").about()


def test_a_store_that_nothing_can_open_stops_the_run(shared):
    service = on_machine(replace(shared, shared_cache="nostore://outputs"), "one")
    with pytest.raises(ModelError, match=r"^shared_cache nostore://outputs: "):
        service.about()


@pytest.mark.parametrize(
    "url",
    [
        "outputs",
        "s3://key:hushed@outputs/x",
        "s3://key:hu/hushed+7@outputs/x",
        "https://host/outputs?token=hushed",
        "s3://",
    ],
)
def test_a_url_with_secrets_or_no_url_is_refused_where_it_is_written(tmp_path, url):
    (tmp_path / "imgdiff.yaml").write_text(
        f"metrics: {{embedding_cosine: {{max: 0.1, shared_cache: '{url}'}}}}\n", encoding="utf-8"
    )
    with pytest.raises(ConfigError, match=r"imgdiff.yaml:1.*shared_cache.*s3://bucket/outputs") as raised:
        load_settings(tmp_path / "imgdiff.yaml", Registry())
    assert "hushed" not in str(raised.value)
