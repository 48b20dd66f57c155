"""The mutation of CPPNs against the released code's numbers."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from islands.encodings.cppn import CppnEncoding
from islands.encodings.genomes import Genomes
from islands.encodings.settings import Activation, CppnSettings
from islands.testing import evolved
from tests.conftest import examples
from tests.encodings.naive import INPUTS, connections, nodes
from tests.encodings.test_contract import assert_valid

STILL = {
    "weight_rate": 0.0,
    "function_rate": 0.0,
    "add_connection_rate": 0.0,
    "delete_connection_rate": 0.0,
    "add_node_rate": 0.0,
    "delete_node_rate": 0.0,
}
N = 4000


def only(**rates: float) -> CppnEncoding:
    """Return an encoding in which nothing but `rates` happens."""
    return CppnEncoding(CppnSettings.model_validate(STILL | rates), 1, 8)


def children_of(encoding: CppnEncoding, parents: Genomes) -> Genomes:
    return encoding.vary(parents, parents, 1, torch.Generator().manual_seed(2)).genomes


def simple(n: int = N, channels: int = 1) -> Genomes:
    return CppnEncoding(CppnSettings(), channels, 8).random(n, torch.Generator().manual_seed(1))


def repeated(genomes: Genomes, row: int, n: int = N) -> Genomes:
    return genomes.take(torch.full((n,), row))


def grown(n: int = N, generations: int = 30) -> Genomes:
    return evolved(CppnEncoding(CppnSettings(), 1, 8), n, generations)


def count_connections(genomes: Genomes) -> torch.Tensor:
    return (genomes["targets"] > 0).sum(1)


def count_nodes(genomes: Genomes) -> torch.Tensor:
    return (genomes["functions"] > 0).sum(1)


@pytest.mark.parametrize("channels", [1, 3])
def test_evolution_starts_fully_connected_without_hidden_nodes(channels: int) -> None:
    genomes = simple(N, channels)
    assert genomes["functions"].shape == (N, INPUTS + channels)
    expected = {(i, INPUTS + o) for i in range(INPUTS) for o in range(channels)}
    assert {(source, target) for source, target, _ in connections(genomes, 0)} == expected
    assert genomes["weights"].mean().item() == pytest.approx(0.5, abs=0.01)
    assert genomes["weights"].std().item() == pytest.approx(12**-0.5, abs=0.01)
    shares = genomes["functions"][:, INPUTS].long().bincount(minlength=5) / N
    assert shares[1:].tolist() == pytest.approx([0.25] * 4, abs=0.035)


def test_nothing_happens_at_rates_of_zero() -> None:
    encoding, parents = only(), grown(50)
    before, after = encoding.to_arrays(parents), encoding.to_arrays(children_of(encoding, parents))
    assert all((after[name] == before[name]).all() for name in before)


def test_a_tenth_of_the_weights_mutates_polynomially() -> None:
    parents = simple()
    parents.fields["weights"].fill_(0.5)
    steps = children_of(only(weight_rate=0.1), parents)["weights"][:, :4] - 0.5
    changed = steps[steps != 0]
    assert len(changed) / steps.numel() == pytest.approx(0.1, abs=0.01)
    assert changed.std().item() == pytest.approx(0.0808, rel=0.1)
    assert changed.abs().median().item() == pytest.approx(0.042, rel=0.15)


def test_a_tenth_of_the_functions_is_drawn_anew() -> None:
    parents = simple()
    functions = children_of(only(function_rate=0.1), parents)["functions"][:, INPUTS]
    changed = functions != parents["functions"][:, INPUTS]
    assert changed.float().mean().item() == pytest.approx(0.075, abs=0.015)
    always = children_of(only(function_rate=1.0), parents)["functions"][:, INPUTS]
    assert (always.long().bincount(minlength=5) / N)[1:].tolist() == pytest.approx([0.25] * 4, abs=0.035)


@pytest.mark.parametrize(
    ("rates", "nodes_more", "connections_more"),
    [
        ({"add_connection_rate": 0.5}, 0.0, 0.5),
        ({"delete_connection_rate": 0.3}, 0.0, -0.3),
        ({"add_node_rate": 0.5}, 0.5, 0.5),
    ],
)
def test_structure_changes_at_its_rate(
    rates: dict[str, float], nodes_more: float, connections_more: float
) -> None:
    parents = simple()
    children = children_of(only(**rates), parents)
    more_nodes = (count_nodes(children) - count_nodes(parents)).float()
    more_connections = (count_connections(children) - count_connections(parents)).float()
    assert more_nodes.mean().item() == pytest.approx(nodes_more, abs=0.04)
    assert more_connections.mean().item() == pytest.approx(connections_more, abs=0.04)
    assert more_connections.abs().max() == 1


def test_a_new_connection_has_a_uniform_weight() -> None:
    children = children_of(only(add_connection_rate=1.0), simple())
    new = children["weights"][:, 4]
    assert new.mean().item() == pytest.approx(0.5, abs=0.02)
    assert new.std().item() == pytest.approx(12**-0.5, abs=0.02)


def test_a_new_connection_joins_any_source_to_any_target_that_is_no_ancestor() -> None:
    # 6 -> 5 -> 4 (the output), and 7 is alone.
    genomes = repeated(
        Genomes(
            {
                "functions": torch.tensor([[0, 0, 0, 0, 1, 1, 1, 1]], dtype=torch.uint8),
                "sources": torch.tensor([[5, 6, 0]], dtype=torch.int16),
                "targets": torch.tensor([[4, 5, 6]], dtype=torch.int16),
                "weights": torch.full((1, 3), 0.5),
            }
        ),
        0,
    )
    children = children_of(only(add_connection_rate=1.0), genomes)
    pairs = list(zip(children["sources"][:, 3].tolist(), children["targets"][:, 3].tolist(), strict=True))
    sources = Counter(source for source, _ in pairs)
    assert set(sources) == {0, 1, 2, 3, 5, 6, 7}
    assert min(sources.values()) / N > 0.8 / 7
    allowed = {
        **{i: {4, 5, 6, 7} for i in range(1, 4)},
        0: {4, 5, 6, 7},
        5: {4, 7},
        6: {4, 5, 7},
        7: {4, 5, 6},
    }
    for source, targets in allowed.items():
        counts = Counter(target for origin, target in pairs if origin == source)
        assert set(counts) == targets
        assert min(counts.values()) / sources[source] > 0.75 / len(targets)


def test_any_connection_may_be_deleted() -> None:
    parents = simple()
    children = children_of(only(delete_connection_rate=1.0), parents)
    deleted = ((parents["targets"] > 0) & (children["targets"][:, :4] == 0)).float().mean(0)
    assert deleted.tolist() == pytest.approx([0.25] * 4, abs=0.035)


def test_a_new_node_splits_a_connection_and_both_parts_keep_its_weight() -> None:
    parents = simple(200)
    children = children_of(only(add_node_rate=1.0), parents)
    split = set()
    for row in range(200):
        old = {(source, target): gene for source, target, gene in connections(parents, row)}
        new = list(connections(children, row))
        (hidden,) = nodes(children, row, 1) - set(range(5))
        (into,) = [edge for edge in new if edge[1] == hidden]
        (out,) = [edge for edge in new if edge[0] == hidden]
        assert into[2] == out[2] == old.pop((into[0], out[1]))
        assert {
            (source, target): gene for source, target, gene in new if hidden not in (source, target)
        } == old
        split.add(into[0])
    assert split == {0, 1, 2, 3}


def test_a_hidden_node_is_deleted_with_its_connections() -> None:
    encoding = only(delete_node_rate=0.2)
    parents = repeated(grown(20), 0)
    children = children_of(encoding, parents)
    lost = count_nodes(parents) - count_nodes(children)
    assert lost.float().mean().item() == pytest.approx(0.2, abs=0.03)
    assert set(lost.tolist()) == {0, 1}
    assert_valid(children.take(torch.arange(300)), encoding)
    unchanged = simple(50)
    assert torch.equal(
        children_of(only(delete_node_rate=1.0), unchanged)["targets"][:, :4], unchanged["targets"]
    )


def test_every_hidden_node_may_be_deleted() -> None:
    parents = repeated(grown(20), 0)
    hidden = nodes(parents, 0, 1) - set(range(5))
    children = children_of(only(delete_node_rate=1.0), parents)
    packed = (parents["functions"][0] > 0).cumsum(0)
    survivors = (children["functions"][:, 5 : 5 + len(hidden)] > 0).float().mean(0)
    assert packed[-1] == len(hidden) + 1
    assert survivors.tolist() == pytest.approx([1 - 1 / len(hidden)] * len(hidden), abs=0.06)


@pytest.mark.parametrize("activations", [("sigmoid", "gaussian", "linear"), ("gaussian",)])
def test_only_the_chosen_activations_occur(activations: tuple[Activation, ...]) -> None:
    encoding = CppnEncoding(CppnSettings(activations=activations), 1, 8)
    present = evolved(encoding, 200, 30)["functions"].flatten().tolist()
    codes = {"sine": 1, "sigmoid": 2, "gaussian": 3, "linear": 4}
    assert set(present) == {0} | {codes[name] for name in activations}


def test_genomes_may_lose_every_connection() -> None:
    encoding = only(delete_connection_rate=1.0)
    genomes = simple(5)
    for _ in range(6):
        genomes = children_of(encoding, genomes)
    assert count_connections(genomes).eq(0).all()
    assert encoding.to_arrays(genomes)["targets"].shape == (5, 1)
    assert_valid(children_of(CppnEncoding(CppnSettings(), 1, 8), genomes), encoding)
    assert (encoding.render(genomes) == encoding.render(genomes)[:, :, :1, :1]).all()


@settings(max_examples=examples(25))
@given(seed=st.integers(0, 2**32), channels=st.sampled_from([1, 3]), generations=st.integers(0, 60))
def test_evolved_genomes_are_valid_and_stored_no_wider_than_needed(
    seed: int, channels: int, generations: int
) -> None:
    encoding = CppnEncoding(CppnSettings(), channels, 8)
    genomes = evolved(encoding, 8, generations, seed)
    assert_valid(genomes, encoding)
    arrays = encoding.to_arrays(genomes)
    stored = encoding.from_arrays(arrays, torch.device("cpu"))
    assert_valid(stored, encoding)
    assert arrays["functions"].shape[1] == count_nodes(genomes).max().item() + INPUTS
    for name in ("sources", "targets", "weights"):
        assert arrays[name].shape[1] == max(1, count_connections(genomes).max().item())
    assert torch.equal(count_connections(stored), count_connections(genomes))


def test_storage_does_not_widen_with_generations() -> None:
    genomes = grown(20, 60)
    assert genomes["functions"].shape[1] <= count_nodes(genomes).max().item() + INPUTS + 3
    assert genomes["targets"].shape[1] <= count_connections(genomes).max().item() + 5


def test_arrays_may_miss_trailing_zeros() -> None:
    """A store trims each array by itself, and a last connection from node 0 has a zero among its sources."""
    encoding = CppnEncoding(CppnSettings(), channels=1, size=28)
    arrays = encoding.to_arrays(grown())
    arrays["sources"][:, -1] = 0
    whole = encoding.from_arrays(arrays, torch.device("cpu"))
    trimmed = encoding.from_arrays({**arrays, "sources": arrays["sources"][:, :-1]}, torch.device("cpu"))
    assert torch.equal(encoding.render(trimmed), encoding.render(whole))
    children = children_of(encoding, trimmed)
    expected = children_of(encoding, whole)
    assert all(torch.equal(children[name], expected[name]) for name in expected)
