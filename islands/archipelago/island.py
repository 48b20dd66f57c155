"""One island: a pure function from (state, inbox) to (state, outbox), one epoch at a time."""

from __future__ import annotations

from collections.abc import Generator
from copy import copy, deepcopy
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from islands.archipelago.messages import Delta, Inbox, IslandKey, IslandState, Outbox, StepResult
from islands.classifiers.contract import Classifier
from islands.classifiers.finite import require_finite
from islands.config import SMALL_IMAGE, EvolutionSettings
from islands.devices import deferred_checks, require
from islands.encodings.contract import Encoding
from islands.encodings.genomes import Genomes
from islands.errors import NetworkError, NotLoadedError
from islands.evolution import records
from islands.evolution.ancestors import Ancestors, descent
from islands.evolution.archive import Archive, Batch, Winners, as_batch, winners
from islands.evolution.cells import PAPER
from islands.evolution.checkpoint import Letter
from islands.evolution.counters import Counters
from islands.evolution.elites import Elites
from islands.evolution.records import Rows
from islands.evolution.screening import Judgement, Referee
from islands.evolution.seeding import first_genomes
from islands.evolution.streams import Purpose, epoch_stream, first_id, places, variation_stream
from islands.measures.bins import bins_of
from islands.migration.policies import emigrants, replace_migrants
from islands.migration.slices import class_slices
from islands.search.emitters import build_emitters, emit
from islands.search.population import IslandPopulation


class Brood(NamedTuple):
    """The genomes of a generation before they are judged, n rows.

    Attributes:
        epoch: in which they were made.
        generation: likewise.
        genomes: on the device.
        parents: (n, 2) int64 ids; -1 where there is none.
        operators: (n,) uint8, see `Operator`.
        to_beat: (K * bins,) fitness that a child of a bin must exceed to be kept here or mailed; inf where
            none is.
        images: uint8 (n, channels, size, size), where they were drawn to be measured.
        bins: (n,) int64, see `bins_of`; None where classes have but one.
    """

    epoch: int
    generation: int
    genomes: Genomes
    parents: Tensor
    operators: Tensor
    to_beat: Tensor
    images: Tensor | None = None
    bins: Tensor | None = None


Asking = Generator[Brood | StepResult, Judgement, None]
"""An epoch under way: it gives broods and is sent what they are worth, and gives in the end what it did."""


class _Taken(NamedTuple):
    """What took cells, on the device: which cells, `claimed` by mail or not, and all cells after that.

    Rows where `cells` is false mean nothing; which they are is read once an epoch.
    """

    cells: Tensor
    claimed: bool
    columns: dict[str, Tensor]
    confidence: Tensor


@dataclass
class _Log:
    """What one epoch collects for the driver."""

    changed: Tensor
    history: list[_Taken] = field(default_factory=list)
    migrations: list[Rows] = field(default_factory=list)
    evaluations: int = 0
    skipped: list[Tensor] = field(default_factory=list)
    """Of each generation, how many images got no finite scores, on the device."""
    held_changed: bool = False
    genomes: dict[int, Genomes] = field(default_factory=dict)
    """Of each generation, where ancestors are kept."""


class Island:
    """Owns a slice of the classes of one run.

    Epoch 0 is generation 0: random genomes. Every later epoch receives mail, evolves
    `evolve.generations_per_epoch` generations and sends mail. All randomness derives from
    `(seed, run, island, generation)`, so an epoch gives the same bits wherever and however often it runs.
    """

    def __init__(
        self, key: IslandKey, settings: EvolutionSettings, encoding: Encoding, classifier: Classifier
    ) -> None:
        self._key = key
        self._settings = settings
        self._encoding = encoding
        self._classifier = classifier
        self._device = classifier.device
        class_count = len(classifier.classes)
        self._classes = class_slices(class_count, settings.islands.count)[key.island]
        self._layout = settings.layout
        self._cells = self._layout.of(self._classes)
        self._children = settings.children_of(key.island)
        self._largest_batch = settings.largest_batch
        self._parents = settings.evolve.parents.build()
        self._emitters = build_emitters(settings.evolve.emitters, encoding, classifier)
        self._referee = Referee(classifier, settings.evolve.tie_break, self._layout.places)
        self._archive = self._new_archive()
        self._counts = torch.zeros(len(self._cells), dtype=torch.int32, device=self._device)
        """Of own cells, then of the migrants held; see `Candidates.children`."""
        self._held: Elites | None = None
        self._held_genomes: Genomes | None = None
        self._keeps_ancestors = _keeps_ancestors(settings, encoding)
        self.epoch = -1

    def load(self, state: IslandState) -> None:
        """Go on from `state` instead of from whatever this island holds."""
        self._archive = self._new_archive()
        self._archive.load(state.elites, self._encoding)
        self._hold(state.held, state.counters)
        self.epoch = state.epoch

    def step(self, epoch: int, inbox: Inbox) -> StepResult:
        """Do one epoch.

        Raises:
            NotLoadedError: `epoch` does not follow the state held; nothing was computed.
        """
        if not self._referee.may_lack_room:
            return self._attempt(epoch, inbox)
        while True:
            before = copy(self)
            # All else that an epoch changes is replaced, not changed in place.
            before._archive, before._counts = deepcopy(self._archive), self._counts.clone()
            with deferred_checks() as checks:
                result = self._attempt(epoch, inbox)
                if not (complete := self._referee.settle()):
                    checks.clear()
            if complete:
                return result
            vars(self).update(vars(before))

    def _attempt(self, epoch: int, inbox: Inbox) -> StepResult:
        """Do one epoch, in which a screened network may have had too little room; see `Referee.settle`."""
        asking = self.asking(epoch, inbox)
        said = next(asking)
        while isinstance(said, Brood):
            scores = self._score(said)
            # Its genomes and those of the next need not fit into memory together.
            del said
            said = asking.send(scores)
        return said

    def asking(self, epoch: int, inbox: Inbox) -> Asking:
        """Do one epoch in which the caller judges the broods.

        Raises:
            NotLoadedError: as `step`.
        """
        if epoch != self.epoch + 1:
            raise NotLoadedError(f"{self._key} holds epoch {self.epoch} and was asked for epoch {epoch}")
        log = _Log(changed=torch.zeros(len(self._cells), dtype=torch.bool, device=self._device))
        self._receive(epoch, inbox, log)
        claims = self._claims_archive(inbox)
        if epoch == 0:
            yield from self._first_generation(claims, log)
        else:
            # Once an epoch: what `vary` draws may depend on the padding, and a resumed island has none.
            self._archive.compact(self._encoding)
            per_epoch = self._settings.evolve.generations_per_epoch
            for generation in range((epoch - 1) * per_epoch + 1, epoch * per_epoch + 1):
                yield from self._generation(epoch, generation, claims, log)
        self.epoch = epoch
        delta, outbox = self._delta(epoch, log), self._outbox(epoch, claims)
        if self._keeps_ancestors:
            delta = replace(delta, ancestors=self._ancestors(log.genomes, delta, outbox))
        yield StepResult(delta, outbox)

    def _score(self, brood: Brood) -> Judgement:
        """Draw a brood and ask the classifier."""
        images = self._encoding.render(brood.genomes) if brood.images is None else brood.images
        # Before insertion: a child that only beats a brother of its own takes nothing.
        scores = self._referee.score(images, brood.to_beat, brood.bins)
        if self._settings.not_finite == "error":
            origin = f" that {self._encoding.name} drew in generation {brood.generation}"
            require_finite(self._classifier.name, images, scores.finite, origin)
        return scores

    def _receive(self, epoch: int, inbox: Inbox, log: _Log) -> None:
        if inbox.claims is not None and inbox.claim_senders is not None:
            batch = as_batch(inbox.claims, self._encoding, self._device, self._layout)
            self._insert(batch, winners(batch, self._layout), log, claimed=True)
            places = self._layout.places
            cells = torch.tensor(inbox.claims.cells, device=self._device) - self._cells.start
            holders = self._archive.columns["ids"].view(-1, places)[cells // places].cpu().numpy()
            accepted = (holders == inbox.claims.ids[:, None]).any(axis=1)
            log.migrations.append(
                self._migration_rows(epoch, Letter.CLAIM, inbox.claim_senders, inbox.claims, accepted)
            )
        if inbox.migrants is not None and inbox.migrant_senders is not None:
            assert self._held is not None
            # After the claims: what has just taken a cell is not held as a migrant as well.
            own_ids = self._archive.columns["ids"].cpu().numpy()
            held, accepted = replace_migrants(
                self._held,
                inbox.migrants,
                own_ids,
                self._settings.islands.migration,
                self._epoch_stream(Purpose.REPLACEMENT, epoch),
            )
            self._hold(held, self._counters())
            log.held_changed = True
            log.migrations.append(
                self._migration_rows(epoch, Letter.MIGRANT, inbox.migrant_senders, inbox.migrants, accepted)
            )

    def _first_generation(self, claims: Archive | None, log: _Log) -> Asking:
        n = self._settings.seeds_of(self._key.island)
        seeds = first_genomes(self._encoding, self._classifier, self._classes, n, self._stream(0))
        parents = torch.full((n, 2), -1, dtype=torch.int64, device=self._device)
        log.evaluations += n * (self._settings.encoding.images_per_seed - 1)  # what gradients cost
        brood = Brood(0, 0, seeds.genomes, parents, seeds.operators, self._to_beat(claims))
        yield from self._judge(self._measured(brood), claims, log)
        require(
            (self._archive.fitness > -torch.inf).any(),
            NetworkError(
                f"{self._classifier.name} gave finite scores to none of the {n} images of generation 0; "
                "expected some to go on from: check its weights, or choose another network.precision"
            ),
        )
        nobody = torch.empty(0, dtype=torch.int64, device=self._device)
        self._hold(self._archive.elites(nobody, self._encoding), Counters.none())
        log.held_changed = True
        # Whoever follows needs a row for each cell, empty ones as well.
        log.changed.fill_(True)

    def _generation(self, epoch: int, generation: int, claims: Archive | None, log: _Log) -> Asking:
        images, filled = self._children, self._filled()
        population = self._population(filled)
        scored = self._settings.images_by(generation - 1)
        made = emit(self._emitters, population, images, scored, generation, self._stream(generation))
        self._count(population.children, filled)
        children = made.children
        brood = Brood(
            epoch, generation, children.genomes, made.parents, children.operators, self._to_beat(claims)
        )
        log.evaluations += images - len(brood.genomes)  # what gradients cost
        yield from self._judge(self._measured(brood), claims, log)

    def _measured(self, brood: Brood) -> Brood:
        """Say in which bins a brood is, where there are several."""
        if not self._settings.archive.measures:
            return brood
        images = self._encoding.render(brood.genomes)
        bins = bins_of(self._settings.archive, images, brood.genomes, self._encoding)
        return brood._replace(images=images, bins=bins)

    def _population(self, filled: Tensor | None) -> IslandPopulation:
        archive = self._archive
        ids, confidence, counts = archive.columns["ids"], archive.confidence, self._counts
        if filled is not None:
            held = torch.arange(len(ids), len(counts), device=self._device)
            counts = counts[torch.cat([filled, held])]
        return IslandPopulation(
            parents=self._parents,
            classes=archive.classes if filled is None else archive.classes[filled],
            cells=archive.genomes if filled is None else archive.genomes.take(filled),
            cell_ids=ids if filled is None else ids[filled],
            confidence=confidence if filled is None else confidence[filled],
            held=self._held_genomes,
            held_ids=self._held_ids,
            children=counts,
        )

    def _count(self, children: Tensor, filled: Tensor | None) -> None:
        """Take over the counts of a population."""
        if filled is None:
            self._counts = children
        else:
            self._counts[filled] = children[: len(filled)]
            self._counts[len(self._cells) :] = children[len(filled) :]

    def _filled(self) -> Tensor | None:
        """Return the rows of the archive that have an elite; None where all have."""
        if self._layout == PAPER:
            # After generation 0 no cell is empty: one image with finite scores takes all that are.
            return None
        return (self._archive.columns["ids"] >= 0).nonzero().squeeze(1)

    def _judge(self, brood: Brood, claims: Archive | None, log: _Log) -> Asking:
        """Ask for a brood's scores on every class and let it take cells, here and for the mail."""
        n, generation = len(brood.genomes), brood.generation
        scores = yield brood
        if self._settings.not_finite == "skip":
            # A sum on the device: to read it now would make the host wait for every generation.
            log.skipped.append((~scores.finite).sum())
        # Ids count up by generation and island: no process needs to ask another for the next.
        start = first_id(generation, self._key.island, self._settings.islands.count, self._largest_batch)
        batch = Batch(
            genomes=brood.genomes,
            fitness=scores.fitness,
            probabilities=scores.probabilities,
            columns={
                "ids": torch.arange(start, start + n, device=self._device),
                "parents": brood.parents,
                "operators": brood.operators,
                "islands": self._column(self._key.island, n),
                "epochs": self._column(brood.epoch, n),
                "generations": self._column(generation, n),
            },
            bins=brood.bins,
        )
        ranked = winners(batch, self._layout)
        self._insert(batch, ranked, log, claimed=False)
        log.evaluations += n
        if self._keeps_ancestors:
            log.genomes[generation] = brood.genomes
        # The same winners: own cells are at infinity there, so that only what beats the board is mailed.
        if claims is not None:
            claims.insert(batch, ranked)

    def _to_beat(self, claims: Archive | None) -> Tensor:
        """Return `Brood.to_beat`."""
        bins = len(self._classifier.classes) * self._layout.bins
        foreign = torch.full((bins,), torch.inf, device=self._device)
        # A clone: for claims, the island's own cells stay at infinity.
        to_beat = foreign if claims is None else claims.to_beat.clone()
        own = slice(self._classes.start * self._layout.bins, self._classes.stop * self._layout.bins)
        to_beat[own] = self._archive.to_beat
        return to_beat

    def _insert(self, batch: Batch, ranked: list[Winners], log: _Log, *, claimed: bool) -> None:
        taken = self._archive.insert(batch, ranked)
        if self._parents.counts:
            # A newcomer has had no children.
            self._counts[: len(taken)] *= ~taken
        log.changed |= taken
        # Clones: the archive changes in place, and this is read at the end of the epoch.
        columns = {name: column.clone() for name, column in self._archive.columns.items()}
        log.history.append(_Taken(taken, claimed, columns, self._archive.confidence))

    def _claims_archive(self, inbox: Inbox) -> Archive | None:
        """Return cells for all classes that only a child better than the board can take; none of its own."""
        if not self._settings.islands.claims or self._settings.islands.count == 1:
            return None
        class_count = len(self._classifier.classes)
        claims = Archive(range(class_count), class_count, self._device, self._layout)
        # In the first `lag` epochs no board is known: the best child for each foreign class is mailed.
        if inbox.board is not None:
            # A copy: islands of one process share the board, and through Ray it comes read-only.
            claims.fitness = torch.tensor(inbox.board, device=self._device)
        claims.fitness[self._cells.start : self._cells.stop] = torch.inf
        return claims

    def _delta(self, epoch: int, log: _Log) -> Delta:
        return Delta(
            epoch=epoch,
            elites=self._archive.elites(log.changed.nonzero().squeeze(1), self._encoding),
            held=self._held if log.held_changed else None,
            history=self._history_rows(epoch, log.history),
            migrations=records.stack([records.empty(records.MIGRATIONS), *log.migrations]),
            confidence=self._archive.confidence.cpu().numpy(),
            evaluations=log.evaluations,
            not_finite=int(torch.stack(log.skipped).sum()) if log.skipped else 0,
            counters=self._counters(),
        )

    def _counters(self) -> Counters:
        """Return who has had children here; empty where nobody counts."""
        if not self._parents.counts:
            return Counters.none()
        ids = torch.cat([self._archive.columns["ids"], self._held_ids])
        return Counters.among(ids.cpu().numpy(), self._counts.cpu().numpy())

    def _outbox(self, epoch: int, claims: Archive | None) -> Outbox:
        migration = self._settings.islands.migration
        migrants = None
        # These are the epochs for which `senders_to` names anybody.
        if migration.size and self._settings.islands.count > 1 and epoch % migration.every == 0:
            own = self._archive.index(torch.arange(len(self._cells), device=self._device))
            stream = self._epoch_stream(Purpose.SELECTION, epoch)
            chosen = torch.from_numpy(emigrants(own, migration, stream)).to(self._device)
            migrants = self._archive.elites(chosen, self._encoding)
        claimed = None
        if claims is not None:
            cells = (claims.columns["ids"] >= 0).nonzero().squeeze(1)
            claimed = claims.elites(cells, self._encoding) if len(cells) else None
        return Outbox(board=self._archive.fitness.cpu().numpy().copy(), claims=claimed, migrants=migrants)

    def _ancestors(self, genomes: dict[int, Genomes], delta: Delta, outbox: Outbox) -> Ancestors:
        """Find `Delta.ancestors` among the genomes of the epoch, given by generation."""
        living = [delta.elites] if outbox.claims is None else [delta.elites, outbox.claims]
        # A claim was born elsewhere: its genome is not among those of this epoch.
        born_here = ~delta.history["claimed"].astype(bool)
        ids, rows = np.unique(delta.history["id"][born_here].astype(np.int64), return_index=True)
        parents = delta.history["parents"][born_here][rows].astype(np.int64)
        born_of = np.concatenate([elites.parents for elites in living])
        # Claims are not left out: the driver drops those that another island's beats.
        lost = np.setdiff1d(descent(born_of, ids, parents), delta.elites.ids)
        if len(lost) == 0:
            return Ancestors(lost, parents[:0], {})
        generations, places_in = places(lost, self._settings.islands.count, self._largest_batch)
        parts = [
            genomes[int(generation)].take(
                torch.tensor(places_in[generations == generation], device=self._device)
            )
            for generation in np.unique(generations)
        ]
        arrays = self._encoding.to_arrays(Genomes.concatenate(parts))
        return Ancestors(lost, parents[np.searchsorted(ids, lost)], arrays)

    def _hold(self, held: Elites, counters: Counters) -> None:
        """Hold these migrants; `counters` are those of all genomes here."""
        self._held = held
        if self._parents.counts:
            ids = np.concatenate([self._archive.columns["ids"].cpu().numpy(), held.ids])
            self._counts = torch.from_numpy(counters.of(ids)).to(self._device)
        else:
            self._counts = torch.zeros(len(self._cells) + len(held), dtype=torch.int32, device=self._device)
        self._held_ids = torch.tensor(held.ids, device=self._device)
        self._held_genomes = None
        if len(held):
            genomes = self._encoding.from_arrays(held.genomes, self._device)
            # Without gaps, as the archive: the padding must not depend on the table that they came in.
            self._held_genomes = self._encoding.compact(genomes)

    def _history_rows(self, epoch: int, history: list[_Taken]) -> Rows:
        """Fetch what was collected on the device, in the order of time and class."""
        cells = torch.cat([taken.cells for taken in history]).cpu()
        rows = cells.nonzero().squeeze(1)

        def fetch(parts: list[Tensor]) -> npt.NDArray[np.generic]:
            values: npt.NDArray[np.generic] = torch.cat(parts).cpu()[rows].numpy()
            return values

        count = len(self._cells)
        taken_cells = (rows % count).to(torch.int32).numpy() + np.int32(self._cells.start)
        within = {"cell": taken_cells % self._layout.per_class} if self._layout.per_class > 1 else {}
        return {
            "epoch": np.full(len(rows), epoch, np.int32),
            "class": taken_cells // self._layout.per_class,
            **within,
            "id": fetch([taken.columns["ids"] for taken in history]),
            "parents": fetch([taken.columns["parents"] for taken in history]),
            "operator": fetch([taken.columns["operators"] for taken in history]),
            "island": fetch([taken.columns["islands"] for taken in history]),
            "generation": fetch([taken.columns["generations"] for taken in history]),
            "claimed": np.repeat([taken.claimed for taken in history], count)[rows.numpy()],
            "confidence": fetch([taken.confidence for taken in history]),
        }

    def _migration_rows(
        self,
        epoch: int,
        kind: Letter,
        senders: np.ndarray[tuple[int], np.dtype[np.int32]],
        elites: Elites,
        accepted: np.ndarray[tuple[int], np.dtype[np.bool_]],
    ) -> Rows:
        n = len(elites)
        return {
            "epoch": np.full(n, epoch, np.int32),
            "kind": np.full(n, kind, np.uint8),
            "sender": senders,
            "receiver": np.full(n, self._key.island, np.int32),
            "class": elites.classes,
            "id": elites.ids,
            "confidence": elites.confidence,
            "accepted": accepted,
        }

    def _new_archive(self) -> Archive:
        return Archive(self._classes, len(self._classifier.classes), self._device, self._layout)

    def _stream(self, generation: int) -> torch.Generator:
        return variation_stream(
            self._device, self._settings.seed, self._key.run, self._key.island, generation
        )

    def _epoch_stream(self, purpose: Purpose, epoch: int) -> np.random.Generator:
        return epoch_stream(purpose, self._settings.seed, self._key.run, self._key.island, epoch)

    def _column(self, value: int, n: int) -> Tensor:
        return torch.full((n,), value, dtype=torch.int32, device=self._device)


def _keeps_ancestors(settings: EvolutionSettings, encoding: Encoding) -> bool:
    if settings.ancestors != "auto":
        return settings.ancestors == "genomes"
    # A network is small however large the image that it draws.
    return settings.encoding.is_network or encoding.channels * encoding.size**2 <= SMALL_IMAGE
