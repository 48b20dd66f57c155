"""What held-out networks say of elites, in plain numpy: what scorers send and the store keeps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Scores:
    """One network's view of n elites, each judged for the class whose cell it holds: its target.

    An image without finite scores is taken for nothing: probabilities 0, the last rank, and `top1` -1.

    Attributes:
        ids: (n,) int64, the genome that was scored; -1: none yet.
        epochs: (n,) int32, the epoch of the checkpoint that it was an elite of; -1: none yet.
        target_probability: (n,) float32.
        target_rank: (n,) int32 of the target among all classes, 1 for the top; equals rank in class order.
        top1: (n,) int32, the class of rank 1; -1: none, or none yet.
        top1_probability: (n,) float32, the maximum over all classes.
        probabilities: (n, K) float32 over all classes, where they were asked for.
    """

    ids: npt.NDArray[np.int64]
    epochs: npt.NDArray[np.int32]
    target_probability: npt.NDArray[np.float32]
    target_rank: npt.NDArray[np.int32]
    top1: npt.NDArray[np.int32]
    top1_probability: npt.NDArray[np.float32]
    probabilities: npt.NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def none_yet(cls, n: int, class_count: int | None = None) -> Scores:
        """Return n rows without scores; with a matrix of probabilities if `class_count` is given."""
        return cls(
            ids=np.full(n, -1, np.int64),
            epochs=np.full(n, -1, np.int32),
            target_probability=np.zeros(n, np.float32),
            target_rank=np.zeros(n, np.int32),
            top1=np.full(n, -1, np.int32),
            top1_probability=np.zeros(n, np.float32),
            probabilities=None if class_count is None else np.zeros((n, class_count), np.float32),
        )

    def columns(self) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays that there are, by name."""
        arrays = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: array for name, array in arrays.items() if array is not None}

    def take(self, rows: npt.NDArray[np.generic]) -> Scores:
        """Return the rows that an index or boolean array selects."""
        return Scores(**{name: array[rows] for name, array in self.columns().items()})

    def put(self, rows: npt.NDArray[np.generic], source: Scores) -> Scores:
        """Return the table with `rows` replaced by the rows of `source`."""
        theirs = source.columns()
        # Copies: the thread that commits may be reading this table.
        columns = {name: array.copy() for name, array in self.columns().items()}
        for name, column in columns.items():
            column[rows] = theirs[name]
        return Scores(**columns)


_DIGITS = 8
"""Of a fingerprint, where names have one."""


def told_apart(names: Mapping[str, str]) -> dict[str, str]:
    """Return the names of networks by fingerprint; what several are called gets a part of the fingerprint."""
    counts = Counter(names.values())
    shown = {
        fingerprint: name if counts[name] == 1 else f"{name} [{fingerprint[:_DIGITS]}]"
        for fingerprint, name in names.items()
    }
    if len(set(shown.values())) == len(shown):
        return shown
    # Two fingerprints of one name may begin alike.
    return {fingerprint: f"{name} [{fingerprint}]" for fingerprint, name in names.items()}


@dataclass(frozen=True)
class HeldOutScores:
    """What one held-out network says of all runs.

    Attributes:
        name: for people, see `NetworkConfig.label`.
        settings: the `NetworkConfig` that loads it, as JSON.
        fingerprint: of the network.
        runs: K rows each, in class order.
    """

    name: str
    settings: Mapping[str, Any]
    fingerprint: str
    runs: tuple[Scores, ...]
