"""What a classifier promises."""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from islands.errors import NetworkError


class Prediction(NamedTuple):
    """Scores of B images over K classes, float32 on the classifier's device.

    `probabilities` (B, K) lie in [0, 1] and sum to 1 over K. `logits` (B, K) have the probabilities as their
    softmax; they tell apart confidences that float32 rounds to 1. Where a caller lets images be skipped whose
    scores are not finite, those have probabilities 0 and logits NaN.

    Example:
        >>> import torch
        >>> logits = torch.tensor([[0.0, 2.0], [0.0, torch.nan]])
        >>> islands.Prediction(logits.softmax(1), logits).finite
        tensor([ True, False])
    """

    probabilities: Tensor
    logits: Tensor

    @property
    def finite(self) -> Tensor:
        """Which images have scores: bool (B,)."""
        # A NaN or an infinity in any number makes the sum not finite.
        return (self.probabilities + self.logits).sum(1).isfinite()

    def only(self, finite: Tensor) -> Prediction:
        """Return the scores of images where `finite` (B,) holds, and mark the others as skipped."""
        rows = finite[:, None]
        return Prediction(self.probabilities.where(rows, 0), self.logits.where(rows, torch.nan))


class Classifier(Protocol):
    """A network together with its preprocessing, always in evaluation mode.

    Example:
        >>> import torch
        >>> class Brightness:
        ...     name, fingerprint, device = "brightness", "brightness 1", torch.device("cpu")
        ...     classes, channels, input_size = ("dark", "bright"), 1, 8
        ...     def predict(self, images):
        ...         mean = images.float().mean((1, 2, 3)) / 255
        ...         logits = 20 * torch.stack([0.5 - mean, mean - 0.5], 1)
        ...         return islands.Prediction(logits.softmax(1), logits)
        >>> run = islands.evolve(Brightness(), encoding="direct", generations=10)
        >>> run.elite("bright").confidence > 0.5
        True
    """

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


@runtime_checkable
class Differentiable(Classifier, Protocol):
    """A classifier that gradients pass through."""

    @property
    def mean(self) -> tuple[float, ...]:
        """What preprocessing subtracts from pixels in [0, 1]: one number, or one for each channel."""
        ...

    def logits(self, pixels: Tensor) -> Tensor:
        """Return logits (B, K) float32 of float32 pixels (B, channels, H, W) in [0, 1], on autograd's tape.

        At whole numbers of 1/255 they are those of `predict`.

        Raises:
            NetworkError: the network has no gradient, or its outputs do not fit.
        """
        ...


def require_differentiable(classifier: Classifier) -> Differentiable:
    """Return the classifier, as one that gradients pass through.

    Raises:
        NetworkError: it is none.
    """
    if not isinstance(classifier, Differentiable):
        raise NetworkError(
            f"{classifier.name}: got a classifier without gradients; expected a network of torch, or an "
            "ensemble of such"
        )
    return classifier


def log_odds(logits: Tensor) -> Tensor:
    """Return log(p / (1 - p)) for the softmax p of `logits` (B, K), without cancellation near p = 1."""
    total = logits.logsumexp(1, keepdim=True)
    others = total + torch.log1p(-(logits - total).exp())
    # For the top class 1 - p may cancel to nothing: sum over the rest instead.
    top = logits.argmax(1, keepdim=True)
    rest = logits.scatter(1, top, -torch.inf).logsumexp(1, keepdim=True)
    return logits - others.scatter(1, top, rest)
