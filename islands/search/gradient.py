"""The emitter that asks the network which way is up."""

from __future__ import annotations

import torch

from islands.classifiers.contract import Classifier, require_differentiable
from islands.encodings.contract import Children, Encoding, Operator, require_tunable
from islands.encodings.genomes import Genomes
from islands.evolution.ascent import AT_ONCE, Ascent, gradients
from islands.search.choices import GradientSettings
from islands.search.contract import Offspring, Population

BETAS = (0.9, 0.99)
"""Of Adam: few steps have no long memory."""


class Gradient:
    """Climbs from elites of classes that can still gain; every point on the way is a child.

    It chooses by itself whom it climbs from: turns, as `fresh` gives them, do not count here.

    Raises:
        ConfigError: the encoding has no genes to move.
        NetworkError: the classifier has no gradients.
    """

    def __init__(self, settings: GradientSettings, encoding: Encoding, classifier: Classifier) -> None:
        self._settings = settings
        self._encoding = require_tunable(encoding)
        self._network = require_differentiable(classifier)

    def emit(
        self, population: Population, visits: int, generation: int, generator: torch.Generator
    ) -> Offspring:
        """Make children; see `Emitter.emit`."""
        del generation
        climbers = population.weak(visits, generator)
        rows = torch.arange(visits, device=climbers.ids.device)
        children, ids = [], []
        with gradients():
            for part in rows.split(AT_ONCE):
                genomes, targets = climbers.genomes.take(part), climbers.classes[part]
                ascent = Ascent(self._encoding, self._network, genomes, targets, self._settings.rate, BETAS)
                for _ in range(self._settings.steps):
                    ascent.step()
                    children.append(ascent.genomes)
                    ids.append(climbers.ids[part])
        parents = torch.stack([torch.cat(ids), torch.full_like(torch.cat(ids), -1)], 1)
        operators = torch.full((len(parents),), Operator.GRADIENT, dtype=torch.uint8, device=parents.device)
        return Offspring(Children(Genomes.concatenate(children), operators), parents)
