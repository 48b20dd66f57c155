"""Trains LeNet on MNIST: how the weights in this package were made.

`python -m islands.stages.train --out DIR` makes them again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from islands.classifiers.lenet import build_lenet, trained_folder
from islands.config import NetworkConfig
from islands.datasets.mnist import MD5, Labelled, load_mnist

BATCH = 128
LEARNING_RATE = 0.05
MOMENTUM = 0.9
WEIGHT_DECAY = 5e-4
THREADS = 1
EPOCHS = 12

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
    torch.set_num_threads(THREADS)
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build_lenet()
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.SGD(
        network.parameters(), LEARNING_RATE, MOMENTUM, weight_decay=WEIGHT_DECAY, nesterov=True
    )
    steps = epochs * -(-len(data.labels) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total_steps=steps)
    for _ in range(epochs):
        for rows in torch.randperm(len(data.labels), generator=generator).split(BATCH):
            loss = cross_entropy(network(_shifted(data.images[rows], generator)), data.labels[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return network.eval()


@torch.inference_mode()
def accuracy(network: nn.Module, data: Labelled) -> float:
    """Return the share of images that the network classifies right."""
    hits = [
        (network(images.float() / 255).argmax(1) == labels).sum()
        for images, labels in zip(data.images.split(1000), data.labels.split(1000), strict=True)
    ]
    return float(torch.stack(hits).sum()) / len(data.labels)


def _shifted(images: Tensor, generator: torch.Generator) -> Tensor:
    padded = nn.functional.pad(images.float() / 255, (2, 2, 2, 2))
    offsets = torch.randint(5, (2, len(images), 1), generator=generator) + torch.arange(28)
    rows, columns = offsets[0][:, :, None], offsets[1][:, None, :]
    return padded[torch.arange(len(images))[:, None, None], 0, rows, columns][:, None]


def main() -> None:
    """Train, and write `lenet-mnist.safetensors` and its record."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    options = parser.parse_args()
    record = train_into(options.out, options.seed, options.epochs)
    print(f"{options.out}: test accuracy {record.test_accuracy:.2%}")


def train_missing(networks: Iterable[NetworkConfig]) -> None:
    """Train each LeNet that a network's name asks for, alone or as a member, unless it was trained before."""
    seeds = {int(seed) for network in networks for seed in _TRAINED.findall(network.name)}
    for seed in sorted(seeds):
        folder = trained_folder(seed)
        if not (folder / "lenet-mnist.json").exists():
            train_into(folder, seed)


def train_into(folder: Path, seed: int, epochs: int = EPOCHS, data: Labelled | None = None) -> TrainingRecord:
    """Train on `data`, or all of MNIST, and write weights and, last, their record into a folder."""
    train = data or load_mnist("train")
    network = train_lenet(seed, epochs, train)
    weights = save({name: tensor.contiguous() for name, tensor in network.state_dict().items()})
    record = TrainingRecord(
        network="LeNet",
        command=f"python -m islands.stages.train --seed {seed} --epochs {epochs} --out DIR",
        seed=seed,
        epochs=epochs,
        training_images=len(train.labels),
        optimiser=f"SGD(momentum={MOMENTUM}, nesterov, weight_decay={WEIGHT_DECAY}), batches of {BATCH}",
        schedule=f"OneCycleLR(max_lr={LEARNING_RATE}); images shifted by up to 2 pixels",
        threads=THREADS,
        torch=torch.__version__,
        data_md5=MD5,
        test_accuracy=accuracy(network, load_mnist("test")),
        sha256=hashlib.sha256(weights).hexdigest(),
    )
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in (
        ("lenet-mnist.safetensors", weights),
        ("lenet-mnist.json", f"{json.dumps(asdict(record), indent=2)}\n".encode()),
    ):
        unfinished = folder / f".{name}.{os.getpid()}"
        unfinished.write_bytes(content)
        unfinished.replace(folder / name)
    return record


if __name__ == "__main__":
    main()
