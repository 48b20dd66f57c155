"""Where projects publish their files, as torchvision knows it: no address is written down here."""

from __future__ import annotations

from islands.classifiers.torchvision_cpu import import_torchvision
from islands.classifiers.torchvision_networks import find_weights


def official_urls(upstream: str, file: str) -> list[str]:
    """Return the addresses of a file, in the order to try.

    Args:
        upstream: `torchvision.datasets:CLASS`, for a class with mirrors, or `torchvision:NAME@WEIGHTS`.
        file: its name there.

    Raises:
        NetworkError: torchvision has no such network or weights.
    """
    kind, _, name = upstream.partition(":")
    if kind == "torchvision":
        url: str = find_weights(name).url
        return [url]
    import_torchvision()
    from torchvision import datasets

    return [f"{mirror}{file}" for mirror in getattr(datasets, name).mirrors]
