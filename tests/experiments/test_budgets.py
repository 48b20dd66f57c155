"""Every pipeline at every budget: whether it can run at all, and what it has beside the paper."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from torch import Tensor, nn

from islands.classifiers import registry, trained
from islands.classifiers.network_classifier import Preprocessing
from islands.classifiers.torch_classifier import Network
from islands.config import RunConfig
from islands.evolution.screening import Referee
from islands.experiments import runner
from islands.experiments.catalogue import PIPELINES
from islands.experiments.configure import parameters_of, variants_of
from islands.experiments.items import Items
from islands.experiments.paper import configure, experiments
from islands.experiments.pipeline import Budget
from islands.experiments.runner import run_experiment
from islands.experiments.stages import retrain
from islands.runs import launch
from islands.store.reader import StoreReader
from islands.training import digits, train
from tests.experiments.experiments import own_cache, quiet

PAPER: Mapping[str, tuple[int, int, int, int, int]] = {
    # runs, images of generation 0, children, generations, pixels a side
    "mnist_direct": (1, 200, 200, 200, 0),
    "mnist_cppn": (50, 200, 200, 200, 0),
    "imagenet_direct": (5, 200, 200, 20_000, 256),
    "imagenet_cppn": (5, 400, 400, 5000, 256),
    "lenet_pair": (30, 200, 200, 200, 0),
    "architectures": (1, 400, 400, 5000, 256),
    "alexnet_googlenet": (1, 400, 400, 5000, 256),
    "ensemble": (1, 400, 400, 4000, 256),
    "repetition": (5, 400, 400, 5000, 256),
    "retrain_mnist": (30, 200, 200, 200, 0),
    "retrain_imagenet": (5, 400, 400, 5000, 0),
}
"""What the paper's experiments spent. No size: images are of the size that the network has."""

PARAMETERS: Mapping[str, Mapping[str, int]] = {
    "retrain_mnist": {"iterations": 15, "first_runs": 300, "first_images": 6000, "images": 1000},
    "retrain_imagenet": {"iterations": 2, "over_represented": 7},
    "gradient_ascent": {"imagenet_classes": 20, "starts": 5},
}

EVERY = [(name, budget) for budget in get_args(Budget) for name in experiments(budget)]


def spent(config: RunConfig) -> tuple[int, int, int, int, int]:
    """Return what stands in a row of `PAPER`."""
    budget = config.evolution.budget
    size = config.encoding.size or 0
    return config.runs, budget.initial, budget.children, budget.generations, size


@pytest.mark.parametrize("name", PAPER)
def test_the_full_budget_is_at_least_the_papers(name: str, tmp_path: Path) -> None:
    config = configure(name, "full", tmp_path)
    for each in variants_of(config).values() or [config]:
        assert all(ours >= theirs for ours, theirs in zip(spent(each), PAPER[name], strict=True))


@pytest.mark.parametrize("name", ["mnist_direct", "mnist_cppn", "lenet_pair", "retrain_mnist"])
def test_a_laptop_has_the_papers_digits(name: str, tmp_path: Path) -> None:
    laptop, full = (configure(name, budget, tmp_path) for budget in ("laptop", "full"))
    assert spent(laptop) == spent(full)
    assert parameters_of(laptop) == parameters_of(full)


def test_a_laptop_sees_a_run_of_the_papers_images_once(tmp_path: Path) -> None:
    config = configure("imagenet_cppn", "laptop", tmp_path)
    assert spent(config)[1:4] == PAPER["imagenet_cppn"][1:4]
    assert (config.runs, config.network.view) == (1, "whole")


@pytest.mark.parametrize("name", PARAMETERS)
def test_so_are_its_parameters(name: str, tmp_path: Path) -> None:
    parameters = parameters_of(configure(name, "full", tmp_path))
    assert {key: getattr(parameters, key) for key in PARAMETERS[name]} == PARAMETERS[name]


def test_retraining_on_pictures_adds_as_many_images_as_the_paper(tmp_path: Path) -> None:
    config = configure("retrain_imagenet", "full", tmp_path)
    parameters: Any = parameters_of(config)
    wanted = parameters.over_represented * parameters.training_images / 10
    assert 9000 <= wanted <= 2 * 10 * config.runs


@pytest.mark.parametrize(("name", "budget"), [each for each in EVERY if each[1] != "full"])
def test_the_full_budget_is_at_least_a_smaller_one(name: str, budget: Budget, tmp_path: Path) -> None:
    small, full = (configure(name, each, tmp_path) for each in (budget, "full"))
    assert all(more >= less for more, less in zip(spent(full), spent(small), strict=True))
    few, many = (dict(parameters_of(each) or {}) for each in (small, full))  # type: ignore[call-overload]
    for key, value in few.items():
        if type(value) is int:
            assert many[key] is None or many[key] >= value, key


class Free(nn.Module):
    """A network that costs next to nothing, and has gradients."""

    def __init__(self, channels: int, outputs: int) -> None:
        super().__init__()
        self.head = nn.Linear(channels, outputs)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(x.mean((2, 3)))
        return logits


def free(name: str, *_: object) -> Network:
    """Return one in place of any network; another name has other weights."""
    channels, outputs = (3, 1000) if name.startswith(("efficientnet", "torchvision")) else (1, 10)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(hashlib.sha256(name.encode()).hexdigest()[:8], 16))
        module = Free(channels, outputs)
    names = tuple(map(str, range(outputs)))
    return Network(module, names, Preprocessing(channels, 28 if channels == 1 else 8), batch_size=1000)


class FirstImagesScored(BaseException):
    """An experiment has begun."""


@pytest.fixture
def costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No network costs anything, none is fetched or trained, and the first images scored end an experiment.

    One run with a genome for each island stands for all: more only take longer.
    """

    def untrained(architecture: str, classes: tuple[str, ...], size: int, seed: int) -> Network:
        channels = free(architecture).preprocessing.channels
        return Network(Free(channels, len(classes)), classes, Preprocessing(channels, size), 1000)

    def begin(config: RunConfig, *arguments: Any) -> StoreReader:
        initial = config.islands.count * config.encoding.images_per_seed
        evolve = config.evolution.budget.model_copy(update={"initial": initial})
        return run_in_store(config.model_copy(update={"runs": 1, "evolve": evolve}), *arguments)

    def end(*arguments: Any) -> None:
        score(*arguments)
        raise FirstImagesScored

    score = Referee.score
    run_in_store = launch.run_in_store
    monkeypatch.setattr(launch, "run_in_store", begin)
    monkeypatch.setattr(registry, "_load", free)
    monkeypatch.setattr(runner, "pull", quiet)
    monkeypatch.setattr(retrain, "load_torchvision", free)
    for module in (train, trained, digits):
        monkeypatch.setattr(module, "build_network", untrained)
    # Not `fit`: whoever has imported it by name would go on with the real one, and train for minutes.
    monkeypatch.setattr(train._Fit, "finish", lambda *_: None)
    monkeypatch.setattr(Referee, "score", end)
    with own_cache(tmp_path):
        yield


WITHOUT_EVOLUTION = {"real_images": "test", "gradient_ascent": "ascend", "label_only": "label-only"}
"""Pipelines that evolve nothing, or not first, and the stage whose first result is what they begin with."""


@pytest.mark.slow
@pytest.mark.parametrize(("name", "budget"), EVERY)
@pytest.mark.usefixtures("costs_nothing")
def test_every_pipeline_begins_at_every_budget(
    name: str, budget: Budget, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def keep_and_end(results: Items, *arguments: Any) -> None:
        keep(results, *arguments)
        if results.folder.name == WITHOUT_EVOLUTION.get(name):
            raise FirstImagesScored

    keep = Items.keep
    monkeypatch.setattr(Items, "keep", keep_and_end)
    overrides = ["workers.executor=in-process", "workers.count=1"]
    if "test_images" in getattr(PIPELINES[name].parameters, "model_fields", ()):
        overrides.append("parameters.test_images=100")
    config = configure(name, budget, tmp_path, overrides)
    with pytest.raises(FirstImagesScored):
        run_experiment(config, say=quiet)
