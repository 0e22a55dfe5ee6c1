"""The trained MobileNets of the shared fixtures: what they see, and that both backends see the same."""

from __future__ import annotations

import functools
import io
import tarfile

import cv2
import numpy as np
import PIL.Image
import pytest

from pytest_imgdiff.base.derived import BLACK
from pytest_imgdiff.metrics.category import Classification, EmbeddingCosine, EmbeddingEuclidean
from pytest_imgdiff.networks import fetch
from pytest_imgdiff.networks.backends import quiet
from pytest_imgdiff.networks.locating import fetch_labels
from pytest_imgdiff.networks.service import model_input
from pytest_imgdiff.networks.settings import ModelSettings
from pytest_imgdiff.networks.tensorflow import export_onnx
from tests.metric_pictures import as_jpeg, image_of, photograph
from tests.model_server import body, serving

pytest.importorskip("onnxruntime")

from pytest_imgdiff.networks.onnx import OnnxBackend
from pytest_imgdiff.networks.tensorflow import TensorFlowBackend

PHOTOGRAPHS = ("astronaut", "camera", "chelsea", "coffee", "rocket")


@pytest.fixture(scope="module", autouse=True)
def _tensorflow():
    """Import it when a test runs: processes that only collect these tests do not wait for it."""
    with quiet():
        pytest.importorskip("tensorflow")
    pytest.importorskip("tf2onnx")


@pytest.fixture(scope="module")
def models(shared_fixtures):
    return shared_fixtures / "models"


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def exported(models, tmp_path_factory):
    """Return a model as a file for ONNX Runtime; each is exported once."""
    folder = tmp_path_factory.mktemp("exported")

    @functools.cache
    def export(name):
        export_onnx(models / name, folder / f"{name}.onnx")
        return folder / f"{name}.onnx"

    return export


@pytest.fixture(scope="module")
def loaded(models):
    """Return a model as TensorFlow runs it; each is loaded once."""
    return functools.cache(lambda name: TensorFlowBackend(models / name, device="cpu"))


@pytest.fixture(scope="module")
def picture(shared_fixtures):
    def read(name):
        path = shared_fixtures / "photos" / f"{name}.jpg"
        if not path.is_file():
            return photograph(name)
        return np.ascontiguousarray(cv2.imread(str(path), cv2.IMREAD_COLOR)[..., ::-1])

    return read


@pytest.fixture(scope="module")
def classification(models, cache):
    return Classification(
        model=str(models / "mobilenet_v2_classification"),
        labels=str(models / "ImageNetLabels.txt"),
        cache=cache,
        device="cpu",
    )


@pytest.mark.parametrize(
    ("name", "label", "probability"),
    [
        ("chelsea", "Egyptian cat", 0.81),
        ("coffee", "espresso", 0.83),
        ("rocket", "missile", 0.56),
        ("parrot", "macaw", 0.92),
    ],
)
def test_the_figures_that_the_models_came_with(models, loaded, picture, name, label, probability):
    """Theirs were resampled by Pillow on bytes, which rounds the small picture to 256 levels."""
    labels = (models / "ImageNetLabels.txt").read_text(encoding="utf-8").splitlines()
    small = PIL.Image.fromarray(picture(name)).resize((224, 224), PIL.Image.Resampling.BILINEAR)
    [logits] = loaded("mobilenet_v2_classification").run(np.asarray(small, np.float32)[None] / 255)
    powers = np.exp(logits - logits.max())
    assert labels[logits.argmax()] == label
    assert powers.max() / powers.sum() == pytest.approx(probability, abs=0.005)


@pytest.mark.parametrize(
    ("name", "likeliest"),
    [
        ("chelsea", ["Egyptian cat", "tabby", "tiger cat", "lynx", "plastic bag"]),
        ("coffee", ["espresso", "consomme", "chocolate sauce", "eggnog", "cup"]),
        ("rocket", ["missile", "projectile", "space shuttle", "drilling platform", "obelisk"]),
        ("parrot", ["macaw", "lorikeet", "bee eater", "cock", "spoonbill"]),
        ("burger", ["cheeseburger", "guacamole", "bagel", "meat loaf", "French loaf"]),
    ],
)
def test_the_five_likeliest_classes(classification, picture, name, likeliest):
    pixels = picture(name)
    result = classification.measure(image_of(pixels), image_of(pixels[::-1]), None)
    assert [entry["label"] for entry in result.details["expected"]] == likeliest


def variants(picture):
    """A cat, and what is less and less the same."""
    cat = picture("chelsea")
    pixel, box = cat.copy(), cat.copy()
    pixel[101, 151] = (255, 0, 0)
    box[100:200, 150:300] = (255, 0, 0)

    def fitted(name):
        return cv2.resize(picture(name), cat.shape[1::-1], interpolation=cv2.INTER_AREA)

    changed = [pixel, as_jpeg(cat, 50), cv2.GaussianBlur(cat, (0, 0), 2), box, fitted("parrot"), fitted("coffee")]
    return cat, changed


@pytest.mark.parametrize("backend", ["tensorflow", "onnx"])
def test_the_distances_of_the_documentation(models, exported, cache, picture, backend):
    name = "mobilenet_v2_feature_vector"
    model = exported(name) if backend == "onnx" else models / name
    cat, changed = variants(picture)
    options = {"model": str(model), "cache": cache, "device": "cpu", "backend": backend}
    pairs = [(image_of(cat), image_of(other)) for other in changed]
    cosine = [EmbeddingCosine(**options).measure(*pair, None).value for pair in pairs]
    assert cosine == pytest.approx([0.00003, 0.027, 0.131, 0.300, 0.759, 0.816], abs=0.002)
    assert cosine == sorted(cosine)
    euclidean = [EmbeddingEuclidean(**options).measure(*pair, None).value for pair in pairs]
    assert euclidean == pytest.approx([0.15, 4.66, 10.96, 20.46, 24.58, 26.16], abs=0.1)


def test_the_class_stays_until_the_picture_shows_something_else(classification, picture):
    cat, changed = variants(picture)
    values = [classification.measure(image_of(cat), image_of(other), None).value for other in changed]
    assert values == [1, 1, 1, 1, 0, 0]


def inputs(picture):
    """56 crops of seven photographs, some mirrored, some dimmed, as the model takes them."""
    random = np.random.default_rng(11)
    settings = ModelSettings("any")
    for index in range(56):
        pixels = picture((*PHOTOGRAPHS, "parrot", "burger")[index % 7])
        side = int(random.integers(60, min(pixels.shape[:2])))
        top, left = (int(random.integers(0, length - side + 1)) for length in pixels.shape[:2])
        crop = pixels[top : top + side, left : left + side]
        crop = crop[:, ::-1] if index % 2 else crop
        dimmed = (crop * random.uniform(0.3, 1)).astype(np.uint8) if index % 3 == 0 else crop
        yield model_input(image_of(np.ascontiguousarray(dimmed)), BLACK, settings)


@pytest.mark.parametrize("name", ["mobilenet_v2_feature_vector", "mobilenet_v2_classification"])
def test_onnx_runtime_and_tensorflow_agree_over_56_pictures(exported, loaded, picture, name):
    ours, theirs = OnnxBackend(exported(name), device="cpu"), loaded(name)
    batch = np.stack(list(inputs(picture)))
    deviation = max(float(np.abs(ours.run(part) - theirs.run(part)).max()) for part in np.split(batch, 7))
    assert deviation < 1e-4


def test_a_fetched_model_names_its_classes_by_the_fetched_labels(models, picture, tmp_path):
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz", compresslevel=1) as tar:
        tar.add(models / "mobilenet_v2_classification", arcname=".")
    with serving() as server:
        address = server.address("/classification/4", body(archive.getvalue()))
        labels = server.address("/labels.txt", body((models / "ImageNetLabels.txt").read_bytes(), kind="text/plain"))
        settings = ModelSettings(address, cache=str(tmp_path))
        fetch(settings)
        fetch_labels(settings, labels)
    metric = Classification(model=address, cache=str(tmp_path), device="cpu")
    cat = picture("chelsea")
    details = metric.measure(image_of(cat), image_of(np.ascontiguousarray(cat[:, ::-1])), None).details
    assert details["expected"][0]["label"] == details["actual"][0]["label"] == "Egyptian cat"
