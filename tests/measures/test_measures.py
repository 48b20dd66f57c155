"""Measures against loops over pixels, and their bins."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor

from islands.config import WorkConfig
from islands.encodings.contract import Encoding
from islands.encodings.genomes import Genomes
from islands.encodings.settings import CppnSettings, DirectSettings
from islands.errors import ConfigError
from islands.measures.axes import MEASURES, ArchiveConfig, MeasureSettings
from islands.measures.bins import bins_of
from islands.testing import MeasureTests, evolved
from tests.archipelago.conftest import small_config


@pytest.mark.parametrize("name", MEASURES.built_in)
class TestOurs(MeasureTests):
    @pytest.fixture(autouse=True)
    def _named(self, name: str) -> None:
        self.name = name

    def settings(self) -> MeasureSettings:
        return MEASURES.get(self.name)(name=self.name)


def naive(name: str, image: np.ndarray[Any, np.dtype[np.uint8]]) -> float:
    """Measure one image (channels, H, W) by loops and words."""
    values = image.astype(float) / 255
    _, height, width = values.shape
    match name:
        case "brightness":
            return float(values.mean())
        case "warmth":
            return float(values[0].mean() - values[-1].mean())
        case "symmetry":
            apart = [
                abs(row[x] - row[width - 1 - x]) for row in values.reshape(-1, width) for x in range(width)
            ]
            return 1 - float(sum(apart)) / len(apart)
        case "detail":
            across = [abs(row[x + 1] - row[x]) for row in values.reshape(-1, width) for x in range(width - 1)]
            turned = values.transpose(0, 2, 1).reshape(-1, height)
            down = [abs(row[y + 1] - row[y]) for row in turned for y in range(height - 1)]
            return float(sum(across) / len(across) + sum(down) / len(down)) / 2
        case _:
            return 1 - len(zlib.compress(image.tobytes())) / image.size


@given(seed=st.integers(0, 99), channels=st.sampled_from([1, 3]), size=st.integers(2, 9))
@pytest.mark.parametrize("name", sorted({*MEASURES.built_in} - {"nodes"}))
def test_images_are_measured_as_loops_would(name: str, seed: int, channels: int, size: int) -> None:
    encoding = DirectSettings().build(channels, size)
    genomes = encoding.random(3, torch.Generator().manual_seed(seed))
    images = encoding.render(genomes)
    found = MEASURES.get(name)(name=name).measure(images, genomes, encoding)
    assert found.tolist() == pytest.approx([naive(name, image) for image in images.numpy()])


def test_hidden_nodes_are_counted() -> None:
    encoding = CppnSettings().build(1, 8)
    genomes = evolved(encoding, 20, 60)
    arrays = encoding.to_arrays(genomes)["functions"]
    measured = MEASURES.get("nodes")(name="nodes").measure(encoding.render(genomes), genomes, encoding)
    assert measured.tolist() == [float((row[5:] > 0).sum()) for row in arrays]
    assert len({*measured.tolist()}) > 2


class Given(MeasureSettings):
    """Measures what it is given."""

    def measure(self, images: Tensor, genomes: Genomes, encoding: Encoding) -> Tensor:
        return genomes["values"]


def of(values: Any, *measures: MeasureSettings) -> list[int]:
    """Return the bins of images of which each measure says `values`."""
    genomes = Genomes({"values": torch.as_tensor(values)})
    images = torch.zeros((3, 1, 2, 2), dtype=torch.uint8)
    encoding = DirectSettings().build(1, 2)
    return bins_of(ArchiveConfig(measures=list(measures)), images, genomes, encoding).tolist()


def test_what_lies_outside_the_range_is_in_the_nearest_bin() -> None:
    assert of([-7.0, 0.5, 9.0], Given(name="a", bins=3)) == [0, 1, 2]
    assert of([0.999, 1.0, 1.999], Given(name="a", bins=2, high=2.0)) == [0, 1, 1]


def test_the_last_measure_changes_fastest() -> None:
    bins = of([0.1, 0.5, 0.9], Given(name="a", bins=2), Given(name="b", bins=3))
    assert bins == [0 * 3 + 0, 1 * 3 + 1, 1 * 3 + 2]
    archive = ArchiveConfig(measures=[Given(name="a", bins=2), Given(name="b", bins=3)])
    assert archive.bins == 6
    assert [archive.niche(bin_) for bin_ in (0, 4)] == [
        "a 0 to 0.5, b 0 to 0.333333",
        "a 0.5 to 1, b 0.333333 to 0.666667",
    ]
    assert ArchiveConfig().niche(0) == ""


@pytest.mark.parametrize(
    ("values", "got"),
    [
        ([[1.0], [2.0], [3.0]], r"shape \(3, 1\)"),
        ([1.0, 2.0], r"shape \(2,\)"),
        ([1.0, float("nan"), 0.0], "finite"),
    ],
)
def test_a_measure_that_breaks_its_contract_is_told_in_a_line(values: Any, got: str) -> None:
    with pytest.raises(ConfigError, match=f"archive.measures, a: got .*{got}"):
        of(values, Given(name="a"))


@pytest.mark.parametrize(
    ("archive", "told"),
    [
        ({"measures": ["brightness", {"name": "brightness", "bins": 3}]}, "measures has brightness twice"),
        ({"measures": [{"name": "brightness", "low": 1.0, "high": 0.5}]}, "high above low"),
        ({"measures": [{"name": "brightness", "bins": 1}]}, "greater than or equal to 2"),
        ({"top": 0}, "greater than or equal to 1"),
    ],
)
def test_what_is_no_archive_is_refused(archive: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        small_config(archive=archive)


def test_pixels_have_no_nodes() -> None:
    with pytest.raises(ValidationError, match=r"archive.measures has nodes, .* got direct: remove it"):
        small_config(archive={"measures": ["nodes"]}, encoding={"name": "direct"})
    assert isinstance(small_config(archive={"measures": ["nodes"]}), WorkConfig)
