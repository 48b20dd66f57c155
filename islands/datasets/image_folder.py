"""Pictures in folders, one for each class, as torchvision's `ImageFolder` has them."""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from islands.classifiers.torchvision_cpu import import_torchvision
from islands.datasets.mnist import Labelled
from islands.datasets.pictures import find_class_folders, find_pictures, read_picture
from islands.files import write_whole_by


class ImageFolder:
    """The pictures of `folder/CLASS/…` as RGB squares; implements `islands.datasets.examples.Examples`.

    The shorter side is resized to `size` pixels and the centre cut out, as torchvision's weights have it.

    Args:
        folder: with a folder for each class.
        size: height and width of the images in pixels.

    Raises:
        DataError: there is no such folder, or a class in it has no picture.
    """

    def __init__(self, folder: Path, size: int) -> None:
        import_torchvision()
        from torchvision import transforms

        folders = find_class_folders(folder)
        self._folder = folder
        self._size = size
        self._samples = [
            (picture, label) for label, class_ in enumerate(folders) for picture in find_pictures(class_)
        ]
        self._transform = transforms.Compose(
            [transforms.Resize(size), transforms.CenterCrop(size), transforms.PILToTensor()]
        )
        self.classes = tuple(class_.name for class_ in folders)

    def __len__(self) -> int:
        return len(self._samples)

    @property
    def digest(self) -> str:
        """Sha256 of size, names and contents of the files."""
        sha = hashlib.sha256(str(self._size).encode())
        for path, label in self._samples:
            sha.update(f"{path.relative_to(self._folder)} {label} ".encode())
            with path.open("rb") as file:
                sha.update(hashlib.file_digest(file, "sha256").digest())
        return sha.hexdigest()

    def take(self, rows: Tensor) -> Labelled:
        """Return the images of `rows`."""
        chosen = [self._samples[row] for row in rows.tolist()]
        images = torch.stack([self._read(path) for path, _ in chosen])
        return Labelled(images, torch.tensor([label for _, label in chosen]))

    def _read(self, path: Path) -> Tensor:
        image: Tensor = self._transform(Image.fromarray(read_picture(path, channels=3)))
        return image


def write_image_folder(data: Labelled, classes: tuple[str, ...], folder: Path) -> None:
    """Write images uint8 (n, 1 or 3, H, W) as PNG files `folder/CLASS/ROW.png`; those there are kept."""
    for row, (image, label) in enumerate(zip(data.images, data.labels.tolist(), strict=True)):
        path = folder / classes[label] / f"{row:06}.png"
        if path.exists():
            continue
        picture = Image.fromarray(image.permute(1, 2, 0).squeeze(2).numpy())
        # Not durable: 60,000 files would wait for the disk, and one that is lost is written again.
        write_whole_by(path, partial(picture.save, format="PNG"), durable=False)
