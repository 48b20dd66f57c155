"""Islands for a loop of one's own: it asks for images, scores them as it likes, and tells the scores."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from islands.archipelago.island import Asking, Brood, Island
from islands.archipelago.messages import IslandKey, NetworkFacts, StepResult
from islands.asking.keeping import Keeper, named, open_reader, run_config
from islands.asking.told import Scores, Teller, judgement_of
from islands.classifiers.catalogue import OWN_LOOP
from islands.classifiers.registry import resolve_device
from islands.config import RunConfig
from islands.config.own_code import own_code, require_same
from islands.config.resolve import override_run_config
from islands.devices import deferred_checks
from islands.encodings.contract import Encoding
from islands.encodings.factory import build_encoding
from islands.encodings.genomes import Genomes
from islands.errors import InputError
from islands.evolution.screening import Judgement
from islands.results import Results

Pictures = npt.NDArray[np.uint8]


class Asked:
    """The B images of a generation, drawn when they are looked at.

    Attributes:
        generation: 0 for the first, random ones.
        genomes: B rows of named tensors.

    Example:
        >>> archipelago = islands.Archipelago(["dark", "bright"], channels=1, size=8, initial=20, children=10)
        >>> asked = archipelago.ask()
        >>> asked.images.shape, asked.images.dtype, asked.tensor.shape
        ((20, 8, 8, 1), dtype('uint8'), torch.Size([20, 1, 8, 8]))
    """

    def __init__(self, encoding: Encoding, generation: int, genomes: Genomes) -> None:
        self._encoding = encoding
        self.generation = generation
        self.genomes = genomes

    def __len__(self) -> int:
        return len(self.genomes)

    @cached_property
    def tensor(self) -> Tensor:
        """The images for networks of torch: uint8 (B, channels, size, size) on the archipelago's device."""
        with torch.no_grad():
            return self._encoding.render(self.genomes)

    @cached_property
    def images(self) -> Pictures:
        """The images: uint8 (B, size, size, channels)."""
        return as_pictures(self.tensor)


class Archipelago:
    """MAP-Elites with a cell for each class, for a loop that scores the images by itself.

    It is the search of `islands.evolve`, to the same bits where scores are the same. Each generation is asked
    for once, and told. Nothing is computed in the background, and equal scores give equal images.

    Args:
        classes: K names, in the order of the scores.
        size: height and width of the images in pixels, 1 or more.
        channels: 1 for grey images, 3 for RGB.
        encoding: `direct`, `cppn`, `dct`, or a mapping with a `name` and parameters.
        islands: how many, K at most, or a mapping with the keys of the section `islands`.
        seed: from which all random numbers follow, 0 or more.
        initial: images of generation 0, of all islands together.
        children: images of each generation after that, likewise.
        evolve: other keys of the section `evolve`, such as `{"preset": "paper"}`, with which one island is
            exactly the paper's algorithm. Islands exchange mail every `generations_per_epoch` generations,
            which is 1 unless given here.
        archive: the section of that name, such as `{"measures": ["brightness"]}`; None: a cell a class.
        device: where genomes live and images are drawn: `cpu`, `cuda`, `mps`, or `auto`.
        name: what stores call whoever scores.

    Raises:
        InputError: something does not fit.

    Example:
        >>> import numpy as np
        >>> archipelago = islands.Archipelago(["dark", "bright"], channels=1, size=8, encoding="direct")
        >>> for _ in range(10):
        ...     bright = archipelago.ask().images.mean((1, 2, 3)) / 255  # float64 (B,)
        ...     archipelago.tell(np.stack([1 - bright, bright], 1))  # float (B, 2)
        >>> archipelago.confidence.shape, archipelago.images.shape
        ((2,), (2, 8, 8, 1))
        >>> run = archipelago.save("runs/brightness")
        >>> run.elite("bright").confidence > 0.5
        True
    """

    def __init__(
        self,
        classes: Sequence[str],
        *,
        size: int,
        channels: int = 3,
        encoding: str | Mapping[str, Any] = "cppn",
        islands: int | Mapping[str, Any] = 1,
        seed: int = 0,
        initial: int = 200,
        children: int = 200,
        evolve: Mapping[str, Any] | None = None,
        archive: Mapping[str, Any] | None = None,
        device: str = "cpu",
        name: str = "unnamed",
    ) -> None:
        given = {"generations_per_epoch": 1, **(evolve or {})}
        config = run_config(
            "islands.Archipelago",
            network={"name": f"{OWN_LOOP}{name}"},
            encoding={**named(encoding), "size": size},
            islands=dict(islands) if isinstance(islands, Mapping) else {"count": islands},
            archive=dict(archive or {}),
            seed=seed,
            evolve={
                **given,
                "initial": initial,
                "children": children,
                # Nobody knows how long the loop will be.
                "generations": given["generations_per_epoch"],
            },
        )
        self._set_up(config, names_of(classes), channels, device)

    @classmethod
    def resume(cls, store: str | os.PathLike[str], *, device: str = "cpu") -> Self:
        """Go on from the last checkpoint that `save` made, to the bits of an archipelago that never stopped.

        Args:
            store: where it is.
            device: as of `Archipelago`.

        Raises:
            InputError: a network scored its images: `islands.resume` goes on with it.
            StoreError: there is no store, or it cannot be read.
        """
        reader = open_reader(store)
        require_same(reader.code, own_code(reader.config))
        # Read once more, now with somebody else's code.
        config = override_run_config(reader.config, ())
        archipelago = cls.__new__(cls)
        archipelago._set_up(config, reader.classes, reader.attributes["image"]["channels"], device)
        archipelago._keeper.restore(reader)
        for number, island in enumerate(archipelago._islands):
            if (state := archipelago._keeper.mirror.state(number)) is not None:
                island.load(state)
        return archipelago

    def _set_up(self, config: RunConfig, classes: tuple[str, ...], channels: int, device: str) -> None:
        self._settings = config.evolution
        size = config.encoding.size
        assert size is not None
        self._teller = Teller(config.network.name, classes, channels, size, resolve_device(device))
        self._encoding = build_encoding(config.encoding, channels, size)
        self._keeper = Keeper(config, NetworkFacts.of(self._teller, size))
        self._islands = [
            Island(IslandKey(0, island), self._settings, self._encoding, self._teller)
            for island in self._keeper.mirror.islands
        ]
        self._epoch: list[Asking] = []
        """That of each island, while they are within one."""
        self._broods: list[Brood] = []
        """Of each island, to be asked for next or just now."""
        self._asked: Asked | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        """The K class names."""
        return self._teller.classes

    @property
    def confidence(self) -> npt.NDArray[np.float32]:
        """(K,) float32, 0 to 1: the score of each class's best image for it; 0 before any is told.

        As of the last whole epoch, like all that is read here.
        """
        return self._keeper.mirror.confidence.copy()

    @property
    def evaluations(self) -> int:
        """How many images were scored."""
        return self._keeper.mirror.evaluations

    @property
    def images(self) -> Pictures:
        """The image of the best elite of each class: uint8 (K, size, size, channels).

        Raises:
            InputError: none was told yet.
        """
        found = self._keeper.mirror.elites
        if found is None:
            raise InputError("images: got no scores yet; expected those of the first images: tell them first")
        genomes = self._encoding.from_arrays(found.of_classes().genomes, self._teller.device)
        return as_pictures(self._encoding.render(genomes))

    def ask(self) -> Asked:
        """Return the images of the next generation, those of all islands one after the other.

        Raises:
            InputError: those before were not told yet.
        """
        if self._asked is not None:
            raise InputError(
                f"ask: got a second call in generation {self._asked.generation}; expected `tell` with the "
                f"scores of its {len(self._asked)} images first"
            )
        if not self._epoch:
            mirror = self._keeper.mirror
            # All islands have done the epoch before: nobody waits for mail.
            inboxes = [inbox for island in mirror.islands if (inbox := mirror.inbox(island)) is not None]
            self._epoch = [
                island.asking(mirror.epoch + 1, inbox)
                for island, inbox in zip(self._islands, inboxes, strict=True)
            ]
            with torch.inference_mode(), deferred_checks():
                self._hear([next(asking) for asking in self._epoch])
        genomes = Genomes.concatenate([brood.genomes for brood in self._broods])
        self._asked = Asked(self._encoding, self._broods[0].generation, genomes)
        return self._asked

    def tell(self, scores: Scores) -> None:
        """Say what the images of the last `ask` are worth; each takes every cell that it is best for.

        Args:
            scores: float (B, K) from 0 to 1, rows in the order of the images, classes in that of `classes`;
                no row sums to more than 1. An array, a tensor, or an `islands.Prediction`, whose logits tell
                apart what float32 rounds to 1. That matters unless `evolve.tie_break` is `first`.

        Raises:
            InputError: nothing was asked, or these are no such scores. Nothing has changed then.
        """
        if self._asked is None:
            raise InputError("tell: got scores of no images; expected `ask` first, and then their scores")
        told = judgement_of(
            scores, len(self._asked), self.classes, self._settings.evolve.tie_break, self._teller.device
        )
        sizes = [len(brood.genomes) for brood in self._broods]
        parts = map(Judgement, told.fitness.split(sizes), told.probabilities.split(sizes))
        self._asked = None
        with torch.inference_mode(), deferred_checks():
            self._hear([asking.send(part) for asking, part in zip(self._epoch, parts, strict=True)])

    def save(self, store: str | os.PathLike[str]) -> Results:
        """Write a checkpoint of the last whole epoch, and open the store for reading.

        The first call makes the store; later ones add to it what has come since.

        Args:
            store: a free path or an empty folder, in which `~` and `$NAME` mean what they mean in a shell if
                it is a text; or the URL of a bucket.

        Raises:
            InputError: nothing was told yet, or the checkpoints before went elsewhere.
            StoreError: there is something else, or it cannot be written.
        """
        return self._keeper.save(store)

    def _hear(self, said: Sequence[Brood | StepResult]) -> None:
        """Keep what the islands say: all their next broods, or all what the epoch did."""
        self._broods = [each for each in said if isinstance(each, Brood)]
        if done := [each for each in said if isinstance(each, StepResult)]:
            self._epoch = []
            self._keeper.record(done)


def names_of(classes: Sequence[str]) -> tuple[str, ...]:
    """Check the names of classes.

    Raises:
        InputError: they are no list of texts.
    """
    names = () if isinstance(classes, str) else tuple(classes)
    if not names or not all(isinstance(name, str) and name for name in names):
        raise InputError(f"classes: got {classes!r}; expected a list of names, one for each class")
    return names


def as_pictures(images: Tensor) -> Pictures:
    """Return uint8 (B, channels, H, W) as uint8 (B, H, W, channels) that shares no memory."""
    pictures: Pictures = images.permute(0, 2, 3, 1).cpu().numpy().copy()
    return pictures
