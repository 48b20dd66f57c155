"""Streams and ids are functions of where they are used."""

from __future__ import annotations

import itertools

import torch

from islands.evolution.streams import Purpose, epoch_stream, first_id, variation_stream

CPU = torch.device("cpu")


def test_equal_places_give_equal_streams_whatever_was_drawn_before() -> None:
    torch.rand(1000)
    first = torch.rand(8, generator=variation_stream(CPU, 1, 2, 3, 4))
    variation_stream(CPU, 1, 2, 3, 4).seed()
    assert torch.equal(first, torch.rand(8, generator=variation_stream(CPU, 1, 2, 3, 4)))


def test_different_places_give_different_streams() -> None:
    places = list(itertools.product(range(3), repeat=4))
    draws = {tuple(torch.rand(2, generator=variation_stream(CPU, *place)).tolist()) for place in places}
    assert len(draws) == len(places)


def test_purposes_are_independent() -> None:
    draws = {epoch_stream(purpose, 0, 0, 0, 1).random() for purpose in Purpose}
    assert len(draws) == len(Purpose)


def test_ids_are_unique_within_a_run() -> None:
    islands, batch = 3, 5
    ids = [
        first_id(generation, island, islands, batch) + row
        for generation in range(4)
        for island in range(islands)
        for row in range(batch)
    ]
    assert len(set(ids)) == len(ids)
