"""What a card will take: how many runs of how many images, from the speed that is measured here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from islands.cards.evolving import INITIAL, LEAST, MOST, RUNS, STEP
from islands.errors import InputError

SHARE = 0.85
"""Of the time that is asked for, what is given out; the rest is for commits, the page and a slow moment."""


@dataclass(frozen=True)
class Budget:
    """Of each attack.

    Attributes:
        runs: independent archives.
        images: of each run.
        seconds: estimated for all of it.
    """

    runs: int
    images: int
    seconds: float


@dataclass(frozen=True)
class Speed:
    """What was measured.

    Attributes:
        seconds: for an image of each attack, on one worker while the others work too.
        workers: that work side by side.
        fixed: what has to be done whatever the budget is, such as controls, and what has been done.
        each_run: what is done beside each run of all attacks, such as to show its elites to detectors.
    """

    seconds: Sequence[float]
    workers: int
    fixed: float
    each_run: float

    def of(self, runs: int, images: int) -> float:
        """Return the seconds that all of it takes."""
        rounds = -(-runs // self.workers)
        return self.fixed + runs * self.each_run + sum(self.seconds) * rounds * images


def choose(speed: Speed, minutes: float, runs: int | None, images: int | None) -> Budget:
    """Return the budget of a card: five runs and as many images as time allows, fewer runs before too few.

    Args:
        speed: as measured.
        minutes: that the card may take.
        runs: that are asked for; None: five, or as many as the time allows.
        images: of each run, that are asked for; None: as many as the time allows.

    Raises:
        InputError: the time is too short for any verdict.
    """
    if images is not None:
        whole = rounded(images)
        return Budget(runs or RUNS, whole, speed.of(runs or RUNS, whole))
    seconds = SHARE * 60 * minutes
    for count in (runs,) if runs is not None else range(RUNS, 0, -1):
        rest = seconds - speed.of(count, 0)
        afforded = int(rest / (sum(speed.seconds) * -(-count // speed.workers)))
        if afforded >= LEAST:
            whole = rounded(min(afforded, MOST))
            return Budget(count, whole, speed.of(count, whole))
    least = speed.of(runs or 1, LEAST) / 60 / SHARE
    raise InputError(
        f"--minutes: got {minutes:g}, too few for any verdict: on this machine {LEAST:,} images of each "
        f"attack, the least, take {least:.1f}; give --minutes {1.2 * least + 0.05:.1f}, or more"
    )


def rounded(images: int) -> int:
    """Return as many images as are whole epochs.

    Raises:
        InputError: they are too few for any verdict.
    """
    if images < LEAST:
        raise InputError(f"--images: got {images}; expected {LEAST:,} or more of each run")
    return INITIAL + (images - INITIAL) // STEP * STEP
