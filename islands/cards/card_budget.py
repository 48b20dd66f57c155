"""What a card will take: how many runs of how many images, from the speed that is measured here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from islands.cards.evolving import INITIAL, LEAST, MOST, RUNS, STEP
from islands.errors import InputError

OVERHEAD = 0.75
"""Of the time that is asked for, what evolution may take; the rest is for pictures, controls and the page."""


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
        scored: images that networks score beside each run, such as its elites for a comparison.
    """

    seconds: Sequence[float]
    workers: int
    scored: int

    def of(self, runs: int, images: int) -> float:
        """Return the seconds that all attacks take."""
        rounds = -(-runs // self.workers)
        return sum(self.seconds) * (rounds * images + runs * self.scored)


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
    seconds = OVERHEAD * 60 * minutes
    for count in (runs,) if runs is not None else range(RUNS, 0, -1):
        rest = seconds - sum(speed.seconds) * count * speed.scored
        afforded = int(rest / (sum(speed.seconds) * -(-count // speed.workers)))
        if afforded >= LEAST:
            whole = rounded(min(afforded, MOST))
            return Budget(count, whole, speed.of(count, whole))
    least = speed.of(runs or 1, LEAST) / 60 / OVERHEAD
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
