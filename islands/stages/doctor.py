"""Examines a configuration before a run: what `islands doctor` calls."""

from __future__ import annotations

import os
import resource
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from islands.archipelago.factory import SOURCE, require_comparable
from islands.archipelago.messages import NetworkFacts
from islands.archipelago.ray_session import connect
from islands.classifiers.checks import require_sound
from islands.classifiers.contract import Classifier
from islands.classifiers.registry import load_classifier, resolve_device
from islands.classifiers.screened import ScreenedClassifier
from islands.classifiers.torch_classifier import TorchClassifier
from islands.config import NetworkConfig, RunConfig, ScorersConfig, WorkersConfig
from islands.datasets.assets import ASSETS, PHOTOGRAPH_LABELS, pull
from islands.datasets.mnist import load_mnist
from islands.encodings.factory import build_encoding
from islands.errors import ConfigError, DataError, InputError
from islands.evolution.fitness import log_odds
from islands.migration.slices import class_slices
from islands.stages.train import missing_seeds
from islands.store.location import Location
from islands.store.writer import require_free

Verdict = Literal["ok", "warning", "failed", "skipped"]

_BATCH = 8
_DRIFT = 1e-3
_DIGITS = 500
_SCREENED = 16
_NARROW = 0.1
"""Black and white closer than this: some network divided by 255, or by a std of bytes, once too often."""
_ALIKE = 1e-4


@dataclass(frozen=True)
class Finding:
    """What a check found.

    Attributes:
        subject: what was checked.
        verdict: `failed` means that the run would fail or mean nothing.
        text: what was found, and what to do.
    """

    subject: str
    verdict: Verdict
    text: str


def examine(config: RunConfig) -> list[Finding]:
    """Check the networks, then the machine; writes nothing, and may fetch known pictures."""
    torch.set_num_threads(config.workers.threads)
    return [*_networks(config), *_machine(config)]


def _networks(config: RunConfig) -> Iterator[Finding]:
    if missing_seeds(config.network):
        yield Finding("network", "skipped", _untrained(config.network))
        return
    try:
        source = _load(config.network, config.workers.device)
        class_slices(len(source.classes), config.islands.count)
    except InputError as error:
        yield Finding("network", "failed", str(error))
        return
    yield Finding("network", "ok", _description(source))
    yield from _scores(source, config)
    yield from _held_out(config, source)


def _load(network: NetworkConfig, device: str) -> Classifier:
    return load_classifier(**network.model_dump(), device=resolve_device(device))


def _untrained(network: NetworkConfig) -> str:
    return f"{network.label} has not been trained here yet: the run begins with that, a minute or two"


def _description(classifier: Classifier) -> str:
    return (
        f"{classifier.name}: {len(classifier.classes)} classes, {classifier.channels} x "
        f"{classifier.input_size} x {classifier.input_size}, "
        f"fingerprint {classifier.fingerprint[:12]}, on {classifier.device}"
    )


def _held_out(config: RunConfig, source: Classifier) -> Iterator[Finding]:
    """Load each held-out network, as scorers will."""
    size = config.encoding.size or source.input_size
    facts = NetworkFacts.of(source, size)
    others = {facts.fingerprint: SOURCE}
    for place, network in enumerate(config.held_out):
        key = f"held_out.{place}"
        if missing_seeds(network):
            yield Finding(key, "skipped", _untrained(network))
            continue
        try:
            classifier = _load(network, config.scorers.device)
            require_comparable(f"got {network.label}", NetworkFacts.of(classifier, size), facts, others)
            require_sound(classifier, _pictures(classifier, size))
        except InputError as error:
            yield Finding(key, "failed", str(error))
            continue
        others[classifier.fingerprint] = key
        yield Finding(key, "ok", _description(classifier))
        yield replace(_preprocessing(classifier), subject=key)


def _scores(classifier: Classifier, config: RunConfig) -> Iterator[Finding]:
    size = config.encoding.size or classifier.input_size
    images = _pictures(classifier, size)
    try:
        require_sound(classifier, images)
        yield Finding(
            "scores",
            "ok",
            "finite probabilities that sum to 1, black and white included; repeatable; each image by itself",
        )
        yield _batch_dependence(classifier, images)
        yield _range(classifier, images)
        if isinstance(classifier, ScreenedClassifier):
            yield _screen(classifier, config, size)
    except InputError as error:
        yield Finding("scores", "failed", str(error))
        return
    yield _preprocessing(classifier)


def _pictures(classifier: Classifier, size: int) -> Tensor:
    """Return noise, with one black and one white picture among it."""
    images = torch.randint(
        256,
        (_BATCH, classifier.channels, size, size),
        dtype=torch.uint8,
        generator=torch.Generator().manual_seed(0),
    )
    images[0], images[1] = 0, 255
    return images


def _batch_dependence(classifier: Classifier, images: Tensor) -> Finding:
    together = classifier.predict(images).probabilities
    alone = torch.cat([classifier.predict(image[None]).probabilities for image in images])
    drift = (together - alone).abs().max().item()
    text = f"probabilities change by at most {drift:.1g} with the size of the batch"
    if drift > _DRIFT:
        return Finding(
            "batch", "warning", f"{text}; expected under {_DRIFT:g}: use network.precision float32"
        )
    return Finding("batch", "ok", text)


def _range(classifier: Classifier, images: Tensor) -> Finding:
    """Find pixels that are scaled twice or not at all, where no picture of a known class tells."""
    logits = classifier.predict(images).logits
    spread = (logits - logits[:1]).abs().max().item()
    fed = ""
    if isinstance(classifier, TorchClassifier):
        black, white = classifier.input_range
        fed = f"black is fed as {black:.3g} and white as {white:.3g}"
        if abs(white - black) < _NARROW:
            return Finding(
                "range",
                "failed",
                f"{fed}, so that all pictures look alike; expected them further apart: give mean and std of "
                "pixels in [0, 1], not of bytes",
            )
        fed += "; "
    if spread < _ALIKE:
        return Finding(
            "range",
            "failed",
            f"{fed}got the same scores for black, white and noise; expected scores that depend on the image: "
            "load the weights, and check mean and std",
        )
    return Finding("range", "ok", f"{fed}logits of black, white and noise differ by up to {spread:.3g}")


def _screen(classifier: ScreenedClassifier, config: RunConfig, size: int) -> Finding:
    """Measure the low precision on the images of generation 0."""
    encoding = build_encoding(config.encoding, classifier.channels, size)
    stream = torch.Generator(classifier.device).manual_seed(0)
    images = encoding.render(encoding.random(_SCREENED, stream))
    apart = log_odds(classifier.screen(images).logits) - log_odds(classifier.predict(images).logits)
    typical, largest = apart.square().mean().sqrt().item(), apart.abs().max().item()
    text = f"log-odds are off by {typical:.2g} as a rule, at most by {largest:.2g}; the margin is"
    if typical > classifier.margin / 4:
        return Finding(
            "screen",
            "warning",
            f"{text} {classifier.margin:g}; set network.screen_margin to {4 * typical:.2g}, or leave "
            "network.screen out: winners may be missed",
        )
    return Finding("screen", "ok", f"{text} {classifier.margin:g}")


def _preprocessing(classifier: Classifier) -> Finding:
    """Classify pictures whose class is known: a wrong normalisation shows in nothing else."""
    try:
        if len(classifier.classes) == 1000 and classifier.channels == 3:
            right, n, least = (
                _photographs_right(classifier),
                len(PHOTOGRAPH_LABELS),
                len(PHOTOGRAPH_LABELS) // 2,
            )
        elif classifier.classes == tuple("0123456789") and classifier.channels == 1:
            digits = load_mnist("test")
            top = classifier.predict(digits.images[:_DIGITS]).logits.argmax(1).cpu()
            right, n, least = int((top == digits.labels[:_DIGITS]).sum()), _DIGITS, _DIGITS * 4 // 5
        else:
            return Finding("preprocessing", "skipped", "no pictures of these classes are known here")
    except DataError as error:
        return Finding("preprocessing", "skipped", str(error))
    if right < least:
        return Finding(
            "preprocessing",
            "failed",
            f"got {right} of {n} known pictures right; expected at least {least}: the weights are untrained, "
            "or mean and std are wrong or applied twice",
        )
    return Finding("preprocessing", "ok", f"{right} of {n} known pictures are classified right")


def _photographs_right(classifier: Classifier) -> int:
    folder = pull(ASSETS["photographs"])
    right = 0
    for name, label in zip(ASSETS["photographs"].digests, PHOTOGRAPH_LABELS, strict=True):
        with Image.open(folder / name) as file:
            picture = file.convert("RGB").resize((classifier.input_size,) * 2)
        pixels = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None]
        right += int(classifier.predict(pixels).logits.argmax().item() == label)
    return right


def _machine(config: RunConfig) -> Iterator[Finding]:
    yield _checked(
        "device", lambda: f"{resolve_device(config.workers.device)} for {config.workers.count} workers"
    )
    if config.workers.executor == "ray":
        yield _checked("ray", lambda: _ray(config))
    yield _checked("store", lambda: _store(config))
    yield _disk(config)
    yield _memory(config)


def _checked(subject: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(subject, "ok", check())
    except InputError as error:
        return Finding(subject, "failed", str(error))


def _ray(config: RunConfig) -> str:
    import ray

    workers, scorers = config.workers, config.scorers if config.held_out else None
    mine = connect(config.ray, workers, scorers)
    try:
        resources = ray.cluster_resources()
    finally:
        if mine:
            ray.shutdown()
    offers = {name: resources.get(name, 0) for name in ("CPU", "GPU")}
    sections: list[WorkersConfig | ScorersConfig] = [workers, *([] if scorers is None else [scorers])]
    needs = {
        "CPU": sum(section.count * section.cpus for section in sections),
        "GPU": sum(section.count * section.gpus for section in sections),
    }
    text = f"Ray {ray.__version__} at {config.ray.address} offers {_amounts(offers)}"
    if all(needs[name] <= offers[name] for name in needs):
        return text
    actors = "workers" if scorers is None else "workers and scorers"
    if config.ray.address == "local":
        raise ConfigError(
            f"{text}; got {actors} that need {_amounts(needs)}: lower count, cpus or gpus of {actors}"
        )
    return f"{text}; {actors} need {_amounts(needs)}, and will wait up to {workers.wait_s:g} s for them"


def _amounts(resources: dict[str, float]) -> str:
    return " and ".join(f"{amount:g} {name}s" for name, amount in resources.items())


def _store(config: RunConfig) -> str:
    require_free(config.store)
    location = Location.of(config.store)
    if not location.is_local:
        return f"{location} is free, and its bucket can be reached"
    parent = _existing(location.path)
    if not os.access(parent, os.W_OK):
        raise InputError(f"store: {parent} cannot be written to; choose another folder")
    return f"{config.store} is free, and {parent} can be written to"


def _existing(path: Path) -> Path:
    return path if path.exists() else _existing(path.absolute().parent)


def _disk(config: RunConfig) -> Finding:
    location = Location.of(config.store)
    if not location.is_local:
        return Finding("disk", "skipped", "the store is in a bucket")
    free = shutil.disk_usage(_existing(location.path)).free
    text = f"{free / 1e9:.1f} GB free"
    if free < 1e9:
        return Finding(
            "disk",
            "warning",
            f"got {text}; expected 1 GB or more: lower checkpoint.keep, or choose another store",
        )
    return Finding("disk", "ok", text)


def _memory(config: RunConfig) -> Finding:
    """Compare what is free with what this process needed, for each worker."""
    unit = 1 if sys.platform == "darwin" else 1024
    each = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    need = each * (config.workers.count if config.workers.executor == "ray" else 1)
    if "SC_AVPHYS_PAGES" not in os.sysconf_names:
        return Finding(
            "memory", "skipped", f"workers need about {need / 1e9:.1f} GB; what is free is not known"
        )
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    text = f"workers need about {need / 1e9:.1f} GB, {free / 1e9:.1f} GB are free"
    if need > free:
        return Finding("memory", "warning", f"{text}; lower workers.count or network.batch_size")
    return Finding("memory", "ok", text)
