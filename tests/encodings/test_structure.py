"""The two ways to mutate the structure of CPPNs: the CPU's kernel and tensor operations."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from islands.encodings.cppn import CODES, CppnEncoding
from islands.encodings.genomes import Genomes
from islands.encodings.settings import CppnSettings
from islands.encodings.structure_cpu import restructure_on_cpu
from islands.encodings.structure_torch import RESTRUCTURE_DRAWS, restructure_by_tensors
from islands.testing import evolved, same
from tests.encodings.test_contract import assert_valid, copy

RATE = st.floats(0, 1)


@given(
    channels=st.sampled_from([1, 3]),
    age=st.integers(0, 40),
    seed=st.integers(0, 2**32),
    rates=st.fixed_dictionaries(
        {
            "add_connection_rate": RATE,
            "delete_connection_rate": RATE,
            "add_node_rate": RATE,
            "delete_node_rate": RATE,
            "max_nodes": st.none() | st.integers(1, 12),
        }
    ),
)
def test_both_ways_give_the_same_bits(
    channels: int, age: int, seed: int, rates: dict[str, float | None]
) -> None:
    settings = CppnSettings.model_validate(rates)
    encoding = CppnEncoding(settings, channels, 8)
    genomes = evolved(encoding, 20, age, seed)
    codes = torch.tensor(list(CODES.values()), dtype=torch.uint8)
    uniform = torch.rand(20, RESTRUCTURE_DRAWS, generator=torch.Generator().manual_seed(seed))
    # The extremes of what is drawn, and genomes without a single connection.
    uniform[:3] = 1 - 2**-24
    uniform[3:6] = 0
    genomes["targets"][5:8] = genomes["sources"][5:8] = genomes["weights"][5:8] = 0
    before = copy(genomes)
    by_kernel = restructure_on_cpu(genomes, channels, settings, codes, uniform)
    assert same(by_kernel, restructure_by_tensors(genomes, channels, settings, codes, uniform))
    assert same(genomes, before)
    assert_valid(by_kernel, encoding)


def test_no_genomes_stay_none() -> None:
    encoding = CppnEncoding(CppnSettings(), 1, 8)
    none = encoding.random(0, torch.Generator())
    codes = torch.ones(1, dtype=torch.uint8)
    uniform = torch.empty(0, RESTRUCTURE_DRAWS)
    for restructure in (restructure_on_cpu, restructure_by_tensors):
        children: Genomes = restructure(none, 1, encoding.settings, codes, uniform)
        assert len(children) == 0
    assert len(encoding.compact(none)) == 0
