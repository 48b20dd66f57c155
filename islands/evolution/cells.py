"""How the cells of an archive lie: those of a class side by side, bin by bin. Imports no torch."""

from __future__ import annotations

from typing import NamedTuple


class CellLayout(NamedTuple):
    """The cells of each class: one in the paper.

    Cell `(class * bins + bin) * places + place` is the place of a bin of a class.

    Attributes:
        bins: of each class.
        places: of each bin; which of its elites holds which place means nothing.
    """

    bins: int = 1
    places: int = 1

    @property
    def per_class(self) -> int:
        """Cells of each class."""
        return self.bins * self.places

    def of(self, classes: range) -> range:
        """Return the cells of a slice of classes."""
        return range(classes.start * self.per_class, classes.stop * self.per_class)


PAPER = CellLayout()
"""One cell for each class."""
