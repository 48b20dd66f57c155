"""The frequency encoding against sums of cosines in plain Python, and against scipy."""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.fft import idctn

from islands.encodings.dct import DctEncoding
from islands.encodings.genomes import Genomes
from islands.encodings.settings import DctSettings


def test_pixels_are_sums_of_cosines() -> None:
    encoding = DctEncoding(DctSettings(frequencies=3), 1, 9)
    genomes = encoding.random(4, torch.Generator().manual_seed(1))
    images = encoding.render(genomes)[:, 0].tolist()
    for row, genes in enumerate(genomes["genes"].reshape(4, 3, 3).tolist()):
        for y in range(9):
            for x in range(9):
                total = sum(
                    (genes[v][u] - 128)
                    / 128
                    / (1 + math.hypot(u, v))
                    * math.cos(math.pi * u * (x + 0.5) / 9)
                    * math.cos(math.pi * v * (y + 0.5) / 9)
                    for u in range(3)
                    for v in range(3)
                )
                level = min(max(127.5 * (1 + total), 0), 255)
                # One level of rounding, and a little for whole amplitudes and cosines.
                assert abs(images[row][y][x] - level) <= 1.5


def test_all_frequencies_are_the_inverse_transform() -> None:
    encoding = DctEncoding(DctSettings(frequencies=8), 1, 8)
    genomes = encoding.random(6, torch.Generator().manual_seed(2))
    genes = genomes["genes"].reshape(6, 8, 8).numpy().astype(np.float64)
    axis = np.arange(8)
    coefficients = (genes - 128) / 128 / (1 + np.hypot(axis[:, None], axis))
    # scipy counts every coefficient but that of frequency 0 twice along each axis, and divides by 2 * size.
    once = np.where(axis == 0, 16.0, 8.0)
    wave = idctn(coefficients * once[:, None] * once, type=2, axes=(1, 2))
    expected = np.clip(127.5 * (1 + wave), 0, 255)
    assert np.abs(encoding.render(genomes)[:, 0].numpy() - expected).max() <= 1.5


def test_extreme_genes_at_the_highest_frequencies_stay_exact() -> None:
    encoding = DctEncoding(DctSettings(frequencies=64), 1, 32)
    genes = torch.tensor([0, 255], dtype=torch.uint8).repeat(64 * 32)[None]
    torch.manual_seed(0)
    genes = genes[:, torch.randperm(64 * 64)].repeat(3, 1)
    genes[2] = 255
    images = encoding.render(Genomes({"genes": genes}))
    assert torch.equal(images[0], images[1])
    assert images[2, 0, 0, 0] == 255


def test_few_genes_make_large_images() -> None:
    encoding = DctEncoding(DctSettings(frequencies=4), 3, 64)
    genomes = encoding.random(2, torch.Generator().manual_seed(3))
    assert genomes["genes"].shape == (2, 3 * 4 * 4)
    assert encoding.render(genomes, 200).shape == (2, 3, 200, 200)
