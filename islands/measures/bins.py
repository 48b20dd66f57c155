"""To which bin of the archive each image belongs."""

from __future__ import annotations

import torch
from torch import Tensor

from islands.devices import require
from islands.encodings.contract import Encoding
from islands.encodings.genomes import Genomes
from islands.errors import ConfigError
from islands.measures.axes import ArchiveConfig, MeasureSettings


def bins_of(archive: ArchiveConfig, images: Tensor, genomes: Genomes, encoding: Encoding) -> Tensor:
    """Return the bin of each image, counted over all measures, the last of which changes fastest: int64 (B,).

    Args:
        archive: its measures.
        images: uint8 (B, channels, size, size).
        genomes: that drew them, B rows.
        encoding: by which.

    Raises:
        ConfigError: a measure is somebody else's, and gives what it must not.
    """
    found = torch.zeros(len(images), dtype=torch.int64, device=images.device)
    for measure in archive.measures:
        found = found * measure.bins + _bin(measure, _measured(measure, images, genomes, encoding))
    return found


def _measured(measure: MeasureSettings, images: Tensor, genomes: Genomes, encoding: Encoding) -> Tensor:
    where = f"archive.measures, {measure.name}"
    values = measure.measure(images, genomes, encoding)
    if not isinstance(values, Tensor) or values.shape != (len(images),):
        got = f"shape {tuple(values.shape)}" if isinstance(values, Tensor) else type(values).__name__
        raise ConfigError(
            f"{where}: got {got}; expected a tensor of a number for each of {len(images)} images"
        )
    finite = values.isfinite().all()
    require(finite, ConfigError(f"{where}: got a number that is not finite; expected finite ones"))
    return values.double()


def _bin(measure: MeasureSettings, values: Tensor) -> Tensor:
    """Return in which bin values lie: int64 (B,)."""
    share = (values - measure.low) / (measure.high - measure.low)
    return (share * measure.bins).floor().long().clamp(0, measure.bins - 1)
