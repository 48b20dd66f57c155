"""Climbs the gradient of a class's probability: fooling images without evolution (paper, section 3.9).

The rules are those of the released code (`ascent/*.py` of its branch `ascent`), for many images at once. An
image is kept as its difference from the network's mean, in grey levels 0 to 255. Where the released code
stores the last image as its best, the best one is stored here, and the last as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from islands.classifiers.contract import Classifier, Differentiable, require_differentiable
from islands.classifiers.registry import load_classifier, resolve_device
from islands.classifiers.torchvision_cpu import import_torchvision
from islands.errors import ConfigError
from islands.experiments.context import Context
from islands.experiments.parameters import PAPER_CLASSES, AscentParameters, AscentSettings

STAGE = "ascend"
THRESHOLDS = {"0.99": 0.99, "0.999": 0.999, "0.9999": 0.9999}
SNAPSHOTS = ("label", *THRESHOLDS, "best", "last")
"""Which images are stored: the first of which the network names the class, the first above each threshold,
the one of highest probability, and the last."""

_IMAGENET_CLASSES = 1000
_LEAST_BLUR = 0.3
_TRUNCATE = 4
"""Standard deviations at which the Gaussian blur ends, as in scipy, which the released code uses."""


class Snapshot(NamedTuple):
    """The images of n ascents at one point of theirs.

    Attributes:
        images: uint8 (n, channels, size, size).
        iterations: (n,) int64, steps made before; -1 where the point was never reached.
    """

    images: Tensor
    iterations: Tensor


def ascend(
    network: Differentiable, targets: Tensor, start: Tensor, mean: Tensor, settings: AscentSettings
) -> dict[str, Snapshot]:
    """Climb from `start`; images do not see each other.

    Args:
        network: gives the gradient.
        targets: (n,) int64, the class of each image.
        start: (n, channels, size, size), grey levels.
        mean: (1, channels, 1, 1), grey levels.
        settings: how.

    Returns:
        A snapshot for each name in `SNAPSHOTS`.
    """
    n = len(targets)
    kept = {
        name: Snapshot(torch.zeros_like(start, dtype=torch.uint8), torch.full((n,), -1, device=start.device))
        for name in SNAPSHOTS
    }
    best = torch.full((n,), -1.0, device=start.device)
    x = start - mean
    for iteration in range(settings.iterations + 1):
        pixels = (x + mean).clamp(0, 255)
        probability, gradient, named = _gradient(network, pixels, targets)
        reached = {name: probability > threshold for name, threshold in THRESHOLDS.items()} | {"label": named}
        due = {name: now & (kept[name].iterations < 0) for name, now in reached.items()}
        due |= {"best": probability > best, "last": torch.ones_like(named)}
        images = pixels.round().to(torch.uint8)
        for name, rows in due.items():
            kept[name].images[rows] = images[rows]
            kept[name].iterations[rows] = iteration
        best = torch.maximum(best, probability)
        x = _step(pixels - mean, probability, gradient, iteration, settings)
    return kept


def _gradient(network: Differentiable, pixels: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the probability p of each image's class, the gradient of log p, and whether p is the highest.

    The gradient of p itself, which is p times that, would round to nothing for far classes.
    """
    pixels = pixels.detach().requires_grad_()
    with torch.enable_grad():
        logits = network.logits(pixels / 255)
        log_p = logits.log_softmax(1).gather(1, targets[:, None])[:, 0]
    (gradient,) = torch.autograd.grad(log_p.sum(), pixels)
    return log_p.detach().exp(), gradient, logits.argmax(1) == targets


def _step(
    x: Tensor, probability: Tensor, gradient: Tensor, iteration: int, settings: AscentSettings
) -> Tensor:
    """Return the images after one step and its regularisation."""
    p = probability.double()
    square = p.square() * gradient.double().square().sum((1, 2, 3))
    desired = (settings.late_progress * (1 - p)).clamp_max(settings.early_progress)
    rate = (desired / square).nan_to_num(0, posinf=torch.inf).clamp_max(settings.largest_rate)
    x = x + (rate * p).float()[:, None, None, None] * gradient
    x = x * (1 - settings.decay)
    if settings.blur and iteration % settings.blur_every == 0:
        x = _blurred(x, settings.blur)
    clips: tuple[tuple[float, Callable[[Tensor], Tensor]], ...] = (
        (settings.small_value, lambda x: x.abs()),
        (settings.small_norm, lambda x: x.norm(dim=1, keepdim=True)),
        (settings.small_benefit, lambda x: (gradient * -x).sum(1, keepdim=True)),
        (settings.small_absolute_benefit, lambda x: (gradient * -x).sum(1, keepdim=True).abs()),
    )
    # Each measures what the one before left.
    for percentile, size_of in clips:
        if percentile:
            measured = size_of(x)
            limit = measured.flatten(1).quantile(percentile / 100, dim=1)
            x = x * (measured >= limit[:, None, None, None])
    return x


def _blurred(x: Tensor, radius: float) -> Tensor:
    import_torchvision()
    from torchvision.transforms.functional import gaussian_blur

    reach = int(_TRUNCATE * radius + 0.5)
    # As scipy does, the edge counts twice; what torchvision adds beyond is cut off again.
    down, right = (torch.from_numpy(np.pad(np.arange(n), reach, "symmetric")) for n in x.shape[2:])
    size = 2 * reach + 1
    blurred: Tensor = gaussian_blur(x[:, :, down][..., right], [size, size], [radius, radius])
    return blurred[:, :, reach:-reach, reach:-reach] if reach else x


def starts(
    kind: str, shape: tuple[int, int, int], mean: Tensor, seed: int, pairs: list[tuple[int, int]]
) -> Tensor:
    """Return first images (n, *shape) in grey levels, one for each pair of class and number of start."""
    images = []
    for class_, number in pairs:
        keys = np.random.SeedSequence([seed, class_, number])
        generator = torch.Generator().manual_seed(int(keys.generate_state(1)[0]))
        if kind == "uniform":
            images.append(torch.rand(shape, generator=generator) * 255)
        else:
            noise = torch.randn(shape, generator=generator)
            images.append(mean[0].cpu() + (noise if kind == "mean_plus" else 0 * noise))
    return torch.stack(images).to(mean.device)


def mean_of(network: Differentiable, own: list[float] | None = None) -> Tensor:
    """Return the mean (1, channels, 1, 1) in grey levels: `own`, or what the network subtracts."""
    levels = own if own is not None else [255 * value for value in network.mean]
    if len(levels) not in (1, network.channels):
        raise ConfigError(
            f"parameters.mean: got {len(levels)} numbers; expected {network.channels}, one for each channel"
        )
    mean = torch.tensor(levels, dtype=torch.float32, device=network.device).view(1, -1, 1, 1)
    return mean.expand(1, network.channels, 1, 1)


def run(context: Context[AscentParameters]) -> None:
    """Climb on the network and on each held-out one; an item for each class and start of each way."""
    parameters = context.parameters
    items = context.items(STAGE)
    _require_meant(parameters)
    torch.set_num_threads(context.config.workers.threads)
    for config in (context.config.network, *context.config.held_out):
        device = resolve_device(context.config.workers.device)
        network = require_differentiable(load_classifier(**config.model_dump(), device=device))
        classes = _classes(parameters, len(network.classes))
        pairs = [(class_, number) for class_ in classes for number in range(parameters.starts)]
        for way in parameters.settings:
            # Whole batches only: how images are batched is part of the result.
            for at in range(0, len(pairs), parameters.batch):
                batch = pairs[at : at + parameters.batch]
                names = {pair: f"{config.label} {way} {pair[0]} {pair[1]}" for pair in batch}
                if all(items.get(name) is not None for name in names.values()):
                    continue
                context.say(f"climbing on {config.label}, {way}: {len(batch)} at once")
                _climb(context, network, config.label, way, names)


def _require_meant(parameters: AscentParameters) -> None:
    """Refuse what would do less than it says."""
    for way, settings in parameters.settings.items():
        # The released code refuses it as well; from 0.125 down, nothing would be blurred.
        if 0 < settings.blur < _LEAST_BLUR:
            raise ConfigError(
                f"parameters.settings.{way}.blur: got {settings.blur:g}; expected 0, or {_LEAST_BLUR} or more"
            )
    if parameters.imagenet_classes > len(PAPER_CLASSES):
        raise ConfigError(
            f"parameters.imagenet_classes: got {parameters.imagenet_classes}; the paper has "
            f"{len(PAPER_CLASSES)}; name more in parameters.classes"
        )


def _classes(parameters: AscentParameters, class_count: int) -> list[int]:
    if parameters.classes is None:
        imagenet = class_count == _IMAGENET_CLASSES
        return list(PAPER_CLASSES[: parameters.imagenet_classes] if imagenet else range(class_count))
    if outside := [class_ for class_ in parameters.classes if class_ >= class_count]:
        raise ConfigError(f"parameters.classes: got {outside[0]}; expected less than {class_count}")
    return parameters.classes


def _climb(
    context: Context[AscentParameters],
    network: Differentiable,
    label: str,
    way: str,
    names: Mapping[tuple[int, int], str],
) -> None:
    """Climb from the starts of a batch, and keep each image under its name."""
    parameters, items = context.parameters, context.items(STAGE)
    pairs, size = list(names), context.config.encoding.size or network.input_size
    mean = mean_of(network, parameters.mean)
    start = starts(parameters.start, (network.channels, size, size), mean, context.config.seed, pairs)
    targets = torch.tensor([class_ for class_, _ in pairs], device=network.device)
    kept = ascend(network, targets, start, mean, parameters.settings[way])
    confidence = {name: confidence_of(network, kept[name].images, targets) for name in SNAPSHOTS}
    for row, ((class_, number), item) in enumerate(names.items()):
        iterations = {name: int(kept[name].iterations[row]) for name in SNAPSHOTS}
        there = [name for name, iteration in iterations.items() if iteration >= 0]
        value: dict[str, Any] = {
            "network": label,
            "fingerprint": network.fingerprint,
            "way": way,
            "class": class_,
            "start": number,
            "iterations": {name: iterations[name] for name in there},
            "confidence": {name: float(confidence[name][row]) for name in there},
        }
        items.keep(item, value, {name: kept[name].images[row].cpu().numpy() for name in there})


def confidence_of(network: Classifier, images: Tensor, targets: Tensor) -> Tensor:
    """Return the probability (n,) of each 8-bit image's class."""
    return network.predict(images).probabilities.gather(1, targets[:, None])[:, 0].cpu()
