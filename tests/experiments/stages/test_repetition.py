"""Copies are found, removed one by one, and their loss is measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from islands.classifiers.network_classifier import Preprocessing
from islands.classifiers.torch_classifier import TorchClassifier
from islands.experiments.parameters import RepetitionParameters
from islands.experiments.stages.repetition import (
    STAGE,
    Picture,
    copies,
    effects_of_copies,
    elsewhere,
    surest,
    without,
)
from islands.store.reader import StoreReader
from tests.experiments.experiments import items, run, run_cut_off, tiny

pytestmark = pytest.mark.slow

SETTINGS = RepetitionParameters(colours=4)
CORNERS = [(4, 4), (4, 40), (40, 4), (28, 26)]


def squares() -> Picture:
    """Four equal red squares, and a blue bar that is alone, on green."""
    picture = np.zeros((64, 64, 3), np.uint8)
    picture[:, :, 1] = 200
    for top, left in CORNERS:
        picture[top : top + 8, left : left + 8] = (220, 10, 10)
    picture[56:60, 20:60] = (10, 10, 220)
    return picture


class Redness(nn.Module):
    """Class 1 is the surer the more red there is."""

    def forward(self, pixels: Tensor) -> Tensor:
        red = (pixels[:, 0] > 0.5).float().sum((1, 2)) / 64
        return torch.stack([torch.zeros_like(red), red], 1)


def test_copies_are_the_repeated_element_the_farthest_first() -> None:
    masks = copies(squares(), SETTINGS)
    assert len(masks) == 4
    centres = [tuple(np.argwhere(mask).min(0)) for mask in masks]
    assert centres == sorted(CORNERS, key=lambda at: -np.hypot(at[0] + 3.5 - 31.5, at[1] + 3.5 - 31.5))
    assert all(mask.sum() == 64 for mask in masks)


def test_nothing_is_repeated_in_a_picture_of_one_colour_or_of_unlike_elements() -> None:
    assert len(copies(np.full((32, 32, 1), 7, np.uint8), SETTINGS)) < 2
    unlike = np.zeros((32, 32, 1), np.uint8)
    unlike[2:6, 2:6], unlike[20:30, 4:16] = 255, 255
    assert len(copies(unlike, SETTINGS)) < 2


def test_a_removed_copy_takes_the_colour_around_it_and_the_rest_stays() -> None:
    picture = squares()
    masks = copies(picture, SETTINGS)
    steps = without(picture, masks)
    assert len(steps) == 4
    for removed, step in enumerate(steps):
        expected = picture.copy()
        expected[np.any([np.zeros_like(masks[0]), *masks[:removed]], 0)] = (0, 200, 0)
        assert np.array_equal(step, expected)


def test_the_control_paints_the_same_shapes_elsewhere() -> None:
    masks = copies(squares(), SETTINGS)
    moved = elsewhere(masks)
    assert [mask.sum() for mask in moved] == [mask.sum() for mask in masks]
    assert not (np.any(moved, 0) & np.any(masks, 0)).any()


def test_the_loss_of_each_copy_is_measured() -> None:
    network = TorchClassifier(
        "redness", Redness(), ("no", "yes"), Preprocessing(3, 64), batch_size=8, device=torch.device("cpu")
    )
    found = effects_of_copies(network, squares(), 1, SETTINGS)
    expected = [float(torch.tensor([0.0, left]).softmax(0)[1]) for left in (4, 3, 2, 1)]
    assert found["copies"] == 4
    np.testing.assert_allclose(found["confidence"], expected, rtol=1e-5)
    np.testing.assert_allclose(found["control"], [expected[0]] * 4, rtol=1e-5)
    alone = effects_of_copies(network, np.full((64, 64, 3), 200, np.uint8), 1, SETTINGS)
    assert alone == {"copies": 0, "confidence": None, "control": None}


def test_the_surest_elites_are_taken_apart_once(tmp_path: Path) -> None:
    settings = {
        "runs": 2,
        "network": {"name": "lenet-mnist", "view": "whole"},
        "encoding": {"name": "cppn", "size": 28},
        "evolve": {"initial": 40, "children": 40, "generations": 10},
        "parameters": {"images": 6, "threshold": 0.1, "smallest": 3},
    }
    whole, parts = (tiny("repetition", tmp_path / name, **settings) for name in ("whole", "parts"))
    run(whole)
    reader = StoreReader(tmp_path / "whole/evolved")
    chosen = surest(reader, RepetitionParameters(images=6, threshold=0.1))
    confidence = np.stack([reader.elites(run).confidence for run in range(2)])
    assert len(chosen) == 6
    assert min(confidence[place] for place in chosen) == np.sort(confidence.ravel())[-6]
    found = items(whole, STAGE)
    assert set(found) == {f"run {run} class {class_}" for run, class_ in chosen}
    for item in found.values():
        if item["copies"]:
            stored = confidence[item["run"], item["class"]]
            np.testing.assert_allclose(item["confidence"][0], stored, atol=1e-5)
    run_cut_off(parts, f"repetition: {chosen[3][1]} of run {chosen[3][0]}")
    assert items(parts, STAGE) == found
