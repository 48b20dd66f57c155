"""What is different where tensors live on an accelerator: reading a value there makes the host wait.

Kernels queue up on an accelerator while the host runs ahead of it. Each value that the host reads (`item`,
`tolist`, `nonzero`, a tensor as a condition) drains the queue, and the device idles until it is full again.
So evolution reads nothing within an epoch there: shapes follow from bounds that the host knows, and checks
are collected and made once. On the CPU reading is free, and exact shapes save work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor

from islands.errors import NetworkError

FREE_TO_READ = frozenset({"cpu"})
"""Kinds of device whose tensors the host reads without waiting."""


def host_waits(device: torch.device) -> bool:
    """Return whether reading a value of a tensor on `device` makes the host wait."""
    return device.type not in FREE_TO_READ


class Constant:
    """A tensor of fixed values that is copied to each device once."""

    def __init__(self, values: Tensor) -> None:
        self._copies = {values.device: values}

    def on(self, device: torch.device) -> Tensor:
        """Return the values on `device`."""
        if device not in self._copies:
            self._copies[device] = next(iter(self._copies.values())).to(device)
        return self._copies[device]


_Errors = Exception | Callable[[], Exception]
_Checks = list[tuple[Tensor, _Errors]]
_collected: ContextVar[_Checks | None] = ContextVar("checks", default=None)


def require(condition: Tensor, error: _Errors) -> None:
    """Raise `error` unless `condition`, a bool tensor of one element, holds.

    An error that takes values of tensors to tell is given as a function that returns it.
    Within `deferred_checks`, and where reading the condition would make the host wait, it is raised at the
    end of that block.
    """
    checks = _collected.get()
    if checks is not None and host_waits(condition.device):
        checks.append((condition, error))
    elif not bool(condition):
        raise _made(error)


def _made(error: _Errors) -> Exception:
    return error if isinstance(error, Exception) else error()


@contextmanager
def deferred_checks() -> Iterator[_Checks]:
    """Collect what is required within the block, and read it once at the end, in order.

    Whoever finds within the block that nothing of it counts may clear what is collected.
    """
    checks: _Checks = []
    token = _collected.set(checks)
    try:
        yield checks
    finally:
        _collected.reset(token)
    if checks:
        first = checks[0][0].device
        held = torch.stack([condition.to(first).reshape(()) for condition, _ in checks]).tolist()
        for holds, (_, error) in zip(held, checks, strict=True):
            if not holds:
                raise _made(error)


@contextmanager
def enough_memory(device: torch.device) -> Iterator[None]:
    """Check that nothing within the block was refused memory of a GPU.

    Where cuDNN is refused the workspace of an algorithm, it takes another one, without a word: other bits.

    Raises:
        NetworkError: something was; torch's allocator counts it, so that asking makes nobody wait.
    """
    before = _refusals(device)
    yield
    if _refusals(device) > before:
        raise NetworkError(
            f"{device} ran out of memory meanwhile, so that the network may have been computed by other "
            "algorithms, to other bits; lower network.batch_size, or the number of workers that share it"
        )


def _refusals(device: torch.device) -> int:
    return int(torch.cuda.memory_stats(device).get("num_ooms", 0)) if device.type == "cuda" else 0
