"""From the store of an attack to what the card says of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch

from islands.cards.card import AttackResult, ClassResult, GroupResult
from islands.cards.class_groups import groups_of
from islands.cards.evolving import INITIAL, Attack, improvements
from islands.cards.images_to_fool import (
    Improvements,
    Score,
    first_reached,
    geometric_mean,
    images_to_half,
    profile,
    score,
)
from islands.classifiers.apart import one_thread
from islands.classifiers.contract import Classifier
from islands.store.images import stored_encoding
from islands.store.reader import StoreReader

OWN_LEVEL = "rho5"
"""The level that is each network's own; it has the headline where it is known."""

_FALLBACK = "0.9"

_BATCH = 64


def result_of(
    attack: Attack,
    reader: StoreReader,
    levels: Mapping[str, float],
    control: Improvements,
    random_images: int,
) -> AttackResult:
    """Return what the runs of an attack say at each of `levels`, by their names.

    Args:
        attack: which.
        reader: its store.
        levels: confidences.
        control: what random images reach.
        random_images: how many they are.
    """
    classes = len(reader.classes)
    budget = reader.config.evolution.images_by(reader.config.evolve.generations)
    reached = reached_by(reader, levels, classes)
    shown = OWN_LEVEL if OWN_LEVEL in levels else _FALLBACK
    return AttackResult(
        name=attack.name,
        title=attack.title,
        encoding=attack.encoding,
        access=attack.access,
        scores=scores_of(reached, levels, budget),
        random={
            name: score(first_reached(control, classes, level)[None], level, random_images)
            for name, level in levels.items()
        },
        random_images=random_images,
        generation_0={name: float(profile(reached[name], np.array([INITIAL])).mean()) for name in levels},
        geometric_mean=geometric_mean(list(reached.values()), budget),
        level=shown,
        classes=tuple(_classes(reader, reached[shown])),
        digests=tuple(reader.digest(run) for run in range(reader.runs)),
        groups=tuple(_groups(reader, reached[shown])),
    )


def reached_by(
    reader: StoreReader, levels: Mapping[str, float], classes: int
) -> dict[str, npt.NDArray[np.float64]]:
    """Return N (R, `classes`) of each run and of the first classes, at each level."""
    found = [improvements(reader, run) for run in range(reader.runs)]
    every = len(reader.classes)
    return {
        name: np.stack([first_reached(run, every, level)[:classes] for run in found])
        for name, level in levels.items()
    }


def scores_of(
    reached: Mapping[str, npt.NDArray[np.float64]], levels: Mapping[str, float], budget: int
) -> dict[str, Score]:
    """Return the score at each level."""
    return {name: score(reached[name], level, budget) for name, level in levels.items()}


def _classes(reader: StoreReader, reached: npt.NDArray[np.float64]) -> list[ClassResult]:
    medians = np.median(reached, axis=0)
    confidence = np.median([reader.confidence(run) for run in range(reader.runs)], axis=0)
    seconds = []
    for run in range(reader.runs):
        probabilities = reader.probabilities(run).copy()
        np.fill_diagonal(probabilities, -1)
        seconds.append(probabilities.argmax(1))
    following = [Counter(column.tolist()).most_common(1)[0][0] for column in np.stack(seconds).T]
    return [
        ClassResult(
            name=name,
            images=float(medians[row]) if np.isfinite(medians[row]) else None,
            confidence=float(confidence[row]),
            next=reader.classes[following[row]],
        )
        for row, name in enumerate(reader.classes)
    ]


def _groups(reader: StoreReader, reached: npt.NDArray[np.float64]) -> Iterator[GroupResult]:
    for name, rows in groups_of(reader.classes).items():
        images = float(np.median(images_to_half(reached[:, rows])))
        yield GroupResult(
            name=name,
            classes=len(rows),
            images=images if np.isfinite(images) else None,
            reached=float(np.isfinite(reached[:, rows]).mean()),
        )


def random_images(reader: StoreReader, classifier: Classifier, count: int) -> Improvements:
    """Return what `count` random images of a run's encoding reach, one after the other."""
    encoding = stored_encoding(reader)
    genomes = encoding.random(count, torch.Generator().manual_seed(reader.config.seed))
    found = []
    for rows in torch.arange(count).split(_BATCH):
        with torch.inference_mode():
            images = encoding.render(genomes.take(rows)).clone()
        with one_thread():
            found.append(classifier.predict(images.to(classifier.device)).probabilities.cpu())
    probabilities = torch.cat(found).numpy()
    before = np.vstack([np.zeros_like(probabilities[:1]), np.maximum.accumulate(probabilities)[:-1]])
    rows, classes = np.nonzero(probabilities > before)
    return Improvements(classes, probabilities[rows, classes], rows + 1)


def is_unreliable(results: Sequence[AttackResult]) -> bool:
    """Tell whether gradients did worse than a black box with the same kind of images and budget."""
    blind = {each.encoding: each.geometric_mean for each in results if each.access == "black box"}
    return any(
        each.geometric_mean > blind[each.encoding]
        for each in results
        if each.access == "gradients" and each.encoding in blind
    )
