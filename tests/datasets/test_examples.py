"""Sets of images behave as if they were one tensor."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from islands.datasets.examples import InMemory, Joined, of_class
from islands.datasets.image_folder import ImageFolder, write_image_folder
from islands.datasets.mnist import Labelled, load_fashion_mnist
from islands.errors import DataError


def test_joined_sets_are_the_concatenation_in_any_order() -> None:
    generator = torch.Generator().manual_seed(0)
    parts = [
        Labelled(
            torch.randint(256, (n, 1, 4, 4), generator=generator, dtype=torch.uint8),
            torch.randint(9, (n,), generator=generator),
        )
        for n in (3, 1, 5)
    ]
    joined = Joined([InMemory(part) for part in parts])
    rows = torch.tensor([8, 0, 3, 3, 4, 2, 1])
    found = joined.take(rows)
    assert len(joined) == 9
    assert torch.equal(found.images, torch.cat([part.images for part in parts])[rows])
    assert torch.equal(found.labels, torch.cat([part.labels for part in parts])[rows])
    assert joined.digest != Joined([InMemory(part) for part in parts[:2]]).digest


def test_one_class_bears_one_label() -> None:
    images = torch.zeros((3, 1, 2, 2), dtype=torch.uint8)
    assert of_class(images, 7).take(torch.tensor([0, 2])).labels.tolist() == [7, 7]


def test_a_folder_of_pictures_gives_them_back_with_their_classes(tmp_path: Path) -> None:
    clothes = load_fashion_mnist("test")
    data = Labelled(clothes.images[:6].repeat(1, 3, 1, 1), clothes.labels[:6])
    names = tuple(f"class-{label}" for label in range(10))
    write_image_folder(data, names, tmp_path)
    folder = ImageFolder(tmp_path, 28)
    assert folder.classes == tuple(names[label] for label in sorted(set(data.labels.tolist())))
    order = sorted(range(6), key=lambda row: (names[int(data.labels[row])], row))
    found = folder.take(torch.arange(6))
    assert torch.equal(found.images, data.images[order])
    assert [folder.classes[label] for label in found.labels] == [names[data.labels[row]] for row in order]
    before = folder.digest
    assert ImageFolder(tmp_path, 28).digest == before
    picture = next(tmp_path.rglob("*.png"))
    Image.fromarray(np.zeros((28, 28, 3), np.uint8)).save(picture)
    assert ImageFolder(tmp_path, 28).digest != before


def test_a_folder_without_classes_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected a folder of pictures for each class") as refusal:
        ImageFolder(tmp_path, 28)
    assert "\n" not in str(refusal.value)
