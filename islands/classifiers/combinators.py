"""Classifiers made of classifiers."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from islands.classifiers.contract import Classifier, Prediction, require_differentiable
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
        self.fingerprint = _fingerprint(self.kind, [member.fingerprint for member in members])
        self.members = members
        # Made once: a number that goes to an accelerator makes the host wait.
        self._count = torch.tensor(len(members), device=self.device)

    @property
    def mean(self) -> tuple[float, ...]:
        """What the first member subtracts from pixels in [0, 1]."""
        return require_differentiable(self.members[0]).mean

    @torch.inference_mode()
    def predict(self, images: Tensor) -> Prediction:
        """Score images; see `Classifier.predict`."""
        logits = self._combined([member.predict(images).logits for member in self.members])
        scores = Prediction(logits.softmax(1), logits)
        return scores.only(scores.finite)

    def logits(self, pixels: Tensor) -> Tensor:
        """Return logits on autograd's tape; see `Differentiable.logits`."""
        members = map(require_differentiable, self.members)
        return self._combined([member.logits(pixels.to(member.device)) for member in members])

    def _combined(self, logits: Sequence[Tensor]) -> Tensor:
        """Return logits (B, K) of those of the members."""
        log_probabilities = torch.stack([each.to(self.device).log_softmax(1) for each in logits])
        return self._reduced(log_probabilities)

    def _reduced(self, scores: Tensor) -> Tensor:
        """Return logits (B, K) of log probabilities (members, B, K)."""
        # The mean (paper, supplement B) in logarithms: what float32 rounds to 0 still tells images apart.
        return scores.logsumexp(0) - self._count.log()


class Weakest(Ensemble):
    """The least of the members' probabilities of each class: high only where every member is sure.

    What the members do not agree on is spread evenly over all K classes, so that the scores sum to 1: a class
    reads up to 1/K too high. Scaling the minima up instead would make an image certain of whatever little
    is left when the members contradict each other.
    """

    kind = "weakest"

    def _reduced(self, scores: Tensor) -> Tensor:
        least = scores.amin(0)
        # Rounding may take the sum above 1.
        contested = (1 - least.exp().sum(1, keepdim=True)).clamp(min=0)
        return torch.logaddexp(least, (contested / len(self.classes)).log())


class Stability:
    """The share of perturbed copies of an image that keep a label, for each label; asks for labels only.

    A fooling image that stays within its class when it is shifted and noisy lies deep in it: this is a
    confidence for networks that tell none. Each image costs `COPIES` queries; the perturbations are the same
    for all images: Gaussian noise of `NOISE` grey levels, and shifts by up to `SHIFT` pixels with wrapping.
    """

    COPIES = 20
    NOISE = 48.0
    SHIFT = 2

    def __init__(self, member: Classifier) -> None:
        self.name = f"stability:{member.name}"
        self.classes = member.classes
        self.channels = member.channels
        self.input_size = member.input_size
        self.device = member.device
        settings = f"{self.COPIES} {self.NOISE} {self.SHIFT}"
        self.fingerprint = _fingerprint(f"stability {settings}", [member.fingerprint])
        self.members = (member,)
        self._member = LabelOnly(member)
        self._shape: tuple[int, ...] = ()
        self._noise: list[Tensor] = []
        self._shifts: list[tuple[int, int]] = []

    @torch.inference_mode()
    def predict(self, images: Tensor) -> Prediction:
        """Score images; see `Classifier.predict`."""
        # The member refuses what does not fit; the noise has to have a shape before.
        if images.ndim != 4 or images.dtype != torch.uint8 or len(images) == 0:
            return self._member.predict(images)
        self._draw(tuple(images.shape[1:]))
        copies = (
            (images.to(self.device).roll(shift, (2, 3)) + noise).round().clamp(0, 255).to(torch.uint8)
            for shift, noise in zip(self._shifts, self._noise, strict=True)
        )
        share = torch.stack([self._member.predict(copy).probabilities for copy in copies]).mean(0)
        # The logarithm of 0 would count as a score that is not finite.
        return Prediction(share, share.log().clamp_min(-_CERTAIN))

    def _draw(self, shape: tuple[int, ...]) -> None:
        if shape == self._shape:
            return
        # On the CPU: generators of other devices draw other numbers from a seed.
        generator = torch.Generator().manual_seed(0)
        shifts = torch.randint(-self.SHIFT, self.SHIFT + 1, (self.COPIES, 2), generator=generator)
        noise = torch.randn((self.COPIES, *shape), generator=generator) * self.NOISE
        self._shifts = [(int(down), int(right)) for down, right in shifts]
        self._noise, self._shape = list(noise.to(self.device)), shape


class LabelOnly:
    """Hides everything but the top label: probability 1 for it, 0 for all others."""

    def __init__(self, member: Classifier) -> None:
        self.name = f"label-only:{member.name}"
        self.classes = member.classes
        self.channels = member.channels
        self.input_size = member.input_size
        self.device = member.device
        self.fingerprint = _fingerprint("label-only", [member.fingerprint])
        self.members = (member,)
        self._member = member

    @torch.inference_mode()
    def predict(self, images: Tensor) -> Prediction:
        """Score images; see `Classifier.predict`."""
        seen = self._member.predict(images)
        probabilities = one_hot(seen.logits.argmax(1), len(self.classes)).to(torch.float32)
        # `argmax` names some class even where all scores are NaN.
        return Prediction(probabilities, (probabilities - 1) * _CERTAIN).only(seen.finite)


def _fingerprint(kind: str, fingerprints: Sequence[str]) -> str:
    return hashlib.sha256(" ".join([kind, *fingerprints]).encode()).hexdigest()
