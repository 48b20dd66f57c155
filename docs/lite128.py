"""EfficientNet-Lite0 fed at 128 pixels in place of its 224, for comparisons of searches."""

from __future__ import annotations

from torch import nn

from islands.classifiers.efficientnet_lite import load_efficientnet_lite


def build() -> nn.Module:
    """Return the network with what Islands asks of one."""
    network = load_efficientnet_lite(0, None)
    module, seen = network.module, network.preprocessing
    module.classes, module.input_size = network.classes, 128
    module.mean, module.std = seen.mean, seen.std
    return module
