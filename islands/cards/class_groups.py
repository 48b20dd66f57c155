"""Groups of ImageNet's classes, such as dogs and birds.

The order of the 1,000 classes follows WordNet's tree of nouns, so that kinds lie side by side. This table is
our own, read off that order; WordNet itself is not asked, and draws some borders otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from islands.classifiers.imagenet import imagenet_classes

GROUPS: Mapping[str, Sequence[tuple[int, int]]] = {
    "dogs": [(151, 268)],
    "cats, wolves, foxes, bears": [(269, 299)],
    "other mammals": [(101, 106), (147, 150), (330, 388)],
    "birds": [(7, 24), (80, 100), (127, 146)],
    "reptiles and amphibians": [(25, 68)],
    "fishes": [(0, 6), (389, 397)],
    "insects": [(300, 326)],
    "other animals": [(69, 79), (107, 126), (327, 329)],
    "things": [(398, 922), (999, 999)],
    "food": [(923, 969)],
    "landscapes": [(970, 980)],
    "people": [(981, 983)],
    "plants and fungi": [(984, 998)],
}
"""First and last class of each stretch, in the usual order, counted from 0; each class is in one group."""


def groups_of(classes: Sequence[str]) -> dict[str, list[int]]:
    """Return the groups of classes, as places in `classes`; none where the names are not ImageNet's."""
    names = imagenet_classes()
    place = {name: row for row, name in enumerate(classes)}
    if set(place) != set(names):
        return {}
    return {
        group: sorted(place[names[index]] for low, high in stretches for index in range(low, high + 1))
        for group, stretches in GROUPS.items()
    }
