"""A network with twelve classes, whose weights are drawn."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Blobs(nn.Module):
    """Two convolutions, and a layer that looks at their means."""

    classes = tuple(f"blob {number}" for number in range(12))
    channels, input_size = 3, 24

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.Conv2d(3, 16, 5), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(16, 32, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2)),
            *(nn.Flatten(), nn.Linear(128, 12)),
        )

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = 20 * self.layers(images)
        return logits


def blobs() -> nn.Module:
    """A network that tells blobs apart."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        return Blobs()
