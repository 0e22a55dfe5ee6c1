"""200 pairs of which 20 differ, in all category metrics: how many pictures reach a model, and how long it takes.

`python benchmarks/category_scan.py MODELS` with a folder that holds the SavedModels `mobilenet_v2_feature_vector` and
`mobilenet_v2_classification`. Against it stands a loop that calls the models picture by picture, for every picture.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import skimage.data

from pytest_imgdiff import Policy, Registry, compare
from pytest_imgdiff.base.derived import BLACK
from pytest_imgdiff.base.parallel import RunAhead
from pytest_imgdiff.config import load_settings
from pytest_imgdiff.images import decode, read
from pytest_imgdiff.networks.service import model_input, service_for
from pytest_imgdiff.networks.settings import ModelSettings
from pytest_imgdiff.networks.tensorflow import TensorFlowBackend
from pytest_imgdiff.run.pairing import scan_folders
from pytest_imgdiff.run.session import GATHERED

PAIRS, DIFFERENT, SIDE = 200, 20, 300


def write_pairs(folder: Path) -> None:
    """Write crops of photographs; the first of them are blurred on the actual side."""
    random = np.random.default_rng(1)
    photographs = [skimage.data.chelsea(), skimage.data.coffee(), skimage.data.astronaut()]
    for number in range(PAIRS):
        photograph = photographs[number % len(photographs)]
        top = random.integers(0, photograph.shape[0] - SIDE + 1)
        left = random.integers(0, photograph.shape[1] - SIDE + 1)
        crop = photograph[top : top + SIDE, left : left + SIDE, ::-1]
        changed = cv2.GaussianBlur(crop, (0, 0), 1.5) if number < DIFFERENT else crop
        for side, pixels, level in (("expected", crop, 9), ("actual", changed, number % 10)):
            path = folder / side / f"{number:03}.png"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, level])[1].tobytes())


def rules(models: Path, cache: Path) -> dict[str, dict[str, object]]:
    """Return the three category rules on TensorFlow."""
    shared = {"backend": "tensorflow", "device": "cpu", "cache": str(cache)}
    vector = {**shared, "model": str(models / "mobilenet_v2_feature_vector")}
    classes = {**shared, "model": str(models / "mobilenet_v2_classification")}
    return {
        "embedding_cosine": {"max": 0.01, **vector},
        "embedding_euclidean": {"max": 1.0, **vector},
        "classification": {"min": 1.0, **classes},
    }


def scan(title: str, folder: Path, models: Path) -> None:
    """Compare all pairs as `pytest-imgdiff compare` does, and print what that took."""
    registry = Registry()
    changes = {"metrics": rules(models, folder / "cache")}
    policy = load_settings(None, registry).apply(Policy(), changes, "benchmark")
    found = scan_folders(folder / "expected", folder / "actual").pairs
    begun = time.perf_counter()
    ahead = RunAhead(lambda pair: compare(pair.expected, pair.actual, policy, registry=registry), found, GATHERED)
    verdicts = [ahead.result(pair).verdict.value for pair in found]
    ahead.close()
    print(f"{title}: {time.perf_counter() - begun:.2f} s; {verdicts.count('different')} of {len(verdicts)} differ")
    for rule in (policy.metrics[0], policy.metrics[2]):
        settings = registry.metric(rule.metric, rule.options).settings
        counts = service_for(settings).counts
        print(
            f"  {Path(settings.model).name}: {counts.images_embedded} pictures embedded in {counts.batches} batches, "
            f"{counts.cache_hits} answers from the cache"
        )


def loop(folder: Path, models: Path) -> None:
    """Ask both models about every picture, one by one."""
    begun = time.perf_counter()
    names = ("mobilenet_v2_feature_vector", "mobilenet_v2_classification")
    backends = [TensorFlowBackend(models / name, device="cpu") for name in names]
    files = sorted(folder.glob("*/*.png"))
    for path in files:
        (image,) = decode(read(path))
        for backend in backends:
            backend.run(model_input(image, BLACK, ModelSettings("any"))[None])
    print(f"a loop, picture by picture: {time.perf_counter() - begun:.2f} s for {len(files)} pictures")


def main() -> None:
    """Print the counts and times of a first and a second scan and of the loop, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", type=Path)
    models = parser.parse_args().models.resolve()
    processes = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_pairs(folder)
        steps = [
            (scan, ("first scan", folder, models)),
            (scan, ("second scan", folder, models)),
            (loop, (folder, models)),
        ]
        for step, arguments in steps:
            process = processes.Process(target=step, args=arguments)
            process.start()
            process.join()


if __name__ == "__main__":
    main()
