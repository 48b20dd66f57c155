"""From settings to an encoding."""

from __future__ import annotations

from islands.encodings.contract import Encoding
from islands.encodings.cppn import CppnEncoding
from islands.encodings.dct import DctEncoding
from islands.encodings.direct import DirectEncoding
from islands.encodings.settings import CppnSettings, DctSettings, DirectSettings
from islands.errors import ConfigError


def build_encoding(
    settings: DirectSettings | CppnSettings | DctSettings, channels: int, size: int
) -> Encoding:
    """Build the encoding that `settings` describe.

    `channels` is 1 (grey) or 3 (RGB). `size` is the height and width in pixels that the network is fed, which
    `settings.size` overrides.
    """
    if channels not in (1, 3):
        raise ConfigError(f"images of {channels} channels cannot be drawn; choose 1 (grey) or 3 (RGB)")
    native = size if settings.size is None else settings.size
    if native < 1:
        raise ConfigError(f"images of {native} x {native} pixels cannot be drawn; choose a size of 1 or more")
    match settings:
        case DirectSettings():
            return DirectEncoding(settings, channels, native)
        case DctSettings():
            return DctEncoding(settings, channels, native)
        case CppnSettings():
            return CppnEncoding(settings, channels, native)
