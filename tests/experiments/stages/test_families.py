"""Models of several families are fooled, and how far from the data is measured as it is said."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from islands.classifiers.pixel_models import load_pixel_model
from islands.classifiers.registry import load_classifier
from islands.config import RunConfig
from islands.datasets.mnist import load_mnist
from islands.errors import ConfigError
from islands.experiments.fooling import last_images
from islands.experiments.items import Items
from islands.experiments.stages.families import GENERATIVE, STAGE, YARDSTICK, log_likelihood, nearest
from islands.store.reader import StoreReader
from tests.experiments.experiments import items, own_cache, run, run_cut_off, tiny

pytestmark = pytest.mark.slow


def experiment(store: Path) -> RunConfig:
    return tiny(
        "discriminative_generative",
        store,
        network={"name": "lenet-mnist"},
        encoding={"name": "cppn"},
        parameters={
            "networks": ["mlp", "linear-mnist"],
            "training_images": 1000,
            "test_images": 300,
            "epochs": 4,
            "learning_rate": 0.2,
        },
    )


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunConfig]:
    """Give an experiment that was cut off and went on."""
    with own_cache(tmp_path_factory.mktemp("families")) as path:
        cut = experiment(path / "cut")
        run_cut_off(cut, "linear-mnist: evolving with direct")
        yield cut


def test_the_likelihood_is_the_mixtures_as_scipy_has_it() -> None:
    images = load_mnist("test").images[:3]
    model = load_pixel_model(GENERATIVE).module
    parts = {name: tensor.double().numpy() for name, tensor in model.named_buffers()}
    x = images.flatten(1).double().numpy() / 255
    joint = []
    for digit in (0, 7):
        noise, basis = parts["noise"][digit], parts["bases"][digit]
        along = 1 / (1 / noise - parts["gains"][digit])
        # The bases are stored in 16 bits, so they are orthonormal to three digits only.
        covariance = noise * np.eye(784) + basis @ np.diag(along - noise) @ basis.T
        joint.append(multivariate_normal(parts["means"][digit], covariance).logpdf(x))
    found = model(images.float() / 255)[:, [0, 7]].double().numpy()
    np.testing.assert_allclose(found, np.stack(joint, 1) + np.log(0.1), rtol=0.02, atol=20)
    classifier = load_classifier(GENERATIVE, device=torch.device("cpu"))
    torch.testing.assert_close(
        log_likelihood(classifier, images), model(images.float() / 255).logsumexp(1), rtol=1e-4, atol=1e-2
    )


def test_the_nearest_training_image_is_found() -> None:
    training, images = load_mnist("train").images[:300], load_mnist("test").images[:5]
    apart = [
        min(np.linalg.norm((image.double() - other.double()).numpy() / 255) for other in training)
        for image in images
    ]
    np.testing.assert_allclose(nearest(images, training).numpy(), apart, rtol=1e-3)
    assert float(nearest(training[:1], training)[0]) < 0.05


def test_what_is_reported_is_measured_on_the_elites(config: RunConfig) -> None:
    found, results = items(config, STAGE), Items(config.store, STAGE)
    assert set(found) == {
        YARDSTICK,
        *(f"{n} {e}" for n in ("mlp", "linear-mnist") for e in ("direct", "cppn")),
    }
    generative = load_classifier(GENERATIVE, device=torch.device("cpu"))
    for name, item in found.items():
        if name == YARDSTICK:
            continue
        reader = StoreReader(Path(config.store) / name.replace(" ", "-"))
        images = last_images(reader, 10)
        stored = results.arrays(name)
        np.testing.assert_allclose(stored["log_likelihood"], log_likelihood(generative, images), rtol=1e-5)
        assert item["log_likelihood"] == pytest.approx(float(np.median(stored["log_likelihood"])))
        assert item["distance"] == pytest.approx(float(np.median(stored["distance"])))
        assert item["accuracy"] > 0.4
    # Noise is farther from digits than digits are from each other.
    assert found["mlp direct"]["distance"] > found[YARDSTICK]["distance"]
    assert found["mlp direct"]["far"] == found["mlp direct"]["unlikely"] == 1
    assert np.shape(found["mlp direct"]["unlikely_images"]) == (1, 10)


def test_networks_of_other_images_are_refused_by_name(tmp_path: Path) -> None:
    config = experiment(tmp_path)
    parameters = {**config.parameters, "networks": ["linear-mnist", "efficientnet-lite0"]}
    with pytest.raises(ConfigError, match=r"parameters\.networks: got efficientnet-lite0, of 1000 classes"):
        run(config.model_copy(update={"parameters": parameters}))
    assert not (tmp_path / "linear-mnist-direct").exists()
