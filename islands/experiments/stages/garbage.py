"""Gives a network a class for what belongs to no class, and evolves against it: does that protect it?

The garbage is random: noise, CPPNs that nobody selected, or clothes, which are no digits. None of it evolved
against a network; `retrain` has images that did.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from islands.classifiers.contract import Classifier
from islands.classifiers.lenet import CLASSES
from islands.classifiers.registry import load_classifier, resolve_device
from islands.config import NetworkConfig
from islands.datasets.examples import Joined, first, of_class
from islands.datasets.mnist import load_fashion_mnist, load_mnist
from islands.encodings.settings import CppnSettings, DirectSettings
from islands.experiments.context import Context
from islands.experiments.fooling import evolution_config, summary
from islands.experiments.parameters import Garbage, GarbageParameters
from islands.runs.controls import noise, random_cppns
from islands.training.train import Recipe, train_once

STAGE = "garbage"
GARBAGE_CLASS = "none of the above"
HELD_BACK = 1000
"""Images of each kind of garbage that no network is trained on."""

_ENCODINGS = {"direct": DirectSettings(), "cppn": CppnSettings()}
_SOURCES: tuple[Garbage, ...] = ("noise", "cppn", "fashion")


def garbage(source: Garbage, n: int) -> tuple[Tensor, Tensor]:
    """Return `n` images to train on and `HELD_BACK` others, uint8 (…, 1, 28, 28)."""
    if source == "fashion":
        return load_fashion_mnist("train").images[:n], load_fashion_mnist("test").images[:HELD_BACK]
    make = noise if source == "noise" else random_cppns
    images = make(1, 28, len(CLASSES), HELD_BACK + n).images.clone()
    return images[HELD_BACK:], images[:HELD_BACK]


def run(context: Context[GarbageParameters]) -> None:
    """Train a network for each source of garbage, and evolve with both encodings; an item for each pair."""
    parameters = context.parameters
    items = context.items(STAGE)
    digits = first(load_mnist("train"), parameters.training_images)
    test = first(load_mnist("test"), parameters.test_images)
    for source in parameters.sources:
        context.say(f"garbage class of {source}: training")
        parts = [of_class(garbage(source, parameters.garbage_images)[0], len(CLASSES))] * (source != "none")
        record = train_once(
            items.folder / f"network-{source}.record",
            "lenet",
            (*CLASSES, GARBAGE_CLASS) if parts else CLASSES,
            Joined([digits, *parts]),
            test,
            Recipe(context.config.seed, parameters.epochs, learning_rate=parameters.learning_rate),
        )
        network = load_classifier(record.name, device=resolve_device("cpu"))
        for encoding, settings in _ENCODINGS.items():
            item = f"{source} {encoding}"
            if items.get(item) is not None:
                continue
            context.say(f"garbage class of {source}: evolving with {encoding}")
            config = evolution_config(
                context.config,
                context.folder / f"{source}-{encoding}",
                network=NetworkConfig(name=record.name),
                encoding=settings,
            )
            value: dict[str, Any] = {
                **summary(context.evolve(config), len(CLASSES)),
                "source": source,
                "encoding": encoding,
                "network": record.name,
                "accuracy": record.test_accuracy,
                "test_images": len(test),
                "tested_on": "test digits of MNIST",
                "recognised": recognised(network) if parts else None,
            }
            items.keep(item, value)


def recognised(network: Classifier) -> dict[str, float]:
    """Return the share of held-back garbage of each source for which the last class is the most probable."""
    return {
        source: float(
            (network.predict(garbage(source, 0)[1]).logits.argmax(1) == len(CLASSES)).float().mean()
        )
        for source in _SOURCES
    }
