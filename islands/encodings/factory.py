"""From settings to an encoding."""

from __future__ import annotations

from islands.encodings.contract import Encoding
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
