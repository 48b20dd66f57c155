"""Classifiers made of classifiers."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from islands.classifiers.contract import Classifier, Prediction
from islands.errors import NetworkError

_CERTAIN = 1e4
"""A lead in logits that leaves the others a probability of exactly 0."""


class Ensemble:
    """The mean of the members' probabilities, as in the paper's supplement B.

    Every member sees the whole image, resized to what it looks at. Members may live on several devices;
    scores are gathered on that of the first.
    """

    kind = "ensemble"

    def __init__(self, members: Sequence[Classifier]) -> None:
        first = members[0]
        for member in members[1:]:
            for what in ("classes", "channels"):
                mine, theirs = getattr(first, what), getattr(member, what)
                if mine != theirs:
                    shown = (len(mine), len(theirs)) if what == "classes" else (mine, theirs)
                    raise NetworkError(
                        f"{self.kind}: got {first.name} with {shown[0]} and {member.name} with {shown[1]} "
                        f"{what}; expected members that agree in class names and channels"
                    )
        self.name = f"{self.kind}:" + "+".join(member.name for member in members)
        self.classes = first.classes
        self.channels = first.channels
        self.input_size = max(member.input_size for member in members)
        self.device = first.device
        self.fingerprint = _combined(self.kind, [member.fingerprint for member in members])
        self.members = members

    @torch.inference_mode()
    def predict(self, images: Tensor) -> Prediction:
        """Score images; see `Classifier.predict`."""
        scores = self._log_probabilities(images)
        logits = scores.logsumexp(0) - torch.tensor(len(scores), device=self.device).log()
        return Prediction(logits.softmax(1), logits)

    def _log_probabilities(self, images: Tensor) -> Tensor:
        """Return (members, B, K)."""
        parts = (member.predict(images).logits.to(self.device) for member in self.members)
        return torch.stack([logits.log_softmax(1) for logits in parts])


class Weakest(Ensemble):
    """The least of the members' probabilities of each class: high only where every member is sure.

    What the members do not agree on is spread evenly over all K classes, so that the scores sum to 1: a class
    reads up to 1/K too high. Scaling the minima up instead would make an image certain of whatever little
    is left when the members contradict each other.
    """

    kind = "weakest"

    @torch.inference_mode()
    def predict(self, images: Tensor) -> Prediction:
        """Score images; see `Classifier.predict`."""
        least = self._log_probabilities(images).amin(0)
        contested = (1 - least.exp().sum(1, keepdim=True)).clamp(min=0)
        logits = torch.logaddexp(least, (contested / len(self.classes)).log())
        return Prediction(logits.softmax(1), logits)


class LabelOnly:
    """Hides everything but the top label: probability 1 for it, 0 for all others."""

    def __init__(self, member: Classifier) -> None:
        self.name = f"label-only:{member.name}"
        self.classes = member.classes
        self.channels = member.channels
        self.input_size = member.input_size
        self.device = member.device
        self.fingerprint = _combined("label-only", [member.fingerprint])
        self._member = member

    @torch.inference_mode()
    def predict(self, images: Tensor) -> Prediction:
        """Score images; see `Classifier.predict`."""
        top = self._member.predict(images).logits.argmax(1)
        probabilities = one_hot(top, len(self.classes)).to(torch.float32)
        return Prediction(probabilities, (probabilities - 1) * _CERTAIN)


def _combined(kind: str, fingerprints: Sequence[str]) -> str:
    return hashlib.sha256(" ".join([kind, *fingerprints]).encode()).hexdigest()
