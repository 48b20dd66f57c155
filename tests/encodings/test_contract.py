"""What every encoding promises, whichever it is."""

from __future__ import annotations

import pytest
import torch

from islands.encodings.contract import Encoding, Operator, Tunable
from islands.encodings.dct import DctEncoding
from islands.encodings.direct import DirectEncoding
from islands.encodings.fine import fine_steps
from islands.encodings.genomes import Genomes, Replacement
from tests.encodings.naive import INPUTS, connections, is_acyclic, nodes

CPU = torch.device("cpu")


def same(a: Genomes, b: Genomes) -> bool:
    return list(a) == list(b) and all(torch.equal(a[name], b[name]) for name in a)


def copy(genomes: Genomes) -> Genomes:
    return genomes.take(torch.arange(len(genomes)))


def evolved(encoding: Encoding, n: int, generations: int, seed: int = 3) -> Genomes:
    generator = torch.Generator().manual_seed(seed)
    genomes = encoding.random(n, generator)
    for generation in range(1, generations + 1):
        partners = genomes.take(torch.arange(n).flip(0))
        genomes = encoding.vary(genomes, partners, generation, generator).genomes
    return genomes


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


def test_equal_generators_give_equal_genomes(encoding: Encoding) -> None:
    assert same(evolved(encoding, 20, 6), evolved(encoding, 20, 6))
    assert not same(evolved(encoding, 20, 6), evolved(encoding, 20, 6, seed=4))


def test_random_and_vary_give_valid_genomes(encoding: Encoding, generator: torch.Generator) -> None:
    assert_valid(encoding.random(10, generator), encoding)
    assert_valid(evolved(encoding, 30, 30), encoding)


def test_vary_gives_one_child_per_parent(encoding: Encoding, generator: torch.Generator) -> None:
    parents = evolved(encoding, 17, 3)
    children = encoding.vary(parents, parents, 4, generator)
    assert len(children.genomes) == 17
    assert children.operators.dtype == torch.uint8
    assert children.operators.shape == (17,)
    assert set(children.operators.tolist()) <= {Operator.MUTATION, Operator.CROSSOVER}


def test_nothing_changes_its_arguments(encoding: Encoding, generator: torch.Generator) -> None:
    parents, partners = evolved(encoding, 9, 5), evolved(encoding, 9, 5, seed=8)
    before = copy(parents), copy(partners)
    children = encoding.vary(parents, partners, 6, generator).genomes
    encoding.render(parents)
    arrays = encoding.to_arrays(parents)
    images = encoding.render(parents)
    assert same(parents, before[0])
    assert same(partners, before[1])
    for field in children.fields.values():
        field.zero_()
    images.zero_()
    for array in arrays.values():
        array[...] = 0
    assert same(parents, before[0])


def test_images_are_bytes_of_the_native_size(encoding: Encoding) -> None:
    images = encoding.render(evolved(encoding, 5, 5))
    assert images.dtype == torch.uint8
    assert images.shape == (5, encoding.channels, encoding.size, encoding.size)
    assert torch.equal(images, encoding.render(evolved(encoding, 5, 5), encoding.size))


@pytest.mark.parametrize("size", [1, 5, 31])
def test_images_of_any_size(encoding: Encoding, size: int) -> None:
    assert encoding.render(evolved(encoding, 3, 5), size).shape == (3, encoding.channels, size, size)


def test_an_odd_enlargement_keeps_the_native_pixels_in_its_centres(encoding: Encoding) -> None:
    genomes = evolved(encoding, 20, 10)
    enlarged = encoding.render(genomes, 3 * encoding.size)[:, :, 1::3, 1::3]
    assert torch.equal(enlarged, encoding.render(genomes))


def test_an_image_is_independent_of_the_other_rows(encoding: Encoding) -> None:
    genomes = evolved(encoding, 20, 12)
    images = encoding.render(genomes)
    for row in (0, 7, 19):
        assert torch.equal(encoding.render(genomes.take(torch.tensor([row])))[0], images[row])


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


def test_arrays_round_trip(encoding: Encoding) -> None:
    genomes = evolved(encoding, 12, 12)
    arrays = encoding.to_arrays(genomes)
    again = encoding.from_arrays(arrays, CPU)
    assert all(len(array) == 12 for array in arrays.values())
    assert all(array.flags.c_contiguous for array in arrays.values())
    assert torch.equal(encoding.render(again), encoding.render(genomes))
    second = encoding.to_arrays(again)
    assert all((second[name] == arrays[name]).all() for name in arrays)
    children = [
        encoding.vary(parents, parents, 1, torch.Generator().manual_seed(1)).genomes
        for parents in (genomes, again)
    ]
    assert same(children[0], children[1])


def test_compact_genomes_are_the_same_in_less_space(encoding: Encoding) -> None:
    genomes = evolved(encoding, 20, 12)
    few = encoding.compact(genomes.take(torch.arange(3)))
    assert torch.equal(encoding.render(few), encoding.render(genomes)[:3])
    arrays = encoding.to_arrays(few)
    for name, array in encoding.to_arrays(genomes.take(torch.arange(3))).items():
        assert (arrays[name] == array).all()
        assert few[name].shape[1] == array.shape[1]


def test_genomes_of_different_widths_mix(encoding: Encoding) -> None:
    small, large = evolved(encoding, 4, 0), evolved(encoding, 4, 25)
    mixed = Genomes.concatenate([small, large])
    mixed.replace(Replacement(torch.arange(8) == 1, torch.full((8,), 2)), large)
    images = encoding.render(mixed)
    assert torch.equal(images[4:], encoding.render(large))
    assert torch.equal(images[1], encoding.render(large)[2])
    assert_valid(encoding.vary(mixed, mixed, 1, torch.Generator().manual_seed(1)).genomes, encoding)


def test_empty_populations_pass(encoding: Encoding, generator: torch.Generator) -> None:
    nobody = evolved(encoding, 4, 4).take(torch.tensor([], dtype=torch.int64))
    assert encoding.render(nobody).shape == (0, encoding.channels, encoding.size, encoding.size)
    arrays = encoding.to_arrays(nobody)
    assert len(encoding.vary(encoding.from_arrays(arrays, CPU), nobody, 1, generator).genomes) == 0


def test_genes_move_images_as_autograd_says(encoding: Encoding) -> None:
    assert isinstance(encoding, Tunable)
    genomes = evolved(encoding, 6, 4)
    genes = encoding.genes(genomes)
    assert genes.dtype == torch.float32
    assert encoding.present(genomes).shape == genes.shape
    assert same(encoding.with_genes(genomes, genes), genomes)
    moved = (genes + 0.01).clamp(0, 1).requires_grad_()
    levels = encoding.levels(genomes, moved)
    drawn = encoding.render(encoding.with_genes(genomes, moved.detach()))
    assert torch.equal(levels.detach(), drawn.float())
    levels.sum().backward()
    assert moved.grad is not None
    assert moved.grad.isfinite().all()
    assert moved.grad.abs().sum() > 0


def test_fine_steps_move_some_genes_a_little(encoding: Encoding, generator: torch.Generator) -> None:
    assert isinstance(encoding, Tunable)
    parents = encoding.compact(evolved(encoding, 40, 4))
    children = fine_steps(encoding, parents, generator, 0.01, 0.1)
    assert_valid(children, encoding)
    before, after = encoding.genes(parents), encoding.genes(children)
    changed = (before != after)[encoding.present(parents)].float().mean()
    assert 0.01 < changed < 0.6
    assert torch.equal(before[~encoding.present(parents)], after[~encoding.present(parents)])
