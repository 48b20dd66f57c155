"""Evolve images that fool deep networks: MAP-Elites islands on Ray, archived in Zarr.

>>> import islands
>>> run = islands.evolve("lenet-mnist", encoding="cppn", generations=50)
>>> run.confidence[0]  # of the first run: numpy float32 (10,)
>>> run.image(3)  # of class 3: numpy uint8 (28, 28, 1)
>>> run = islands.open("runs/mnist-cppn")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from islands.api import evolve as evolve
    from islands.api import open as open  # noqa: A004 - read `islands.open`

__all__ = ["evolve", "open"]


def __getattr__(name: str) -> Any:
    # Torch and Zarr take seconds to import, and `islands --help` needs neither.
    if name in __all__:
        from islands import api

        return getattr(api, name)
    raise AttributeError(f"module 'islands' has no attribute {name!r}")
