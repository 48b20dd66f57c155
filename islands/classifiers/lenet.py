"""The paper's LeNet for digits, with weights of our own training."""

from __future__ import annotations

import json
from importlib.resources import files

import torch
from safetensors.torch import load
from torch import nn

from islands.classifiers.verify import require_sha256

CLASSES = tuple("0123456789")


def build_lenet() -> nn.Module:
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
        nn.Linear(500, 10),
    )


def load_lenet() -> nn.Module:
    """Return LeNet with the weights of this package; `lenet-mnist.json` beside them says how they were made.

    Raises:
        NetworkError: the file of weights is damaged.
    """
    folder = files("islands.classifiers") / "weights"
    data = (folder / "lenet-mnist.safetensors").read_bytes()
    record = json.loads((folder / "lenet-mnist.json").read_text())
    require_sha256(data, record["sha256"], "lenet-mnist.safetensors")
    network = build_lenet()
    network.load_state_dict(load(data))
    return network.to(torch.float32)
