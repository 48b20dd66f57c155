"""The direct encoding against the numbers of the paper and of the released code."""

from __future__ import annotations

import pytest
import torch

from islands.encodings.contract import Operator
from islands.encodings.direct import DirectEncoding
from islands.encodings.genomes import Genomes
from islands.encodings.polynomial import polynomial_step
from islands.encodings.settings import DirectSettings


def flat(n: int, level: int) -> Genomes:
    return Genomes({"genes": torch.full((n, 784), level, dtype=torch.uint8)})


def mutate(settings: DirectSettings, generation: int, level: int = 128, n: int = 500) -> torch.Tensor:
    """Return the changes of genes that all had `level`, as float levels."""
    encoding = DirectEncoding(settings, 1, 28)
    parents = flat(n, level)
    children = encoding.vary(parents, parents, generation, torch.Generator().manual_seed(5)).genomes
    return children["genes"].float() - level


def test_polynomial_steps_have_the_papers_size() -> None:
    uniform = (torch.arange(1_000_000, dtype=torch.float64) + 0.5) / 1_000_000
    steps = polynomial_step(uniform, 15)
    assert steps.std().item() == pytest.approx(0.0808, abs=2e-4)
    assert steps.abs().median().item() == pytest.approx(0.042, abs=5e-4)
    assert steps.abs().quantile(0.99).item() == pytest.approx(0.25, abs=2e-3)
    assert steps.mean().item() == pytest.approx(0, abs=1e-6)
    assert steps.abs().max() <= 1


@pytest.mark.parametrize(
    ("generation", "rate"), [(1, 0.1), (1000, 0.1), (1001, 0.05), (2001, 0.025), (20_000, 0.1 / 2**19)]
)
def test_the_rate_halves_every_1000_generations(generation: int, rate: float) -> None:
    assert DirectEncoding(DirectSettings(), 1, 28).mutation_rate(generation) == rate
    changed = (mutate(DirectSettings(mutation_eta=1), generation) != 0).float().mean().item()
    # A step of eta 1 rounds to 0 with probability 1 in 255; the standard deviation is below 5e-4.
    assert changed == pytest.approx(rate * (1 - 1 / 255), abs=2.5e-3)


def test_the_rate_is_constant_in_the_released_code() -> None:
    settings = DirectSettings(variant="released-code")
    assert DirectEncoding(settings, 1, 28).mutation_rate(5000) == 0.1


def test_every_gene_mutates_at_rate_1() -> None:
    assert (mutate(DirectSettings(mutation_rate=1), 1) != 0).float().mean().item() > 0.96


def test_genes_mutate_alike_wherever_they_are() -> None:
    changed = (mutate(DirectSettings(), 1, n=2000) != 0).float()
    assert changed.mean(0).std().item() == pytest.approx((0.0965 * 0.9035 / 2000) ** 0.5, rel=0.15)
    assert changed.mean(1).std().item() == pytest.approx((0.0965 * 0.9035 / 784) ** 0.5, rel=0.15)


def test_steps_in_levels_follow_the_polynomial() -> None:
    steps = mutate(DirectSettings(mutation_rate=1), 1)
    assert steps.std().item() == pytest.approx(0.0808 * 255, rel=0.01)
    assert steps.abs().median().item() == 11
    assert steps.mean().item() == pytest.approx(0, abs=0.2)


@pytest.mark.parametrize("level", [0, 255])
def test_genes_are_clipped_at_black_and_white(level: int) -> None:
    changed = (mutate(DirectSettings(mutation_rate=1), 1, level) != 0).float().mean().item()
    assert changed == pytest.approx(0.484, abs=0.01)


def test_the_paper_never_crosses() -> None:
    encoding = DirectEncoding(DirectSettings(), 1, 28)
    black, white = flat(50, 0), flat(50, 255)
    children = encoding.vary(black, white, 1, torch.Generator().manual_seed(1))
    assert children.operators.eq(int(Operator.MUTATION)).all()
    assert children.genomes["genes"].float().mean() < 5


def test_the_released_code_crosses_half_of_the_children() -> None:
    encoding = DirectEncoding(DirectSettings(variant="released-code"), 1, 28)
    low, high = flat(2000, 100), flat(2000, 150)
    children = encoding.vary(low, high, 1, torch.Generator().manual_seed(1))
    crossed = children.operators == int(Operator.CROSSOVER)
    assert crossed.float().mean().item() == pytest.approx(0.5, abs=0.05)
    genes = children.genomes["genes"].float()
    assert genes[crossed].mean().item() == pytest.approx(125, abs=1)
    assert genes[~crossed].mean().item() == pytest.approx(100, abs=1)


def test_crossed_genes_lie_near_one_parent_or_the_other() -> None:
    settings = DirectSettings(variant="released-code", mutation_rate=1e-6, crossover_rate=1)
    children = DirectEncoding(settings, 1, 28).vary(
        flat(100, 100), flat(100, 150), 1, torch.Generator().manual_seed(1)
    )
    genes = children.genomes["genes"].float()
    assert (genes < 125).float().mean().item() == pytest.approx(0.5, abs=0.01)
    spread = (genes - 125).abs() / 25
    assert spread.median().item() == pytest.approx(1, abs=0.03)
    assert (spread - 1).abs().quantile(0.5).item() < 0.08


def test_equal_genes_survive_crossover() -> None:
    """The released code turns them into mid-grey, a defect that is not copied."""
    settings = DirectSettings(variant="released-code", mutation_rate=1e-6, crossover_rate=1)
    children = DirectEncoding(settings, 1, 28).vary(
        flat(20, 200), flat(20, 200), 1, torch.Generator().manual_seed(1)
    )
    assert (children.genomes["genes"] == 200).float().mean() > 0.999


def test_crossover_in_chunks_covers_every_gene(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("islands.encodings.direct.CROSSOVER_CHUNK", 1000)
    test_the_released_code_crosses_half_of_the_children()


def test_grey_genomes_are_their_images(generator: torch.Generator) -> None:
    encoding = DirectEncoding(DirectSettings(), 1, 28)
    genomes = encoding.random(3, generator)
    assert torch.equal(encoding.render(genomes).flatten(1), genomes["genes"])


def test_noise_is_uniform_over_all_levels(generator: torch.Generator) -> None:
    genes = DirectEncoding(DirectSettings(), 1, 28).random(500, generator)["genes"]
    counts = genes.flatten().long().bincount(minlength=256)
    assert counts.min() > 1300
    assert counts.max() < 1780
