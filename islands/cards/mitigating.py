"""What helps: a network with one mitigation, and the attacks on it once more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from islands.cards.attack_results import OWN_LEVEL, reached_by, scores_of
from islands.cards.card import AttackResult, Mitigated, Mitigation
from islands.cards.detectors import Floats, Seen, fitted_temperature
from islands.cards.evolving import Attack
from islands.cards.images_to_fool import LEVELS
from islands.cards.last_features import LastLayer
from islands.cards.noticing import LEAST_REAL, Looks, elites, random_pictures
from islands.cards.real_level import Pictures, RealLevel, halves, level_of, logits_of
from islands.cards.wrapped import OfFeatures, Wrapped
from islands.classifiers.combinators import Ensemble
from islands.classifiers.contract import Classifier, Prediction
from islands.errors import InputError
from islands.store.reader import StoreReader

Kind = Literal["none-of-the-above", "temperature", "ensemble"]
KINDS: tuple[Kind, ...] = get_args(Kind)

GARBAGE = "none of the above"

WHAT: dict[Kind, str] = {
    "none-of-the-above": (
        "a class more for what belongs to none: a row of the last layer that learnt evolved images of other "
        "seeds, and random ones, from real pictures; all else of the network is as it was"
    ),
    "temperature": "logits divided by the temperature that fits real pictures best",
    "ensemble": "the mean of the probabilities of the network and of those that it was compared with",
}
"""What each is, in words."""

_WEIGHT_DECAY = 1e-3
"""Of the row of the garbage class, on features of unit variance."""


class Tempered(Wrapped):
    """A network whose logits are divided by a temperature."""

    def __init__(self, member: Classifier, temperature: float) -> None:
        super().__init__("tempered", member, f"{temperature:.9g}")
        self.members = (member,)
        self._member, self._temperature = member, temperature

    @torch.inference_mode()
    def predict(self, images: Tensor) -> Prediction:
        """Score images; see `Classifier.predict`."""
        seen = self._member.predict(images)
        logits = seen.logits / self._temperature
        return Prediction(logits.softmax(1), logits).only(seen.finite)


class WithGarbage(OfFeatures):
    """A network with a class more, the last: that of what belongs to no class."""

    def __init__(self, last: LastLayer, row: Floats, bias: float) -> None:
        """Take the row (F,) of the last layer for the class, and its bias."""
        super().__init__("none-of-the-above", last, " ".join(f"{each:.6g}" for each in (bias, *row)))
        self.classes = (*self.classes, GARBAGE)
        self._row, self._bias = torch.from_numpy(np.asarray(row, np.float64)), bias

    def _scores(self, features: Tensor, logits: Tensor) -> Tensor:
        garbage = (features @ self._row + self._bias).to(logits)
        return torch.cat([logits, garbage[:, None]], 1)


class Row(NamedTuple):
    """What a layer gets for a class more: weights (F,) and a bias."""

    weights: npt.NDArray[np.float64]
    bias: float


def garbage_row(real: Seen, garbage: Seen) -> Row:
    """Return the row of a class more that best tells garbage from real pictures.

    The rows of the other classes stay, so that the loss, cross-entropy with as much weight on all garbage as
    on all real pictures, is convex, and needs no classes of the pictures: that they are no garbage is enough.
    """
    from scipy.optimize import minimize
    from scipy.special import expit, logsumexp

    assert real.features is not None
    assert garbage.features is not None
    both = np.concatenate([real.features, garbage.features]).astype(np.float64)
    mean, spread = both.mean(0), both.std(0)
    spread[spread == 0] = 1
    standard = np.column_stack([(both - mean) / spread, np.ones(len(both))])
    others = logsumexp(np.concatenate([real.logits, garbage.logits]).astype(np.float64), axis=1)
    is_real = np.arange(len(both)) < len(real.logits)
    weights = np.where(is_real, 1 / is_real.sum(), 1 / (~is_real).sum())

    def loss(row: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        lead = standard @ row - others
        losses = np.logaddexp(0, np.where(is_real, lead, -lead))
        slopes = weights * (expit(lead) - ~is_real)
        return (
            float(weights @ losses + _WEIGHT_DECAY * row[:-1] @ row[:-1]),
            standard.T @ slopes + 2 * _WEIGHT_DECAY * np.append(row[:-1], 0),
        )

    found = minimize(loss, np.zeros(standard.shape[1]), jac=True, method="L-BFGS-B").x
    row = found[:-1] / spread
    return Row(row, float(found[-1] - row @ mean))


def require_possible(
    kind: Kind, looks: Looks, pictures: Pictures | None, others: Sequence[Classifier]
) -> None:
    """Check that a mitigation can be had.

    Raises:
        InputError: it cannot; the line says what it needs.
    """
    if kind not in KINDS:
        raise InputError(f"mitigate: got {kind!r}; expected one of {', '.join(KINDS)}")
    flag, name = f"--mitigate {kind}:", looks.classifier.name
    if kind == "ensemble":
        if not others:
            raise InputError(f"{flag} it needs other networks of the same classes; name some with --against")
        return
    count = 0 if pictures is None else len(pictures.labels)
    if count < 2 * LEAST_REAL:
        raise InputError(
            f"{flag} there are {count} real pictures of the classes of {name}, and {2 * LEAST_REAL} are "
            "needed, half of them to learn from; give more with --pictures"
        )
    if kind == "none-of-the-above" and looks.last is None:
        raise InputError(
            f"{flag} {name} is no network of torch that ends in a linear layer, which could get a row more; "
            "expected one, or --mitigate temperature"
        )


def mitigated(
    kind: Kind,
    looks: Looks,
    pictures: Pictures | None,
    others: Sequence[Classifier],
    garbage: Sequence[StoreReader],
) -> Classifier:
    """Return the network with a mitigation.

    Args:
        kind: see `WHAT`.
        looks: of the network.
        pictures: real ones; a half of them teaches.
        others: the members of an ensemble beside the network.
        garbage: stores of images that evolved against it under other seeds.
    """
    if kind == "ensemble":
        return Ensemble([looks.classifier, *others])
    assert pictures is not None
    taught, _ = halves(pictures)
    if kind == "temperature":
        return Tempered(
            looks.classifier, fitted_temperature(logits_of(looks.classifier, taught.images), taught.labels)
        )
    assert looks.last is not None
    evolved = [elites(reader, run) for reader in garbage for run in range(reader.runs)]
    images = [*(each for each in evolved if each is not None), *map(random_pictures, garbage)]
    row = garbage_row(looks.at(taught.images), looks.at(torch.cat(images)))
    return WithGarbage(looks.last, row.weights, row.bias)


def of_other_seeds(kind: Kind, attacks: Sequence[Attack]) -> tuple[Attack, ...]:
    """Return the attacks whose images a mitigation learns from."""
    if kind != "none-of-the-above":
        return ()
    return tuple(
        each.once_more("other-seeds", "other seeds") for each in attacks if each.access == "black box"
    )


def against_mitigated(kind: Kind, attacks: Sequence[Attack]) -> dict[Attack, Attack]:
    """Return each of these attacks that needs no gradients, and the same on the network with a mitigation."""
    return {each: each.once_more(kind, f"against {kind}") for each in attacks if each.access == "black box"}


def mitigation_of(
    kind: Kind,
    looks: Looks,
    changed: Classifier,
    pictures: Pictures | None,
    before: Sequence[tuple[Attack, StoreReader, AttackResult]],
    after: Sequence[tuple[Attack, StoreReader]],
) -> Mitigation:
    """Return what a mitigation is worth.

    Args:
        kind: see `WHAT`.
        looks: of the network as it was.
        changed: the network with it.
        pictures: real ones; of 400 or more the half that taught nothing counts.
        before: attacks on the network as it was, their stores, and what came of them.
        after: the same on the changed one, in the same order.
    """
    real: list[RealLevel | None] = [None, None]
    if pictures is not None:
        tried = halves(pictures)[1] if len(pictures.labels) >= 2 * LEAST_REAL else pictures
        real = [level_of(logits_of(each, tried.images), tried) for each in (looks.classifier, changed)]
    levels = {f"{level:g}": level for level in LEVELS}
    if real[1] is not None and real[1].rho5 is not None:
        levels[OWN_LEVEL] = real[1].rho5
    classes = len(looks.classifier.classes)
    return Mitigation(
        kind=kind,
        what=WHAT[kind],
        real_before=real[0],
        real_after=real[1],
        recognised=_recognised(changed, [reader for _, reader, _ in before], classes),
        attacks=tuple(
            Mitigated(
                name=attack.name,
                attack=old.title,
                before=result.scores,
                after=scores_of(reached_by(reader, levels, classes), levels, result.scores["0.9"].budget),
                digests=tuple(reader.digest(run) for run in range(reader.runs)),
            )
            for (old, _, result), (attack, reader) in zip(before, after, strict=True)
        ),
    )


def _recognised(changed: Classifier, readers: Sequence[StoreReader], classes: int) -> float | None:
    """Return the share of images against the network as it was that go to the class more, if there is one."""
    found = [elites(reader, run) for reader in readers for run in range(reader.runs)]
    images = [each for each in found if each is not None]
    if len(changed.classes) == classes or not images:
        return None
    return float((logits_of(changed, torch.cat(images)).argmax(1) == classes).mean())
