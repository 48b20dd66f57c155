"""Trains a network on its own fooling images, again and again (paper, sections 3.6 to 3.8).

DNN_1 learns the classes. DNN_i+1 learns one class more: the images that evolved against DNN_1 to DNN_i, half
of them of the first generation and half of the last. Evolution goes for all cells, and the numbers are of
the cells of real classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from islands.classifiers.lenet import CLASSES
from islands.classifiers.torch_classifier import Network
from islands.classifiers.torchvision_networks import load_torchvision
from islands.classifiers.trained import NetworkRecord, load_trained
from islands.config import NetworkConfig
from islands.datasets.examples import Examples, Joined, first, of_class
from islands.datasets.image_folder import ImageFolder, write_image_folder
from islands.datasets.mnist import Labelled, load_fashion_mnist, load_mnist
from islands.errors import ConfigError
from islands.experiments.context import Context
from islands.experiments.fooling import CLASS, derived_seed, evolution_config, sample, summary
from islands.experiments.parameters import RetrainImagesParameters, RetrainMnistParameters
from islands.texts import percent
from islands.training.train import Recipe, train_once

STAGE = "retrain"

_CLOTHES = (
    *("t-shirt", "trouser", "pullover", "dress", "coat"),
    *("sandal", "shirt", "sneaker", "bag", "ankle boot"),
)


@dataclass(frozen=True)
class Retraining:
    """What is trained on what.

    Attributes:
        architecture: for `build_network`.
        classes: the K names of real classes.
        examples: of them.
        test: held back.
        data: what they are, in words.
        recipe: the seed counts from there.
        iterations: networks in all.
        runs: archives that evolve against DNN_1, and against each later network.
        added: fooling images that DNN_2 gets, and each later network in addition.
        start: what DNN_1 starts from; None: random weights.
        from_previous: whether later networks start from the one before; else as DNN_1 does.
    """

    architecture: str
    classes: tuple[str, ...]
    examples: Examples
    test: Examples
    data: str
    recipe: Recipe
    iterations: int
    runs: tuple[int, int]
    added: tuple[int, int]
    start: Network | None = None
    from_previous: bool = False


def run_mnist(context: Context[RetrainMnistParameters]) -> None:
    """Follow the paper's retraining on digits."""
    parameters = context.parameters
    retraining = Retraining(
        architecture="lenet",
        classes=CLASSES,
        examples=first(load_mnist("train"), parameters.training_images),
        test=first(load_mnist("test"), parameters.test_images),
        data="test digits of MNIST",
        recipe=Recipe(context.config.seed, parameters.epochs, learning_rate=parameters.learning_rate),
        iterations=parameters.iterations,
        runs=(parameters.first_runs, context.config.runs),
        added=(parameters.first_images, parameters.images),
    )
    follow(context, retraining)


def run_images(context: Context[RetrainImagesParameters]) -> None:
    """Follow the paper's retraining on pictures in folders, the class of fooling images over-represented."""
    parameters = context.parameters
    folder = _folder(context)
    train, test = (ImageFolder(folder / split, parameters.size) for split in ("train", "val"))
    if train.classes != test.classes:
        few = "; raise parameters.training_images and parameters.test_images"
        raise ConfigError(
            f"parameters.data: {folder}/train and {folder}/val have different classes"
            + few * (parameters.data == "fashion-mnist")
        )
    added = round(parameters.over_represented * len(train) / len(train.classes))
    if added == 0:
        raise ConfigError(
            f"parameters.over_represented: {parameters.over_represented:g} times the training images of a "
            "class is no image; raise it, or parameters.training_images"
        )
    start = None
    if parameters.start is not None:
        family, _, name = parameters.architecture.partition(":")
        if family != "torchvision":
            raise ConfigError(
                f"parameters.start: {parameters.architecture} has no such weights; expected null"
            )
        start = load_torchvision(f"{name}@{parameters.start}", None)
    follow(
        context,
        Retraining(
            architecture=parameters.architecture,
            classes=train.classes,
            examples=train,
            test=test,
            data=f"held-back pictures of {parameters.data}",
            recipe=Recipe(
                context.config.seed,
                parameters.epochs,
                parameters.batch,
                parameters.learning_rate,
                augment="flip",
                layers=parameters.layers,
            ),
            iterations=parameters.iterations,
            runs=(context.config.runs, context.config.runs),
            added=(added, added),
            start=start,
            from_previous=parameters.from_previous,
        ),
    )


def _folder(context: Context[RetrainImagesParameters]) -> Path:
    parameters = context.parameters
    if parameters.data != "fashion-mnist":
        return Path(parameters.data)
    folder = context.folder / "pictures"
    for split, name, n in (
        ("train", "train", parameters.training_images),
        ("test", "val", parameters.test_images),
    ):
        clothes = load_fashion_mnist(split)
        data = Labelled(clothes.images[:n].repeat(1, 3, 1, 1), clothes.labels[:n])
        write_image_folder(data, _CLOTHES, folder / name)
    return folder


def follow(context: Context[Any], retraining: Retraining) -> None:
    """Train, evolve and collect as often as the retraining says; an item for each network."""
    items, k = context.items(STAGE), len(retraining.classes)
    _require_enough(retraining)
    collected: list[torch.Tensor] = []
    previous: NetworkRecord | None = None
    for iteration in range(1, retraining.iterations + 1):
        record = _trained(context, retraining, iteration, previous, collected)
        item, later = f"dnn-{iteration:02}", iteration > 1
        if items.get(item) is None:
            context.say(
                f"DNN_{iteration}: {percent(record.test_accuracy)} right on {retraining.data}; evolving"
            )
            seed = derived_seed(context.config.seed, iteration)
            config = evolution_config(
                context.config,
                context.folder / item,
                network=NetworkConfig(name=record.name),
                runs=retraining.runs[later],
                seed=seed,
            )
            reader = context.evolve(config)
            images = sample(reader, k, retraining.added[later], seed)
            value = {
                **summary(reader, k),
                "network": record.name,
                "fingerprint": record.fingerprint,
                "accuracy": record.test_accuracy,
                "tested_on": retraining.data,
                "test_images": len(retraining.test),
                "training_images": record.recipe["training_images"],
                "fooling_images": sum(map(len, collected)),
            }
            items.keep(item, value, {"images": images.numpy()})
        collected.append(torch.from_numpy(items.arrays(item)["images"]))
        previous = record


def _trained(
    context: Context[Any],
    retraining: Retraining,
    iteration: int,
    previous: NetworkRecord | None,
    collected: list[torch.Tensor],
) -> NetworkRecord:
    fooling = [of_class(images, len(retraining.classes)) for images in collected]
    context.say(f"DNN_{iteration}: training")
    start = retraining.start
    if retraining.from_previous and previous is not None:
        start = load_trained(previous.fingerprint)
    return train_once(
        context.items(STAGE).folder / f"network-{iteration:02}.record",
        retraining.architecture,
        (*retraining.classes, CLASS) if fooling else retraining.classes,
        Joined([retraining.examples, *fooling]),
        retraining.test,
        Recipe(**{**vars(retraining.recipe), "seed": derived_seed(retraining.recipe.seed, iteration)}),
        start=start,
    )


def _require_enough(retraining: Retraining) -> None:
    for runs, added in zip(retraining.runs, retraining.added, strict=True):
        given = 2 * runs * len(retraining.classes)
        if added > given:
            raise ConfigError(
                f"parameters: {runs} runs of {len(retraining.classes)} classes give {given} fooling images, "
                f"but {added} are to be added; raise the runs, or add fewer"
            )
