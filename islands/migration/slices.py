"""How the classes are split over the islands of a run."""

from __future__ import annotations

from itertools import pairwise

from islands.errors import ConfigError


def class_slices(class_count: int, island_count: int) -> tuple[range, ...]:
    """Return for each island its contiguous slice of the classes; sizes differ by one at most.

    Raises:
        ConfigError: there are more islands than classes.
    """
    if island_count > class_count:
        raise ConfigError(
            f"islands.count: got {island_count} islands for a network of {class_count} classes; "
            f"expected at most one island per class: set islands.count to {class_count} or fewer"
        )
    bounds = [island * class_count // island_count for island in range(island_count + 1)]
    return tuple(range(a, b) for a, b in pairwise(bounds))
