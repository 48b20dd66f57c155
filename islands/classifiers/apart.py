"""Scores that depend on the image and the network alone, whatever other images are asked about."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from islands.classifiers.contract import Classifier, Prediction
from islands.classifiers.engines import TORCH, Engine
from islands.classifiers.openvino_engine import instruction_set
from islands.devices import host_waits

ENGINE_REASON = "engine_reason"
"""The condition that says why the engine is what it is."""


def predict_each(classifier: Classifier, images: Tensor) -> Prediction:
    """Score uint8 images (n, channels, H, W), n of at least 1, each in a batch of its own.

    Float sums depend on the number of images in a batch, and in a matrix whose rows lie unaligned in memory
    on the place of an image as well: of `svm-mnist`, odd places give other bits than even ones. So filling
    batches up would not do. A served network sees to it by itself, for each batch costs it queries.
    """
    if scores_each(classifier):
        return classifier.predict(images)
    return joined(classifier.predict(image[None]) for image in images)


def scores_each(classifier: Classifier) -> bool:
    """Tell whether a network gives an image the same scores whatever other images it is asked about."""
    return getattr(classifier, "scores_each", False)


def joined(predictions: Iterable[Prediction]) -> Prediction:
    """Return several predictions as one."""
    return Prediction(*(torch.cat(part) for part in zip(*predictions, strict=True)))


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one thread, as scorers do: float sums depend on the number."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def conditions(classifier: Classifier) -> dict[str, Any]:
    """Return what else the bits of scores depend on in this process: device, engine, batch size, versions.

    `ENGINE_REASON` alone is told for people.
    """
    import numba

    found = {"device": _kind(classifier.device), "torch": str(torch.__version__), "numba": numba.__version__}
    if engines := list(engines_of(classifier)):
        found["engine"] = " + ".join(dict.fromkeys(engine.name for engine in engines))
        found[ENGINE_REASON] = "; ".join(dict.fromkeys(engine.why for engine in engines))
        if any(engine.runs_here and engine.name != TORCH for engine in engines):
            found["instructions"] = instruction_set()
    if classifier.device.type == "cuda":
        found["cuda"] = f"{torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}"
    if sizes := list(dict.fromkeys(_batch_sizes(classifier))):
        found["batch_size"] = sizes[0] if len(sizes) == 1 else " + ".join(map(str, sizes))
    return found


def engines_of(classifier: Classifier) -> Iterator[Engine]:
    """Yield the engine of each network that a classifier is made of; none of a person's own classifier."""
    if isinstance(engine := getattr(classifier, "engine", None), Engine):
        yield engine
    for member in getattr(classifier, "members", ()):
        yield from engines_of(member)


def _batch_sizes(classifier: Classifier) -> Iterator[int]:
    """Yield the images per forward pass of each network that a classifier is made of."""
    size = getattr(classifier, "batch_size", None)
    if isinstance(size, int):
        yield size
        return
    for member in getattr(classifier, "members", ()):
        yield from _batch_sizes(member)


def _kind(device: torch.device) -> str:
    # Kernels differ from one model of GPU to the next, and on CPUs with the width of vectors.
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return device.type if host_waits(device) else f"{device.type}, {torch.backends.cpu.get_cpu_capability()}"
