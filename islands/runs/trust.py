"""What a store may make this machine do: who only looks at one runs nothing that it names."""

from __future__ import annotations

from collections.abc import Iterable

from islands.classifiers.catalogue import is_ours
from islands.config import NetworkConfig
from islands.errors import NetworkError
from islands.store.location import Location

FLAG = "--trust-networks"
"""What makes a command load whatever network a store names; in Python, `trust_networks=True`."""


def is_trusted(network: NetworkConfig) -> bool:
    """Tell whether anybody may name this network: to load it runs no code and opens no file of his.

    Raises:
        NetworkError: it is no name of a network.
    """
    return network.weights is None and is_ours(network.name)


def require_trusted(store: Location, networks: Iterable[NetworkConfig]) -> None:
    """Check that the networks that a store names may be loaded.

    Raises:
        NetworkError: one may not.
    """
    for network in networks:
        if not is_trusted(network):
            raise NetworkError(f"{store} names the network {described(network)}: {reason()}")


def reason() -> str:
    """Return why a network is not loaded, and what to do."""
    return (
        f"to load it runs code, opens a file or asks a server that the store has chosen; {FLAG} allows it, "
        "if you trust the store"
    )


def described(network: NetworkConfig) -> str:
    """Return what a network would load, in one line whatever is in its name."""
    return " with weights ".join(repr(part) for part in (network.name, network.weights) if part is not None)
