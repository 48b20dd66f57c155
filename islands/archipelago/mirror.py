"""The driver's copy of one run: where every island is, and the mail between them.

An epoch counts when its delta is here. Everything that a lost island, a checkpoint or a resume needs can be
rebuilt from it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from islands.archipelago.epoch_mail import Claims, EpochMail, stack
from islands.archipelago.messages import Delta, Inbox, IslandState, StepResult
from islands.archipelago.settled import Settled
from islands.config import EvolutionSettings
from islands.evolution import records
from islands.evolution.ancestors import Ancestors, ancestors_among
from islands.evolution.checkpoint import Letter, Mail, RunCheckpoint
from islands.evolution.counters import Counters
from islands.evolution.elites import Elites
from islands.migration.policies import senders_to
from islands.migration.slices import class_slices
from islands.migration.topology import build_topology


@dataclass
class _IslandMirror:
    """The state at the last cut, and what has come since."""

    state: IslandState | None = None
    pending: list[Delta] = field(default_factory=list)

    @property
    def epoch(self) -> int:
        if self.pending:
            return self.pending[-1].epoch
        return self.state.epoch if self.state else -1


class RunMirror:
    """One run of `class_count` classes as the driver knows it."""

    def __init__(self, run: int, settings: EvolutionSettings, class_count: int) -> None:
        self._run = run
        self._settings = settings
        self._layout = settings.layout
        classes = class_slices(class_count, settings.islands.count)
        self._cells = [self._layout.of(each) for each in classes]
        self._class_count = class_count
        self._history = records.history(self._layout)
        islands = settings.islands
        self._topology = build_topology(islands.topology, islands.count, islands.weight, settings.seed, run)
        self._islands = [_IslandMirror() for _ in self._cells]
        self._epoch = -1
        self._islands_at = Counter({-1: len(self._cells)})
        self._sent: dict[int, EpochMail] = {}
        self._routes: dict[int, tuple[int, tuple[int, ...]]] = {}
        # Of asynchronous islands, receiver -> sender -> the last epoch whose mail it has read, or reads now.
        self._read: list[dict[int, int]] = []
        self._reading: dict[int, dict[int, int]] = {}
        self._forget_reading(-1)
        cells = class_count * self._layout.per_class
        self._settled_before = np.zeros(cells, bool)
        self._ancestors: Ancestors | None = None
        self._evaluations_at_cut = 0
        self._not_finite_at_cut = 0
        self.evaluations = 0
        self.not_finite = 0
        self._now, self._at_cut = Settled(cells, self._layout), Settled(cells, self._layout)

    @property
    def epoch(self) -> int:
        """The last epoch that every island has done; -1 before any."""
        return self._epoch

    @property
    def confidence(self) -> npt.NDArray[np.float32]:
        """(K,) float32 of every class, claims on their way included, at its island's last known epoch."""
        by_class = self._now.confidence.reshape(self._class_count, -1)
        best: npt.NDArray[np.float32] = np.nan_to_num(np.fmax.reduce(by_class, axis=1))
        return best

    @property
    def elites(self) -> Elites | None:
        """Of all cells where all islands stand at one epoch, with claims on their way; None before any."""
        if self._epoch < 0:
            return None
        own = Elites.concatenate([_require(self.state(island)).elites for island in self.islands])
        return self._settle(own, range(self._first_in_transit(self._epoch), self._epoch + 1))[0]

    @property
    def islands(self) -> range:
        """The islands' numbers."""
        return range(len(self._islands))

    def epoch_of(self, island: int) -> int:
        """Return the last epoch that `island` has done; -1 before any."""
        return self._islands[island].epoch

    def state(self, island: int) -> IslandState | None:
        """Return the state of `island` at its last epoch; None before generation 0."""
        mirror = self._islands[island]
        return _advance(mirror.state, mirror.pending)

    def inbox(self, island: int) -> Inbox | None:
        """Return what `island` reads at the start of its next epoch; None if it has not all arrived.

        Mail of epoch e is read at the start of epoch e + lag; asynchronous islands read what has come.
        """
        if self._settings.islands.asynchronous:
            return self._unread(island)
        sent = self._islands[island].epoch + 1 - self._settings.islands.lag
        if sent < 0:
            return Inbox()
        with_claims = self._settings.islands.claims
        if with_claims and self._epoch < sent:
            return None
        senders = self._senders(island, sent)
        # Claims may come from any island, migrants from these alone: without claims, nobody waits for others.
        if any(self._islands[sender].epoch < sent for sender in senders):
            return None
        mailed = self._sent[sent] if senders or with_claims else self._no_mail()
        claims, claim_senders = stack(list(mailed.claims.of(self._cells[island])))
        migrants, migrant_senders = stack(
            [(sender, mailed.migrants[sender]) for sender in senders if sender in mailed.migrants]
        )
        return Inbox(mailed.board if with_claims else None, claims, claim_senders, migrants, migrant_senders)

    def record(self, island: int, result: StepResult) -> None:
        """Take note of an epoch that was done: from here on it counts."""
        delta, outbox = result
        if delta.epoch != self._islands[island].epoch + 1:
            raise ValueError(
                f"island {island} is at epoch {self._islands[island].epoch} and cannot take {delta.epoch}"
            )
        self._islands[island].pending.append(delta)
        self._islands_at[delta.epoch] += 1
        self._islands_at[delta.epoch - 1] -= 1
        while not self._islands_at[self._epoch]:
            del self._islands_at[self._epoch]
            self._epoch += 1
        if self._settings.islands.asynchronous:
            self._read[island] |= self._reading.pop(island, {})
        self.evaluations += delta.evaluations
        self.not_finite += delta.not_finite
        own = self._cells[island]
        self._now.take(np.arange(own.start, own.stop), outbox.board, delta.confidence)
        mailed = self._sent.setdefault(delta.epoch, self._no_mail())
        mailed.boards[island] = outbox.board
        if outbox.migrants is not None:
            mailed.migrants[island] = outbox.migrants
        if outbox.claims is not None:
            mailed.claims.add(island, outbox.claims)
            self._now.take(outbox.claims.cells, outbox.claims.fitness, outbox.claims.confidence)

    def cut(self, epoch: int) -> RunCheckpoint:
        """Return the run as it was when every island had done `epoch`, and forget what came before.

        Raises:
            ValueError: an island has not done `epoch` yet.
        """
        if self.epoch < epoch:
            raise ValueError(f"run {self._run} is at epoch {self.epoch}, before epoch {epoch}")
        deltas: list[list[Delta]] = []
        # First: an elite that a delta replaces may be an ancestor, and is gone once the states have moved on.
        known = self._genomes_known(epoch)
        for island in self._islands:
            done = [delta for delta in island.pending if delta.epoch <= epoch]
            island.pending = island.pending[len(done) :]
            island.state = _advance(island.state, done)
            deltas.append(done)
        own = Elites.concatenate([_require(island.state).elites for island in self._islands])
        in_transit = range(self._first_in_transit(epoch), epoch + 1)
        elites, overruled = self._settle(own, in_transit)
        # A cell that a claim held at the last cut may go back to its owner's elite, and no delta names it.
        changed = self._settled_before | overruled
        for done in deltas:
            for delta in done:
                changed[delta.elites.cells] = True
        self._settled_before = overruled
        self._evaluations_at_cut += sum(delta.evaluations for done in deltas for delta in done)
        self._not_finite_at_cut += sum(delta.not_finite for done in deltas for delta in done)
        curves = self._curves(deltas)
        self._sent = {sent: mailed for sent, mailed in self._sent.items() if sent >= in_transit.start}
        mail = self._mail(own, overruled, in_transit)
        living = [own, elites, mail.elites]
        self._ancestors = None if known is None else ancestors_among(known, living, elites.ids)
        # How wide a table grew depends on the genomes that passed through it since the process began: without
        # this, a run that was resumed would store other bytes than one that was not.
        if self._settings.encoding.padded:
            elites, mail = elites.trimmed(), replace(mail, elites=mail.elites.trimmed())
            self._ancestors = None if self._ancestors is None else self._ancestors.trimmed()
        return RunCheckpoint(
            elites=elites,
            changed=changed,
            mail=mail,
            history=_rows_by_epoch(self._history, [d.history for done in deltas for d in done]),
            migrations=_rows_by_epoch(records.MIGRATIONS, [d.migrations for done in deltas for d in done]),
            curves=curves,
            evaluations=self._evaluations_at_cut,
            not_finite=self._not_finite_at_cut,
            ancestors=self._ancestors,
        )

    def restore(self, epoch: int, checkpoint: RunCheckpoint) -> None:
        """Go on from a checkpoint at `epoch`."""
        mail = checkpoint.mail
        overruled = mail.elites.take(mail.kinds == Letter.OVERRULED)
        own = checkpoint.elites.put(overruled.cells.astype(np.intp), overruled)
        self._settled_before[overruled.cells] = True
        for index, (cells, island) in enumerate(zip(self._cells, self._islands, strict=True)):
            held = mail.elites.take((mail.kinds == Letter.HELD) & (mail.receivers == index))
            counters = mail.counters[index] if mail.counters else Counters.none()
            island.state = IslandState(epoch, own.take(np.arange(cells.start, cells.stop)), held, counters)
            island.pending = []
        self._ancestors = checkpoint.ancestors
        self._epoch, self._islands_at = epoch, Counter({epoch: len(self._islands)})
        self.evaluations = self._evaluations_at_cut = checkpoint.evaluations
        self.not_finite = self._not_finite_at_cut = checkpoint.not_finite
        for settled in (self._now, self._at_cut):
            elites = checkpoint.elites
            settled.take(np.arange(len(elites)), elites.fitness, elites.confidence)
        for offset, board in enumerate(reversed(mail.boards)):
            self._sent[epoch - offset] = self._restored(mail, epoch - offset, board)
        self._forget_reading(epoch - len(mail.boards))

    def _curves(self, deltas: list[list[Delta]]) -> npt.NDArray[np.float32]:
        """Return the confidence of every cell at the end of each epoch done, claims on their way included."""
        rows = [np.empty((0, len(self._settled_before)), np.float32)]
        for done in zip(*deltas, strict=True):
            mailed = self._sent[done[0].epoch]
            own = np.concatenate([delta.confidence for delta in done])
            self._at_cut.take(np.arange(len(own)), mailed.board, own)
            for claims in mailed.claims.tables():
                self._at_cut.take(claims.cells, claims.fitness, claims.confidence)
            rows.append(self._at_cut.confidence[None].copy())
        return np.concatenate(rows)

    def _no_mail(self) -> EpochMail:
        return EpochMail(Claims(self._class_count, self._layout))

    def _forget_reading(self, epoch: int) -> None:
        """Let asynchronous islands have read the mail of all up to `epoch`."""
        self._reading = {}
        if self._settings.islands.asynchronous:
            self._read = [dict.fromkeys(self.islands, epoch) for _ in self.islands]

    def _senders(self, island: int, sent: int) -> tuple[int, ...]:
        """Return the islands whose migrants of epoch `sent` go to `island`."""
        if island in self._routes and self._routes[island][0] == sent:
            return self._routes[island][1]
        settings = self._settings
        senders = senders_to(
            island, self._topology, settings.islands.migration, settings.seed, self._run, sent
        )
        self._routes[island] = sent, senders
        return senders

    def _unread(self, island: int) -> Inbox:
        """Return all mail to an asynchronous island since it last read."""
        latest = {sender: self._islands[sender].epoch for sender in self.islands}
        self._reading[island] = latest
        claims: list[tuple[int, Elites]] = []
        migrants: list[tuple[int, Elites]] = []
        for sent in range(min(self._read[island].values()) + 1, max(latest.values()) + 1):
            claims += self._unread_claims(island, sent)
            migrants += [
                (sender, self._sent[sent].migrants[sender])
                for sender in self._senders(island, sent)
                if sent > self._read[island][sender] and sender in self._sent[sent].migrants
            ]
        board = np.concatenate(
            [
                self._sent[latest[i]].boards[i]
                if latest[i] >= 0
                else np.full(len(self._cells[i]), -np.inf, np.float32)
                for i in self.islands
            ]
        )
        return Inbox(board if self._settings.islands.claims else None, *stack(claims), *stack(migrants))

    def _unread_claims(self, receiver: int, sent: int) -> list[tuple[int, Elites]]:
        """Return by sender the claims of epoch `sent` that `receiver` has not read."""
        claims = self._sent[sent].claims.of(self._cells[receiver])
        if not self._settings.islands.asynchronous:
            return list(claims)
        return [(sender, part) for sender, part in claims if sent > self._read[receiver][sender]]

    def _first_in_transit(self, epoch: int) -> int:
        """Return the first epoch whose mail somebody has not read when all islands are at `epoch`."""
        if self._settings.islands.asynchronous:
            return min(min(read.values()) for read in self._read) + 1
        return max(0, epoch + 1 - self._settings.islands.lag)

    def _genomes_known(self, epoch: int) -> list[Elites | Ancestors] | None:
        """Return all that the next cut's elites and mail may descend from; None where only ids are kept."""
        known: list[Elites | Ancestors] = [] if self._ancestors is None else [self._ancestors]
        for island in self._islands:
            if island.state is not None:
                known += [island.state.elites, island.state.held]
            for delta in island.pending:
                if delta.epoch <= epoch:
                    if delta.ancestors is None:
                        return None
                    known += [delta.elites, delta.ancestors]
        for sent, mailed in self._sent.items():
            if sent <= epoch:
                known += mailed.claims.tables()
                known += mailed.migrants.values()
        return known

    def _settle(self, own: Elites, in_transit: range) -> tuple[Elites, npt.NDArray[np.bool_]]:
        """Let the claims in transit take the cells that they beat; say which rows of `own` they overrule."""
        elites, overruled = own, np.zeros(len(own), bool)
        # In the order in which the owners will open them, and strictly better as an island has it: the cells
        # are those that these islands come to by themselves, `lag` epochs later.
        for sent in in_transit:
            claims, _ = stack([part for island in self.islands for part in self._unread_claims(island, sent)])
            if claims is None:
                continue
            better = self._taking(elites.fitness, claims)
            elites = elites.put(better.cells.astype(np.intp), better)
            overruled[better.cells] = True
        return elites, overruled

    def _taking(self, fitness: npt.NDArray[np.float32], claims: Elites) -> Elites:
        """Return the claims that take cells of this fitness, each with the one it takes: see `Archive`."""
        places = self._layout.places
        if places == 1:
            return claims.take(claims.fitness > fitness[claims.cells])
        standing = fitness.reshape(-1, places).copy()
        taken: dict[int, int] = {}
        for row in np.argsort(-claims.fitness, kind="stable").tolist():
            bin_ = int(claims.cells[row]) // places
            held, value = standing[bin_], claims.fitness[row]
            if value > held.min() and value not in held:
                taken[bin_ * places + int(held.argmin())] = row
                held[held.argmin()] = value
        rows = np.array([*taken.values()], np.intp)
        return replace(claims.take(rows), cells=np.array([*taken], np.int32))

    def _mail(self, own: Elites, overruled: npt.NDArray[np.bool_], in_transit: range) -> Mail:
        letters: list[tuple[Letter, int, int, int, Elites]] = []
        for sent in in_transit:
            mailed = self._sent[sent]
            for receiver in self.islands:
                for sender, claims in self._unread_claims(receiver, sent):
                    letters.append((Letter.CLAIM, sender, receiver, sent, claims))
            for sender in sorted(mailed.migrants):
                letters.append((Letter.MIGRANT, sender, -1, sent, mailed.migrants[sender]))
        for index, island in enumerate(self._islands):
            letters.append((Letter.HELD, -1, index, -1, _require(island.state).held))
        letters.append((Letter.OVERRULED, -1, -1, -1, own.take(overruled)))
        counters = tuple(_require(island.state).counters for island in self._islands)
        sizes = [len(elites) for *_, elites in letters]
        return Mail(
            kinds=np.repeat(np.array([kind for kind, *_ in letters], np.uint8), sizes),
            senders=np.repeat(np.array([sender for _, sender, *_ in letters], np.int32), sizes),
            receivers=np.repeat(np.array([receiver for _, _, receiver, *_ in letters], np.int32), sizes),
            sent=np.repeat(np.array([sent for *_, sent, _ in letters], np.int32), sizes),
            elites=Elites.concatenate([elites for *_, elites in letters]),
            boards=np.stack([self._sent[sent].board for sent in in_transit]),
            counters=counters if any(map(len, counters)) else (),
        )

    def _restored(self, mail: Mail, sent: int, board: npt.NDArray[np.float32]) -> EpochMail:
        mailed = self._no_mail()
        mailed.boards = {i: board[s.start : s.stop] for i, s in enumerate(self._cells)}
        claims = mail.take((mail.sent == sent) & (mail.kinds == Letter.CLAIM))
        for sender in np.unique(claims.senders).tolist():
            mailed.claims.add(sender, claims.elites.take(claims.senders == sender))
        migrants = mail.take((mail.sent == sent) & (mail.kinds == Letter.MIGRANT))
        for sender in np.unique(migrants.senders).tolist():
            mailed.migrants[sender] = migrants.elites.take(migrants.senders == sender)
        return mailed


def _advance(state: IslandState | None, deltas: list[Delta]) -> IslandState | None:
    """Return the state after `deltas`."""
    for delta in deltas:
        if state is None:
            state = IslandState(delta.epoch, delta.elites, _require(delta.held), delta.counters)
            continue
        rows = (delta.elites.cells - state.elites.cells[0]).astype(np.intp)
        state = IslandState(
            epoch=delta.epoch,
            elites=state.elites.put(rows, delta.elites) if len(rows) else state.elites,
            held=state.held if delta.held is None else delta.held,
            counters=delta.counters,
        )
    return state


def _rows_by_epoch(schema: records.Schema, parts: list[records.Rows]) -> records.Rows:
    """Stack rows in the order of epochs; within an epoch in the order given, which is that of islands."""
    rows = records.stack([records.empty(schema), *parts])
    order = np.argsort(rows["epoch"], kind="stable")
    return {name: column[order] for name, column in rows.items()}


_T = TypeVar("_T")


def _require(value: _T | None) -> _T:
    if value is None:
        raise ValueError("an island has no state before generation 0")
    return value
