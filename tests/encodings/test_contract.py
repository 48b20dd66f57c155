"""What every encoding promises, whichever it is."""

from __future__ import annotations

import pytest
import torch

from islands.encodings.contract import Encoding, Operator, Tunable
from islands.encodings.dct import DctEncoding
from islands.encodings.direct import DirectEncoding
from islands.encodings.fine import fine_steps
from islands.encodings.genomes import Genomes
from islands.testing import EncodingTests, evolved, same
from tests.encodings.naive import INPUTS, connections, is_acyclic, nodes


def copy(genomes: Genomes) -> Genomes:
    return genomes.take(torch.arange(len(genomes)))


def assert_valid(genomes: Genomes, encoding: Encoding) -> None:
    if isinstance(encoding, DirectEncoding | DctEncoding):
        side = encoding.settings.frequencies if isinstance(encoding, DctEncoding) else encoding.size
        assert genomes["genes"].dtype == torch.uint8
        assert genomes["genes"].shape[1] == encoding.channels * side**2
        return
    weights = genomes["weights"]
    assert weights.dtype == torch.float32
    assert weights.ge(0).all()
    assert weights.le(1).all()
    assert genomes["functions"].le(4).all()
    assert genomes["functions"][:, INPUTS : INPUTS + encoding.channels].ge(1).all()
    assert genomes["functions"][:, :INPUTS].eq(0).all()
    for row in range(len(genomes)):
        present = nodes(genomes, row, encoding.channels)
        outputs = range(INPUTS, INPUTS + encoding.channels)
        for source, target, _ in connections(genomes, row):
            assert source in present
            assert source not in outputs
            assert target in present
            assert target >= INPUTS
        assert is_acyclic(genomes, row)


class TestOurs(EncodingTests):
    @pytest.fixture
    def encoding(self, encoding: Encoding) -> Encoding:
        assert isinstance(encoding, Tunable)
        return encoding

    def check(self, genomes: Genomes, encoding: Encoding) -> None:
        assert_valid(genomes, encoding)


def test_variation_says_what_it_did(encoding: Encoding, generator: torch.Generator) -> None:
    parents = evolved(encoding, 17, 3)
    children = encoding.vary(parents, parents, 4, generator)
    assert set(children.operators.tolist()) <= {Operator.MUTATION, Operator.CROSSOVER}


def test_an_odd_enlargement_keeps_the_native_pixels_in_its_centres(encoding: Encoding) -> None:
    genomes = evolved(encoding, 20, 10)
    enlarged = encoding.render(genomes, 3 * encoding.size)[:, :, 1::3, 1::3]
    assert torch.equal(enlarged, encoding.render(genomes))


def test_an_image_is_independent_of_the_threads(encoding: Encoding) -> None:
    genomes, threads = evolved(encoding, 7, 12), torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = encoding.render(genomes)
        torch.set_num_threads(3)
        assert torch.equal(encoding.render(genomes), one)
    finally:
        torch.set_num_threads(threads)


def test_padding_has_no_influence(encoding: Encoding) -> None:
    genomes = evolved(encoding, 12, 12)
    if encoding.name != "cppn":
        return
    padded = Genomes({name: torch.nn.functional.pad(field, (0, 9)) for name, field in genomes.fields.items()})
    children = [
        encoding.vary(parents, parents, 1, torch.Generator().manual_seed(1)).genomes
        for parents in (genomes, padded)
    ]
    assert torch.equal(encoding.render(padded), encoding.render(genomes))
    assert same(children[0], children[1])


def test_fine_steps_move_some_genes_a_little(encoding: Encoding, generator: torch.Generator) -> None:
    assert isinstance(encoding, Tunable)
    parents = encoding.compact(evolved(encoding, 40, 4))
    children = fine_steps(encoding, parents, generator, 0.01, 0.1)
    assert_valid(children, encoding)
    before, after = encoding.genes(parents), encoding.genes(children)
    changed = (before != after)[encoding.present(parents)].float().mean()
    assert 0.01 < changed < 0.6
    assert torch.equal(before[~encoding.present(parents)], after[~encoding.present(parents)])
