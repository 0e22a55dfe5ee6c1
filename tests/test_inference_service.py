"""Pictures of many threads, one model: batched, each looked at once, and not at all where the cache knows it."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pytest_imgdiff.base.derived import BLACK, WHITE
from pytest_imgdiff.base.errors import ModelError, ModelUnavailableError
from pytest_imgdiff.networks.service import InferenceCounts, InferenceService, service_for
from pytest_imgdiff.networks.settings import ModelSettings
from tests.metric_pictures import image_of, with_alpha
from tests.tiny_models import SIDE, WEIGHTS, onnx_file

pytest.importorskip("onnxruntime")


@pytest.fixture
def tiny(tmp_path):
    return ModelSettings(
        str(onnx_file(tmp_path / "tiny.onnx")), input_size=SIDE, device="cpu", threads=1, cache=str(tmp_path / "cache")
    )


def pictures(count, seed=0):
    random = np.random.default_rng(seed)
    return [random.integers(0, 256, (SIDE, SIDE, 3), np.uint8) for _ in range(count)]


def expected_output(pixels):
    return pixels.astype(np.float32).mean(axis=(0, 1)) / 255 @ WEIGHTS


def cached_files(settings):
    return sorted(path for path in path_of(settings).rglob("*") if path.is_file())


def path_of(settings):
    return Path(settings.cache) / "embeddings"


def test_each_picture_gets_its_own_output(tiny):
    pixels = pictures(3)
    outputs = InferenceService(tiny).outputs([image_of(picture) for picture in pixels], BLACK)
    for picture, output in zip(pixels, outputs, strict=True):
        assert output == pytest.approx(expected_output(picture), abs=1e-5)
        assert output.dtype == np.float32
        assert not output.flags.writeable


def test_pictures_of_one_call_are_one_batch_and_equal_ones_are_looked_at_once(tiny):
    service = InferenceService(tiny)
    first, second = pictures(2)
    outputs = service.outputs([image_of(picture) for picture in (first, second, first)], BLACK)
    assert np.array_equal(outputs[0], outputs[2])
    service.outputs([image_of(second)], BLACK)
    assert service.counts == InferenceCounts(images_embedded=2, cache_hits=0, batches=1)


def test_more_pictures_than_a_batch_holds(tiny):
    service = InferenceService(replace(tiny, batch_size=4))
    assert len(service.outputs([image_of(picture) for picture in pictures(10)], BLACK)) == 10
    assert service.counts == InferenceCounts(images_embedded=10, cache_hits=0, batches=3)


def test_forty_pictures_of_eight_threads_are_looked_at_once_each_in_fewer_batches(tiny):
    service = InferenceService(tiny)
    pixels = pictures(40)
    wanted = [pixels[(7 * turn + 5 * thread) % 40] for thread in range(8) for turn in range(10)]
    start = threading.Barrier(8)

    def work(thread):
        start.wait()
        return [service.outputs([image_of(picture)], BLACK)[0] for picture in wanted[10 * thread : 10 * thread + 10]]

    with ThreadPoolExecutor(8) as pool:
        outputs = [output for part in pool.map(work, range(8)) for output in part]
    for picture, output in zip(wanted, outputs, strict=True):
        assert output == pytest.approx(expected_output(picture), abs=1e-5)
    distinct = len({picture.tobytes() for picture in wanted})
    assert service.counts.images_embedded == distinct
    assert service.counts.batches < distinct


def test_one_process_has_one_service_for_equal_settings_whichever_thread_asks(tiny):
    start = threading.Barrier(8)

    def ask(_):
        start.wait()
        return service_for(tiny)

    with ThreadPoolExecutor(8) as pool:
        assert len({id(service) for service in pool.map(ask, range(8))}) == 1


SECOND_RUN = f"""
import sys
import numpy as np
from pytest_imgdiff.networks.service import InferenceService
from pytest_imgdiff.networks.settings import ModelSettings
from pytest_imgdiff.base.derived import BLACK
from tests.metric_pictures import image_of
from tests.test_inference_service import pictures
service = InferenceService(ModelSettings(sys.argv[1], input_size={SIDE}, device="cpu", threads=1, cache=sys.argv[2]))
service.outputs([image_of(picture) for picture in pictures(5)], BLACK)
print(service.counts.images_embedded, service.counts.cache_hits, service.device)
"""


def in_another_process(settings, root):
    command = [sys.executable, "-c", SECOND_RUN, settings.model, settings.cache]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root)


def test_a_second_run_loads_no_model(tiny, root):
    first = in_another_process(tiny, root).communicate()[0].split()
    second = in_another_process(tiny, root).communicate()[0].split()
    assert first == ["5", "0", "CPU"]
    assert second == ["0", "5", "None"]


def test_several_processes_share_one_cache(tiny, root):
    runs = [in_another_process(tiny, root) for _ in range(3)]
    answers = [run.communicate()[0].split() for run in runs]
    assert [run.returncode for run in runs] == [0, 0, 0]
    assert all(int(embedded) + int(hits) == 5 for embedded, hits, *_ in answers)
    assert len(cached_files(tiny)) == 5


def test_a_damaged_cache_costs_time_and_nothing_else(tiny):
    images = [image_of(picture) for picture in pictures(3)]
    before = InferenceService(tiny).outputs(images, BLACK)
    whole = {path: path.read_bytes() for path in cached_files(tiny)}
    for path, damage in zip(whole, (b"", b"garbage", bytes(5000)), strict=True):
        path.write_bytes(damage)
    service = InferenceService(tiny)
    assert np.array_equal(service.outputs(images, BLACK), before)
    assert service.counts.images_embedded == 3
    assert {path: path.read_bytes() for path in cached_files(tiny)} == whole


def test_a_cache_that_cannot_be_written_is_told_and_does_no_harm(tiny):
    for prefix in range(256):  # where the outputs' folders would be
        path = path_of(tiny) / f"{prefix:02x}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    service = InferenceService(tiny)
    [picture] = pictures(1)
    assert service.outputs([image_of(picture)], BLACK)[0] == pytest.approx(expected_output(picture), abs=1e-5)
    [notice] = service.notices
    assert "cannot be cached" in notice


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no modes")
def test_a_cache_that_others_can_write_to_is_not_used(tiny):
    InferenceService(tiny).outputs([image_of(picture) for picture in pictures(1)], BLACK)
    path_of(tiny).chmod(0o777)
    service = InferenceService(tiny)
    service.outputs([image_of(picture) for picture in pictures(1)], BLACK)
    assert service.counts == InferenceCounts(images_embedded=1, cache_hits=0, batches=1)
    assert "it is not used" in service.notices[0]


def test_backdrops_are_told_apart_where_they_show(tiny):
    [picture] = pictures(1)
    clear = with_alpha(picture, np.full((SIDE, SIDE), 100))
    service = InferenceService(tiny)
    on_black, on_white = (service.outputs([image_of(clear)], backdrop)[0] for backdrop in (BLACK, WHITE))
    assert not np.array_equal(on_black, on_white)
    opaque = [service.outputs([image_of(picture)], backdrop)[0] for backdrop in (BLACK, WHITE)]
    assert np.array_equal(*opaque)
    assert service.counts.images_embedded == 3


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"after": "Log", "weights": -np.ones((3, 2), np.float32)}, "not finite"),
        ({"keep": True}, r"shape \(2, 1, 1, 6\)"),
        ({"shape": [3, SIDE, SIDE, 3]}, "cannot run it"),
    ],
)
def test_a_model_that_gives_something_else_is_told_to_everybody(tiny, changes, says):
    onnx_file(Path(tiny.model), **changes)
    service = InferenceService(tiny)
    images = [image_of(picture) for picture in pictures(2)]
    for _ in range(2):
        with pytest.raises(ModelError, match=says) as caught:
            service.outputs(images, BLACK)
        assert "tiny.onnx" in str(caught.value)
        assert "\n" not in str(caught.value)


def test_one_picture_without_finite_numbers_does_not_spoil_the_others_of_its_batch(tiny):
    onnx_file(Path(tiny.model), after="Log", weights=np.ones((3, 2), np.float32))
    service = InferenceService(tiny)
    black, gray = (image_of(np.full((SIDE, SIDE, 3), level, np.uint8)) for level in (0, 100))
    with pytest.raises(ModelError, match="not finite"):
        service.outputs([black, gray], BLACK)
    assert np.isfinite(service.outputs([gray], BLACK)[0]).all()
    assert service.counts.batches == 1


def test_a_model_that_cannot_be_loaded_is_told_to_every_thread(tiny):
    onnx_file(Path(tiny.model), outputs=2)
    service = InferenceService(tiny)

    def ask(picture):
        with pytest.raises(ModelError, match="features0, features1"):
            service.outputs([image_of(picture)], BLACK)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(ask, pictures(12)))


def test_what_is_missing_is_told_with_the_command(tiny, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ModelUnavailableError, match=r"pip install 'pytest-imgdiff\[onnx\]'"):
        InferenceService(tiny).backend_title()


def test_a_model_that_is_not_there_is_told_by_name(tiny):
    with pytest.raises(ModelUnavailableError, match="none-such"):
        InferenceService(replace(tiny, model="none-such")).outputs([image_of(pictures(1)[0])], BLACK)


def test_an_onnx_file_asked_of_tensorflow_is_refused(tiny):
    with pytest.raises(ModelUnavailableError, match="no SavedModel"):
        InferenceService(replace(tiny, backend="tensorflow")).backend_title()
