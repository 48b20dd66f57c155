"""Long runs keep no more than short ones.

`python -m tests.archipelago.test_memory` prints the memory of a run of 2,000 epochs.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from contextlib import closing

import psutil
import pytest

from islands.archipelago.driver import Archipelago
from islands.archipelago.executor import InProcessExecutor
from islands.archipelago.host import build_host
from islands.archipelago.progress import Progress
from tests.archipelago.conftest import small_config

LAG = 2
EPOCHS = 2_000


def evolve_long(epochs: int, observe: Callable[[Archipelago, Progress], None]) -> None:
    """Evolve as small a run as there is, for `epochs`, and keep none of its commits."""
    config = small_config(
        runs=1,
        encoding={"name": "direct"},  # its genomes do not grow
        evolve={
            **{"budget_per": "island", "initial": 4, "children": 2},
            **{"generations": epochs, "generations_per_epoch": 1},
        },
        islands={"lag": LAG},
        # Lineages lengthen as long as a run improves, and the genomes of ancestors with them.
        checkpoint={"every_s": 0.02, "ancestors": "ids"},
    )
    with closing(InProcessExecutor(build_host(config), 2, 1)) as executor:
        archipelago = Archipelago(
            config,
            len(executor.facts.classes),
            executor,
            lambda checkpoint, complete: None,
            lambda progress: observe(archipelago, progress),
        )
        assert archipelago.evolve()


def size_of(archipelago: Archipelago) -> int:
    """Return the bytes of all that the driver holds of islands and mail."""
    return len(pickle.dumps(archipelago._runs))


@pytest.mark.slow
def test_what_a_commit_holds_is_forgotten() -> None:
    """After a commit of epoch c, the mirror has no change up to c, and no mail that all have read."""
    cuts = set()

    def check(archipelago: Archipelago, progress: Progress) -> None:
        cut = archipelago._committed
        cuts.add(cut)
        for mirror in archipelago._runs:
            assert all(delta.epoch > cut for island in mirror._islands for delta in island.pending)
            assert all(sent >= cut + 1 - LAG for sent in mirror._sent)

    evolve_long(300, check)
    assert len(cuts) > 3


@pytest.mark.slow
def test_what_the_driver_holds_does_not_grow() -> None:
    sizes: dict[int, int] = {}

    def note_memory(archipelago: Archipelago, progress: Progress) -> None:
        if archipelago._committed == progress.epoch:
            sizes[progress.epoch] = size_of(archipelago)

    evolve_long(600, note_memory)
    early = max(size for epoch, size in sizes.items() if 20 <= epoch <= 300)
    late = min(size for epoch, size in sizes.items() if epoch > 300)
    assert late <= early


def main() -> None:
    """Print epoch, resident memory and what the driver holds."""
    shown = -1

    def show(archipelago: Archipelago, progress: Progress) -> None:
        nonlocal shown
        if progress.epoch // 200 > shown:
            shown = progress.epoch // 200
            megabytes = psutil.Process().memory_info().rss / 1e6
            held = size_of(archipelago) / 1e3
            print(
                f"epoch {progress.epoch:5}: {megabytes:6.1f} MB; islands and mail {held:5.0f} KB", flush=True
            )

    evolve_long(EPOCHS, show)


if __name__ == "__main__":
    main()
