"""Networks learn from what fooled the ones before, and a course that is cut off goes on to the same bits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from islands.classifiers.registry import load_classifier
from islands.config import RunConfig
from islands.datasets.examples import first
from islands.datasets.mnist import load_mnist
from islands.errors import ConfigError
from islands.experiments.fooling import CLASS, first_images, last_images, sample
from islands.experiments.items import Items
from islands.store.reader import StoreReader
from islands.training.train import accuracy_of
from tests.experiments.experiments import items, own_cache, run, run_cut_off, tiny

pytestmark = pytest.mark.slow

STAGE = "retrain"


def course(store: Path) -> RunConfig:
    parameters = {"iterations": 3, "first_runs": 3, "first_images": 25, "images": 10}
    training = {"training_images": 300, "test_images": 500, "epochs": 2}
    return tiny(
        "retrain_mnist",
        store,
        runs=2,
        network={"name": "lenet-mnist"},
        encoding={"name": "cppn"},
        parameters={**parameters, **training},
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Hold a course that was never cut off, as `whole`."""
    with own_cache(tmp_path_factory.mktemp("retrain")) as path:
        run(course(path / "whole"))
        yield path


def test_each_network_learns_from_all_before_and_is_fooled_anew(folder: Path) -> None:
    found = items(course(folder / "whole"), STAGE)
    assert list(found) == ["dnn-01", "dnn-02", "dnn-03"]
    assert [item["fooling_images"] for item in found.values()] == [0, 25, 35]
    assert [item["training_images"] for item in found.values()] == [300, 325, 335]
    assert [item["runs"] for item in found.values()] == [3, 2, 2]
    assert len({item["fingerprint"] for item in found.values()}) == 3
    readers = [StoreReader(folder / "whole" / name) for name in found]
    assert [len(reader.classes) for reader in readers] == [10, 11, 11]
    assert readers[1].classes[-1] == CLASS
    # The random images of another iteration would be known already under the same seed.
    assert len({reader.config.seed for reader in readers}) == 3
    for reader, item in zip(readers, found.values(), strict=True):
        confidence = np.stack([reader.elites(run).confidence[:10] for run in range(reader.runs)])
        assert item["median"] == pytest.approx(float(np.median(confidence)))
        assert item["images"] == confidence.size
        assert item["at_99"] == pytest.approx(float((confidence >= 0.99).mean()))
        network = load_classifier(item["network"], device=torch.device("cpu"))
        assert network.fingerprint == item["fingerprint"] == reader.attributes["fingerprint"]
        assert accuracy_of(network, first(load_mnist("test"), 500)) == item["accuracy"]


def test_half_of_the_images_are_first_and_half_last_and_none_is_of_the_fooling_class(folder: Path) -> None:
    reader = StoreReader(folder / "whole/dnn-02")
    images = sample(reader, 10, 10, reader.config.seed)
    kept = Items(folder / "whole", STAGE).arrays("dnn-02")["images"]
    assert np.array_equal(images.numpy(), kept)
    old, new = first_images(reader, 10), last_images(reader, 10)
    assert len(old) == len(new) == 2 * 10
    assert rows_of(images[:5], old) == 5
    assert rows_of(images[5:], new) == 5
    network = load_classifier("trained:" + reader.attributes["fingerprint"][:16], device=torch.device("cpu"))
    meant = network.predict(new).probabilities[torch.arange(20), torch.arange(10).repeat(2)]
    stored = np.concatenate([reader.elites(run).confidence[:10] for run in range(2)])
    np.testing.assert_allclose(meant.numpy(), stored, atol=1e-5)


def rows_of(images: Tensor, among: Tensor) -> int:
    """Return how many of the images are there."""
    return sum(bool((among == image).flatten(1).all(1).any()) for image in images)


@pytest.mark.parametrize("at", ["DNN_2: training", "DNN_3: "])
def test_a_course_that_is_cut_off_goes_on_to_the_same_bits(folder: Path, at: str) -> None:
    config = course(folder / f"cut-{at[4]}")
    run_cut_off(config, at)
    assert items(config, STAGE) == items(course(folder / "whole"), STAGE)
    whole, cut = (Items(folder / name, STAGE).arrays("dnn-03") for name in ("whole", f"cut-{at[4]}"))
    assert np.array_equal(whole["images"], cut["images"])


def test_more_images_than_the_runs_give_are_refused_before_anything_is_trained(folder: Path) -> None:
    greedy = course(folder / "greedy").model_copy(
        update={"parameters": {**course(folder / "greedy").parameters, "images": 41}}
    )
    with pytest.raises(ConfigError, match="2 runs of 10 classes give 40 fooling images, but 41"):
        run(greedy)
    assert not list((folder / "greedy").rglob("*.record"))


def test_a_class_of_no_fooling_images_is_refused_before_anything_is_trained(folder: Path) -> None:
    config = tiny(
        "retrain_imagenet",
        folder / "none",
        parameters={"size": 28, "training_images": 40, "test_images": 30, "over_represented": 0.1},
    )
    with pytest.raises(ConfigError, match=r"parameters\.over_represented: 0\.1 times .* is no image"):
        run(config)
    few = tiny("retrain_imagenet", folder / "few", parameters={"training_images": 40, "test_images": 3})
    with pytest.raises(ConfigError, match=r"different classes; raise parameters\.training_images and param"):
        run(few)
    assert not [*(folder / "none").rglob("*.record"), *(folder / "few").rglob("*.record")]


def test_pictures_in_folders_are_retrained_with_an_over_represented_class(folder: Path) -> None:
    config = tiny(
        "retrain_imagenet",
        folder / "pictures",
        runs=1,
        network={"name": "lenet-mnist"},
        encoding={"name": "cppn"},
        parameters={
            "architecture": "torchvision:mobilenet_v2",
            "size": 32,
            "training_images": 40,
            "test_images": 30,
            "epochs": 1,
            "batch": 20,
            "over_represented": 3,
            "from_previous": True,
            "layers": "head",
        },
    )
    run_cut_off(config, "DNN_2: training")
    found = items(config, STAGE)
    assert [item["fooling_images"] for item in found.values()] == [0, 12]
    assert [item["training_images"] for item in found.values()] == [40, 52]
    assert [item["test_images"] for item in found.values()] == [30, 30]
    reader = StoreReader(folder / "pictures/dnn-02")
    assert reader.classes[-1] == CLASS
    assert reader.attributes["image"] == {"channels": 3, "size": 32}
    networks = [load_classifier(item["network"], device=torch.device("cpu")) for item in found.values()]
    first_state, second_state = (network._module.state_dict() for network in networks)  # type: ignore[attr-defined]
    # Only the head was trained, from the previous network's.
    assert {name for name in first_state if first_state[name].shape != second_state[name].shape} == {
        *("classifier.1.weight", "classifier.1.bias")
    }
    frozen = [name for name in first_state if not name.startswith("classifier")]
    assert all(torch.equal(first_state[name], second_state[name]) for name in frozen)
