"""A decision tree in numpy alone: servers of other environments import it as well.

Its numbers are compared and never summed, so that they are the same bits on any machine.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt


class Tree:
    """The tree that `fit_tree.py` wrote."""

    def __init__(self, path: Path | str) -> None:
        with np.load(path) as arrays:
            self._left, self._right = arrays["left"], arrays["right"]
            self._feature, self._threshold = arrays["feature"], arrays["threshold"]
            self._probabilities = arrays["probabilities"]

    def __call__(self, pixels: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Return probabilities (B, K) of float32 pixels (B, n)."""
        nodes = np.zeros(len(pixels), np.int64)
        rows = np.arange(len(pixels))
        while (inner := self._left[nodes] >= 0).any():
            low = pixels[rows, self._feature[nodes]] <= self._threshold[nodes]
            nodes = np.where(inner, np.where(low, self._left[nodes], self._right[nodes]), nodes)
        found: npt.NDArray[np.float64] = self._probabilities[nodes]
        return found
