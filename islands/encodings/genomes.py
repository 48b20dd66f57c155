"""A population of genomes: named tensors with one row per genome."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import pad

from islands.devices import host_waits

CHUNK = 1 << 21
"""Values that are copied at a time."""

Arrays = dict[str, npt.NDArray[np.generic]]


class Replacement:
    """Rows of a table that rows of another replace: row i by row `sources[i]`, where `replaced[i]`.

    Where reading a mask would make the host wait, all rows are written, the others with what they hold.
    """

    def __init__(self, replaced: Tensor, sources: Tensor) -> None:
        self._sources = sources
        self._mask: Tensor | None = None
        if host_waits(replaced.device):
            self._mask = replaced
        else:
            self._rows = replaced.numpy().nonzero()[0]

    def apply(self, table: Tensor, other: Tensor) -> None:
        """Replace rows of `table` (n, …) by rows of `other` (any, …), in place."""
        if self._mask is not None:
            fresh = other.index_select(0, self._sources)
            table.copy_(torch.where(self._mask.view(-1, *[1] * (table.ndim - 1)), fresh, table))
            return
        if len(self._rows) == 0:
            return
        # NumPy copies a thousand images of 256 x 256 in a sixth of torch's time, and in parts that fit into
        # the cache.
        into, values, sources = table.numpy(), other.numpy(), self._sources.numpy()
        step = max(1, CHUNK // max(1, table[0].numel()))
        for start in range(0, len(self._rows), step):
            rows = self._rows[start : start + step]
            into[rows] = values[sources[rows]]


@dataclass
class Genomes:
    """A struct of tensors (n, width), one row per genome; widths may differ from tensor to tensor.

    Encodings whose genomes vary in length (`cppn`) pad their rows with zeros, and read zeros as
    "nothing here". Rows of different widths can therefore be mixed: the narrower are padded.
    """

    fields: dict[str, Tensor]

    def __len__(self) -> int:
        return next(iter(self.fields.values())).shape[0]

    def __getitem__(self, name: str) -> Tensor:
        return self.fields[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.fields)

    @property
    def device(self) -> torch.device:
        """Where the tensors live."""
        return next(iter(self.fields.values())).device

    def take(self, rows: Tensor) -> Genomes:
        """Return copies of `rows`, an int64 tensor (n,)."""
        return Genomes({name: field.index_select(0, rows) for name, field in self.fields.items()})

    def replace(self, replacement: Replacement, source: Genomes) -> None:
        """Replace rows of this population by rows of `source`, widening if needed."""
        for name, field in self.fields.items():
            width = max(field.shape[1], source[name].shape[1])
            widened = _widen(field, width)
            replacement.apply(widened, _widen(source[name], width))
            self.fields[name] = widened

    def to(self, device: torch.device) -> Genomes:
        """Return the population on `device`."""
        return Genomes({name: field.to(device) for name, field in self.fields.items()})

    @staticmethod
    def concatenate(parts: Sequence[Genomes]) -> Genomes:
        """Stack populations of one encoding, padding to the widest."""
        widths = {name: max(part[name].shape[1] for part in parts) for name in parts[0]}
        return Genomes(
            {name: torch.cat([_widen(part[name], width) for part in parts]) for name, width in widths.items()}
        )


def _widen(field: Tensor, width: int) -> Tensor:
    missing = width - field.shape[1]
    return field if missing == 0 else pad(field, (0, missing))
