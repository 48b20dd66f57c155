"""What a measurement gives."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """A measurement.

    Attributes:
        name: of what was measured, for scripts.
        value: the number.
        unit: its unit; empty for a ratio.
        meaning: what it is, in words.
    """

    name: str
    value: float
    unit: str
    meaning: str
