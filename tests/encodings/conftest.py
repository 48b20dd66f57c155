from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from islands.encodings.contract import Encoding
from islands.encodings.factory import build_encoding
from islands.encodings.settings import CppnSettings, DctSettings, DirectSettings

CASES: dict[str, Callable[[], Encoding]] = {
    "direct-grey": lambda: build_encoding(DirectSettings(), 1, 12),
    "direct-colour": lambda: build_encoding(DirectSettings(), 3, 8),
    "direct-released-code": lambda: build_encoding(DirectSettings(variant="released-code"), 3, 8),
    "dct-grey": lambda: build_encoding(DctSettings(), 1, 12),
    "dct-colour": lambda: build_encoding(DctSettings(frequencies=5, crossover_rate=0.5), 3, 8),
    "cppn-grey": lambda: build_encoding(CppnSettings(), 1, 12),
    "cppn-colour": lambda: build_encoding(CppnSettings(), 3, 8),
    "cppn-released-code": lambda: build_encoding(CppnSettings(variant="released-code"), 3, 8),
    "cppn-normalized": lambda: build_encoding(CppnSettings(coordinates="normalized"), 1, 12),
    "cppn-deep": lambda: build_encoding(
        CppnSettings(start="deep", coordinates="normalized", max_nodes=20), 3, 8
    ),
    "cppn-no-sine": lambda: build_encoding(CppnSettings(activations=("sigmoid", "gaussian")), 3, 8),
}


@pytest.fixture(params=list(CASES))
def encoding(request: pytest.FixtureRequest) -> Encoding:
    """Every encoding, variant and number of channels in turn."""
    return CASES[request.param]()


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(7)
