"""Two precisions: a quick replica says which images are worth scoring in float32."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from islands.classifiers.combinators import Ensemble
from islands.classifiers.contract import Classifier, Prediction, require_differentiable
from islands.classifiers.network_classifier import NetworkClassifier, Precision
from islands.errors import NetworkError

MARGINS: dict[Precision, float] = {"bfloat16": 0.5, "float16": 0.0625}
"""How far log-odds in low precision may be off, unless the configuration says otherwise.

Measured in bfloat16 over CPPN images: LeNet is off by 0.03 (root mean square; at most 0.22),
EfficientNet-Lite0 by 0.09 (2.2), torchvision's MobileNetV2 by 0.3 (2.6); float16, on EfficientNet-Lite0,
by 0.07 at most. Errors beyond the margin are rare, and matter only for a child that would have won: of 6,977
cells taken in 160 generations of 20 children on EfficientNet-Lite0, one seed, a bfloat16 margin of 0.125
missed 14, of 0.25 missed 4, of 0.5 none. `islands doctor` measures the network at hand.
"""


class ScreenedClassifier:
    """A classifier, and a replica of it in low precision.

    `predict` gives the exact scores, so that nothing else need know of the replica. Evolution asks `screen`
    first, and then `rescore` for the images that might win something; see `islands.evolution.screening`.

    Args:
        exact: scores in float32.
        replica: the same network in low precision.
        batch_size: images per forward pass of `exact`.
        margin: by which log-odds of the replica may be off, above 0.
    """

    def __init__(self, exact: Classifier, replica: Classifier, *, batch_size: int, margin: float) -> None:
        self.name = exact.name
        self.classes = exact.classes
        self.channels = exact.channels
        self.input_size = exact.input_size
        self.device = exact.device
        self.fingerprint = exact.fingerprint
        self.margin = margin
        self.members = (exact, replica)
        self._exact = exact
        self._replica = replica
        self.batch_size = batch_size

    @property
    def mean(self) -> tuple[float, ...]:
        """What is subtracted from pixels in [0, 1]."""
        return require_differentiable(self._exact).mean

    def logits(self, pixels: Tensor) -> Tensor:
        """Return exact logits on autograd's tape; see `Differentiable.logits`."""
        return require_differentiable(self._exact).logits(pixels)

    def predict(self, images: Tensor) -> Prediction:
        """Score images exactly; see `Classifier.predict`."""
        return self._exact.predict(images)

    def screen(self, images: Tensor) -> Prediction:
        """Score images quickly and inexactly; otherwise like `predict`."""
        return self._replica.predict(images)

    def rescore(self, images: Tensor) -> Prediction:
        """Score images (n, channels, H, W), n of at least 1, exactly, in batches of one size.

        Float sums depend on the shape of a batch, but not on what else is in it. With the last batch filled
        up, the scores of an image depend on that image alone, and are the bits that `predict` gives it in any
        full batch.
        """
        short = -len(images) % self.batch_size
        filled = torch.cat([images, images[:1].expand(short, -1, -1, -1)])
        probabilities, logits = self._exact.predict(filled)
        return Prediction(probabilities[: len(images)], logits[: len(images)])


def full_batch(classifier: Classifier) -> int:
    """Return a number of images that every network in `classifier` takes in full batches.

    Raises:
        NetworkError: there is a classifier whose scores do not depend on precision as those of a network do.
    """
    match classifier:
        case NetworkClassifier():
            return classifier.batch_size
        case Ensemble():
            return math.lcm(*map(full_batch, classifier.members))
    raise NetworkError(
        f"network.screen: got it for {classifier.name}, which shows no scores in low precision; expected "
        "null, or a network loaded by this package"
    )
