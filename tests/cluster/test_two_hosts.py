"""A run over two hosts: migration across the cable, the cable cut for a while, a host lost, the same bits."""

from __future__ import annotations

import pytest

from tests.cluster.two_hosts import play, why_not

pytestmark = pytest.mark.slow


def test_a_cut_cable_and_a_lost_host_change_no_bit() -> None:
    if reason := why_not():
        pytest.skip(f"{reason}; tests/archipelago/test_workers.py loses a node without")
    found = play(epochs=20, timed=False)
    assert found["same_bits"]
    assert found["epochs_repeated"]
