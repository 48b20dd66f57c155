"""Measures how fast a configuration runs on this machine: what `islands bench` calls.

The first number is the efficiency: images per second of a whole island over those of the bare network, on
the same engine, batch, precision and threads, measured in turns within one process. "The bare network" gets
images that are drawn, resized and, where torch runs it, normalised already. What a pass takes together with
preprocessing, `forward`, is listed as well, and so is how far the bare network is from what the processor can
do.

Drawing the next batch beside the forward pass of this one was considered and left out: on a CPU both want the
same cores, and drawing takes a few percent of the time; on a GPU the kernels of both queue up anyway.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from islands.archipelago.host import IslandHost, build_parts
from islands.archipelago.messages import Inbox, IslandKey
from islands.bench.rows import Row
from islands.bench.simulation import CLASSES, simulate
from islands.bench.timing import finish, interleaved, peak_memory_of, ratio
from islands.classifiers.apart import conditions
from islands.classifiers.contract import Classifier
from islands.classifiers.network_classifier import NetworkClassifier
from islands.classifiers.torch_classifier import TorchClassifier
from islands.config import WorkConfig
from islands.devices import deferred_checks
from islands.encodings.contract import Encoding, Growing
from islands.encodings.genomes import Genomes
from islands.evolution.archive import COLUMN_TYPES, Archive, Batch, winners
from islands.evolution.cells import PAPER
from islands.runs.conditions import engine_of

HIDDEN_NODES = 20
"""Of the networks whose drawing is measured: the paper's CPPNs have about as many."""
ISLANDS = 64
"""That are simulated to see what the driver takes."""
_SIDE = 2048
"""Of the matrices whose product shows what the processor can do."""
_EPOCH_S, _GENERATIONS = 0.5, 3
"""Length of the epochs measured and their least generations, if the configuration's are longer."""


@dataclass(frozen=True)
class Bench:
    """All measurements of a configuration.

    Attributes:
        machine: what it was measured on.
        setting: what was measured.
        rows: the efficiency first.
    """

    machine: str
    setting: str
    rows: list[Row]


def bench(config: WorkConfig, seconds: float = 10, trace: Path | None = None) -> Bench:
    """Measure one island, the driver, and unless the executor is `in-process` also workers on Ray.

    Args:
        config: what to measure; its budget and store are left alone.
        seconds: about how long each of a handful of measurements takes.
        trace: a file for a trace of one epoch, which chrome://tracing and https://ui.perfetto.dev show.

    Raises:
        InputError: the configuration does not fit the network or the machine.
    """
    # As many children as an island has, whatever the number of islands that are measured.
    config = config.model_copy(update={"evolve": config.evolution.island_budget})
    encoding, classifier = build_parts(config)
    with torch.inference_mode():
        island, memory = _begin(config, encoding, classifier)
        rows = [*_efficiency(island, seconds), *_parts(island, seconds), memory]
    if trace is not None:
        _write_trace(island, trace)
    if config.workers.executor == "ray":
        # A machine with nothing but a GPU and torch may do without Ray and Icechunk.
        from islands.bench.workers import measure_workers

        rows += measure_workers(config, seconds / 2, _value(rows, "end_to_end"))
    rows.append(_driver())
    return Bench(_machine(config, classifier), _setting(config, classifier), rows)


def _driver() -> Row:
    simulation = simulate(ISLANDS, epochs=3, children=50)
    meaning = f"CPU time of the driver, an island and epoch: {ISLANDS} simulated islands, {CLASSES} classes"
    return Row("driver", simulation.driver_ms, "ms", meaning)


class _MeasuredIsland:
    """One island that owns all classes, in epochs of `generations`."""

    def __init__(
        self, config: WorkConfig, encoding: Encoding, classifier: Classifier, generations: int
    ) -> None:
        self.encoding = encoding
        self.classifier = classifier
        self.device = classifier.device
        self.children = config.evolve.children
        self.precision: torch.dtype = getattr(torch, config.network.precision)
        self.generations = generations
        self.passes = 10 if config.network.view == "ten-crop" else 1
        self._key = IslandKey(0, 0)
        self._epoch = 0
        self._host = IslandHost(_single_island(config, generations).evolution, encoding, classifier)
        self._host.load(self._key, None)
        self._host.step(self._key, 0, Inbox())
        self.images = encoding.render(population(encoding, self.children, self.device))

    def step(self) -> None:
        """Do the next epoch."""
        self._epoch += 1
        self._host.step(self._key, self._epoch, Inbox())

    def forward(self) -> None:
        """Score as many images as an epoch does."""
        with deferred_checks():
            for _ in range(self.generations):
                self.classifier.predict(self.images)


def _begin(config: WorkConfig, encoding: Encoding, classifier: Classifier) -> tuple[_MeasuredIsland, Row]:
    """Return an island with epochs short enough to repeat, and the memory that it needs.

    Must come before all that may need more memory.
    """
    device, size = classifier.device, encoding.size
    chunk = min(_chunk(config, classifier), config.evolve.children)
    shape = (chunk, encoding.channels, size, size)
    classifier.predict(torch.zeros(shape, dtype=torch.uint8, device=device))
    before = peak_memory_of(device)
    island = _MeasuredIsland(config, encoding, classifier, 1)
    island.step()
    once = interleaved({"epoch": island.step}, device, 0, rounds=1)["epoch"].typical
    memory = (peak_memory_of(device) - before) / 1e9
    generations = min(config.evolve.generations_per_epoch, max(_GENERATIONS, int(_EPOCH_S / once)))
    if generations > 1:
        island = _MeasuredIsland(config, encoding, classifier, generations)
    meaning = "of a worker beside the network and one of its forward passes, at most"
    return island, Row("memory", memory, "GB", meaning)


def _single_island(config: WorkConfig, generations_per_epoch: int) -> WorkConfig:
    """Return `config` for one island of one run, with other epochs."""
    # The budget is not spent here, but has to be a whole number of epochs.
    budget = {"generations_per_epoch": generations_per_epoch, "generations": generations_per_epoch}
    evolve = config.evolve.model_copy(update=budget)
    islands = config.islands.model_copy(update={"count": 1})
    return config.model_copy(update={"runs": 1, "evolve": evolve, "islands": islands})


def _chunk(config: WorkConfig, classifier: Classifier) -> int:
    """Return how many images pass through the network at a time, at most."""
    return classifier.batch_size if isinstance(classifier, NetworkClassifier) else config.evolve.children


def _value(rows: list[Row], name: str) -> float:
    return next(row.value for row in rows if row.name == name)


def _efficiency(island: _MeasuredIsland, seconds: float) -> Iterator[Row]:
    bare = _bare(island)
    works: dict[str, Callable[[], object]] = {"whole": island.step, "forward": island.forward, "bare": bare}
    times = interleaved(works, island.device, 2 * seconds)
    whole, forward, alone = times["whole"], times["forward"], times["bare"]
    images = island.children * island.generations
    yield Row("efficiency", ratio(alone.wall, whole.wall), "", "images/s of an island over the bare network")
    if island.device.type == "cpu":
        yield Row(
            "efficiency_cpu",
            ratio(alone.cpu, whole.cpu),
            "",
            "the same by CPU time, which other programs disturb less",
        )
    yield Row("end_to_end", images / whole.typical, "images/s", "an island, all included")
    yield Row(
        "forward", images / forward.typical, "images/s", "the network on drawn images, preprocessing included"
    )
    yield Row("bare", images / alone.typical, "images/s", "the network on ready images")
    if isinstance(island.classifier, TorchClassifier):
        yield _roofline(island.classifier, island.passes * images / alone.typical, island.precision, seconds)


def _bare(island: _MeasuredIsland) -> Callable[[], object]:
    """Return what passes as many images through the bare network as an epoch does."""
    classifier = island.classifier
    if not isinstance(classifier, NetworkClassifier):
        return island.forward
    size, n = classifier.input_size, island.children * island.passes
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (n, classifier.channels, size, size), generator=generator, dtype=torch.uint8)
    once = classifier.bare(images.to(island.device))

    def all_generations() -> None:
        for _ in range(island.generations):
            once()

    return all_generations


def _roofline(classifier: TorchClassifier, passes: float, precision: torch.dtype, seconds: float) -> Row:
    """Return how much of what the processor can compute the bare network computes, at `passes` a second."""
    size = classifier.input_size
    with FlopCounterMode(display=False) as counter:
        classifier.logits(torch.zeros((1, classifier.channels, size, size), device=classifier.device))
    factors = torch.ones((2, _SIDE, _SIDE), dtype=precision, device=classifier.device)
    times = interleaved({"product": lambda: factors[0] @ factors[1]}, classifier.device, seconds / 4)
    peak, reached = 2 * _SIDE**3 / min(times["product"].wall), counter.get_total_flops() * passes
    meaning = f"{reached / 1e9:,.0f} GFLOP/s of the bare network over {peak / 1e9:,.0f} of a matrix product"
    return Row("roofline", reached / peak, "", meaning)


def _parts(island: _MeasuredIsland, seconds: float) -> Iterator[Row]:
    encoding, device, n = island.encoding, island.device, island.children
    genomes = population(encoding, n, device)
    generator = torch.Generator(device).manual_seed(0)
    times = interleaved(
        {
            "render": lambda: encoding.render(genomes),
            "vary": lambda: encoding.vary(genomes, genomes, 1, generator),
            "insert": _insertion(island, genomes),
        },
        device,
        seconds / 2,
    )

    def row(name: str, per: int, unit: str, meaning: str) -> Row:
        return Row(name, 1e6 * times[name].typical / per, unit, meaning)

    nodes = f" of {HIDDEN_NODES} hidden nodes" if isinstance(encoding, Growing) else ""
    size = f"{encoding.size} x {encoding.size} x {encoding.channels}"
    yield row("render", n, "us/image", f"drawing {size}{nodes}, in batches of {n}")
    yield row("vary", n, "us/image", "mutation and crossover")
    yield row(
        "insert", 1, "us", f"insertion of {n} children x {len(island.classifier.classes)} classes, all taken"
    )


def _insertion(island: _MeasuredIsland, genomes: Genomes) -> Callable[[], object]:
    """Return what inserts a batch that takes every cell, which is the slowest."""
    device, n, class_count = island.device, island.children, len(island.classifier.classes)
    probabilities = torch.rand((n, class_count), device=device).softmax(1)
    columns = {
        name: torch.zeros((n, 2) if name == "parents" else (n,), dtype=dtype, device=device)
        for name, dtype in COLUMN_TYPES.items()
    }
    archive = Archive(range(class_count), class_count, device)
    batch = Batch(genomes, probabilities, probabilities, columns)

    def insert() -> None:
        archive.fitness.fill_(-torch.inf)
        archive.insert(batch, winners(batch, PAPER))

    return insert


def population(encoding: Encoding, n: int, device: torch.device) -> Genomes:
    """Return `n` genomes; of those that grow, such as have `HIDDEN_NODES` hidden nodes."""
    generator = torch.Generator(device).manual_seed(0)
    genomes = encoding.random(n, generator)
    if not isinstance(encoding, Growing):
        return genomes
    found: list[Genomes] = []
    while sum(map(len, found)) < n:
        genomes = encoding.compact(encoding.vary(genomes, genomes, 1, generator).genomes)
        hidden = encoding.hidden_nodes(genomes)
        found.append(genomes.take((hidden == HIDDEN_NODES).nonzero().squeeze(1)))
        if hidden.float().mean() > 2 * HIDDEN_NODES:
            genomes = encoding.random(n, generator)
    return Genomes.concatenate(found).take(torch.arange(n, device=device))


def _write_trace(island: _MeasuredIsland, file: Path) -> None:
    with torch.profiler.profile() as profile, torch.inference_mode():
        island.step()
        finish(island.device)
    profile.export_chrome_trace(str(file))


def _machine(config: WorkConfig, classifier: Classifier) -> str:
    device = classifier.device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else _processor()
    return (
        f"{name}, {os.cpu_count()} CPUs, {config.workers.threads} threads a worker; Python "
        f"{platform.python_version()}, torch {torch.__version__}, {platform.system()}"
    )


def _processor() -> str:
    """Return the CPU's model where the system tells it."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text().splitlines() if file.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def _setting(config: WorkConfig, classifier: Classifier) -> str:
    chunk = _chunk(config, classifier)
    network = config.network
    return (
        f"{config.encoding.name}, {classifier.name} on {classifier.device}, {network.precision}, "
        f"{engine_of(conditions(classifier))}; view {network.view}, {config.evolve.children} children a "
        f"generation of an island, at most {chunk} a forward pass"
    )
