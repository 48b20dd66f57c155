"""How good networks are at real images that they were not trained on, and how sure of them.

Accuracy stands beside every number about fooling, and confidence on real images is the yardstick for
confidence on made ones (supplement F of the paper).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from islands.classifiers.contract import Classifier
from islands.classifiers.registry import load_classifier, resolve_device
from islands.config import NetworkConfig
from islands.datasets.real import Real, real_images
from islands.errors import DataError
from islands.experiments.context import Context

STAGE = "test"

Array = npt.NDArray[np.generic]

_BATCH = 500


def run(context: Context[Any]) -> None:
    """Test every network of the experiment, evolved against or held out; one item for each, by its label.

    Where real images cannot be had, the rest of the experiment stands without.
    """
    items = context.items(STAGE)
    networks = {
        network.label: network
        for config in context.runs.values()
        for network in (config.network, *config.held_out)
    }
    for label, network in networks.items():
        if items.get(label) is not None:
            continue
        try:
            items.keep(label, *_measure(network, context))
        except DataError as error:
            context.say(f"{label} is not tested on real images: {error}")


def _measure(network: NetworkConfig, context: Context[Any]) -> tuple[dict[str, Any], dict[str, Array]]:
    context.say(f"testing {network.label} on real images")
    torch.set_num_threads(context.config.workers.threads)
    device = resolve_device(context.config.workers.device)
    classifier = load_classifier(**network.model_dump(), device=device)
    size = context.config.encoding.size or classifier.input_size
    real = real_images(classifier.classes, classifier.channels, size)
    if real is None:
        raise DataError(f"none are known of its {len(classifier.classes)} classes")
    return tested_on(classifier, real)


def tested_on(classifier: Classifier, real: Real) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return how often a network is right about labelled images, and how sure it is of them.

    Returns:
        `n`, `accuracy`, `data`, `fingerprint`, and the median of the top probability over all images, over
        those that it has right, and over those that it has wrong (None where there are none); and for each
        image (n,) its `confidence`, the top probability, and whether it is `right`.
    """
    predictions = [classifier.predict(batch).probabilities.max(1) for batch in real.images.split(_BATCH)]
    confidence = torch.cat([each.values for each in predictions]).cpu().numpy()
    # An image without finite scores has confidence 0, and is not taken for anything.
    right = (torch.cat([each.indices for each in predictions]).cpu().numpy() == real.labels) & (
        confidence > 0
    )
    item = {
        "fingerprint": classifier.fingerprint,
        "data": real.name,
        "n": len(right),
        "accuracy": float(right.mean()),
        "median_confidence": _median(confidence),
        "median_right": _median(confidence[right]),
        "median_wrong": _median(confidence[~right]),
    }
    return item, {"confidence": confidence, "right": right}


def _median(confidence: Any) -> float | None:
    return float(np.median(confidence)) if len(confidence) else None
