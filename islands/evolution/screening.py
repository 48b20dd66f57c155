"""Judgement of a batch for insertion; with a screened classifier, only those children exactly that might win.

The log-odds of the replica are off by at most a margin, so each child has an interval of fitness for each
class. A child is scored again in float32 if for some class its interval reaches above the cell's fitness and
no other child's interval lies above it. All others can take no cell, and get fitness -inf. As long as no
log-odds are off by more than the margin, the archive is the one that float32 alone gives; what is stored is
float32 in any case.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from islands.classifiers.contract import Classifier, Prediction, log_odds
from islands.classifiers.screened import ScreenedClassifier
from islands.devices import host_waits
from islands.evolution.fitness import TieBreak, fitness_of

_ROUNDING = 4 * torch.finfo(torch.float32).eps
"""Relative difference that two ways to compute one probability may have."""


class Judgement(NamedTuple):
    """What insertion needs of B children: fitness (B, K) and probabilities (B, K), float32.

    Of children whose scores are not finite, fitness is -inf and probabilities are NaN.
    """

    fitness: Tensor
    probabilities: Tensor

    @property
    def finite(self) -> Tensor:
        """Whose scores are finite numbers, or were not needed: bool (B,)."""
        # One column tells: `judged` marks whole rows.
        return ~self.probabilities[:, 0].isnan()


class Rule(NamedTuple):
    """How children take cells.

    Attributes:
        tie_break: what fitness is.
        to_beat: (K * bins,) fitness that a child of a bin must exceed to be of use; inf where none is.
        bins: (B,) int64, the bin of each child; None where classes have but one.
        places: of each bin.
    """

    tie_break: TieBreak
    to_beat: Tensor
    bins: Tensor | None = None
    places: int = 1


class Referee:
    """Scores children for insertion, an epoch at a time.

    With a screened classifier, where reading who might win would make the host wait, as many children are
    scored again as there is room for, those who might win first. Whether there was room for all of them is
    read once, at the end of the epoch.

    Args:
        classifier: of K classes.
        tie_break: what fitness is.
        places: of each bin of the archive.
    """

    def __init__(self, classifier: Classifier, tie_break: TieBreak, places: int = 1) -> None:
        self._classifier = classifier
        self._places = places
        self._tie_break = tie_break
        self._room: int | None = None
        """Children of a generation that are scored again where nothing is read; None: all."""
        self._counts: list[Tensor] = []
        """Of each generation of the epoch, how many might have won, on the device."""

    @property
    def may_lack_room(self) -> bool:
        """Whether `settle` has to be asked at the end of an epoch."""
        return isinstance(self._classifier, ScreenedClassifier) and host_waits(self._classifier.device)

    def score(self, images: Tensor, to_beat: Tensor, bins: Tensor | None = None) -> Judgement:
        """Score uint8 images (B, channels, H, W).

        Args:
            images: of the children.
            to_beat: see `Rule`.
            bins: see `Rule`.

        Returns:
            Judgement; of children that cannot win, fitness -inf and probabilities 0.
        """
        if not isinstance(self._classifier, ScreenedClassifier):
            return judged(self._classifier.predict(images), self._tie_break)
        odds = log_odds(self._classifier.screen(images).logits)
        rule = Rule(self._tie_break, to_beat, bins, self._places)
        might_win = contenders(odds, self._classifier.margin, rule)
        scores = Judgement(torch.full_like(odds, -torch.inf), torch.zeros_like(odds))
        if len(rows := self._rows(might_win)):
            found = judged(self._classifier.rescore(images[rows]), self._tie_break)
            for column, again in zip(scores, found, strict=True):
                column[rows] = again.where(might_win[rows, None], column[rows])
        return scores

    def settle(self) -> bool:
        """Make room for the next epoch; return whether there was room for all in this one.

        If not, its scores mean nothing: the epoch is to be done again, for which there is room then. Reads a
        number where the host waits for it.
        """
        most = int(torch.stack(self._counts).max()) if self._counts else 0
        self._counts.clear()
        fits = self._room is None or most <= self._room
        if isinstance(self._classifier, ScreenedClassifier):
            # Full batches, of which the scores depend on the image alone: room has no say in any bit.
            size = self._classifier.batch_size
            self._room = size * max(1, -(-(most + most // 4) // size))
        return fits

    def _rows(self, might_win: Tensor) -> Tensor:
        """Return which children to score again, int64 (n,)."""
        if not host_waits(might_win.device):
            return might_win.nonzero().squeeze(1)
        self._counts.append(might_win.sum())
        # As bytes, since argsort takes no bool on some devices.
        return might_win.to(torch.uint8).argsort(descending=True, stable=True)[: self._room]


def judged(prediction: Prediction, tie_break: TieBreak) -> Judgement:
    """Return what a prediction means for insertion."""
    finite = prediction.finite[:, None]
    fitness = fitness_of(prediction, tie_break).where(finite, -torch.inf)
    return Judgement(fitness, prediction.probabilities.where(finite, torch.nan))


def contenders(odds: Tensor, margin: float, rule: Rule) -> Tensor:
    """Say which children might take a cell: bool (B,).

    Args:
        odds: (B, K) log-odds, each off by at most `margin`; NaN where they are not known.
        margin: above 0.
        rule: by which they are inserted.
    """
    # What overflowed in low precision may be anything: it is scored again, and rules out nobody else.
    unknown = odds.isnan()
    lower, upper = (odds - margin).where(~unknown, -torch.inf), (odds + margin).where(~unknown, torch.inf)
    if rule.tie_break == "first":
        lower = lower.sigmoid() * (1 - _ROUNDING)
        # No probability exceeds 1. Without the clamp, saturated children would seem to beat a cell at 1.
        upper = (upper.sigmoid() * (1 + _ROUNDING)).clamp(max=1)
    if rule.bins is None:
        return _might_win(lower, upper, rule.to_beat, rule.places)
    found = torch.zeros(len(odds), dtype=torch.bool, device=odds.device)
    for number, to_beat in enumerate(rule.to_beat.view(odds.shape[1], -1).unbind(1)):
        inside = rule.bins == number
        others = lower.where(inside[:, None], -torch.inf)
        found |= inside & _might_win(others, upper, to_beat, rule.places)
    return found


def _might_win(lower: Tensor, upper: Tensor, to_beat: Tensor, places: int) -> Tensor:
    """Say which of n children of one bin might win, by the bounds (n, K) of their fitness: bool (n,)."""
    wins = upper > to_beat  # strictly, as in `Archive.insert`
    # Where there are more places a second best wins as well, and which children are copies is not known yet.
    if places == 1:
        # Among children not strictly: of equals the first wins, and which are equal is not known yet.
        wins &= upper >= lower.amax(0)
    return wins.any(1)
