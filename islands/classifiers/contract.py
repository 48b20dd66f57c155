"""What a classifier promises."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import Tensor


class Prediction(NamedTuple):
    """Scores of B images over K classes, float32 on the classifier's device.

    `probabilities` (B, K) lie in [0, 1] and sum to 1 over K. `logits` (B, K) have the probabilities as their
    softmax; they tell apart confidences that float32 rounds to 1.
    """

    probabilities: Tensor
    logits: Tensor


class Classifier(Protocol):
    """A network together with its preprocessing, always in evaluation mode."""

    @property
    def name(self) -> str:
        """The registry name that loads this classifier again."""
        ...

    @property
    def classes(self) -> tuple[str, ...]:
        """The K class names, in the order of the outputs."""
        ...

    @property
    def channels(self) -> int:
        """1 for grey images, 3 for RGB."""
        ...

    @property
    def input_size(self) -> int:
        """Height and width that the network looks at, in pixels."""
        ...

    @property
    def fingerprint(self) -> str:
        """Sha256 over weights, preprocessing and precision: equal fingerprints score alike."""
        ...

    @property
    def device(self) -> torch.device:
        """Where images are scored."""
        ...

    def predict(self, images: Tensor) -> Prediction:
        """Score uint8 images (B, channels, H, W).

        Raises:
            NetworkError: the images' type, channels or size do not fit, or the network gave scores that are
                not probabilities.
        """
        ...
