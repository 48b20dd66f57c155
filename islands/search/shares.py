"""How many visits each emitter has in a generation."""

from __future__ import annotations

from collections.abc import Sequence

GOLDEN = 0.6180339887498949


def visits(costs: Sequence[int], shares: Sequence[float], images: int, generation: int) -> list[int]:
    """Divide `images` among emitters by their shares, in whole visits.

    Visits that cost several images come first; what they leave goes to the others, to the last image. What
    does not come out even in a generation does over many: no state is needed, and none is kept.

    Args:
        costs: images that a visit of each emitter costs; at least one of them is 1.
        shares: above 0, one for each emitter.
        images: of the generation.
        generation: counted from 1.

    Returns:
        Visits of each emitter, which cost `images` together.
    """
    # Multiples of the golden ratio fall evenly between 0 and 1, whatever is rounded by them.
    offset = generation * GOLDEN % 1.0
    total, left = sum(shares), images
    found = [0] * len(costs)
    for place, (cost, share) in enumerate(zip(costs, shares, strict=True)):
        if cost > 1:
            found[place] = min(int(images * share / total / cost + offset), left // cost)
            left -= found[place] * cost
    cheap = [place for place, cost in enumerate(costs) if cost == 1]
    whole = sum(shares[place] for place in cheap)
    given, sum_of_shares = 0, 0.0
    for place in cheap:
        sum_of_shares += shares[place]
        bound = left if place == cheap[-1] else int(left * sum_of_shares / whole + offset)
        found[place], given = bound - given, bound
    return found
