"""Trains networks from a recipe: equal arguments on equal hardware give equal weights."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from islands.classifiers.contract import Classifier
from islands.classifiers.torch_classifier import Network, fingerprint_of
from islands.classifiers.trained import NetworkRecord, build_network, keep, transplant
from islands.datasets.examples import Examples
from islands.datasets.mnist import Labelled
from islands.files import write_whole
from islands.memory import keep_freed_memory

BATCH = 128
LEARNING_RATE = 0.05
MOMENTUM = 0.9
WEIGHT_DECAY = 5e-4
THREADS = 1
EPOCHS = 12

_TEST_BATCH = 500


@dataclass(frozen=True)
class Recipe:
    """How to train: stochastic gradient descent with Nesterov momentum under a one-cycle schedule.

    Attributes:
        seed: of first weights, order, augmentation and dropout.
        epochs: over all images.
        learning_rate: the highest of the schedule.
        augment: `shift` moves each image by up to two pixels, `flip` mirrors it or not, afresh in each epoch.
        layers: `all`, or the `head` alone: the last linear or convolutional layer; the rest stays as it was.
    """

    seed: int = 0
    epochs: int = EPOCHS
    batch: int = BATCH
    learning_rate: float = LEARNING_RATE
    augment: Literal["shift", "flip", "none"] = "shift"
    layers: Literal["all", "head"] = "all"


def fit(network: Network, examples: Examples, recipe: Recipe, partial: Path | None = None) -> nn.Module:
    """Train `network.module` in place and return it; equal arguments on equal hardware give equal weights.

    Args:
        network: with first weights.
        examples: uint8 images and labels.
        recipe: see there.
        partial: a file that keeps the state after each epoch, from which a call that was cut off goes on to
            the same bits; it is removed in the end.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    keep_freed_memory()
    try:
        with torch.random.fork_rng(devices=[]):
            _Fit(network, examples, recipe).finish(partial)
    finally:
        torch.set_num_threads(before)
    return network.module.eval()


class _Fit:
    def __init__(self, network: Network, examples: Examples, recipe: Recipe) -> None:
        self._examples, self._recipe = examples, recipe
        self._generator = torch.Generator().manual_seed(recipe.seed)
        self._module = network.module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._head = [*self._module.modules()] if recipe.layers == "all" else [head_of(self._module)]
        trained = self._module if recipe.layers == "all" else self._head[0]
        for parameter in self._module.parameters():
            parameter.requires_grad_(False)
        for parameter in trained.parameters():
            parameter.requires_grad_(True)
        self._optimiser = torch.optim.SGD(
            trained.parameters(), recipe.learning_rate, MOMENTUM, weight_decay=WEIGHT_DECAY, nesterov=True
        )
        steps = recipe.epochs * -(-len(examples) // recipe.batch)
        self._schedule = torch.optim.lr_scheduler.OneCycleLR(
            self._optimiser, recipe.learning_rate, total_steps=steps
        )
        shape = (1, -1, 1, 1)
        self._mean = torch.tensor(network.preprocessing.mean).view(shape)
        self._std = torch.tensor(network.preprocessing.std).view(shape)

    def finish(self, partial: Path | None) -> None:
        # Frozen layers keep the statistics of their batches as well.
        self._module.eval()
        for module in self._head:
            module.training = True
        for epoch in range(self._restore(partial), self._recipe.epochs):
            torch.manual_seed(int(np.random.SeedSequence([self._recipe.seed, epoch]).generate_state(1)[0]))
            order = torch.randperm(len(self._examples), generator=self._generator)
            for rows in order.split(self._recipe.batch):
                self._step(self._examples.take(rows))
            if partial is not None:
                self._save(partial, epoch + 1)
        if partial is not None:
            partial.unlink(missing_ok=True)

    def _step(self, batch: Labelled) -> None:
        pixels = _augmented(batch.images, self._recipe.augment, self._generator)
        loss = cross_entropy(self._module((pixels - self._mean) / self._std), batch.labels)
        self._optimiser.zero_grad()
        loss.backward()
        self._optimiser.step()
        self._schedule.step()

    def _save(self, partial: Path, epoch: int) -> None:
        state = {
            "epoch": epoch,
            "generator": self._generator.get_state(),
            "module": self._module.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "schedule": self._schedule.state_dict(),
        }
        data = io.BytesIO()
        torch.save(state, data)
        write_whole(partial, data.getvalue())

    def _restore(self, partial: Path | None) -> int:
        """Return the epoch to go on with."""
        if partial is None or not partial.exists():
            return 0
        state = torch.load(partial, weights_only=True)
        self._generator.set_state(state["generator"])
        self._module.load_state_dict(state["module"])
        self._optimiser.load_state_dict(state["optimiser"])
        self._schedule.load_state_dict(state["schedule"])
        return int(state["epoch"])


def head_of(module: nn.Module) -> nn.Module:
    """Return the last linear or convolutional layer."""
    return [layer for layer in module.modules() if isinstance(layer, nn.Linear | nn.Conv2d)][-1]


def train_once(
    file: Path,
    architecture: str,
    classes: tuple[str, ...],
    examples: Examples,
    test: Examples,
    recipe: Recipe,
    *,
    start: Network | None = None,
) -> NetworkRecord:
    """Train a network unless `file` holds the record of the same training, and return its record.

    Args:
        file: where the record is kept; beside it, while training goes on, the state of it.
        architecture: see `build_network`.
        classes: the K class names.
        examples: to train on, labels below K.
        test: held back.
        recipe: see there.
        start: whose weights training starts from; None: from weights drawn under the seed.
    """
    size = examples.take(torch.tensor([0])).images.shape[-1]
    plan = {
        **asdict(recipe),
        "optimiser": f"SGD(momentum={MOMENTUM}, nesterov, weight_decay={WEIGHT_DECAY})",
        "schedule": "OneCycleLR",
        "threads": THREADS,
        "training_images": len(examples),
        "test_images": len(test),
        "data": {"train": examples.digest, "test": test.digest},
        "start": None if start is None else fingerprint_of(start.module, start.preprocessing, "float32"),
    }
    if file.exists():
        record = NetworkRecord.from_json(file.read_text(encoding="utf-8-sig"))
        if record.present and (record.architecture, record.classes, record.recipe) == (
            architecture,
            classes,
            plan,
        ):
            return record
    network = build_network(architecture, classes, size, recipe.seed)
    if start is not None:
        transplant(start, network)
    named = hashlib.sha256(json.dumps([architecture, classes, plan]).encode()).hexdigest()[:16]
    fit(network, examples, recipe, file.with_name(f".{file.stem}.{named}.partial"))
    record = keep(network, architecture, plan, accuracy(_bytes_of(network), test))
    write_whole(file, record.as_json())
    return record


@torch.inference_mode()
def accuracy(logits: Callable[[Tensor], Tensor], data: Examples) -> float:
    """Return the share of images for which the logits of uint8 images are highest at the label."""
    hits = 0
    for rows in torch.arange(len(data)).split(_TEST_BATCH):
        images, labels = data.take(rows)
        hits += int((logits(images).argmax(1) == labels).sum())
    return hits / len(data)


def accuracy_of(classifier: Classifier, data: Examples) -> float:
    """Return the share of images that a classifier is right about."""
    return accuracy(lambda images: classifier.predict(images).logits.cpu(), data)


def on_bytes(module: nn.Module) -> Callable[[Tensor], Tensor]:
    """Return the logits of uint8 images by a module that takes pixels in [0, 1]."""
    return lambda images: module(images.float() / 255)


def _bytes_of(network: Network) -> Callable[[Tensor], Tensor]:
    shape = (1, -1, 1, 1)
    mean = torch.tensor(network.preprocessing.mean).view(shape)
    std = torch.tensor(network.preprocessing.std).view(shape)
    return lambda images: network.module((images.float() / 255 - mean) / std)


def _augmented(images: Tensor, how: str, generator: torch.Generator) -> Tensor:
    """Return pixels in [0, 1]."""
    if how == "shift":
        return _shifted(images, generator)
    pixels = images.float() / 255
    if how == "flip":
        mirrored = torch.randint(2, (len(images), 1, 1, 1), generator=generator).bool()
        return torch.where(mirrored, pixels.flip(3), pixels)
    return pixels


def _shifted(images: Tensor, generator: torch.Generator) -> Tensor:
    height, width = images.shape[2:]
    padded = nn.functional.pad(images.float() / 255, (2, 2, 2, 2))
    offsets = torch.randint(5, (2, len(images), 1), generator=generator)
    rows, columns = offsets[0] + torch.arange(height), offsets[1] + torch.arange(width)
    place = torch.arange(len(images))[:, None, None]
    return padded[place, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
