"""What two-precision scoring saves, and what it misses.

    python -m tests.benchmarks.screening efficientnet-lite0 --batch-size 4 --children 20 --generations 160

evolves with float32 alone, then with a screen at several margins, and prints for each the seconds, the share
of children scored again, and the cells that ended as with float32 alone.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from torch import Tensor

import islands
from islands.classifiers.contract import Classifier, Prediction
from islands.classifiers.registry import load_classifier
from islands.classifiers.screened import ScreenedClassifier, full_batch
from islands.store.reader import StoreReader


class Counting(ScreenedClassifier):
    """Counts the images that are scored again."""

    rescored = 0

    def rescore(self, images: Tensor) -> Prediction:
        self.rescored += len(images)
        return super().rescore(images)


def main() -> None:
    """Print a line for float32 alone, and one for each margin."""
    parser = argparse.ArgumentParser()
    parser.add_argument("network")
    parser.add_argument("--encoding", default="cppn")
    parser.add_argument("--screen", default="bfloat16", choices=["bfloat16", "float16"])
    parser.add_argument("--margins", type=float, nargs="+", default=[0.125, 0.25, 0.5])
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--children", type=int, default=200)
    parser.add_argument("--generations", type=int, default=200)
    arguments = parser.parse_args()
    torch.set_num_threads(1)

    exact, replica = (
        load_classifier(
            arguments.network,
            batch_size=arguments.batch_size,
            precision=precision,
            device=torch.device("cpu"),
        )
        for precision in ("float32", arguments.screen)
    )

    def evolved(classifier: Classifier) -> tuple[StoreReader, float]:
        started = time.perf_counter()
        run = islands.evolve(
            classifier,
            encoding=arguments.encoding,
            generations=arguments.generations,
            evolve={"children": arguments.children},
            checkpoint={"every_s": 3600},
        ).reader
        return run, time.perf_counter() - started

    run, seconds = evolved(exact)
    expected = run.elites(0)
    print(f"float32 alone: {seconds:.1f} s, median {np.median(expected.confidence):.4f}", flush=True)
    for margin in arguments.margins:
        classifier = Counting(exact, replica, batch_size=full_batch(exact), margin=margin)
        run, seconds = evolved(classifier)
        found = run.elites(0)
        rescored, same = classifier.rescored / run.evaluations(0), (found.ids == expected.ids).mean()
        print(
            f"margin {margin:g}: {seconds:.1f} s, {rescored:.1%} scored again, "
            f"median {np.median(found.confidence):.4f}, {same:.1%} of the cells are the same",
            flush=True,
        )


if __name__ == "__main__":
    main()
