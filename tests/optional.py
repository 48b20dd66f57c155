"""What a machine may lack."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

needs_openvino = pytest.mark.skipif(
    find_spec("openvino") is None, reason="OpenVINO has no package for this machine"
)
"""Unlike pytest's `importorskip` it imports nothing: OpenVINO counts whoever imports it."""
