"""Kills random processes of a run at random times, and compares what comes out with the undisturbed run.

    python -m tests.chaos --kills 200 --faults 200 --seed 0

A run is driven by a process of its own on a Ray cluster of several nodes on this machine. Victims are the
workers, the driver, which is then started again to resume, and raylets, which take their node along. Beside
that, tries to commit fail at random steps, often several in a row, some after the store has taken the commit.
A run that ends is compared to the last bit, and another one starts until all kills and faults are done.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import random
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
import psutil

from islands.config import RunConfig
from islands.errors import StoreError
from islands.evolution.checkpoint import Checkpoint
from islands.search.presets import PRESETS, PresetName, settings_of
from islands.store import schema
from islands.store.location import Location
from islands.store.reader import StoreReader
from tests.archipelago.nodes import SMALL, lose
from tests.store.faults import Plan, failing_commits, some

_FORKS = multiprocessing.get_context("forkserver")
# All that is slow to import but Ray and Icechunk, whose threads a fork would not have.
_FORKS.set_forkserver_preload(["torch", "zarr", "islands.archipelago.executor", "islands.config.own_code"])

LONGEST_PAUSE_S = 1.5
"""Kills are at most so far apart."""

PATIENCE_S = 120
"""Seconds without a kill within which a run must end."""

LAG = 2

FAULTY = 0.5
"""Share of the tries to commit that fail."""

WEIGHTS = {"worker": 7, "driver": 2, "node": 1}
"""How often each kind of process is chosen."""


def make_config(store: Path, address: str, workers: int, epochs: int, search: PresetName) -> RunConfig:
    """Return a run of 3 islands whose epochs are short: ten a second, undisturbed on two slow cores.

    Pixels where gradients are taken: CPPNs do without them until late.
    """
    encoding = "direct" if search == "white-box" else "cppn"
    chosen = settings_of(search, encoding)
    budget = {"initial": 10, "children": 10, "generations": epochs, "generations_per_epoch": 1}
    return RunConfig.model_validate(
        {
            "pipeline": "mnist_cppn",
            "store": str(store),
            "seed": 7,
            "network": {"name": "lenet-mnist"},
            "encoding": {"name": encoding, **chosen.get("encoding", {})},
            "evolve": {**budget, **chosen.get("evolve", {})},
            "islands": {"count": 3, "lag": LAG},
            "workers": {"count": workers, "max_failures": -1, "device": "cpu"},
            "ray": {"address": address},
            "checkpoint": {"every_s": 0.3, "keep": 3},
        }
    )


def drive(settings: str, faults: int, seed: int) -> None:
    """Be the driver: go on with the run, or start it, and print a line for each epoch and each fault."""
    from islands.archipelago import committer
    from islands.archipelago.progress import Progress
    from islands.runs.launch import launch
    from islands.runs.resume import resume

    config = RunConfig.model_validate_json(settings)
    last = -1
    committer.PAUSES_S = (0.1,) * 20

    def observe(progress: Progress) -> None:
        nonlocal last
        if progress.epoch > last:
            last = progress.epoch
            _tell(f"epoch {last}")

    with failing_commits(_told(some(random.Random(seed), FAULTY), faults)):
        if Path(config.store).exists():
            resume(config.store, [f"workers.executor={config.workers.executor}"], observe)
        else:
            launch(config, observe)


def _drive_apart(said: Connection, log: Path, settings: str, faults: int, seed: int) -> None:
    """Drive in this process; what it prints is heard at the other end of `said`, its errors go to `log`."""
    os.dup2(said.fileno(), sys.stdout.fileno())
    with log.open("a") as errors:
        os.dup2(errors.fileno(), sys.stderr.fileno())
    drive(settings, faults, seed)


def _tell(line: str) -> None:
    """Say a line at once: epochs and faults come from two threads, and what `print` writes is in parts."""
    os.write(1, f"{line}\n".encode())


def _told(plans: Iterator[Plan], faults: int) -> Iterator[Plan]:
    """Say which faults come, of which there are so many."""
    left = iter(range(faults))

    def told(plan: Plan, step: str) -> str | None:
        when = plan(step)
        if when is None or next(left, None) is None:
            return None
        _tell(f"fault {when} {step}")
        return when

    for plan in plans:
        yield partial(told, plan)


def digest(store: Location | Path) -> str:
    """Return a hash of everything that the last checkpoint of a store holds, but for its configuration."""
    reader = StoreReader(store)
    return digest_of(reader, reader.checkpoint())


def digest_of(reader: StoreReader, checkpoint: Checkpoint | None) -> str:
    """Return the hash for what `reader.checkpoint` has given."""
    assert checkpoint is not None
    sha = hashlib.sha256()
    for number, run in enumerate(checkpoint.runs):
        assert run.ancestors is not None
        sha.update(schema.ancestors_digest(run.ancestors).encode())
        sha.update(schema.digest(checkpoint.epoch, run.elites, run.mail, run.evaluations).encode())
        for rows in (reader.history(number), reader.migrations(number), {"curves": reader.curves(number)}):
            for name, column in sorted(rows.items()):
                sha.update(name.encode() + np.ascontiguousarray(column).tobytes())
    return sha.hexdigest()


class Driver:
    """A process that drives the run, and what it says."""

    def __init__(self, config: RunConfig, log: Path, faults: int = 0, seed: int = 0) -> None:
        self._heard, said = _FORKS.Pipe(duplex=False)
        with said:
            self.process = _FORKS.Process(
                target=_drive_apart, args=(said, log, config.model_dump_json(), faults, seed)
            )
            self.process.start()
        self.is_alone = config.workers.executor == "in-process"
        self.epochs: list[tuple[float, int]] = []
        self.disturbed: list[tuple[str, float]] = []
        self.faults: list[str] = []
        self._moved = Event()
        self._listener = Thread(target=self._listen, daemon=True)
        self._listener.start()

    def ends_within(self, seconds: float) -> bool:
        """Wait so long; return whether the process has ended."""
        self.process.join(seconds)
        return self.process.exitcode is not None

    def kill(self) -> None:
        """End the process at once."""
        self.process.kill()
        self.process.join()

    def hear_out(self) -> None:
        """Take in all that the process has said; it has ended."""
        self._listener.join(5)

    def wait_for_an_epoch(self) -> None:
        """Wait until the process has done an epoch, or has ended."""
        self._moved.wait(PATIENCE_S)

    def recoveries(self) -> Iterator[tuple[str, float]]:
        """Yield for each kill that it lived through the seconds until all islands went on."""
        for kind, killed_at in self.disturbed:
            before = max((epoch for at, epoch in self.epochs if at < killed_at), default=-1)
            # What is in the mail carries the others so far, and no further.
            beyond = before + LAG
            seconds = next((at - killed_at for at, epoch in self.epochs if epoch > beyond), None)
            if seconds is not None:
                yield kind, seconds

    def _listen(self) -> None:
        for line in os.fdopen(self._heard.fileno(), closefd=False):
            if line.startswith("epoch "):
                self.epochs.append((time.monotonic(), int(line.split()[1])))
                self._moved.set()
            elif line.startswith("fault "):
                self.faults.append(line.removeprefix("fault ").strip())
        self._moved.set()


class Nodes:
    """A Ray cluster on this machine: a head that takes no workers, and nodes of one CPU each."""

    def __init__(self, count: int) -> None:
        # First, for it prepares Ray's environment.
        import islands.archipelago.ray_session  # noqa: F401, I001
        from ray.cluster_utils import Cluster

        self._options = {**SMALL, "num_cpus": 1}
        self._cluster: Any = Cluster(initialize_head=True, head_node_args={**SMALL, "num_cpus": 0})
        self._nodes = [self._cluster.add_node(**self._options) for _ in range(count)]

    @property
    def address(self) -> str:
        """Where drivers connect."""
        return str(self._cluster.address)

    def workers(self) -> list[int]:
        """Return the processes of actors that are up."""
        raylets = [node.all_processes["raylet"][0].process.pid for node in self._nodes]
        return [
            child.pid
            for raylet in raylets
            for child in psutil.Process(raylet).children(recursive=True)
            if _is_worker(child)
        ]

    def kill(self, dice: random.Random, *, replace: bool) -> None:
        """Kill a raylet, with all that runs on its node."""
        node = self._nodes.pop(dice.randrange(len(self._nodes)))
        lose(self._cluster, node)
        if replace:
            self._nodes.append(self._cluster.add_node(wait=False, **self._options))

    def close(self) -> None:
        """Stop the cluster."""
        self._cluster.shutdown()


def _is_worker(process: psutil.Process) -> bool:
    try:
        return "ray::Worker" in " ".join(process.cmdline())
    except psutil.Error:  # it has just ended
        return False


@dataclass
class Tally:
    """What a storm did and what became of the runs.

    Attributes:
        kills: the kind of each process killed.
        faults: the step of each fault of a commit, and whether it came before or after.
        recoveries: seconds until all islands went on, by kind, where the driver lived to see it.
        runs: how many ended.
        differing: how many of these differ from the undisturbed one.
    """

    kills: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    recoveries: dict[str, list[float]] = field(default_factory=dict)
    runs: int = 0
    differing: int = 0

    def lines(self) -> Iterator[str]:
        """Say it."""
        counts = ", ".join(f"{self.kills.count(kind)} {kind}s" for kind in WEIGHTS)
        yield f"{len(self.kills)} kills ({counts}); {self.runs} runs ended, {self.differing} differ"
        if self.faults:
            counts = ", ".join(f"{count} {step}" for step, count in Counter(self.faults).most_common())
            yield f"{len(self.faults)} faults of commits ({counts})"
        for kind, seconds in self.recoveries.items():
            middle, longest = statistics.median(seconds), max(seconds)
            yield f"all islands went on after {kind} kills: median {middle:.1f} s, longest {longest:.1f} s"


class Storm:
    """Runs that are disturbed `kills` times in all, and whose commits fail `faults` times.

    Args:
        kills: how many.
        faults: likewise.
        seed: of what is killed when; a run that is disturbed elsewhere must still give the same bits.
        folder: where the stores go.
        epochs: of a run.
        search: of a run, a preset's name.
        nodes: of the cluster; each holds a worker.
        kinds: what is killed, of `WEIGHTS`.
        replace: whether a new node comes for one that was killed.
    """

    def __init__(
        self,
        kills: int,
        faults: int,
        seed: int,
        folder: Path,
        *,
        epochs: int,
        search: PresetName,
        nodes: int,
        kinds: Sequence[str],
        replace: bool,
    ) -> None:
        self._kills = kills
        self._faults = faults
        self._dice = random.Random(seed)
        self._folder = folder
        self._epochs = epochs
        self._search = search
        self._workers = nodes
        self._kinds = kinds
        self._replace = replace
        self._nodes = Nodes(nodes)
        self.tally = Tally()

    def run(self) -> Tally:
        """Let runs end until all kills and faults are done."""
        try:
            expected = self._undisturbed()
            while len(self.tally.kills) < self._kills or len(self.tally.faults) < self._faults:
                store = self._folder / f"run-{self.tally.runs}"
                self._disturbed(store)
                self.tally.runs += 1
                self.tally.differing += digest(store) != expected
                shutil.rmtree(store)
        finally:
            self._nodes.close()
        return self.tally

    def _undisturbed(self) -> str:
        store = self._folder / "undisturbed"
        driver = Driver(self._config(store, "in-process"), self._log)
        if not driver.ends_within(PATIENCE_S):
            driver.kill()
        self._require_good_end(driver)
        return digest(store)

    def _disturbed(self, store: Path) -> None:
        driver = self._start(store, "ray")
        committed = -1
        try:
            while True:
                pause = self._dice.uniform(0, LONGEST_PAUSE_S)
                if self._dice.random() < 0.8:  # else the kill may come while the driver starts
                    driver.wait_for_an_epoch()
                is_last = len(self.tally.kills) >= self._kills
                if driver.ends_within(PATIENCE_S if is_last else pause):
                    self._require_good_end(driver)
                    self._note(driver)
                    return
                if is_last:
                    raise AssertionError(f"no end within {PATIENCE_S} s after the last kill; {self._log}")
                kind = self._kill(driver)
                if kind == "driver":
                    self._note(driver)
                    committed = self._require_progress_kept(store, committed)
                    if committed >= 0 and StoreReader(store).complete:
                        return
                    driver = self._start(store, self._dice.choices(["ray", "in-process"], [5, 1])[0])
        finally:
            driver.kill()

    def _kill(self, driver: Driver) -> str:
        kind = self._dice.choices(self._kinds, [WEIGHTS[kind] for kind in self._kinds])[0]
        workers = self._nodes.workers()
        if driver.is_alone and "driver" in self._kinds:
            kind = "driver"
        started = time.monotonic()
        if kind == "node":
            self._nodes.kill(self._dice, replace=self._replace)
        elif kind == "driver":
            driver.kill()
        elif workers:
            os.kill(self._dice.choice(workers), signal.SIGKILL)
        else:
            return kind  # none is up yet: wait
        self.tally.kills.append(kind)
        at = driver.epochs[-1][1] if driver.epochs else None
        print(f"{len(self.tally.kills)}: killed a {kind} at epoch {at}", flush=True)
        driver.disturbed.append((kind, started))
        return kind

    def _note(self, driver: Driver) -> None:
        driver.hear_out()
        self.tally.faults += driver.faults
        for kind, seconds in driver.recoveries():
            self.tally.recoveries.setdefault(kind, []).append(seconds)

    def _start(self, store: Path, executor: str) -> Driver:
        faults = max(0, self._faults - len(self.tally.faults))
        return Driver(self._config(store, executor), self._log, faults, self._dice.getrandbits(31))

    def _config(self, store: Path, executor: str) -> RunConfig:
        config = make_config(store, self._nodes.address, self._workers, self._epochs, self._search)
        workers = config.workers.model_copy(update={"executor": executor})
        return config.model_copy(update={"workers": workers})

    @property
    def _log(self) -> Path:
        return self._folder / "stderr.txt"

    def _require_progress_kept(self, store: Path, committed: int) -> int:
        """Check that the store holds what it held before; clear one that was never made."""
        try:
            epoch = StoreReader(store).epoch
        except StoreError:
            if committed >= 0:
                raise
            shutil.rmtree(store, ignore_errors=True)
            return -1
        found = -1 if epoch is None else epoch
        assert found >= committed, f"the store fell back from epoch {committed} to {found}"
        return found

    def _require_good_end(self, driver: Driver) -> None:
        driver.process.join()
        code = driver.process.exitcode
        assert code == 0, f"the driver ended with {code}:\n{self._log.read_text()[-3000:]}"


def main() -> int:
    """Run the command line; return 0 if every run gave the bits of the undisturbed one."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--faults", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=1000, help="of each run")
    parser.add_argument("--search", choices=list(PRESETS), default="paper", help="of each run")
    parser.add_argument("--nodes", type=int, default=2)
    parser.add_argument("--kinds", nargs="+", choices=list(WEIGHTS), default=list(WEIGHTS))
    parser.add_argument("--no-replacement", action="store_true", help="no new node for a killed one")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        storm = Storm(
            chosen.kills,
            chosen.faults,
            chosen.seed,
            Path(folder),
            epochs=chosen.epochs,
            search=chosen.search,
            nodes=chosen.nodes,
            kinds=chosen.kinds,
            replace=not chosen.no_replacement,
        )
        tally = storm.run()
    print(*tally.lines(), sep="\n")
    counts = {"kills": len(tally.kills), "faults": len(tally.faults)}
    print(json.dumps({**counts, "runs": tally.runs, "differing": tally.differing}))
    return int(tally.differing > 0)


if __name__ == "__main__":
    sys.exit(main())
