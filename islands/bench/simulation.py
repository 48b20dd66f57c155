"""Runs archipelagos of many islands whose network costs nothing, to see what the driver alone takes.

`python -m islands.bench.simulation 64 256 1000` prints a line for each number of islands.
"""

from __future__ import annotations

import argparse
import json
import time
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from islands.archipelago.driver import Archipelago
from islands.archipelago.progress import Progress
from islands.archipelago.start import build_executor
from islands.config import WorkConfig
from islands.evolution.checkpoint import Checkpoint
from islands.memory import peak_memory

CLASSES = 1000
PIXELS = 64
"""A side of the images, whose 4 KB are about what a CPPN's genome takes."""


class NullNetwork(nn.Module):
    """Gives each image and class a score that looks random, for next to nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.classes = [f"class {number}" for number in range(CLASSES)]
        self.input_size, self.channels, self.mean, self.std = PIXELS, 1, 0.0, 1.0
        self._frequencies = torch.linspace(1e3, 2e3, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Map float32 (B, 1, H, W) to logits (B, K)."""
        return 8 * torch.sin(x.mean((1, 2, 3))[:, None] * self._frequencies)


@dataclass(frozen=True)
class Simulation:
    """What a simulated archipelago took.

    Attributes:
        islands: in one run of 1000 classes.
        epochs: done by each, those of generation 0 included.
        driver_ms: processor time of the driver's thread per island and epoch, commits included.
        later_driver_ms: likewise for the last half of the epochs: at first every child is news to everybody.
        seconds: duration of it all, workers included.
        memory_mb: the most that the driver's process held.
    """

    islands: int
    executor: str
    epochs: int
    driver_ms: float
    later_driver_ms: float
    seconds: float
    memory_mb: float


def simulate(
    islands: int,
    epochs: int = 8,
    executor: Literal["in-process", "ray"] = "in-process",
    workers: int = 1,
    children: int = 2,
) -> Simulation:
    """Let `islands` islands evolve for `epochs` epochs of one generation of `children`."""
    config = _config(islands, epochs, executor, workers, children)
    watch = _Watch(epochs // 2)
    started = time.perf_counter()
    with closing(build_executor(config)) as running:
        archipelago = Archipelago(config, CLASSES, running, watch.commit, watch.observe)
        watch.start()
        archipelago.evolve()
        driver_s, later_s = watch.stop()
    steps = islands * (epochs + 1)
    return Simulation(
        islands=islands,
        executor=executor,
        epochs=epochs + 1,
        driver_ms=1e3 * driver_s / steps,
        later_driver_ms=1e3 * later_s / (islands * (epochs - epochs // 2)),
        seconds=time.perf_counter() - started,
        memory_mb=peak_memory() / 1e6,
    )


class _Watch:
    """Reads the clock of the driver's thread, which stands still while workers work."""

    def __init__(self, half: int) -> None:
        self._half = half
        self._started = self._at_half = 0.0

    def start(self) -> None:
        self._started = self._at_half = time.thread_time()

    def observe(self, progress: Progress) -> None:
        if progress.epoch < self._half:
            self._at_half = time.thread_time()

    def commit(self, checkpoint: Checkpoint, complete: bool) -> None:
        """Store nothing: this runs on another thread."""

    def stop(self) -> tuple[float, float]:
        now = time.thread_time()
        return now - self._started, now - self._at_half


def _config(islands: int, epochs: int, executor: str, workers: int, children: int) -> WorkConfig:
    return WorkConfig.model_validate(
        {
            "network": {"name": "islands.bench.simulation:NullNetwork"},
            "encoding": {"name": "direct"},
            "evolve": {
                "initial": 8,
                "children": children,
                "budget_per": "island",
                "generations": epochs,
                "generations_per_epoch": 1,
            },
            "islands": {"count": islands},
            "workers": {"executor": executor, "count": workers, "device": "cpu"},
            "checkpoint": {"every_s": 5.0},
        }
    )


def main() -> None:
    """Print one line of JSON per number of islands."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("islands", type=int, nargs="*", default=[64, 256, 1000])
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--executor", choices=("in-process", "ray"), default="in-process")
    parser.add_argument("--workers", type=int, default=1)
    chosen = parser.parse_args()
    for islands in chosen.islands:
        found = simulate(islands, chosen.epochs, chosen.executor, chosen.workers)
        print(json.dumps(asdict(found)), flush=True)


if __name__ == "__main__":
    main()
