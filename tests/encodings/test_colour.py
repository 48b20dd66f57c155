from __future__ import annotations

import colorsys

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from skimage.color import hsv2rgb

from islands.encodings.colour import hls_to_rgb, hsv_to_rgb, to_rgb, to_rgb_by_formula
from islands.encodings.settings import Colour

byte = st.integers(0, 255)


@pytest.fixture(scope="module")
def lattice() -> npt.NDArray[np.uint8]:
    """Every hue, with every fifth level of the other two: uint8 (256, 52 * 52, 3)."""
    levels = np.arange(0, 256, 5)
    grid = np.stack(np.meshgrid(np.arange(256), levels, levels, indexing="ij"), -1)
    return grid.reshape(256, -1, 3).astype(np.uint8)


def convert(lattice: npt.NDArray[np.uint8], colour: Colour) -> npt.NDArray[np.int64]:
    images = torch.from_numpy(lattice).permute(2, 0, 1)[None]
    return to_rgb(images, colour)[0].permute(1, 2, 0).numpy().astype(np.int64)


def test_hsv_is_pillows(lattice: npt.NDArray[np.uint8]) -> None:
    theirs = np.asarray(Image.frombytes("HSV", lattice.shape[1::-1], lattice.tobytes()).convert("RGB"))
    assert np.abs(convert(lattice, "hsv") - theirs).max() <= 1


def test_hsv_is_scikit_images(lattice: npt.NDArray[np.uint8]) -> None:
    theirs = np.round(hsv2rgb(lattice / 255) * 255)
    assert np.abs(convert(lattice, "hsv") - theirs).max() <= 1


@given(byte, byte, byte)
def test_hsv_is_colorsyss(hue: int, saturation: int, value: int) -> None:
    theirs = colorsys.hsv_to_rgb(hue / 255, saturation / 255, value / 255)
    for ours, part in zip(hsv_to_rgb(hue, saturation, value), theirs, strict=True):
        assert abs(ours - 255 * part) <= 0.501


@given(byte, byte, byte)
def test_hls_is_colorsyss_with_two_degrees_per_unit(hue: int, lightness: int, saturation: int) -> None:
    theirs = colorsys.hls_to_rgb((2 * hue % 360) / 360, lightness / 255, saturation / 255)
    for ours, part in zip(hls_to_rgb(hue, lightness, saturation), theirs, strict=True):
        assert abs(ours - 255 * part) <= 0.501


def test_hue_wraps_in_hls(lattice: npt.NDArray[np.uint8]) -> None:
    rgb = convert(lattice, "hls")
    assert (rgb[180:] == rgb[: 256 - 180]).all()


@pytest.mark.parametrize("colour", ["hsv", "hls"])
def test_kernel_and_formula_agree_exactly(lattice: npt.NDArray[np.uint8], colour: Colour) -> None:
    images = torch.from_numpy(lattice).permute(2, 0, 1)[None]
    before = images.clone()
    assert torch.equal(to_rgb(images, colour), to_rgb_by_formula(images, colour))
    assert torch.equal(images, before)
