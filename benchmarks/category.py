"""ONNX Runtime against TensorFlow: how far their outputs deviate, and what each costs.

    python benchmarks/category.py                     the trained models of ../shared/fixtures, on the CPU
    python benchmarks/category.py --device gpu:0      the same on a GPU
    python benchmarks/category.py --model FOLDER      any SavedModel

Needs the extras tensorflow, export, onnx and test, and Linux. Each backend is measured in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import skimage.data

from pytest_imgdiff.base.derived import BLACK
from pytest_imgdiff.base.image import Image, ImageInfo
from pytest_imgdiff.networks.onnx import OnnxBackend
from pytest_imgdiff.networks.service import model_input
from pytest_imgdiff.networks.settings import ModelSettings
from pytest_imgdiff.networks.tensorflow import TensorFlowBackend, export_onnx

if TYPE_CHECKING:
    from pytest_imgdiff.networks.backends import Backend

ROOT = Path(__file__).parent.parent
FIXTURES = Path(os.environ.get("IMGDIFF_FIXTURES", ROOT.parent / "shared" / "fixtures"))
TRAINED = ("mobilenet_v2_feature_vector", "mobilenet_v2_classification")
PICTURES = 240
SIDE = 224
PHOTOGRAPHS = ("astronaut", "camera", "chelsea", "coffee", "rocket")
BATCHES = {"cpu": (1, 8, 32), "gpu": (1, 8, 64, 256)}
SECONDS = 4.0
"""How long each batch size is measured."""
MODULES = {"TensorFlow": "tensorflow", "ONNX Runtime": "onnxruntime"}


def inputs() -> np.ndarray:
    """Return (PICTURES, SIDE, SIDE, 3) crops of photographs, every second one mirrored."""
    random = np.random.default_rng(11)
    settings = ModelSettings("any", input_size=SIDE)
    made = []
    for index in range(PICTURES):
        pixels = np.atleast_3d(getattr(skimage.data, PHOTOGRAPHS[index % len(PHOTOGRAPHS)])())
        side = int(random.integers(60, min(pixels.shape[:2])))
        top, left = (int(random.integers(0, length - side + 1)) for length in pixels.shape[:2])
        crop = np.broadcast_to(pixels[top : top + side, left : left + side], (side, side, 3))
        opaque = np.full((side, side, 1), 255, np.uint8)
        rgba = np.ascontiguousarray(np.concatenate([crop[:, ::-1] if index % 2 else crop, opaque], axis=2))
        made.append(model_input(Image(rgba, ImageInfo("crop", "array", side, side, "RGBA 8-bit")), BLACK, settings))
    return np.stack(made)


def opened(backend: str, model: Path, device: str, threads: int) -> Backend:
    """Load a model."""
    kind = TensorFlowBackend if backend == "TensorFlow" else OnnxBackend
    return kind(model, device, threads)


def measure(backend: str, model: Path, device: str, threads: int, target: Path) -> None:
    """Measure one backend in this process; write its outputs to a file and print the figures as JSON."""
    before = peak_memory()
    started = time.perf_counter()
    runner = opened(backend, model, device, threads)
    runner.run(np.zeros((1, SIDE, SIDE, 3), np.float32))
    figures: dict[str, object] = {"start": time.perf_counter() - started, "device": runner.device}
    runner.run(np.zeros((8, SIDE, SIDE, 3), np.float32))
    figures["memory"] = peak_memory() - before
    pictures = inputs()
    np.save(target, np.concatenate([runner.run(part) for part in np.split(pictures, PICTURES // 8)]))
    sizes = BATCHES["gpu" if runner.device.startswith("GPU") else "cpu"]
    figures["milliseconds"] = {size: per_picture(runner, pictures, size) for size in sizes}
    print(json.dumps(figures))


def peak_memory() -> float:
    """Return the largest memory of this process so far in megabytes (Linux; ru_maxrss would be its parent's too)."""
    [line] = [line for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines() if "VmHWM" in line]
    return int(line.split()[1]) * 1024 / 1e6


def per_picture(runner: Backend, pictures: np.ndarray, size: int) -> float:
    """Return the milliseconds that a picture takes in batches of this size, the median of several batches."""
    batch = np.resize(pictures, (size, *pictures.shape[1:]))
    runner.run(batch)
    times = []
    end = time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        started = time.perf_counter()
        runner.run(batch)
        times.append(time.perf_counter() - started)
    return 1000 * float(np.median(times)) / size


def megabytes_on_disk(module: str) -> float:
    """Return the size of the distribution that brings a module, without what it depends on."""
    [name, *_] = metadata.packages_distributions()[module]
    files = [Path(str(file.locate())) for file in metadata.files(name) or []]
    return sum(path.stat().st_size for path in files if path.is_file()) / 1e6


def compare(saved_model: Path, device: str, threads: int, folder: Path) -> None:
    """Print the table of one model."""
    onnx = folder / f"{saved_model.name}.onnx"
    export_onnx(saved_model, onnx)
    rows, outputs = [], []
    for backend, model in (("TensorFlow", saved_model), ("ONNX Runtime", onnx)):
        target = folder / f"{backend}.npy"
        command = [sys.executable, __file__, "--measure", backend, "--model", str(model), "--target", str(target)]
        command += ["--device", device, "--threads", str(threads)]
        run = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - this very script
        figures = json.loads(run.stdout)
        outputs.append(np.load(target))
        sizes = ", ".join(f"{size}: {value:.1f}" for size, value in figures["milliseconds"].items())
        rows.append(
            f"| {backend} {metadata.version(metadata.packages_distributions()[MODULES[backend]][0])} "
            f"| {figures['device']} | {figures['start']:.2f} | {sizes} "
            f"| {figures['memory']:.0f} | {megabytes_on_disk(MODULES[backend]):.0f} | {size_of(model):.1f} |"
        )
    deviation = np.abs(outputs[0] - outputs[1])
    print(
        f"\n{saved_model.name}: {PICTURES} pictures, {outputs[0].shape[1]} numbers each, up to {outputs[0].max():.2f}"
    )
    print(f"largest deviation {deviation.max():.1e}, mean {deviation.mean():.1e}\n")
    print("| backend | device | start, s | ms a picture, by batch size | memory, MB | package, MB | model, MB |")
    print("|---|---|---|---|---|---|---|")
    print("\n".join(rows))


def size_of(model: Path) -> float:
    """Return a model's size in megabytes."""
    files = [model] if model.is_file() else [path for path in model.rglob("*") if path.is_file()]
    return sum(path.stat().st_size for path in files) / 1e6


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="a SavedModel folder")
    parser.add_argument("--device", default="cpu", help="auto, cpu or gpu:N")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--measure", choices=MODULES, help=argparse.SUPPRESS)
    parser.add_argument("--target", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        measure(arguments.measure, arguments.model, arguments.device, arguments.threads, arguments.target)
        return
    models = [arguments.model] if arguments.model else [FIXTURES / "models" / name for name in TRAINED]
    with tempfile.TemporaryDirectory() as folder:
        for model in models:
            compare(model, arguments.device, arguments.threads, Path(folder))


if __name__ == "__main__":
    main()
