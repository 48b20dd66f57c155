"""A class for garbage is trained, tested on garbage that was held back, and evolved against."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from islands.classifiers.registry import load_classifier
from islands.config import RunConfig
from islands.experiments.parameters import Garbage
from islands.experiments.stages.garbage import GARBAGE_CLASS, HELD_BACK, STAGE, garbage, recognised
from islands.store.reader import StoreReader
from tests.experiments.experiments import items, own_cache, run, run_cut_off, tiny

pytestmark = pytest.mark.slow


def experiment(store: Path) -> RunConfig:
    return tiny(
        "none_of_the_above",
        store,
        network={"name": "lenet-mnist"},
        encoding={"name": "cppn"},
        parameters={
            "training_images": 400,
            "test_images": 500,
            "garbage_images": 100,
            "epochs": 3,
            "sources": ["none", "noise"],
        },
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with own_cache(tmp_path_factory.mktemp("garbage")) as path:
        run(experiment(path / "whole"))
        yield path


def test_each_network_meets_both_encodings(folder: Path) -> None:
    found = items(experiment(folder / "whole"), STAGE)
    assert set(found) == {f"{source} {name}" for source in ("none", "noise") for name in ("direct", "cppn")}
    for item in found.values():
        reader = StoreReader(folder / "whole" / f"{item['source']}-{item['encoding']}")
        assert reader.config.encoding.name == item["encoding"]
        assert reader.config.network.name == item["network"]
        assert (reader.classes[-1] == GARBAGE_CLASS) == (item["source"] == "noise")
        digits = reader.elites(0).confidence[:10]
        assert item["median"] == pytest.approx(float(np.median(digits)))
        assert item["confidence"] == [pytest.approx(digits.tolist())]
    assert found["none cppn"]["recognised"] is None
    assert found["noise cppn"]["recognised"]["noise"] > 0.9


def test_what_is_recognised_is_the_share_of_held_back_garbage(folder: Path) -> None:
    item = items(experiment(folder / "whole"), STAGE)["noise direct"]
    network = load_classifier(item["network"], device=torch.device("cpu"))
    held_back = garbage("cppn", 0)[1]
    hits = [int(network.predict(image[None]).probabilities.argmax()) == 10 for image in held_back]
    assert recognised(network)["cppn"] == pytest.approx(sum(hits) / HELD_BACK)


@pytest.mark.parametrize("source", ["noise", "cppn", "fashion"])
def test_held_back_garbage_is_no_training_garbage_and_the_same_for_any_amount(source: Garbage) -> None:
    train, held_back = garbage(source, 50)
    assert (len(train), len(held_back)) == (50, HELD_BACK)
    assert torch.equal(held_back, garbage(source, 10)[1])
    assert torch.equal(train[:10], garbage(source, 10)[0])
    if source == "noise":
        assert not (train[:, None] == held_back[None, :50]).flatten(2).all(2).any()


def test_an_experiment_that_is_cut_off_goes_on_to_the_same_results(folder: Path) -> None:
    config = experiment(folder / "cut")
    run_cut_off(config, "garbage class of noise: evolving with cppn")
    assert items(config, STAGE) == items(experiment(folder / "whole"), STAGE)
