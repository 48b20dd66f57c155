"""The rich start: what every network of it is."""

from __future__ import annotations

import pytest
import torch

from islands.encodings import graphs
from islands.encodings.cppn import CppnEncoding
from islands.encodings.deep import MOST
from islands.encodings.genomes import Genomes
from islands.encodings.settings import CppnSettings
from islands.testing import same
from tests.encodings.naive import INPUTS, connections, nodes
from tests.encodings.test_contract import assert_valid


def drawn(channels: int, n: int = 200, seed: int = 1, **settings: object) -> Genomes:
    encoding = CppnEncoding(CppnSettings(start="deep", **settings), channels, 8)  # type: ignore[arg-type]
    genomes = encoding.random(n, torch.Generator().manual_seed(seed))
    assert_valid(genomes, encoding)
    return genomes


@pytest.mark.parametrize("channels", [1, 3])
def test_every_node_is_fed_and_needed(channels: int) -> None:
    genomes = drawn(channels)
    for row in range(len(genomes)):
        fed = {target for _, target, _ in connections(genomes, row)}
        used = {source for source, _, _ in connections(genomes, row)}
        hidden = nodes(genomes, row, channels) - set(range(INPUTS + channels))
        assert hidden <= fed
        assert hidden <= used


def test_networks_are_as_large_as_described() -> None:
    genomes = drawn(3)
    hidden = graphs.hidden_nodes(genomes, 3).float()
    assert hidden.max() <= MOST
    # 24 on average, less the few that no output needs.
    assert 20 < hidden.mean() < 25
    weights = (genomes["weights"][genomes["targets"] > 0] - 0.5) * 20
    assert weights.std().item() == pytest.approx(2, abs=0.05)
    assert weights.mean().item() == pytest.approx(0, abs=0.05)


def test_functions_are_those_allowed() -> None:
    functions = drawn(3, activations=("sine", "gaussian"))["functions"]
    assert set(functions.unique().tolist()) == {0, 1, 3}


def test_the_stream_alone_decides() -> None:
    assert same(drawn(3), drawn(3))
    assert not same(drawn(3), drawn(3, seed=2))


def test_what_has_reached_its_bound_grows_no_more() -> None:
    rates = {"add_node_rate": 1, "add_connection_rate": 1, "delete_node_rate": 0, "delete_connection_rate": 0}
    settings = CppnSettings.model_validate({"start": "deep", "max_nodes": 10, **rates})
    encoding = CppnEncoding(settings, 3, 8)
    parents = encoding.random(50, torch.Generator().manual_seed(1))
    children = encoding.vary(parents, parents, 1, torch.Generator()).genomes
    before, after = (graphs.hidden_nodes(each, 3) for each in (parents, children))
    assert torch.equal(after[before >= 10], before[before >= 10])
    assert (after[before < 10] == before[before < 10] + 1).all()
