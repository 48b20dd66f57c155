"""What the last layer of a network gets: the features that detectors look at."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from islands.classifiers.apart import one_thread
from islands.classifiers.contract import Classifier
from islands.classifiers.torch_classifier import TorchClassifier
from islands.errors import NetworkError

_BATCH = 64


def features_of(classifier: Classifier, images: Tensor) -> npt.NDArray[np.float32]:
    """Return what the layer that gives the logits gets: (n, F) of uint8 images (n, channels, H, W).

    Raises:
        NetworkError: the network is not one of torch, or ends in something else.
    """
    if not isinstance(classifier, TorchClassifier):
        raise NetworkError(f"{classifier.name} is no module of torch whose layers can be looked at")
    layers = [layer for layer in classifier.module.modules() if isinstance(layer, nn.Linear)]
    last: dict[str, Tensor] = {}

    def keep(_: nn.Module, inputs: tuple[Any, ...], outputs: Tensor) -> None:
        last["inputs"], last["outputs"] = inputs[0], outputs

    found = []
    handles = [layer.register_forward_hook(keep) for layer in layers]
    try:
        with one_thread(), torch.no_grad():
            for batch in images.split(_BATCH):
                last.clear()
                pixels = batch.to(classifier.device).to(torch.float32) / 255
                logits = classifier.logits(pixels)
                if "outputs" not in last or not _is_same(last["outputs"], logits):
                    raise NetworkError(f"{classifier.name} does not end in a linear layer that can be found")
                found.append(last["inputs"].float().cpu())
    finally:
        for handle in handles:
            handle.remove()
    return torch.cat(found).numpy()


def _is_same(outputs: Tensor, logits: Tensor) -> bool:
    return outputs.shape == logits.shape and bool(torch.allclose(outputs.float(), logits, atol=1e-4))
