"""The fields of a CPPN's genome, as `cppn` describes them, and their arrays."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

INPUTS = 4
"""Nodes that come before the outputs: x, y, distance from the centre, 1."""

FIELDS = ("functions", "sources", "targets", "weights")

Bytes = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.int16]
Integers = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]
Longs = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]
