"""Where the pixels of a CPPN's image lie."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from islands.devices import Constant
from islands.encodings.settings import CppnSettings


@dataclass(frozen=True)
class Canvas:
    """The inputs of a square image, by column or row (columns and rows are alike).

    Attributes:
        axis: (size,) float32, the input x of each column, and y of each row.
        unit: (size,) float32, the same from -1 to 1; the input distance is the length of (unit, unit).
    """

    axis: npt.NDArray[np.float32]
    unit: npt.NDArray[np.float32]

    @cached_property
    def _tensors(self) -> Constant:
        return Constant(torch.from_numpy(np.stack([self.axis, self.unit])))

    @property
    def size(self) -> int:
        """Height and width in pixels."""
        return len(self.axis)

    def on(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Return `axis` and `unit` on `device`; copied there once."""
        axis, unit = self._tensors.on(device)
        return axis, unit

    @staticmethod
    @lru_cache(maxsize=64)
    def of(settings: CppnSettings, native: int, size: int) -> Canvas:
        """Sample an image that evolves at `native` pixels with `size` pixels over the same area."""
        # Centres of pixels: at the native size exactly the released code's indices, 0 to size - 1.
        positions = (np.arange(size) + 0.5) * native / size - 0.5
        unit = (2 * positions / max(native - 1, 1) - 1).astype(np.float32)
        return Canvas(positions.astype(np.float32) if settings.coordinates == "pixels" else unit, unit)
