"""The CPU in the part of an accelerator: whatever reads no values there reads none here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

import islands.devices
import islands.encodings.cppn
from islands.encodings.rendering_cpu import render_on_cpu

READERS = ("item", "tolist", "cpu", "numpy", "nonzero", "__bool__", "__int__", "__float__", "__index__")
"""Methods of a tensor that make the host wait for an accelerator."""


def pretend(patch: pytest.MonkeyPatch) -> None:
    """Let evolution take the CPU for a device that the host waits for."""
    patch.setattr(islands.devices, "FREE_TO_READ", frozenset())


def count_reads(patch: pytest.MonkeyPatch, work: Callable[[], object]) -> int:
    """Do `work` and count the readings of tensors.

    The CPU's kernel does not count where it draws in place of the GPU's, which reads nothing, see
    `tests.encodings.test_rendering_triton`.
    """
    calls = 0
    drawing = False

    def counted(method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            nonlocal calls
            calls += not drawing
            return method(*arguments, **options)

        return call

    def draw(*arguments: Any) -> torch.Tensor:
        nonlocal drawing
        drawing = True
        try:
            return render_on_cpu(*arguments)
        finally:
            drawing = False

    with patch.context() as within:
        within.setattr(islands.encodings.cppn, "renderer_for", lambda device: draw)
        for name in READERS:
            within.setattr(torch.Tensor, name, counted(getattr(torch.Tensor, name)))
        work()
    return calls
