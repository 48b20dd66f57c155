"""Networks with something around them: as a defender changes them, or as an attacker sees them."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod

import torch
from torch import Tensor

from islands.cards.last_features import LastLayer
from islands.classifiers.contract import Classifier, Prediction
from islands.classifiers.engines import TORCH, Engine


class Wrapped:
    """What a classifier has beside its scores."""

    def __init__(self, kind: str, member: Classifier, told: object) -> None:
        """Take the network inside, and what else the scores follow from, for the fingerprint."""
        self.name = f"{kind}:{member.name}"
        self.classes = member.classes
        self.channels = member.channels
        self.input_size = member.input_size
        self.device = member.device
        self.fingerprint = hashlib.sha256(f"{kind} {told} {member.fingerprint}".encode()).hexdigest()


class OfFeatures(Wrapped, ABC):
    """A classifier whose scores follow from features and logits, which torch computes."""

    def __init__(self, kind: str, last: LastLayer, told: object) -> None:
        """Take a network whose last layer is watched; see `Wrapped`."""
        super().__init__(kind, last.classifier, told)
        self.batch_size = last.classifier.batch_size
        self.engine = Engine(TORCH, "features are looked at")
        self._last = last

    @torch.inference_mode()
    def predict(self, images: Tensor) -> Prediction:
        """Score images; see `Classifier.predict`."""
        found = []
        for batch in images.to(self.device).split(self.batch_size):
            features, logits = self._last(batch.to(torch.float32) / 255)
            # On the CPU, in float64: squares would drown in float32, which is all that some devices have.
            found.append(self._scores(features.cpu().to(torch.float64), logits))
        logits = torch.cat(found)
        prediction = Prediction(logits.softmax(1), logits)
        return prediction.only(prediction.finite)

    @abstractmethod
    def _scores(self, features: Tensor, logits: Tensor) -> Tensor:
        """Return logits (B, number of classes) float32, of features (B, F) float64 on the CPU and logits."""
