"""Fools a network that tells its label and nothing else, three ways; every question is counted.

- `random`: random patterns until each label has come up.
- `stability`: evolution towards images whose perturbed copies keep the label; what it shows for a class has
  the label itself, which costs a question more.
- `surrogate NAME`: images that climb the gradient of another network, tried one by one.

The success is judged by the network's own confidence, which no attack sees.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import count
from typing import Any

import numpy as np
import torch
from torch import Tensor

from islands.archipelago.island import Island
from islands.archipelago.messages import Inbox, IslandKey
from islands.classifiers.combinators import LabelOnly, Stability
from islands.classifiers.contract import Classifier, Prediction, require_differentiable
from islands.classifiers.registry import load_classifier, resolve_device
from islands.config import EvolveConfig, IslandsConfig, NetworkConfig, RunConfig
from islands.encodings.factory import build_encoding
from islands.errors import ConfigError
from islands.evolution.streams import variation_stream
from islands.experiments.context import Context
from islands.experiments.fooling import derived_seed
from islands.experiments.parameters import AscentSettings, LabelOnlyParameters
from islands.experiments.stages.ascend import ascend, mean_of, starts
from islands.training.digits import train_missing

STAGE = "label-only"


class Counted:
    """Counts the images that a classifier is asked about."""

    def __init__(self, member: Classifier) -> None:
        self.name = member.name
        self.classes = member.classes
        self.channels = member.channels
        self.input_size = member.input_size
        self.device = member.device
        self.fingerprint = member.fingerprint
        self.queries = 0
        self._member = member

    def predict(self, images: Tensor) -> Prediction:
        """Score images; see `Classifier.predict`."""
        self.queries += len(images)
        return self._member.predict(images)


Found = Mapping[int, Tensor]
"""What an attack would show for each class so far, each with its label: uint8 (channels, size, size)."""


def by_chance(target: Counted, config: RunConfig, settings: LabelOnlyParameters) -> Iterator[Found]:
    """Draw random genomes; the first image of each label stays."""
    encoding = _encoding(target, config)
    found: dict[int, Tensor] = {}
    for generation in count():
        n = min(settings.batch, settings.queries - target.queries)
        if n == 0:
            return
        stream = variation_stream(target.device, config.seed, 0, 0, generation)
        with torch.inference_mode():
            images = encoding.render(encoding.random(n, stream))
        for image, label in zip(images, target.predict(images).logits.argmax(1).tolist(), strict=True):
            found.setdefault(label, image)
        yield found


def by_stability(target: Counted, config: RunConfig, settings: LabelOnlyParameters) -> Iterator[Found]:
    """Evolve on the share of perturbed copies that keep the label; the last elite that has it stays."""
    encoding, fitness = _encoding(target, config), Stability(target)
    each = fitness.COPIES + 1
    n = min(settings.batch, settings.queries // each)
    evolve = EvolveConfig(initial=n, children=n, generations_per_epoch=1)
    alone = config.model_copy(update={"evolve": evolve, "islands": IslandsConfig()})
    island = Island(IslandKey(0, 0), alone.evolution, encoding, fitness)
    found: dict[int, Tensor] = {}
    for epoch in count():
        if settings.queries - target.queries < n * each:
            return
        with torch.inference_mode():
            taken = island.step(epoch, Inbox()).delta.elites
            images = encoding.render(encoding.from_arrays(taken.genomes, target.device))
        # An image may have taken several cells, and is asked about once.
        _, firsts, places = np.unique(taken.ids, return_index=True, return_inverse=True)
        if len(firsts):
            labels = target.predict(images[torch.from_numpy(firsts)]).logits.argmax(1).cpu().numpy()[places]
            for row in np.flatnonzero(labels == taken.classes):
                found[int(taken.classes[row])] = images[row]
        yield found


def by_surrogate(
    name: str, target: Counted, config: RunConfig, settings: LabelOnlyParameters
) -> Iterator[Found]:
    """Try images of each class that climbed on the surrogate; the first with its label stays."""
    surrogate = require_differentiable(load_classifier(name, device=target.device))
    mean, found = mean_of(surrogate), dict[int, Tensor]()
    shape = (surrogate.channels, surrogate.input_size, surrogate.input_size)
    missing = list(range(len(target.classes)))
    for attempt in range(settings.surrogate_images):
        if not missing:
            return
        pairs = [(class_, attempt) for class_ in missing]
        targets = torch.tensor(missing, device=target.device)
        images = ascend(
            surrogate,
            targets,
            starts("uniform", shape, mean, config.seed, pairs),
            mean,
            AscentSettings(iterations=settings.surrogate_iterations),
        )["best"].images
        hit = target.predict(images).logits.argmax(1) == targets
        found |= {missing[row]: images[row] for row in hit.nonzero()[:, 0].tolist()}
        missing = [class_ for class_ in missing if class_ not in found]
        yield found


Attack = Callable[[Counted, RunConfig, LabelOnlyParameters], Iterator[Found]]


def attacks(settings: LabelOnlyParameters) -> dict[str, Attack]:
    """Return the attacks by name."""
    found: dict[str, Attack] = {"random": by_chance, "stability": by_stability}
    for name in settings.surrogates:
        found[f"surrogate {name}"] = lambda *rest, name=name: by_surrogate(name, *rest)
    return found


def run(context: Context[LabelOnlyParameters]) -> None:
    """Attack as often as is asked for; an item for each attempt."""
    parameters = context.parameters
    items = context.items(STAGE)
    torch.set_num_threads(context.config.workers.threads)
    train_missing([NetworkConfig(name=name) for name in parameters.surrogates])
    device = resolve_device(context.config.workers.device)
    network = load_classifier(**context.config.network.model_dump(), device=device)
    require_possible(network, parameters)
    for name, attack in attacks(parameters).items():
        for repeat in range(parameters.repeats):
            if items.get(item := f"{name} {repeat}") is None:
                context.say(f"label only: {name}, attempt {repeat}")
                seed = derived_seed(context.config.seed, repeat)
                config = context.config.model_copy(update={"seed": seed})
                value = success_of(attack, network, config, parameters)
                items.keep(item, {"attack": name, "attempt": repeat, "named_by": "own label", **value})


def require_possible(network: Classifier, settings: LabelOnlyParameters) -> None:
    """Check that every attack can ask about an image at least.

    Raises:
        ConfigError: the queries are too few for evolution, or a surrogate does not go with the network.
    """
    each = Stability.COPIES + 1
    if settings.queries < each:
        raise ConfigError(
            f"parameters.queries: got {settings.queries}; expected {each} or more: what one image costs the "
            f"evolution on {Stability.COPIES} copies of it"
        )
    for name in settings.surrogates:
        surrogate = require_differentiable(load_classifier(name, device=network.device))
        for what in ("classes", "channels"):
            if getattr(surrogate, what) != getattr(network, what):
                raise ConfigError(
                    f"parameters.surrogates: {name} has other {what} than {network.name}, which it stands for"
                )


def success_of(
    attack: Attack, network: Classifier, config: RunConfig, settings: LabelOnlyParameters
) -> dict[str, Any]:
    """Run an attack, and return its curves over `queries`.

    Returns:
        `queries`; and after so many the shares of classes that have an image of which the network names the
        class (`named`), and one of at least the threshold's confidence (`fooled`); and the median confidence
        over all classes, 0 where there is no image.
    """
    target = Counted(LabelOnly(network))
    rows = []
    for found in attack(target, config, settings):
        confidence, named = torch.zeros(len(network.classes)), 0
        if found:
            classes = torch.tensor(list(found))
            predicted = network.predict(torch.stack(list(found.values())))
            named = int((predicted.logits.argmax(1).cpu() == classes).sum())
            confidence[classes] = predicted.probabilities.cpu().gather(1, classes[:, None])[:, 0]
        fooled = (confidence >= settings.threshold).float().mean()
        rows.append((target.queries, named / len(network.classes), float(fooled), _median(confidence)))
    columns = zip(*rows, strict=True)
    return dict(zip(("queries", "named", "fooled", "median"), map(list, columns), strict=True))


def _median(values: Tensor) -> float:
    return float(values.quantile(0.5))


def _encoding(target: Classifier, config: RunConfig) -> Any:
    return build_encoding(config.encoding, target.channels, config.encoding.size or target.input_size)
