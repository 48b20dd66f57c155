"""Examines the networks of a configuration: whether their scores can be trusted."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from islands.archipelago.messages import NetworkFacts
from islands.archipelago.start import SOURCE, require_comparable
from islands.classifiers.apart import conditions
from islands.classifiers.checks import require_sound
from islands.classifiers.contract import Classifier, log_odds
from islands.classifiers.finite import describe_picture
from islands.classifiers.network_classifier import NetworkClassifier
from islands.classifiers.registry import load_classifier, resolve_device
from islands.classifiers.screened import ScreenedClassifier
from islands.classifiers.served_networks import served_members
from islands.config import NetworkConfig, WorkConfig
from islands.datasets.assets import ASSETS, pull
from islands.datasets.mnist import load_mnist
from islands.datasets.pictures import read_picture
from islands.datasets.real import photograph_labels
from islands.encodings.contract import Encoding
from islands.encodings.factory import attempt_drawing, build_encoding
from islands.errors import DataError, InputError
from islands.migration.slices import class_slices
from islands.runs.conditions import engine_of
from islands.training.digits import missing_seeds

_BATCH = 8
_DRIFT = 1e-3
_DIGITS = 500
_SCREENED = 16
_DRAWN = 8
"""Images that are drawn to compare devices, after nearly as many generations."""
_NARROW = 0.1
"""Black and white closer than this: some network divided by 255, or by a std of bytes, once too often."""
_ALIKE = 1e-4


@dataclass(frozen=True)
class Diagnosis:
    """What a check found.

    Attributes:
        subject: what was checked.
        verdict: `failed` means that the run would fail or mean nothing.
        text: what was found, and what to do.
    """

    subject: str
    verdict: Literal["ok", "warning", "failed", "skipped"]
    text: str


def diagnose_source(config: WorkConfig) -> tuple[Classifier | None, list[Diagnosis]]:
    """Load the source network, show it noise, and known pictures where there are any; may fetch those.

    Returns:
        The network, None where it cannot be had, and what was found.
    """
    if missing_seeds(config.network):
        return None, [Diagnosis("network", "skipped", _untrained(config.network))]
    try:
        with _remarks("network") as remarks:
            device = resolve_device(config.workers.device, has_gpu=config.workers_have_gpus)
            source = load_classifier(**config.network.model_dump(), device=device)
        class_slices(len(source.classes), config.islands.count)
    except InputError as error:
        return None, [Diagnosis("network", "failed", str(error))]
    found = [Diagnosis("network", "ok", _description(source)), *remarks, _engine(source)]
    return source, [*found, *_scores(source, config), *_queries(source)]


@contextmanager
def _remarks(subject: str) -> Iterator[list[Diagnosis]]:
    """Collect what loading a network warns of."""
    found: list[Diagnosis] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(Diagnosis(subject, "warning", record.getMessage()))

    logger, handler = logging.getLogger("islands.classifiers"), Handler(logging.WARNING)
    logger.addHandler(handler)
    try:
        yield found
    finally:
        logger.removeHandler(handler)


def _untrained(network: NetworkConfig) -> str:
    return f"{network.label} has not been trained here yet: the run begins with that, a minute or two"


def _description(classifier: Classifier) -> str:
    return (
        f"{classifier.name}: {len(classifier.classes)} classes, {classifier.channels} x "
        f"{classifier.input_size} x {classifier.input_size}, "
        f"fingerprint {classifier.fingerprint[:12]}, on {classifier.device}"
    )


def _engine(classifier: Classifier, subject: str = "engine") -> Diagnosis:
    return Diagnosis(subject, "ok", engine_of(conditions(classifier)))


def _queries(classifier: Classifier, subject: str = "queries") -> Iterator[Diagnosis]:
    for served in served_members(classifier):
        yield Diagnosis(subject, "ok", f"{served.name}: {served.queries}")


def diagnose_held_out(config: WorkConfig, source: Classifier) -> Iterator[Diagnosis]:
    """Load each held-out network, as scorers will, and show it the same."""
    size = config.encoding.size or source.input_size
    facts = NetworkFacts.of(source, size)
    others = {facts.fingerprint: SOURCE}
    for place, network in enumerate(config.held_out):
        key = f"held_out.{place}"
        if missing_seeds(network):
            yield Diagnosis(key, "skipped", _untrained(network))
            continue
        try:
            network = network.as_held_out
            with _remarks(key) as remarks:
                device = resolve_device(config.scorers.device, has_gpu=config.scorers_have_gpus)
                classifier = load_classifier(**network.model_dump(), device=device)
            require_comparable(f"got {network.label}", NetworkFacts.of(classifier, size), facts, others)
            require_sound(classifier, _pictures(classifier, size), network.not_finite)
        except InputError as error:
            yield Diagnosis(key, "failed", str(error))
            continue
        others[classifier.fingerprint] = key
        yield Diagnosis(key, "ok", _description(classifier))
        yield from remarks
        yield _engine(classifier, key)
        yield replace(_preprocessing(classifier), subject=key)
        yield from _queries(classifier, key)


def _scores(classifier: Classifier, config: WorkConfig) -> Iterator[Diagnosis]:
    size = config.encoding.size or classifier.input_size
    images = _pictures(classifier, size)
    try:
        finite = require_sound(classifier, images, config.network.not_finite).finite.cpu()
        yield _finiteness(images, finite)
        images = images[finite]
        yield _batch_dependence(classifier, images)
        yield _range(classifier, images)
        if isinstance(classifier, ScreenedClassifier):
            yield _screen(classifier, config, size)
    except InputError as error:
        yield Diagnosis("scores", "failed", str(error))
        return
    yield _preprocessing(classifier)


def _finiteness(images: Tensor, finite: Tensor) -> Diagnosis:
    if finite.all():
        text = (
            "finite probabilities that sum to 1, black and white included; repeatable; each image by itself"
        )
        return Diagnosis("scores", "ok", text)
    return Diagnosis(
        "scores",
        "warning",
        f"no finite scores for {int((~finite).sum())} of {len(images)} pictures, first for "
        f"{describe_picture(images[~finite][0])}: they are skipped; the others get probabilities that sum to "
        "1; repeatable; each image by itself",
    )


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


def _batch_dependence(classifier: Classifier, images: Tensor) -> Diagnosis:
    together = classifier.predict(images).probabilities
    alone = torch.cat([classifier.predict(image[None]).probabilities for image in images])
    drift = (together - alone).abs().max().item()
    text = f"probabilities change by at most {drift:.1g} with the size of the batch"
    if drift > _DRIFT:
        return Diagnosis(
            "batch", "warning", f"{text}; expected under {_DRIFT:g}: use network.precision float32"
        )
    return Diagnosis("batch", "ok", text)


def _range(classifier: Classifier, images: Tensor) -> Diagnosis:
    """Find pixels that are scaled twice or not at all, where no picture of a known class tells."""
    logits = classifier.predict(images).logits
    spread = (logits - logits[:1]).abs().max().item()
    fed = ""
    if isinstance(classifier, NetworkClassifier):
        black, white = classifier.input_range
        fed = f"black is fed as {black:.3g} and white as {white:.3g}"
        if abs(white - black) < _NARROW:
            return Diagnosis(
                "range",
                "failed",
                f"{fed}, so that all pictures look alike; expected them further apart: give mean and std of "
                "pixels in [0, 1], not of bytes",
            )
        fed += "; "
    if spread < _ALIKE:
        return Diagnosis(
            "range",
            "failed",
            f"{fed}got the same scores for black, white and noise; expected scores that depend on the image: "
            "load the weights, and check mean and std",
        )
    return Diagnosis("range", "ok", f"{fed}logits of black, white and noise differ by up to {spread:.3g}")


def diagnose_drawing(encoding: Encoding, device: torch.device) -> Diagnosis:
    """Draw on a device what evolution draws: kernels may not compile there, or draw other bytes than a CPU.

    What a store exports is drawn on a CPU.
    """
    stream = torch.Generator().manual_seed(0)
    genomes = encoding.random(_DRAWN, stream)
    for generation in range(1, _DRAWN):
        genomes = encoding.compact(encoding.vary(genomes, genomes, generation, stream).genomes)
    try:
        drawn = attempt_drawing(encoding, genomes.to(device)).cpu()
    except InputError as error:
        return Diagnosis("drawing", "failed", str(error))
    different = int((drawn != encoding.render(genomes)).sum())
    if different:
        return Diagnosis(
            "drawing",
            "failed",
            f"got {different} of {drawn.numel()} bytes drawn on {device} that differ from those of the CPU; "
            "expected none, for what a store exports would not be what was scored: set workers.device to cpu",
        )
    return Diagnosis("drawing", "ok", f"{_DRAWN} images drawn on {device} have the bytes of the CPU")


def _screen(classifier: ScreenedClassifier, config: WorkConfig, size: int) -> Diagnosis:
    """Measure the low precision on the images of generation 0."""
    encoding = build_encoding(config.encoding, classifier.channels, size)
    stream = torch.Generator(classifier.device).manual_seed(0)
    images = encoding.render(encoding.random(_SCREENED, stream))
    apart = log_odds(classifier.screen(images).logits) - log_odds(classifier.predict(images).logits)
    apart = apart[apart.isfinite().all(1)]
    if len(apart) == 0:
        return Diagnosis(
            "screen",
            "warning",
            "no image gets finite scores in low precision, so that all are scored again; leave "
            "network.screen out",
        )
    typical, largest = apart.square().mean().sqrt().item(), apart.abs().max().item()
    text = f"log-odds are off by {typical:.2g} as a rule, at most by {largest:.2g}; the margin is"
    if typical > classifier.margin / 4:
        return Diagnosis(
            "screen",
            "warning",
            f"{text} {classifier.margin:g}; set network.screen_margin to {4 * typical:.2g}, or leave "
            "network.screen out: winners may be missed",
        )
    return Diagnosis("screen", "ok", f"{text} {classifier.margin:g}")


def _preprocessing(classifier: Classifier) -> Diagnosis:
    """Classify pictures whose class is known: a wrong normalisation shows in nothing else."""
    try:
        if classifier.channels == 3 and (labels := photograph_labels(classifier.classes)):
            right, n, least = _photographs_right(classifier, labels), len(labels), len(labels) // 2
        elif classifier.classes == tuple("0123456789") and classifier.channels == 1:
            digits = load_mnist("test")
            top = classifier.predict(digits.images[:_DIGITS]).logits.argmax(1).cpu()
            right, n, least = int((top == digits.labels[:_DIGITS]).sum()), _DIGITS, _DIGITS * 4 // 5
        else:
            return Diagnosis("preprocessing", "skipped", "no pictures of these classes are known here")
    except DataError as error:
        return Diagnosis("preprocessing", "skipped", str(error))
    if right < least:
        return Diagnosis(
            "preprocessing",
            "failed",
            f"got {right} of {n} known pictures right; expected at least {least}: the weights are untrained, "
            "or mean and std are wrong or applied twice",
        )
    return Diagnosis("preprocessing", "ok", f"{right} of {n} known pictures are classified right")


def _photographs_right(classifier: Classifier, labels: Sequence[int]) -> int:
    folder = pull(ASSETS["photographs"])
    right = 0
    for name, label in zip(ASSETS["photographs"].digests, labels, strict=True):
        picture = Image.fromarray(read_picture(folder / name, channels=3))
        picture = picture.resize((classifier.input_size,) * 2)
        pixels = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None]
        right += int(classifier.predict(pixels).logits.argmax().item() == label)
    return right
