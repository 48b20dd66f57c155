"""The two ways to draw a CPPN against a model in plain Python and against each other."""

from __future__ import annotations

import math
import tracemalloc
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from islands.encodings.canvas import Canvas
from islands.encodings.cppn import CppnEncoding
from islands.encodings.elementary import exponential, exponentials, sine, sines
from islands.encodings.genomes import Genomes
from islands.encodings.kernels import kernel
from islands.encodings.rendering_torch import render_by_formula
from islands.encodings.settings import CppnSettings, Variant
from islands.testing import evolved
from tests.conftest import examples
from tests.encodings.naive import image

ONE_LEVEL = {1: 1, 3: 9}
"""What one level more of an output may do to a channel: a hue byte of HLS is 2 degrees, 8.5 levels."""


def by_formula(encoding: CppnEncoding, genomes: Genomes, size: int | None = None) -> torch.Tensor:
    canvas = Canvas.of(encoding.settings, encoding.size, encoding.size if size is None else size)
    return render_by_formula(
        genomes, encoding.channels, encoding.settings.weight_limit, canvas, encoding.settings.colour
    )


def one(functions: list[int], edges: list[tuple[int, int, float]]) -> Genomes:
    """Build a grey genome from the functions of output and hidden nodes and (source, target, weight)."""
    sources, targets, weights = zip(*edges, strict=True)
    return Genomes(
        {
            "functions": torch.tensor([[0, 0, 0, 0, *functions]], dtype=torch.uint8),
            "sources": torch.tensor([sources], dtype=torch.int16),
            "targets": torch.tensor([targets], dtype=torch.int16),
            "weights": (torch.tensor([weights]) + 10) / 20,
        }
    )


@settings(max_examples=examples(20))
@given(seed=st.integers(0, 2**32), channels=st.sampled_from([1, 3]), generations=st.integers(0, 25))
def test_both_renderers_follow_the_model(seed: int, channels: int, generations: int) -> None:
    encoding = CppnEncoding(CppnSettings(), channels, 9)
    genomes = evolved(encoding, 4, generations, seed)
    model = np.stack([image(genomes, row, channels, 9) for row in range(4)])
    for images in (encoding.render(genomes), by_formula(encoding, genomes)):
        far = np.abs(images.numpy().astype(np.int64) - model) > ONE_LEVEL[channels]
        assert far.mean() < 0.02  # chains of sines multiply the rounding errors of single precision


@pytest.mark.parametrize("variant", ["paper", "released-code"])
@pytest.mark.parametrize(("channels", "size"), [(1, 28), (3, 32)])
def test_kernel_and_formula_draw_the_same_bytes(variant: Variant, channels: int, size: int) -> None:
    encoding = CppnEncoding(CppnSettings(variant=variant), channels, size)
    genomes = evolved(encoding, 100, 30)
    assert torch.equal(encoding.render(genomes), by_formula(encoding, genomes))


def test_kernel_and_formula_draw_the_same_bytes_at_other_sizes() -> None:
    encoding = CppnEncoding(CppnSettings(coordinates="normalized"), 1, 28)
    genomes = evolved(encoding, 20, 30)
    assert torch.equal(encoding.render(genomes, 45), by_formula(encoding, genomes, 45))


@given(st.lists(st.floats(-1e5, 1e5, width=32), min_size=1))
def test_tensors_have_the_bits_of_the_kernels(xs: list[float]) -> None:
    x = torch.tensor(xs)
    assert sines(x).tolist() == [sine(np.float32(each)) for each in xs]
    assert exponentials(-x.abs()).tolist() == [exponential(np.float32(-abs(each))) for each in xs]


@pytest.mark.parametrize("size", [1, 3, 27, 511, 513])
def test_tiles_that_end_within_rows_cover_the_image(size: int) -> None:
    """An output that is x alone shows where each pixel thinks it is."""
    genomes = one([4], [(0, 4, 3 / 513)])
    pixels = CppnEncoding(CppnSettings(), 1, size).render(genomes)[0, 0]
    expected = torch.arange(size) / 513 * 255
    assert (pixels - expected).abs().max() <= 1
    assert torch.equal(pixels, pixels[:1].expand(size, size))


@pytest.mark.parametrize("code", [1, 2, 3, 4])
@pytest.mark.parametrize("weight", [-9.0, -0.4, 0.3, 10.0])
def test_activations(code: int, weight: float) -> None:
    pixels = CppnEncoding(CppnSettings(), 1, 256).render(one([code], [(0, 4, weight)]))[0, 0, 0]
    p = torch.arange(256, dtype=torch.float64) * weight
    exact = {
        1: p.sin(),
        2: (p / 2).tanh(),
        3: (-p * p).exp(),
        4: p.clamp(-3, 3) / 3,
    }[code]
    assert (pixels - (exact.abs() * 255).trunc()).abs().max() <= 1


def test_parallel_connections_add_up_and_orphans_give_f_of_0() -> None:
    encoding = CppnEncoding(CppnSettings(), 1, 8)
    assert (encoding.render(one([4], [(3, 4, 0.5), (3, 4, 1.0)])) == 127).all()
    # Node 5, a Gaussian without connections, is 1 everywhere.
    assert (encoding.render(one([4, 3], [(5, 4, 1.5)])) == 127).all()


def test_hidden_nodes_are_sorted_whatever_their_storage_order() -> None:
    encoding = CppnEncoding(CppnSettings(), 1, 8)
    chain = one([4, 4, 4, 4], [(6, 4, 3.0), (7, 6, 3.0), (5, 7, 3.0), (3, 5, 1.5)])
    assert (encoding.render(chain) == 127).all()
    assert (by_formula(encoding, chain) == 127).all()


def test_the_distance_is_1_at_the_middle_of_an_edge() -> None:
    pixels = CppnEncoding(CppnSettings(), 1, 9).render(one([4], [(2, 4, 2.0)]))[0, 0]
    assert pixels[4, 4] == 0
    assert pixels[4, 0] == pixels[0, 4] == pixels[8, 4] == 170
    assert pixels[0, 0] == pytest.approx(255 * math.sqrt(2) * 2 / 3, abs=1)


@given(st.floats(-1e4, 1e4, width=32))
def test_sine(x: float) -> None:
    assert sine(np.float32(x)) == pytest.approx(math.sin(x), abs=1e-6)


@given(st.floats(-200, 0, width=32))
def test_exponential(x: float) -> None:
    assert exponential(np.float32(x)) == pytest.approx(math.exp(max(x, -87)), rel=1e-6)


def test_a_large_image_needs_little_beyond_itself() -> None:
    encoding = CppnEncoding(CppnSettings(), 3, 256)
    genomes = evolved(encoding, 1, 40)
    encoding.render(genomes)
    tracemalloc.start()
    try:
        encoding.render(genomes, 1024)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2 * 3 * 1024 * 1024


def test_kernels_compile_where_nothing_can_be_cached(monkeypatch: pytest.MonkeyPatch) -> None:
    real: Any = numba.njit

    def refuse(**options: bool) -> object:
        if options.pop("cache", False):
            raise RuntimeError("cannot cache function: no locator available")
        return real(**options)

    monkeypatch.setattr(numba, "njit", refuse)
    increment: Callable[[int], int] = kernel(lambda x: x + 1)
    assert increment(1) == 2
