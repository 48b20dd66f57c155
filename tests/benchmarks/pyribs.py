"""MAP-Elites of digits with pyribs, as its tutorial sets it up, and with Islands.

The tutorial (https://docs.pyribs.org/en/stable/tutorials/fooling_mnist.html): an archive of ten cells, one
Gaussian emitter of sigma 0.5 that starts from grey, batches of 30, 900,000 images; the cell of an image is
the digit with the highest probability, its objective that probability. Both get this package's LeNet, one
thread unless told otherwise, and the same number of images. The images of pyribs are not rounded to bytes.

    python -m tests.benchmarks.pyribs --images 900000
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from ribs.archives import GridArchive
from ribs.emitters import GaussianEmitter
from ribs.schedulers import Scheduler

import islands
from islands.classifiers.lenet import load_lenet

BATCH = 30
CHILDREN = 200
PIXELS = 28 * 28
IMAGES = 900_000


@dataclass(frozen=True)
class Outcome:
    """What a library made of its budget.

    Attributes:
        images: that it scored.
        seconds: for them, on the clock.
        cpu_seconds: of this process.
        confidence: (10,) of the best image for each digit; 0 where none was found.
    """

    images: int
    seconds: float
    cpu_seconds: float
    confidence: npt.NDArray[np.float32]

    @property
    def rate(self) -> float:
        """Images per second."""
        return self.images / self.seconds


def run_pyribs(images: int) -> Outcome:
    """Evolve with pyribs."""
    module = load_lenet().module.eval()
    archive = GridArchive(solution_dim=PIXELS, dims=[10], ranges=[(0, 10)], seed=0)
    emitter = GaussianEmitter(
        archive,
        sigma=0.5,
        x0=np.full(PIXELS, 0.5),
        lower_bounds=np.zeros(PIXELS),
        upper_bounds=np.ones(PIXELS),
        batch_size=BATCH,
        seed=0,
    )
    scheduler = Scheduler(archive, [emitter])
    iterations = images // BATCH
    started, busy = time.perf_counter(), time.process_time()
    with torch.inference_mode():
        for _ in range(iterations):
            pixels = torch.tensor(scheduler.ask(), dtype=torch.float32).view(-1, 1, 28, 28)
            best = module(pixels).softmax(1).max(1)
            scheduler.tell(best.values.numpy(), best.indices.numpy()[:, None])
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - busy
    confidence = np.zeros(10, np.float32)
    found = archive.data()
    confidence[found["index"]] = found["objective"]
    return Outcome(iterations * BATCH, seconds, cpu_seconds, confidence)


def run_islands(images: int) -> Outcome:
    """Evolve with Islands, from loading the network to the last commit; `images` is rounded up to epochs."""
    generations = -(-images // (10 * CHILDREN)) * 10
    started, busy = time.perf_counter(), time.process_time()
    run = islands.evolve(
        "lenet-mnist",
        encoding="direct",
        generations=generations,
        evolve={"initial": CHILDREN, "children": CHILDREN},
        workers={"threads": torch.get_num_threads()},
    )
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - busy
    return Outcome(CHILDREN * (generations + 1), seconds, cpu_seconds, run.confidence[0])


def main() -> None:
    """Print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=IMAGES)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    ours = run_islands(arguments.images)
    theirs = run_pyribs(ours.images)
    for name, outcome in {"islands": ours, "pyribs": theirs}.items():
        worst = outcome.confidence.min()
        print(f"{name:<8} {outcome.images:,} images, {outcome.rate:,.0f} images/s, worst class {worst:.6f}")
    cpu = theirs.cpu_seconds / ours.cpu_seconds * ours.images / theirs.images
    print(f"islands / pyribs: {ours.rate / theirs.rate:.2f} x the images/s, {cpu:.2f} x by CPU time")


if __name__ == "__main__":
    main()
