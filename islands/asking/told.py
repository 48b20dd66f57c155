"""What somebody else says of images: checked, and made what insertion takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from islands.classifiers.contract import Prediction
from islands.errors import InputError, NetworkError
from islands.evolution.fitness import TieBreak, fitness_of_probabilities
from islands.evolution.screening import Judgement, judged

Scores = npt.ArrayLike | Tensor | Prediction
"""Probabilities (B, K) as NumPy and torch have them, or what `Classifier.predict` returns."""

MOST = 1.01
"""What probabilities may sum to: those of half precision are off by a few thousandths."""


@dataclass(frozen=True)
class Teller:
    """Stands where a network would: whoever asks for images scores them.

    Attributes:
        name: by which stores call it.
        classes: the K class names.
        channels: of the images, 1 or 3.
        input_size: of the images, in pixels.
        device: where genomes live.
    """

    name: str
    classes: tuple[str, ...]
    channels: int
    input_size: int
    device: torch.device

    @property
    def fingerprint(self) -> str:
        """Of name and classes: nothing else is known."""
        return sha256("\n".join((self.name, *self.classes)).encode()).hexdigest()

    def predict(self, images: Tensor) -> Prediction:
        """Refuse: nobody is here to ask."""
        raise NetworkError(f"{self.name}: got {len(images)} images; expected none, its scores are told")


def judgement_of(
    scores: Scores, count: int, classes: Sequence[str], tie_break: TieBreak, device: torch.device
) -> Judgement:
    """Check scores and return what they mean for insertion.

    Args:
        scores: of `count` images for all classes.
        count: B.
        classes: the K class names.
        tie_break: what fitness is.
        device: where genomes live.

    Raises:
        InputError: they are no probabilities, or not as many as expected.
    """
    if isinstance(scores, Prediction):
        logits = _checked_type(scores.logits, "logits")
        probabilities = _checked(scores.probabilities, count, classes)
        if logits.shape != probabilities.shape or not bool(logits.isfinite().all()):
            raise InputError(
                f"scores: got logits of shape {tuple(logits.shape)}, or some that are not finite; expected "
                f"finite ones of shape {tuple(probabilities.shape)}, as the probabilities"
            )
        return judged(Prediction(probabilities.float().to(device), logits.float().to(device)), tie_break)
    probabilities = _checked(scores, count, classes).to(device)
    return Judgement(fitness_of_probabilities(probabilities, tie_break), probabilities.float())


def _checked_type(scores: npt.ArrayLike | Tensor, what: str) -> Tensor:
    if isinstance(scores, Tensor):
        tensor, kind = scores.detach(), str(scores.dtype).removeprefix("torch.")
    else:
        try:
            array = np.asarray(scores)
        except ValueError as error:
            raise InputError(f"scores: got rows of different lengths ({error}); expected an array") from None
        kind = str(array.dtype)
        # A copy: torch warns of arrays that may not be written to.
        tensor = torch.tensor(array) if array.dtype.kind == "f" else torch.empty(0, dtype=torch.bool)
    if not tensor.is_floating_point():
        raise InputError(f"scores: got {what} of type {kind}; expected floats, such as float32")
    return tensor


def _checked(scores: npt.ArrayLike | Tensor, count: int, classes: Sequence[str]) -> Tensor:
    found = _checked_type(scores, "numbers")
    expected = (count, len(classes))
    if found.shape != expected:
        raise InputError(
            f"scores: got shape {tuple(found.shape)}; expected {expected}, a row for each image of `ask()` "
            "and in it a number for each class"
        )
    if not bool((finite := found.isfinite()).all()):
        image = int((~finite.all(1)).nonzero()[0])
        raise InputError(
            f"scores: got numbers that are not finite for {int((~finite.all(1)).sum())} of {count} images, "
            f"first for image {image}; expected probabilities: give images that cannot be scored zeros"
        )
    if float(found.min()) < 0:
        image, class_ = (int(place) for place in (found < 0).nonzero()[0])
        raise InputError(
            f"scores: got {float(found[image, class_]):.4g} for image {image} and class {classes[class_]!r}; "
            "expected probabilities from 0 to 1: take the softmax of logits"
        )
    totals = found.double().sum(1)
    if float(totals.max()) > MOST:
        image = int(totals.argmax())
        raise InputError(
            f"scores: got numbers that sum to {float(totals[image]):.4g} for image {image}; expected "
            "probabilities, which sum to 1 at most: take the softmax of logits"
        )
    return found.clamp(max=1)
