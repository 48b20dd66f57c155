"""Whole searches by name. A preset lies over the settings of a pipeline and below those of a file.

paper      what the paper did, and the default of its experiments: it sets nothing
swift      the fewest images that we know of, by scores alone
white-box  the same, with steps along the network's gradients
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from islands.encodings.settings import ENCODINGS

PresetName = Literal["paper", "swift", "white-box"]

PRESETS: Mapping[str, str] = {
    "paper": "as the paper has it: any cell is as likely a parent as another, and mutation is all",
    "swift": "the fewest images, by scores alone: a rich start, parents in turn, crossovers and warps",
    "white-box": "as swift, with steps along the gradients of the network that is fooled",
}
"""What each is, in a line."""

_EVOLVE: Mapping[str, Any] = {"tie_break": "margin", "parents": "fresh"}

_ISLANDS: Mapping[str, Any] = {"migration": {"size": 0}}
"""Fresh parents breed a migrant wherever it comes, though its own island has. EfficientNet-Lite0 fed at 128
pixels, 4,240 images, 2 seeds: with migrants the median is lower by a seventh to a half, on 2 islands and on
8. At its own 224 pixels, 2 islands and one seed showed no difference."""

_NETWORKS: Mapping[str, Any] = {
    "start": "deep",
    "coordinates": "normalized",
    "max_nodes": 140,
    "add_connection_rate": 0.8,
    "delete_connection_rate": 0.1,
    "add_node_rate": 0.8,
    "delete_node_rate": 0.05,
}
"""Growth: mutation adds more than it takes away."""

_OF_NETWORKS = [
    {"name": "mutation", "share": 2.0},
    {"name": "crossover", "share": 2.0},
    {"name": "warp", "share": 2.0},
    {"name": "transform", "share": 1.0},
]


def settings_of(preset: str, encoding: str) -> dict[str, Any]:
    """Return what one of `PRESETS` sets for an encoding, as in a configuration file.

    Raises:
        ConfigError: there is no such encoding.
    """
    if preset == "paper":
        return {}
    networks = ENCODINGS.get(encoding).is_network
    emitters = list(_OF_NETWORKS) if networks else [{"name": "mutation", "share": 1.0}]
    if preset == "white-box":
        # Weights of a network are steep: only elites that are good already gain, and by tiny steps.
        own = {"share": 1.0, "rate": 0.001, "from_images": 20_000} if networks else {"share": 9.0}
        emitters.append({"name": "gradient", **own})
    settings: dict[str, Any] = {"evolve": {**_EVOLVE, "emitters": emitters}, "islands": dict(_ISLANDS)}
    return {**settings, "encoding": dict(_NETWORKS)} if networks else settings
