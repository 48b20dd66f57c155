"""Random streams and ids as functions of where they are used: no generator state is ever stored.

A stream depends on the seed, the run, the island, the point in evolution and what it is for, and on nothing
else: not on time, process, worker count or on how many numbers were drawn before.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
import numpy.typing as npt
import torch


class Purpose(IntEnum):
    """What a stream is for; streams of different purposes are independent."""

    VARIATION = 0
    """Per generation, on the island: parents, mutation, crossover."""
    SELECTION = 1
    """Per epoch: which elites an island sends."""
    ROUTING = 2
    """Per epoch: from whom an island receives."""
    TOPOLOGY = 3
    """Once a run: which islands are joined, where chance decides."""
    REPLACEMENT = 4
    """Per epoch: which migrants an island keeps."""


def variation_stream(
    device: torch.device, seed: int, run: int, island: int, generation: int
) -> torch.Generator:
    """Return the generator of one generation of one island."""
    generator = torch.Generator(device)
    keys = np.random.SeedSequence([seed, run, island, generation, Purpose.VARIATION])
    generator.manual_seed(int(keys.generate_state(1, np.uint64)[0] >> np.uint64(1)))
    return generator


def epoch_stream(purpose: Purpose, seed: int, run: int, island: int, epoch: int) -> np.random.Generator:
    """Return the generator of one decision that an island takes once an epoch."""
    return np.random.default_rng([seed, run, island, epoch, purpose])


def first_id(generation: int, island: int, island_count: int, batch: int) -> int:
    """Return the id of row 0 of a generation; row r has the id that is larger by r.

    Ids are unique within a run. `batch` is the largest number of genomes that a generation may have.
    """
    return (generation * island_count + island) * batch


def places(
    ids: npt.NDArray[np.int64], island_count: int, batch: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the generation (n,) and the row in it (n,) of each of `ids` (n,): inverts `first_id`."""
    return ids // (island_count * batch), ids % batch
