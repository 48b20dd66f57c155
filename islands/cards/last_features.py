"""What the last layer of a network gets: the features that detectors look at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import local
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


class LastLayer:
    """Watches the layer that gives the logits of a network; any number of threads may ask.

    Whatever engine scores images, it is the module itself that is asked here.
    """

    def __init__(self, classifier: TorchClassifier, layer: nn.Linear) -> None:
        self.classifier = classifier
        self._last = local()
        self._handle = layer.register_forward_hook(self._keep)

    def __call__(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Return features (B, F) and logits (B, K), float32, of float32 pixels (B, channels, H, W) in [0, 1].

        Both are on autograd's tape where there is one.
        """
        logits = self.classifier.logits(pixels)
        return self._last.inputs.float(), logits

    def gives(self, logits: Tensor) -> bool:
        """Tell whether the layer gave `logits` when it was asked last."""
        outputs = getattr(self._last, "outputs", None)
        return (
            isinstance(outputs, Tensor)
            and outputs.shape == logits.shape
            and bool(torch.allclose(outputs.float(), logits, atol=1e-4))
        )

    def close(self) -> None:
        """Leave the network as it was."""
        self._handle.remove()

    def _keep(self, _: nn.Module, inputs: tuple[Any, ...], outputs: Tensor) -> None:
        self._last.inputs, self._last.outputs = inputs[0], outputs


@contextmanager
def watched(classifier: Classifier) -> Iterator[LastLayer]:
    """Give the last layer of a network, and leave the network as it was in the end.

    Raises:
        NetworkError: the network is not one of torch, or ends in something else.
    """
    if not isinstance(classifier, TorchClassifier):
        raise NetworkError(f"{classifier.name} is no module of torch whose layers can be looked at")
    size = classifier.input_size
    noise = torch.rand((2, classifier.channels, size, size), generator=torch.Generator().manual_seed(0))
    # The last linear layer is nearly always that of the logits.
    for layer in reversed([each for each in classifier.module.modules() if isinstance(each, nn.Linear)]):
        last = LastLayer(classifier, layer)
        try:
            with torch.no_grad():
                logits = classifier.logits(noise.to(classifier.device))
            if last.gives(logits):
                yield last
                return
        finally:
            last.close()
    raise NetworkError(f"{classifier.name} does not end in a linear layer that can be found")


def features_of(last: LastLayer, images: Tensor) -> npt.NDArray[np.float32]:
    """Return what the last layer gets: (n, F) of uint8 images (n, channels, H, W)."""
    found = []
    with one_thread(), torch.no_grad():
        for batch in images.split(_BATCH):
            features, _ = last(batch.to(last.classifier.device).to(torch.float32) / 255)
            found.append(features.cpu())
    return torch.cat(found).numpy()
