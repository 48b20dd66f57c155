from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from islands.store.png import save_in_bands
from tests.conftest import examples


@settings(max_examples=examples(30), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    height=st.integers(1, 150),
    width=st.integers(1, 40),
    channels=st.sampled_from([1, 3]),
    smooth=st.booleans(),
    seed=st.integers(0, 99),
)
def test_pillow_reads_the_same_bytes(
    tmp_path: Path, height: int, width: int, channels: int, smooth: bool, seed: int
) -> None:
    noise = np.random.default_rng(seed).integers(0, 256, (channels, height, width))
    planes = (noise // 16).cumsum(2) if smooth else noise
    picture = planes.astype(np.uint8).transpose(1, 2, 0)
    save_in_bands(picture, tmp_path / "picture.png")
    with Image.open(tmp_path / "picture.png") as image:
        assert image.mode == {1: "L", 3: "RGB"}[channels]
        np.testing.assert_array_equal(np.asarray(image).reshape(picture.shape), picture)


def test_smooth_pictures_come_out_small(tmp_path: Path) -> None:
    ramp = np.add.outer(np.arange(512), np.arange(512)).astype(np.uint8)
    save_in_bands(np.stack([ramp] * 3, axis=2), tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size < ramp.nbytes * 3 / 50


@pytest.mark.parametrize("channels", [1, 3])
def test_planes_need_not_be_copied_first(tmp_path: Path, channels: int) -> None:
    planes = np.arange(channels * 6 * 5, dtype=np.uint8).reshape(channels, 6, 5)
    save_in_bands(planes.transpose(1, 2, 0), tmp_path / "picture.png")
    with Image.open(tmp_path / "picture.png") as image:
        assert np.asarray(image).tobytes() == planes.transpose(1, 2, 0).tobytes()
