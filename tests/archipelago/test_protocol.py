"""The driver's mirror against a naive post office: any timing, losses, cuts and restores.

The islands are stand-ins made of numpy: what one finds depends on every bit of its state and of its mail.
"""

from __future__ import annotations

import pickle
import zlib
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from islands.archipelago.messages import Delta, Inbox, IslandState, Outbox, StepResult
from islands.archipelago.mirror import RunMirror
from islands.config import WorkConfig
from islands.evolution import records
from islands.evolution.checkpoint import RunCheckpoint
from islands.evolution.counters import Counters
from islands.evolution.elites import COLUMNS, Elites
from islands.migration.policies import senders_to
from islands.migration.slices import class_slices
from islands.migration.topologies import TOPOLOGIES
from islands.migration.topology import build_topology
from tests.archipelago.conftest import small_config
from tests.conftest import examples
from tests.store.comparing import assert_same

CLASSES = 7
SLICES = class_slices(CLASSES, 3)
HELD = 3


def make_rows(
    classes: npt.NDArray[np.intp], fitness: npt.NDArray[np.float32], island: int, epoch: int
) -> Elites:
    n = len(classes)
    probabilities = np.tile(fitness[:, None], (1, CLASSES)).astype(np.float32)
    return Elites(
        cells=classes.astype(np.int32),
        fitness=fitness.astype(np.float32),
        probabilities=probabilities,
        ids=(epoch * 1000 + island * 100 + classes).astype(np.int64),
        parents=np.full((n, 2), -1),
        operators=np.zeros(n, np.uint8),
        islands=np.full(n, island, np.int32),
        epochs=np.full(n, epoch, np.int32),
        generations=np.full(n, epoch, np.int32),
        genomes={"pixels": probabilities[:, :1].copy()},
    )


def insert(cells: Elites, arrived: Elites, first: int) -> Elites:
    """Let rows take the cells of a slice in order, where they are strictly better."""
    for row in range(len(arrived)):
        cell = np.array([arrived.classes[row] - first], np.intp)
        if arrived.fitness[row] > cells.fitness[cell[0]]:
            cells = cells.put(cell, arrived.take(np.array([row])))
    return cells


def fold(value: Any, seed: int = 0) -> int:
    """Return a number that depends on every bit of messages and states, not on how they lie in memory."""
    if isinstance(value, np.ndarray):
        return zlib.crc32(np.ascontiguousarray(value).tobytes(), seed)
    if isinstance(value, dict):
        parts = list(value.values())
    elif hasattr(value, "__dataclass_fields__"):
        parts = [getattr(value, name) for name in value.__dataclass_fields__]
    else:
        return zlib.crc32(repr(value).encode(), seed)
    for part in parts:
        seed = fold(part, seed)
    return seed


def step(island: int, state: IslandState | None, epoch: int, inbox: Inbox) -> tuple[IslandState, StepResult]:
    """Do one epoch of a stand-in."""
    dice = np.random.default_rng([island, epoch, fold(state, fold(inbox))])
    own = np.arange(SLICES[island].start, SLICES[island].stop)
    found = make_rows(
        np.arange(CLASSES), (dice.integers(0, 4 + epoch, CLASSES) / 64).astype(np.float32), island, epoch
    )
    if state is None:
        elites, held = found.take(own), found.take(np.empty(0, np.intp))
    else:
        elites, held = state.elites, state.held
    if inbox.claims is not None:
        elites = insert(elites, inbox.claims, own[0])
    if inbox.migrants is not None:
        held = Elites.concatenate([held, inbox.migrants])
        held = held.take(np.arange(len(held))[-HELD:])
    elites = insert(elites, found.take(own), own[0])
    board = np.full(CLASSES, -np.inf, np.float32) if inbox.board is None else inbox.board.copy()
    board[own] = np.inf
    claims = found.take(np.flatnonzero(found.fitness > board))
    before = np.full(len(own), -2) if state is None else state.elites.ids
    known = Counters.none() if state is None else state.counters
    ids = np.concatenate([elites.ids, held.ids])
    counters = Counters.among(ids, known.of(ids) + (ids % 2).astype(np.int32))
    delta = Delta(
        epoch=epoch,
        elites=elites.take(elites.ids != before),
        held=held if state is None or inbox.migrants is not None else None,
        history=records.empty(records.HISTORY),
        migrations=records.empty(records.MIGRATIONS),
        confidence=elites.confidence,
        evaluations=1,
        counters=counters,
    )
    migrants = elites.take(np.arange(len(elites))[: 1 + epoch % 2])
    outbox = Outbox(elites.fitness.copy(), claims if len(claims) else None, migrants)
    return IslandState(epoch, elites, held, counters), StepResult(delta, outbox)


class PostOffice:
    """Does every epoch of all islands in turn, keeps all mail for ever, and looks up what is asked for."""

    def __init__(self, config: WorkConfig) -> None:
        self._config = config
        self._topology = build_topology(
            config.islands.topology, config.islands.count, config.islands.weight, config.seed, 0
        )
        self.states: list[list[IslandState]] = []
        self.outboxes: list[list[Outbox]] = []

    def state(self, island: int, epoch: int) -> IslandState:
        while len(self.states) <= epoch:
            self._advance()
        return self.states[epoch][island]

    def _advance(self) -> None:
        epoch = len(self.states)
        before: Any = self.states[-1] if self.states else [None] * len(SLICES)
        done = [step(i, before[i], epoch, self._inbox(i, epoch)) for i in range(len(SLICES))]
        self.states.append([state for state, _ in done])
        self.outboxes.append([result.outbox for _, result in done])

    def _inbox(self, island: int, epoch: int) -> Inbox:
        sent = epoch - self._config.islands.lag
        if sent < 0:
            return Inbox()
        mail = self.outboxes[sent]
        own = SLICES[island]
        claims = [
            (sender, box.claims.take(np.isin(box.claims.classes, own)))
            for sender, box in enumerate(mail)
            if box.claims is not None
        ]
        islands = self._config.islands
        senders = senders_to(island, self._topology, islands.migration, self._config.seed, 0, sent)
        migrants = [(sender, mail[sender].migrants) for sender in senders]
        return Inbox(
            np.concatenate([box.board for box in mail]),
            *_stacked(_best([part for part in claims if len(part[1])])),
            *_stacked(migrants),
        )


def _best(parts: list[Any]) -> list[Any]:
    """Leave of the claims to each class the best; at equal fitness that of the first sender."""
    rows = [(sender, claims.take(np.array([row]))) for sender, claims in parts for row in range(len(claims))]
    best: dict[int, tuple[int, Elites]] = {}
    for sender, claim in rows:
        class_ = int(claim.classes[0])
        if class_ not in best or claim.fitness[0] > best[class_][1].fitness[0]:
            best[class_] = sender, claim
    return sorted(best.values(), key=lambda part: (part[0], int(part[1].classes[0])))


def _stacked(parts: list[Any]) -> tuple[Elites | None, npt.NDArray[np.int32] | None]:
    if not parts:
        return None, None
    senders = [sender for sender, rows in parts for _ in range(len(rows))]
    return Elites.concatenate([rows for _, rows in parts]), np.array(senders, np.int32)


class Under(NamedTuple):
    """An epoch under way."""

    epoch: int
    inbox: Inbox
    state: IslandState | None


class ProtocolMachine(RuleBasedStateMachine):
    @initialize(
        lag=st.integers(1, 3),
        topology=st.sampled_from(list(TOPOLOGIES.built_in)),
        kind=st.sampled_from(["p2p", "broadcast"]),
        weight=st.sampled_from([0.5, 1.0]),
    )
    def begin(self, lag: int, topology: str, kind: str, weight: float) -> None:
        own: dict[str, dict[str, Any]] = {
            "erdos_renyi": {"probability": 0.5},
            "free_form": {"pairs": [[0, 1], [2, 1]]},
        }
        islands = {
            "count": 3,
            "lag": lag,
            "topology": {"name": topology, **own.get(topology, {})},
            "weight": weight,
            "migration": {"type": kind},
        }
        self.config = small_config(runs=1, encoding={"name": "direct"}, islands=islands)
        self.reference = PostOffice(self.config)
        self.mirror = RunMirror(0, self.config.evolution, CLASSES)
        self.under: dict[int, Under] = {}
        self.kept: tuple[int, bytes] | None = None

    @rule(island=st.integers(0, 2))
    def start(self, island: int) -> None:
        inbox = None if island in self.under else self.mirror.inbox(island)
        if inbox is not None:
            epoch = self.mirror.epoch_of(island) + 1
            self.under[island] = Under(epoch, inbox, self.mirror.state(island))

    @precondition(lambda self: self.under)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        island = data.draw(st.sampled_from(sorted(self.under)))
        epoch, inbox, state = self.under.pop(island)
        self.mirror.record(island, step(island, state, epoch, inbox)[1])
        assert_same(self.mirror.state(island), self.reference.state(island, epoch))

    @precondition(lambda self: self.under)
    @rule(data=st.data())
    def lose(self, data: st.DataObject) -> None:
        del self.under[data.draw(st.sampled_from(sorted(self.under)))]

    @rule(times=st.integers(1, 8))
    def run_in_turn(self, times: int) -> None:
        """Bring everybody forward, so that rare states are reached."""
        for _ in range(times):
            for island in range(3):
                self.start(island)
                if island in self.under:
                    epoch, inbox, state = self.under.pop(island)
                    self.mirror.record(island, step(island, state, epoch, inbox)[1])

    @precondition(lambda self: self.mirror.epoch > (self.kept[0] if self.kept else -1))
    @rule()
    def cut(self) -> None:
        epoch = self.mirror.epoch
        stands = [self.mirror.epoch_of(island) for island in range(3)]
        checkpoint = self.mirror.cut(epoch)
        assert [self.mirror.epoch_of(island) for island in range(3)] == stands
        self.kept = epoch, pickle.dumps(checkpoint)
        assert_same(_columns(checkpoint.elites), _columns(self._settled(epoch)))

    @precondition(lambda self: self.kept is not None)
    @rule()
    def restore(self) -> None:
        assert self.kept is not None
        epoch, stored = self.kept
        checkpoint: RunCheckpoint = pickle.loads(stored)
        self.mirror = RunMirror(0, self.config.evolution, CLASSES)
        self.mirror.restore(epoch, checkpoint)
        self.under.clear()

    @invariant()
    def every_island_is_where_it_would_be_alone_with_its_mail(self) -> None:
        if not hasattr(self, "mirror"):
            return
        for island in range(3):
            state = self.mirror.state(island)
            if state is not None:
                assert_same(state, self.reference.state(island, state.epoch))

    @invariant()
    def no_more_is_kept_than_islands_may_ask_for(self) -> None:
        if hasattr(self, "mirror") and self.kept is not None and self.mirror.epoch == self.kept[0]:
            assert min(self.mirror._sent) >= self.mirror.epoch + 1 - self.config.islands.lag

    def _settled(self, epoch: int) -> Elites:
        """Return the best of each class: own cells, and claims in the mail."""
        cells = Elites.concatenate([self.reference.state(island, epoch).elites for island in range(3)])
        for sent in range(max(0, epoch + 1 - self.config.islands.lag), epoch + 1):
            for owner in range(3):
                for box in self.reference.outboxes[sent]:
                    if box.claims is not None:
                        cells = insert(cells, box.claims.take(np.isin(box.claims.classes, SLICES[owner])), 0)
        return cells


def _columns(elites: Elites) -> dict[str, Any]:
    return {name: getattr(elites, name) for name in COLUMNS} | elites.genomes


TestProtocol = ProtocolMachine.TestCase
TestProtocol.settings = settings(max_examples=examples(8), stateful_step_count=40)
