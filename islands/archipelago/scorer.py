"""Scores elites on held-out networks, in one process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from islands.archipelago.host import repeatable_on_gpu
from islands.archipelago.messages import NetworkFacts
from islands.classifiers.apart import predict_each
from islands.classifiers.contract import Classifier
from islands.config import WorkConfig
from islands.devices import enough_memory
from islands.encodings.contract import Encoding
from islands.evolution.elites import Arrays
from islands.evolution.outcomes import outcomes
from islands.evolution.scores import Scores


@dataclass(frozen=True)
class ScoreTask:
    """n elites of one run to be scored on one held-out network; the scorer draws them itself.

    Attributes:
        network: its place in `held_out`.
        run: the run.
        epoch: of the checkpoint that they are elites of.
        classes: (n,) int32, the classes whose cells they hold.
        ids: (n,) int64, their genome ids.
        genomes: arrays of the encoding, n rows.
        full: whether probabilities over all classes are wanted.
    """

    network: int
    run: int
    epoch: int
    classes: npt.NDArray[np.int32]
    ids: npt.NDArray[np.int64]
    genomes: Arrays
    full: bool


class Scorer:
    """Draws and scores; knows neither threads nor Ray."""

    def __init__(self, encoding: Encoding, classifiers: Sequence[Classifier]) -> None:
        self._encoding = encoding
        self._classifiers = classifiers

    @property
    def facts(self) -> tuple[NetworkFacts, ...]:
        """Each network, and the images that it will be shown."""
        size = self._encoding.size
        return tuple(NetworkFacts.of(classifier, size) for classifier in self._classifiers)

    @torch.inference_mode()
    def score(self, task: ScoreTask) -> Scores:
        """Do one task."""
        classifier = self._classifiers[task.network]
        images = self._encoding.render(self._encoding.from_arrays(task.genomes, classifier.device))
        with enough_memory(classifier.device):
            # Each alone: a score must not depend on which elites happened to be stale together.
            prediction = predict_each(classifier, images)
        targets = torch.tensor(task.classes, dtype=torch.int64, device=classifier.device)
        found = outcomes(prediction, targets)
        return Scores(
            ids=task.ids,
            epochs=np.full(len(task.ids), task.epoch, np.int32),
            target_probability=found.target_probability.cpu().numpy(),
            target_rank=found.target_rank.to(torch.int32).cpu().numpy(),
            top1=found.top1.to(torch.int32).cpu().numpy(),
            top1_probability=found.top1_probability.cpu().numpy(),
            probabilities=prediction.probabilities.cpu().numpy() if task.full else None,
        )


def build_scorer(config: WorkConfig, channels: int, size: int) -> Scorer:
    """Build the held-out networks of a configuration, and the encoding of images (channels, size, size).

    Raises:
        NetworkError: a network cannot be had, or fails.
    """
    from islands.classifiers.checks import attempt
    from islands.classifiers.registry import load_classifier, resolve_device
    from islands.encodings.factory import build_encoding

    torch.set_num_threads(config.scorers.threads)
    repeatable_on_gpu()
    device = resolve_device(config.scorers.device, has_gpu=config.scorers_have_gpus)
    classifiers = [
        load_classifier(**network.as_held_out.model_dump(), device=device) for network in config.held_out
    ]
    for classifier in classifiers:
        # What a network cannot do must be known before it is asked about elites.
        attempt(classifier, torch.zeros((1, classifier.channels, size, size), dtype=torch.uint8))
    return Scorer(build_encoding(config.encoding, channels, size), classifiers)
