"""An attack by one who sees labels and nothing else: an axis of its own, for an image costs many queries."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from islands.cards.attack_results import reached_by, scores_of
from islands.cards.card import LabelsOnly
from islands.cards.evolving import LEAST, SAMPLE, Attack
from islands.cards.images_to_fool import LEVELS
from islands.cards.noticing import elite_images
from islands.cards.real_level import logits_of
from islands.classifiers.combinators import Stability
from islands.classifiers.contract import Classifier
from islands.store.reader import StoreReader
from islands.transfers.learning import estimate

ATTACK = Attack("patterns-labels", "patterns, by labels", "cppn", "labels only", "swift")
"""It evolves for the share of an image's perturbed copies that keep the label, see `Stability`."""

IMAGES = LEAST
"""Of each run: each costs so many queries that no more are afforded."""


def labels_only(classifier: Classifier, reader: StoreReader, levels: Mapping[str, float]) -> LabelsOnly:
    """Return what came of the attack, judged in the end by confidences that it did not see.

    Args:
        classifier: that was attacked.
        reader: its store.
        levels: of confidence, by name.
    """
    stable = {f"{level:g}": level for level in LEVELS}
    reached = reached_by(reader, stable, len(reader.classes))
    queries = Stability.COPIES * reader.evaluations(0)
    classes = np.arange(len(reader.classes))
    if len(classes) > SAMPLE:
        classes = np.sort(np.random.default_rng(0).choice(classes, SAMPLE, replace=False))
    named, sure = [], []
    for run in range(reader.runs):
        logits = logits_of(classifier, elite_images(reader, run, classes.tolist()))
        named.append(float((logits.argmax(1) == classes).mean()))
        own = torch.from_numpy(logits).softmax(1).numpy()[np.arange(len(classes)), classes]
        sure.append([float((own >= np.float32(level)).mean()) for level in levels.values()])
    shares = np.array(sure).T
    return LabelsOnly(
        name=ATTACK.name,
        attack=ATTACK.title,
        copies=Stability.COPIES,
        images=reader.evaluations(0),
        stable=scores_of({name: Stability.COPIES * each for name, each in reached.items()}, stable, queries),
        named=estimate(np.array(named)),
        sure={name: estimate(column) for name, column in zip(levels, shares, strict=True)},
        digests=tuple(reader.digest(run) for run in range(reader.runs)),
    )
