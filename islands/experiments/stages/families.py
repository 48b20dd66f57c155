"""Evolves against models of several families: which are fooled, and how far from the data by what?

A discriminative model says p(c|x) for any image at all; a generative one knows how likely the image is. How
far an image lies from the digits is measured twice: by its likelihood under the generative model, and by the
distance to the nearest training digit.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from islands.classifiers.contract import Classifier
from islands.classifiers.lenet import CLASSES
from islands.classifiers.registry import load_classifier, resolve_device
from islands.config import NetworkConfig
from islands.datasets.examples import first
from islands.datasets.mnist import load_mnist
from islands.encodings.settings import CppnSettings, DirectSettings
from islands.errors import ConfigError
from islands.experiments.context import Context
from islands.experiments.fooling import evolution_config, last_images, summary
from islands.experiments.parameters import FamiliesParameters
from islands.training.train import Recipe, accuracy_of, train_once

STAGE = "families"
YARDSTICK = "test digits"
"""The item that says how far held-back digits lie from the training digits."""
GENERATIVE = "generative-mnist"

_ENCODINGS = {"direct": DirectSettings(), "cppn": CppnSettings()}
_DIGITS = 1000
_CHUNK = 200


def log_likelihood(model: Classifier, images: Tensor) -> Tensor:
    """Return log p(x), (n,), in nats, under a classifier whose logits are log p(x, c)."""
    return model.predict(images).logits.logsumexp(1).cpu()


def nearest(images: Tensor, training: Tensor) -> Tensor:
    """Return the Euclidean distance (n,) of pixels in [0, 1] to the nearest training image."""
    rows = training.flatten(1).float() / 255
    chunks = (images.flatten(1).float() / 255).split(_CHUNK)
    return torch.cat([torch.cdist(chunk, rows).amin(1) for chunk in chunks])


def run(context: Context[FamiliesParameters]) -> None:
    """Evolve against every model with both encodings; an item for each pair, and the yardstick."""
    parameters = context.parameters
    items = context.items(STAGE)
    test = first(load_mnist("test"), parameters.test_images)
    torch.set_num_threads(context.config.workers.threads)
    training = load_mnist("train").images
    generative = load_classifier(GENERATIVE, device=resolve_device("cpu"))
    digits = test.take(torch.arange(min(_DIGITS, len(test)))).images
    usual = log_likelihood(generative, digits), nearest(digits, training)
    items.once(YARDSTICK, lambda: _medians(*usual))
    # What 99 of 100 held-back digits are likelier, or nearer, than.
    limits = usual[0].quantile(0.01), usual[1].quantile(0.99)
    _require_digits(parameters)
    for network in parameters.networks:
        name, right = network, None
        if network == "mlp":
            context.say("mlp: training")
            record = train_once(
                items.folder / "network-mlp.record",
                "mlp",
                CLASSES,
                first(load_mnist("train"), parameters.training_images),
                test,
                Recipe(context.config.seed, parameters.epochs, learning_rate=parameters.learning_rate),
            )
            name, right = record.name, record.test_accuracy
        for encoding, settings in _ENCODINGS.items():
            item = f"{network} {encoding}"
            if items.get(item) is not None:
                continue
            if right is None:
                classifier = load_classifier(name, device=resolve_device("cpu"))
                right = accuracy_of(classifier, test)
            context.say(f"{network}: evolving with {encoding}")
            config = evolution_config(
                context.config,
                context.folder / f"{network}-{encoding}",
                network=NetworkConfig(name=name),
                encoding=settings,
            )
            reader = context.evolve(config)
            images = last_images(reader, len(CLASSES))
            likely, near = log_likelihood(generative, images), nearest(images, training)
            value: dict[str, Any] = {
                **summary(reader, len(CLASSES)),
                **_medians(likely, near),
                "network": network,
                "encoding": encoding,
                "accuracy": right,
                "test_images": len(test),
                "tested_on": "test digits of MNIST",
                "unlikely": float((likely < limits[0]).float().mean()),
                "unlikely_images": (likely < limits[0]).view(reader.runs, -1).tolist(),
                "far": float((near > limits[1]).float().mean()),
            }
            items.keep(item, value, {"log_likelihood": likely.numpy(), "distance": near.numpy()})


def _require_digits(parameters: FamiliesParameters) -> None:
    """Check the networks before any evolves."""
    for name in parameters.networks:
        if name != "mlp":
            network = load_classifier(name, device=resolve_device("cpu"))
            if (len(network.classes), network.channels) != (len(CLASSES), 1):
                raise ConfigError(
                    f"parameters.networks: got {name}, of {len(network.classes)} classes and "
                    f"{network.channels} channels; expected networks of grey digits"
                )


def _medians(likely: Tensor, near: Tensor) -> dict[str, float]:
    return {
        "log_likelihood": float(np.median(likely.numpy())),
        "distance": float(np.median(near.numpy())),
    }
