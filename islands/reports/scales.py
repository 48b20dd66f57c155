"""How the page spaces what it draws."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_NEAREST = 6e-8
"""The distance from 0 and 1 that is drawn: float32 has no smaller one below 1."""


def evenly(count: int, most: int) -> npt.NDArray[np.intp]:
    """Return `most` of 0 to count - 1 at most, evenly spread, the first and the last among them."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.intp))


def log_odds(confidence: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Return hundredths of log-odds, of any shape: close to 1 as exact as in the middle."""
    inside = np.clip(np.asarray(confidence, np.float64), _NEAREST, 1 - _NEAREST)
    hundredths: npt.NDArray[np.int64] = np.rint(100 * np.log(inside / (1 - inside))).astype(np.int64)
    return hundredths
