"""The runs that a card is made of: who attacks, with which budget, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from islands.cards.images_to_fool import Improvements
from islands.classifiers.contract import Classifier, Differentiable
from islands.config import NetworkConfig, RunConfig
from islands.experiments.configure import resolve_run_config
from islands.store.reader import StoreReader

PROTOCOL = "islands-card/1"

INITIAL, CHILDREN, PER_EPOCH = 200, 40, 5
"""Random images of a run; images of a generation; generations of an epoch."""

STEP = CHILDREN * PER_EPOCH
LEAST, MOST = INITIAL + 9 * STEP, INITIAL + 99 * STEP
"""Images of a run at least, for any verdict, and at most."""

RUNS = 5

RANDOM = 1000
"""Random images of each encoding, as a control."""

SAMPLE = 200
"""Elites of a run that detectors look at, at most, and random images."""

_SMALL = 64
"""Pixels a side up to which images are evolved pixel by pixel, and above which by their low frequencies: a
genome of 224 x 224 pixels has 150,528 numbers, and none of its mutations is seen."""

Access = Literal["black box", "gradients", "labels only"]


@dataclass(frozen=True)
class Attack:
    """One way to attack.

    Attributes:
        name: of its store.
        title: in words.
        encoding: what the images are made of.
        access: what the attacker sees of the network.
        preset: the search.
    """

    name: str
    title: str
    encoding: Literal["cppn", "direct", "dct"]
    access: Access
    preset: Literal["swift", "white-box"]

    def once_more(self, name: str, words: str) -> Attack:
        """Return the same attack on something else, which `words` tell."""
        return replace(self, name=f"{self.name}-{name}", title=f"{self.title}, {words}")


def attacks(classifier: Classifier) -> tuple[Attack, ...]:
    """Return the attacks on a network: patterns, pixels, and pixels by gradients where it has them."""
    encoding: Literal["direct", "dct"] = "direct" if classifier.input_size <= _SMALL else "dct"
    title = {"direct": "pixels", "dct": "low frequencies"}[encoding]
    name = title.replace(" ", "-")
    found = (
        Attack("patterns", "patterns", "cppn", "black box", "swift"),
        Attack(name, title, encoding, "black box", "swift"),
    )
    if not isinstance(classifier, Differentiable):
        return found
    gradients = Attack(f"{name}-gradients", f"{title}, by gradients", encoding, "gradients", "white-box")
    return (*found, gradients)


def run_config(
    attack: Attack, network: NetworkConfig, folder: Path, *, runs: int, images: int, seed: int, workers: int
) -> RunConfig:
    """Return the settings of an attack's run.

    Args:
        attack: which.
        network: that is attacked.
        folder: of the card; the store lies in it.
        runs: independent archives.
        images: of each, from `LEAST` on: whole epochs of them are used.
        seed: of the run.
        workers: threads; they change no bit.
    """
    settings: Mapping[str, Any] = {
        "pipeline": "custom",
        "store": str(folder / attack.name),
        "seed": seed,
        "runs": runs,
        "network": network.model_dump(mode="json", exclude_defaults=True),
        "encoding": {"name": attack.encoding},
        "evolve": {
            "preset": attack.preset,
            "initial": INITIAL,
            "children": CHILDREN,
            "generations": (images - INITIAL) // STEP * PER_EPOCH,
            "generations_per_epoch": PER_EPOCH,
        },
        # One island: what a card says must not depend on the machine that it is made on.
        "islands": {"count": 1},
        "workers": {"executor": "in-process", "count": workers, "threads": 1},
    }
    return resolve_run_config(settings, "islands card")


def improvements(reader: StoreReader, run: int) -> Improvements:
    """Return what took cells in a run of one island, and after how many images.

    Images are counted by whole generations: those of one are judged together.
    """
    rows = reader.history(run)
    budget = reader.config.evolution
    generations = rows["generation"].astype(np.int64)
    images = np.array([budget.images_by(each) for each in range(int(generations.max(initial=0)) + 1)])
    return Improvements(
        rows["class"].astype(np.int64), rows["confidence"].astype(np.float32), images[generations]
    )
