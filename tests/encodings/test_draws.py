"""What is drawn depends on generator and shape, and on accelerators not on how many threads they run."""

from __future__ import annotations

import pytest
import torch

from islands.encodings import draws
from islands.encodings.draws import PIECE, integers, normal, uniform
from tests.accelerator import pretend

SHAPE = (3, PIECE // 2)


def stream() -> torch.Generator:
    return torch.Generator().manual_seed(7)


def test_on_cpus_the_numbers_are_those_of_one_call() -> None:
    """Archives of before depend on them."""
    assert torch.equal(uniform(SHAPE, stream()), torch.rand(SHAPE, generator=stream()))
    assert torch.equal(normal(SHAPE, stream()), torch.randn(SHAPE, generator=stream()))
    assert torch.equal(integers(9, SHAPE, stream()), torch.randint(9, SHAPE, generator=stream()))
    of_bytes = torch.randint(256, SHAPE, dtype=torch.uint8, generator=stream())
    assert torch.equal(integers(256, SHAPE, stream(), torch.uint8), of_bytes)


def test_on_accelerators_they_are_drawn_in_pieces_of_one_size(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch)
    generator = stream()
    parts = [torch.rand(n, generator=generator) for n in (PIECE, PIECE // 2)]
    assert torch.equal(uniform(SHAPE, stream()), torch.cat(parts).view(SHAPE))
    found = normal(SHAPE, stream())
    assert torch.equal(found.view(-1)[:PIECE], torch.randn(PIECE, generator=stream()))
    monkeypatch.setattr(draws, "PIECE", 10)
    assert uniform((0, 4), stream()).shape == (0, 4)
    assert integers(5, (7, 3), stream()).max() <= 4
