"""Scores that are not finite: told with the picture that got them."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from islands.devices import require
from islands.errors import NetworkError

_REMEDY = (
    "check the weights if all pictures get such, and use bfloat16 or float32 in place of float16; where "
    "the network divides each picture by its own spread, add a little to that, or set network.not_finite to "
    "skip: such pictures then take no cell and are counted"
)


def require_finite(name: str, images: Tensor, finite: Tensor, origin: str = "") -> None:
    """Check that images got finite scores; see `islands.devices.require` for when it is told.

    Args:
        name: of the network.
        images: uint8 (B, channels, H, W), B of at least 1.
        finite: bool (B,), which did.
        origin: where the images come from, for the message.

    Raises:
        NetworkError: some did not; the line says what the first of them looks like.
    """
    # Found on the device, even if it is not needed: the host may not look before `require` does.
    # As bytes, since argmax takes no bool.
    first = images.index_select(0, (~finite).to(torch.uint8).argmax()[None].to(images.device))
    require(finite.all(), partial(_error, name, finite, first, origin))


def describe_picture(image: Tensor) -> str:
    """Say in words what a picture, uint8 (channels, H, W), looks like."""
    pixels = image.cpu().float().flatten(1)
    low, high = pixels.amin(1).int().tolist(), pixels.amax(1).int().tolist()
    if low == high:
        return f"a uniform picture (all pixels {', '.join(map(str, low if len({*low}) > 1 else low[:1]))})"
    spread = (pixels - pixels.mean(1, keepdim=True)).abs().mean()
    steps = image.cpu().float().diff(dim=2).abs().mean()
    kind = "a picture of noise" if steps > spread else "a drawn picture"
    return f"{kind} (pixels from {min(low)} to {max(high)})"


def _error(name: str, finite: Tensor, first: Tensor, origin: str) -> NetworkError:
    return NetworkError(
        f"{name} gave scores that are not finite to {int((~finite).sum())} of {len(finite)} pictures"
        f"{origin}, first to {describe_picture(first[0])}; expected finite numbers: {_REMEDY}"
    )
