"""Category metrics on a real Dask cluster: a worker that offers a GPU and one that has nothing to run a model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from pytest_imgdiff.networks.backends import quiet
from tests import s3_server
from tests.metric_pictures import photograph

# When tests are collected: pytester forgets what was first imported in a run of its own, and parts of NumPy load only once.
with quiet():
    pytest.importorskip("tensorflow")

CLUSTERS = """
from pathlib import Path
from distributed import Nanny, Scheduler, SpecCluster

HERE = {"host": "127.0.0.1", "dashboard": False}
WITHOUT = [str(Path(__file__).with_name("nothing_runs_models.py"))]

def mixed():
    options = {**HERE, "nthreads": 1, "silence_logs": 50}
    workers = {
        "gpu": {"cls": Nanny, "options": {**options, "resources": {"GPU": 1}}},
        "plain": {"cls": Nanny, "options": {**options, "preload": WITHOUT}},
    }
    return SpecCluster(workers=workers, scheduler={"cls": Scheduler, "options": {**HERE, "dashboard_address": "127.0.0.1:0"}}, silence_logs=50)
"""
NOTHING = "import sys\nsys.modules['onnxruntime'] = sys.modules['tensorflow'] = None\n"
RULES = """
metrics: {visible: {max: 1}}
overrides:
  - match: "photos/**"
    metrics:
      embedding_cosine: {max: 0.1, model: %(models)s/mobilenet_v2_feature_vector, device: cpu%(more)s}
      classification: {min: 1, model: %(models)s/mobilenet_v2_classification, device: cpu%(more)s}
"""
SIDE = 160
COUNT = 6


@pytest.fixture
def scene(shared_fixtures, tmp_path, monkeypatch):
    """Photographs, of which some changed, between images that no model is asked for."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(3)
    for folder, names in (("charts", "ab"), ("photos", ("chelsea", "coffee", "rocket")), ("screens", "ab")):
        for name in names:
            for number in range(COUNT):
                before = after = np.full((SIDE, SIDE, 3), 40 * number, np.uint8)
                if folder == "photos":
                    before = photograph(name)[20 * number :, 30 * number :][:SIDE, :SIDE]
                    after = cv2.blur(before, (3, 3)) if number % 2 else before[::-1]
                elif number == 0:
                    after = random.integers(0, 256, before.shape, np.uint8)
                for side, pixels in (("expected", before), ("actual", after)):
                    path = Path(side, folder, f"{name}{number}.png")
                    path.parent.mkdir(parents=True, exist_ok=True)
                    cv2.imwrite(str(path), pixels)
    Path("clusters.py").write_text(CLUSTERS)
    Path("nothing_runs_models.py").write_text(NOTHING)
    return shared_fixtures / "models"


@pytest.fixture
def store(monkeypatch):
    """An S3 server with an empty bucket."""
    with s3_server.running() as running:
        running.set_environment(monkeypatch)
        running.client().mkdir("outputs")
        yield running


def compare(models, report, *words, more="", options=""):
    Path("imgdiff.yaml").write_text(RULES % {"models": models, "more": options} + more)
    command = [sys.executable, "-m", "pytest_imgdiff", "compare", "expected", "actual", "--quiet", "--report", report]
    environment = {**os.environ, "TFHUB_CACHE_DIR": str(Path("cache", report).resolve())}
    return subprocess.run([*command, *words], env=environment, capture_output=True, text=True, check=False)


def results(report):
    """Return the records without times; what a model gives depends in its last digits on what is asked with it."""

    def plain(value):
        if isinstance(value, dict):
            return {key: plain(one) for key, one in value.items() if key not in ("seconds", "run")}
        if isinstance(value, list):
            return [*map(plain, value)]
        return round(value, 4) if isinstance(value, float) else value

    return plain(json.loads(Path(report, "results.json").read_bytes()))


def devices(report):
    """Return what ran the models, by the scores."""
    scores = [score for record in results(report)["comparisons"] for score in record.get("scores", [])]
    return {score["details"]["device"] for score in scores if "device" in score["details"]}


def outputs(report):
    return {path.relative_to("cache", report) for path in Path("cache", report).rglob("*.output")}


def test_workers_that_offer_a_gpu_compare_what_asks_a_model(scene, store):
    """Here, there, and again there by workers that find in the store what was computed here."""
    more, options = "cluster: {resources: {GPU: 1}}\n", ", shared_cache: 's3://outputs'"
    local = compare(scene, "here", options=options)
    there = compare(scene, "there", "--cluster", "clusters:mixed", more=more)
    again = compare(scene, "again", "--cluster", "clusters:mixed", more=more, options=options)

    assert (local.returncode, there.returncode, there.stderr) == (1, 1, "")
    assert (again.returncode, again.stderr) == (1, "")
    assert results("there")["comparisons"] == results("here")["comparisons"]
    verdicts = [record["verdict"] for record in results("there")["comparisons"] if record["key"].startswith("photos/")]
    assert len(verdicts) == 3 * COUNT
    assert {"match", "different"} <= set(verdicts)
    assert outputs("there") == outputs("here") == outputs("again")
    stored = {Path("embeddings", name.partition("/")[2]) for name in store.client().find("outputs")}
    assert stored == outputs("here")
    assert devices("there") == {"CPU"}
    assert devices("again") == {"not needed: all was cached"}


def test_a_worker_without_what_runs_models_is_told_before_the_first_pair(scene):
    run = compare(scene, "r", "--cluster", "clusters:mixed")
    assert run.returncode == 2
    assert run.stderr.count("\n") == 1
    assert "the worker tcp://127.0.0.1" in run.stderr
    assert "pip install 'pytest-imgdiff[tensorflow]'" in run.stderr
    assert not Path("r", "results.json").exists()

    more = "cluster: {resources: {TPU: 2}}\n"
    run = compare(scene, "r", "--cluster", "clusters:mixed", "--cluster-timeout", "1", more=more)
    assert run.returncode == 2
    assert "no worker with TPU=2 started within 1 seconds" in run.stderr
