"""Loads networks by name."""

from __future__ import annotations

from collections.abc import Callable

import torch

from islands.classifiers.catalogue import NetworkEntry, network_entry
from islands.classifiers.torch_classifier import Preprocessing, TorchClassifier, View
from islands.errors import ConfigError


def load_classifier(
    name: str, *, view: View = "whole", batch_size: int | None = None, device: torch.device
) -> TorchClassifier:
    """Build a network with its weights and its preprocessing.

    Args:
        name: one of `catalogue.NETWORKS`.
        view: how an image larger than the network's input is shown to it.
        batch_size: images per forward pass; None: what suits the network.
        device: where images are scored.

    Raises:
        NetworkError: there is no such network, or its weights are damaged.
    """
    entry = network_entry(name)
    return _LOADERS[name](entry, view, batch_size or entry.batch_size, device)


def resolve_device(name: str) -> torch.device:
    """Return the device that `auto`, `cuda`, `mps` or `cpu` means here.

    Raises:
        ConfigError: this machine has no such device.
    """
    available = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        return torch.device(next(device for device, here in available.items() if here))
    if not available.get(name, False):
        have = ", ".join(device for device, here in available.items() if here)
        raise ConfigError(f"workers.device: got {name}, but this machine offers {have}; use one, or auto")
    return torch.device(name)


def _lenet(entry: NetworkEntry, view: View, batch_size: int, device: torch.device) -> TorchClassifier:
    from islands.classifiers.lenet import CLASSES, load_lenet

    preprocessing = Preprocessing(entry.channels, entry.input_size, view=view)
    return TorchClassifier(
        entry.name, load_lenet(), CLASSES, preprocessing, batch_size=batch_size, device=device
    )


def _efficientnet_lite0(
    entry: NetworkEntry, view: View, batch_size: int, device: torch.device
) -> TorchClassifier:
    from islands.classifiers.efficientnet_lite import MEAN, STD, imagenet_classes, load_efficientnet_lite0

    preprocessing = Preprocessing(entry.channels, entry.input_size, mean=MEAN, std=STD, view=view)
    return TorchClassifier(
        entry.name,
        load_efficientnet_lite0(),
        imagenet_classes(),
        preprocessing,
        batch_size=batch_size,
        device=device,
    )


_LOADERS: dict[str, Callable[[NetworkEntry, View, int, torch.device], TorchClassifier]] = {
    "lenet-mnist": _lenet,
    "efficientnet-lite0": _efficientnet_lite0,
}
