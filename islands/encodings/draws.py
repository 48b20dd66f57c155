"""Random numbers that depend on the generator and on their shape alone, not on the model of the device.

CUDA spreads a draw over as many threads as the card holds at once, each with a stream of its own: of more
numbers, which comes to lie where depends on the number of multiprocessors. So draws on accelerators are made
of pieces that fit on any card.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from islands.devices import host_waits

PIECE = 1 << 15
"""Numbers drawn at a time: 128 blocks of 256 threads, four on each of 32 multiprocessors."""


def uniform(shape: Sequence[int], generator: torch.Generator) -> Tensor:
    """Draw float32 from [0, 1), on the generator's device."""
    values = torch.empty(shape, device=generator.device)
    for piece in _pieces(values):
        piece.uniform_(generator=generator)
    return values


def normal(shape: Sequence[int], generator: torch.Generator) -> Tensor:
    """Draw standard normal float32, on the generator's device."""
    values = torch.empty(shape, device=generator.device)
    for piece in _pieces(values):
        piece.normal_(generator=generator)
    return values


def integers(
    count: int, shape: Sequence[int], generator: torch.Generator, dtype: torch.dtype = torch.int64
) -> Tensor:
    """Draw whole numbers from 0 to `count` - 1, on the generator's device."""
    values = torch.empty(shape, dtype=dtype, device=generator.device)
    for piece in _pieces(values):
        piece.random_(0, count, generator=generator)
    return values


def _pieces(values: Tensor) -> Iterable[Tensor]:
    return values.view(-1).split(PIECE) if host_waits(values.device) else (values,)
