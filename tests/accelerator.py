"""The CPU in the part of an accelerator: whatever reads no values there reads none here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

import islands.devices
import islands.encodings.cppn
from islands.encodings import draws
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


@contextmanager
def no_copies() -> Iterator[None]:
    """Refuse copies between devices, and tensors of values that are made for another than the CPU.

    Either makes the host wait. Reading a value is refused by the device `meta` itself, and so is what has a
    shape that depends on values. Draws of more than `draws.PIECE` numbers are refused as well.
    """
    with _NoTensorsOfValues(), _NoCopies():  # type: ignore[no-untyped-call]
        yield


class _NoCopies(TorchDispatchMode):
    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        tensors = [each for each in args if isinstance(each, torch.Tensor)]
        devices = {each.device for each in tensors}
        if function is torch.ops.aten._to_copy.default and kwargs.get("device") is not None:
            devices.add(torch.device(kwargs["device"]))
        copies = function in (torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default)
        assert not copies or len(devices) == 1, f"a copy between {devices}"
        made = function(*args, **kwargs)
        assert not _draws(function) or made.numel() <= draws.PIECE, f"{function} of {made.numel()} numbers"
        return made


def _draws(function: Any) -> bool:
    return torch.Tag.nondeterministic_seeded in function.tags


class _NoTensorsOfValues(TorchFunctionMode):
    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        made = function in (torch.tensor, torch.as_tensor) and kwargs.get("device") is not None
        assert not made or torch.device(kwargs["device"]).type == "cpu", "values for another device"
        return function(*args, **kwargs)
