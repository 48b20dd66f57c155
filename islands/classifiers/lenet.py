"""The paper's LeNet for digits, with weights of our own training."""

from __future__ import annotations

import json
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from safetensors.torch import load
from torch import nn

from islands.classifiers.network_classifier import Preprocessing
from islands.classifiers.state_dicts import LocalFile, fill, read_state_dict, require_sha256
from islands.classifiers.torch_classifier import Network
from islands.errors import NetworkError
from islands.folders import cache_directory

CLASSES = tuple("0123456789")


def build_lenet(outputs: int = 10) -> nn.Module:
    """Return an untrained LeNet: 431,080 parameters, input (B, 1, 28, 28) float in [0, 1], 10 logits.

    Two convolutions of 20 and 50 filters of 5 x 5, each with 2 x 2 max pooling; 500 hidden units with the
    only ReLU; 10 outputs (paper section 2.1 and the released `lenet.prototxt`).
    """
    return nn.Sequential(
        nn.Conv2d(1, 20, 5),
        nn.MaxPool2d(2),
        nn.Conv2d(20, 50, 5),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(800, 500),
        nn.ReLU(),
        nn.Linear(500, outputs),
    )


def load_lenet(weights: LocalFile | None = None) -> Network:
    """Return LeNet with the weights of this package; `lenet-mnist.json` beside them says how they were made.

    Args:
        weights: a state dict to use in their place.

    Raises:
        NetworkError: the file of weights is damaged or does not fit.
    """
    if weights is not None:
        module = fill(build_lenet(), read_state_dict(weights), str(weights.path))
        return Network(module, CLASSES, Preprocessing(1, 28), batch_size=256)
    return _recorded(files("islands.classifiers") / "weights")


def trained_folder(seed: int) -> Path:
    """Return where the LeNet trained here with `seed` is kept."""
    return cache_directory("trained", f"lenet-{seed}")


def load_trained_lenet(seed: int) -> Network:
    """Return the LeNet that was trained here with `seed`; see `islands.training.digits`.

    Raises:
        NetworkError: it was not, or its weights are damaged.
    """
    folder = trained_folder(seed)
    if not (folder / "lenet-mnist.json").is_file():
        raise NetworkError(
            f"lenet:{seed} has not been trained here yet: a run that names it does it in a minute or two, "
            f"and so does `python -m islands.training.digits --seed {seed} --out {folder}`"
        )
    return _recorded(folder)


def _recorded(folder: Traversable) -> Network:
    """Return the LeNet of a folder of weights, with the record of how they were made."""
    data = (folder / "lenet-mnist.safetensors").read_bytes()
    record = json.loads((folder / "lenet-mnist.json").read_text())
    require_sha256(data, record["sha256"], "lenet-mnist.safetensors")
    module = fill(build_lenet(), load(data), "lenet-mnist.safetensors")
    return Network(module, CLASSES, Preprocessing(1, 28), batch_size=256)
