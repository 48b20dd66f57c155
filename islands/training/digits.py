"""Trains LeNet on MNIST: how the weights in this package were made, and those of other seeds.

`python -m islands.training.digits --out DIR` makes them again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import save
from torch import nn

from islands.classifiers.lenet import CLASSES, trained_folder
from islands.classifiers.trained import build_network
from islands.config import NetworkConfig
from islands.datasets.examples import InMemory
from islands.datasets.mnist import MD5, Labelled, load_mnist
from islands.files import write_whole
from islands.observe.lines import begin
from islands.texts import percent
from islands.training.train import (
    BATCH,
    EPOCHS,
    LEARNING_RATE,
    MOMENTUM,
    THREADS,
    WEIGHT_DECAY,
    Recipe,
    accuracy,
    fit,
    on_bytes,
)

_TRAINED = re.compile(r"(?:^|[:+])lenet:(\d+)(?=\+|$)")
"""A LeNet of this stage in a network's name, which may be a combination of several."""


@dataclass(frozen=True)
class TrainingRecord:
    """How a network was made.

    Attributes:
        command: makes the same weights again.
        test_accuracy: share of the 10,000 test images classified right.
        sha256: of the file of weights.
    """

    network: str
    command: str
    seed: int
    epochs: int
    training_images: int
    optimiser: str
    schedule: str
    threads: int
    torch: str
    data_md5: dict[str, str]
    test_accuracy: float
    sha256: str


def train_lenet(seed: int, epochs: int, data: Labelled) -> nn.Module:
    """Train on uint8 digits; equal arguments on the same kind of hardware give equal weights.

    Images are shifted by up to two pixels, afresh in every epoch.
    """
    return fit(build_network("lenet", CLASSES, 28, seed), InMemory(data), Recipe(seed, epochs))


def train_missing(networks: Iterable[NetworkConfig]) -> None:
    """Train each LeNet that a network's name asks for, alone or as a member, unless it was trained before."""
    for seed in sorted({seed for network in networks for seed in missing_seeds(network)}):
        begin(f"training lenet:{seed}, which takes a minute or two")
        train_into(trained_folder(seed), seed)


def missing_seeds(network: NetworkConfig) -> list[int]:
    """Return the seeds of the LeNets that a network's name asks for and that have not been trained here."""
    seeds = [int(seed) for seed in _TRAINED.findall(network.name)]
    return [seed for seed in seeds if not (trained_folder(seed) / "lenet-mnist.json").exists()]


def train_into(folder: Path, seed: int, epochs: int = EPOCHS, data: Labelled | None = None) -> TrainingRecord:
    """Train on `data`, or all of MNIST, and write weights and, last, their record into a folder."""
    train = data or load_mnist("train")
    network = train_lenet(seed, epochs, train)
    weights = save({name: tensor.contiguous() for name, tensor in network.state_dict().items()})
    record = TrainingRecord(
        network="LeNet",
        command=f"python -m islands.training.digits --seed {seed} --epochs {epochs} --out DIR",
        seed=seed,
        epochs=epochs,
        training_images=len(train.labels),
        optimiser=f"SGD(momentum={MOMENTUM}, nesterov, weight_decay={WEIGHT_DECAY}), batches of {BATCH}",
        schedule=f"OneCycleLR(max_lr={LEARNING_RATE}); images shifted by up to 2 pixels",
        threads=THREADS,
        torch=torch.__version__,
        data_md5=MD5,
        test_accuracy=accuracy(on_bytes(network), InMemory(load_mnist("test"))),
        sha256=hashlib.sha256(weights).hexdigest(),
    )
    write_whole(folder / "lenet-mnist.safetensors", weights)
    write_whole(folder / "lenet-mnist.json", f"{json.dumps(asdict(record), indent=2)}\n")
    return record


def main() -> None:
    """Train, and write `lenet-mnist.safetensors` and its record."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    options = parser.parse_args()
    record = train_into(options.out, options.seed, options.epochs)
    print(f"{options.out}: test accuracy {percent(record.test_accuracy)}")


if __name__ == "__main__":
    main()
