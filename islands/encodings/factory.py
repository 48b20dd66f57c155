"""From settings to an encoding."""

from __future__ import annotations

import torch
from torch import Tensor

from islands.encodings.contract import Encoding
from islands.encodings.genomes import Genomes
from islands.encodings.settings import EncodingSettings
from islands.errors import ConfigError
from islands.extensions.foreign import told


def build_encoding(settings: EncodingSettings, channels: int, size: int) -> Encoding:
    """Build the encoding that `settings` describe.

    `channels` is 1 (grey) or 3 (RGB). `size` is the height and width in pixels that the network is fed, which
    `settings.size` overrides.

    Raises:
        ConfigError: images cannot have these shapes, or the encoding cannot be built.
    """
    if channels not in (1, 3):
        raise ConfigError(f"images of {channels} channels cannot be drawn; choose 1 (grey) or 3 (RGB)")
    native = size if settings.size is None else settings.size
    if native < 1:
        raise ConfigError(f"images of {native} x {native} pixels cannot be drawn; choose a size of 1 or more")
    with told(f"encoding {settings.name}: building it failed with", "mend that first", ConfigError):
        return settings.build(channels, native)


def attempt_drawing(encoding: Encoding, genomes: Genomes) -> Tensor:
    """Draw genomes by an encoding that may be broken, or whose kernels may not compile on this device.

    Raises:
        ConfigError: it is, or they do not; whatever was raised is told in one line.
    """
    with told(
        f"encoding {encoding.name}: drawing on {genomes.device} failed with",
        _remedy(genomes.device),
        ConfigError,
    ):
        return encoding.render(genomes)


def _remedy(device: torch.device) -> str:
    if device.type == "cuda":
        return "mend that first: Triton's kernels need a C compiler and Python's headers (gcc, python3-dev)"
    return "mend that first"
