"""What runs a network's forward pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from islands.classifiers.contract import log_odds

TORCH = "torch"
EngineName = Literal["auto", "torch", "openvino"]

_SHARES = {torch.float32: 1e-3, torch.bfloat16: 0.25, torch.float16: 0.03}
"""Of the range of log-odds, by how much they may be off. bfloat16 is off by a tenth at times (see
`islands.classifiers.screened`), and a network that is translated wrongly by all of it."""


@dataclass(frozen=True)
class Engine:
    """What runs a network's forward pass, and why.

    Attributes:
        name: `torch`, or `OpenVINO` and its version.
        why: in half a line.
        runs_here: whether it does on this machine's processor.
    """

    name: str
    why: str
    runs_here: bool = True


def probes(channels: int, size: int) -> Tensor:
    """Return pictures that tell whether two engines agree, uint8 (6, channels, size, size).

    Black, white, a ramp, rings, noise and faint noise.
    """
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand((2, channels, size, size), generator=generator)
    across = torch.linspace(0, 1, size).expand(size, size)
    rings = ((across - 0.5) ** 2 + (across.T - 0.5) ** 2).mul(60).sin().mul(0.5).add(0.5)
    # Each channel its own, for channels that are swapped must show.
    ramp = torch.stack([across if channel % 2 == 0 else across.T for channel in range(channels)])
    drawn = torch.stack([rings.roll(channel, 0) for channel in range(channels)])
    flat = torch.zeros_like(ramp)
    pictures = torch.stack([flat, flat + 1, ramp, drawn, noise[0], 0.5 + 0.1 * (noise[1] - 0.5)])
    return (pictures * 255).to(torch.uint8)


def disagreement(found: Tensor, expected: Tensor, precision: torch.dtype) -> tuple[float, float]:
    """Return by how much the log-odds of two engines differ at most, and by how much they may.

    Args:
        found: logits (B, K) of the engine to judge, in `precision`.
        expected: logits (B, K) of the module, in float32.
        precision: float32, bfloat16 or float16.

    Returns:
        Both as log-odds; the first is inf where one engine gives finite scores and the other none.
    """
    if found.shape != expected.shape or not torch.equal(found.isfinite(), expected.isfinite()):
        return torch.inf, 0.0
    rows = expected.isfinite().all(1)
    ours, theirs = log_odds(found[rows]), log_odds(expected[rows])
    if not len(ours):
        return 0.0, 0.0
    span = (theirs.amax(0) - theirs.amin(0)).max().item()
    rounding = 16 * torch.finfo(precision).eps * theirs.abs().max().item()
    return (ours - theirs).abs().max().item(), _SHARES[precision] * span + rounding
