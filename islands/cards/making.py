"""Makes the card of a network: what `islands card` calls.

What is done is not done again: the budget is settled in the first minute and kept in `plan.json`, each attack
is a store of its own, and the same command goes on after a stop, to the same bits.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

from islands.archipelago.progress import Observe, observe_nothing
from islands.cards import by_labels
from islands.cards.attack_results import OWN_LEVEL, is_unreliable, random_images, result_of
from islands.cards.card import AttackResult, Card, InTheLoop, Made, Mitigation, Network, Noticed, schema_text
from islands.cards.card_budget import Budget
from islands.cards.evolving import RANDOM, RUNS, Attack, attacks
from islands.cards.images_to_fool import LEVELS
from islands.cards.knowing import Unnoticed, in_the_loop, knowing, limit_of
from islands.cards.last_features import watched
from islands.cards.mitigating import (
    against_mitigated,
    mitigated,
    mitigation_of,
    of_other_seeds,
    require_possible,
)
from islands.cards.noticing import Known, Looks, learn, notice
from islands.cards.real_level import Pictures, level_of, logits_of, pictures_for, why_no_rho5
from islands.cards.settling import Chosen, Wish, config_of, settled
from islands.classifiers.apart import conditions
from islands.classifiers.combinators import Stability
from islands.classifiers.contract import Classifier
from islands.classifiers.registry import load_classifier, resolve_device
from islands.errors import DataError, InputError, NetworkError
from islands.experiments.context import Context, Stopped
from islands.experiments.fooling import derived_seed
from islands.files import write_whole
from islands.observe.lines import say
from islands.runs.comparison import transfer
from islands.runs.conditions import engine_of
from islands.runs.resume import lacks_scores
from islands.runs.score import score_store
from islands.store.reader import StoreReader
from islands.training.digits import train_missing

NAME = "card"
"""Of what is written, but for what it ends in."""


@dataclass(frozen=True)
class Evidence:
    """What a card is written from.

    Attributes:
        classifier: that was attacked.
        readers: the store of each attack.
        attacks: likewise.
        pictures: real ones; None: there are none.
        card: what it says.
    """

    classifier: Classifier
    attacks: tuple[Attack, ...]
    readers: tuple[StoreReader, ...]
    pictures: Pictures | None
    card: Card


@dataclass(frozen=True)
class _Evolver:
    """Evolves what a card needs, or finds that it is done."""

    wish: Wish
    budget: Budget
    classifier: Classifier
    observe: Observe
    say: Callable[[str], None]

    def evolve(self, attack: Attack, seen: Classifier | None, seed: int | None = None) -> StoreReader:
        """Return the store of an attack on what it sees, under the card's seed or another.

        Raises:
            Stopped: a signal came first.
        """
        config = config_of(self.wish, attack, self.budget, self.classifier, seen, seed)
        self.say(f"{attack.title}: {self.budget.runs} runs of {self.budget.images:,} images")
        return Context(config, None, self.observe, self.say).evolve(config, seen)


def make_card(
    wish: Wish,
    observe: Observe = observe_nothing,
    say: Callable[[str], None] = say,
    own: Classifier | None = None,
) -> Evidence | None:
    """Evolve what is missing, and return what the card says; None where a signal stopped it.

    `card.json` and its schema are written.

    Args:
        wish: what is asked for.
        observe: called about once an epoch.
        say: takes lines for people.
        own: the network, where this process alone has it.

    Raises:
        InputError: something does not fit, or the folder has a card of another kind.
        IslandsError: a run failed; what was done before stands.
    """
    with ExitStack() as stack:
        try:
            return _make_card(wish, observe, say, own, stack)
        except Stopped:
            return None


def _make_card(
    wish: Wish, observe: Observe, say: Callable[[str], None], own: Classifier | None, stack: ExitStack
) -> Evidence:
    started = time.monotonic()
    train_missing([wish.network, *wish.against])
    classifier = own or load_classifier(**wish.network.model_dump(), device=resolve_device("auto"))
    others = _comparable(wish, classifier)
    missing: dict[str, str] = {}
    pictures = real = None
    try:
        pictures = pictures_for(classifier, wish.pictures)
        real = level_of(logits_of(classifier, pictures.images), pictures)
    except DataError as error:
        if wish.pictures is not None:
            raise
        missing["real"] = str(error)
    looks, known = _learnt(classifier, pictures, stack, missing)
    blind = attacks(classifier)
    unnoticed = _unnoticed(looks, known, missing)
    aware = {} if unnoticed is None else knowing(blind)
    chosen: Chosen = {**dict.fromkeys(blind, own), **dict.fromkeys(aware.values(), unnoticed)}
    later: list[Attack] = []
    if wish.mitigate is not None:
        require_possible(wish.mitigate, looks, pictures, others)
        later = [*of_other_seeds(wish.mitigate, blind), *against_mitigated(wish.mitigate, blind).values()]
    measured = {**chosen, **dict.fromkeys(later, own)}
    budget = settled(wish, classifier, measured, pictures, known is not None, started, say)
    evolver = _Evolver(wish, budget, classifier, observe, say)
    stores = {attack: evolver.evolve(attack, seen) for attack, seen in chosen.items()}
    readers = [stores[attack] for attack in blind]
    noticed: tuple[Noticed, ...] = ()
    loops: tuple[InTheLoop, ...] = ()
    if known is not None:
        say("asking detectors")
        noticed = notice(looks, blind, readers, known)
        loops = tuple(
            in_the_loop(looks, known, (attack, stores[attack]), (other, stores[other]))
            for attack, other in aware.items()
        )
    carry_over = _carried_over(wish, readers, own, missing, say)
    if real is not None and real.rho5 is None:
        missing["rho5"] = why_no_rho5(real)
    levels = {f"{level:g}": level for level in LEVELS}
    if real is not None and real.rho5 is not None:
        levels[OWN_LEVEL] = real.rho5
    controls = {
        attack.encoding: random_images(stores[attack], classifier, RANDOM)
        for attack in blind
        if attack.access == "black box"
    }
    results = {
        attack: result_of(attack, stores[attack], levels, controls[attack.encoding], RANDOM)
        for attack in blind
    }
    if not any(attack.access == "gradients" for attack in blind):
        missing["gradients"] = f"{classifier.name} lets no gradients pass: only a black box was attacked"
    labels = None
    if wish.labels_only:
        few = replace(evolver, budget=replace(budget, images=by_labels.IMAGES))
        stores[by_labels.ATTACK] = few.evolve(by_labels.ATTACK, Stability(classifier))
        labels = by_labels.labels_only(classifier, stores[by_labels.ATTACK], levels)
    mitigation, more = _mitigation(evolver, looks, pictures, others, own, stores, results)
    stores |= more
    judged = sum(
        reader.evaluations(run) * (Stability.COPIES if attack.access == "labels only" else 1)
        for attack, reader in stores.items()
        for run in range(reader.runs)
    )
    card = Card(
        name=wish.network.label,
        dataset="none" if real is None else real.name,
        clean_acc=None if real is None else real.accuracy,
        number_forward_passes=judged + RANDOM * len(controls),
        unreliable=is_unreliable(list(results.values())),
        network=_network(classifier),
        real=real,
        attacks=tuple(results.values()),
        carry_over=carry_over,
        noticed=noticed,
        in_the_loop=loops,
        labels_only=labels,
        mitigation=mitigation,
        missing=missing,
        made=_made(wish, budget, stores, own),
    )
    write_whole(wish.folder / f"{NAME}.json", card.as_text())
    write_whole(wish.folder / f"{NAME}.schema.json", schema_text())
    return Evidence(classifier, blind, tuple(readers), pictures, card)


def _mitigation(
    evolver: _Evolver,
    looks: Looks,
    pictures: Pictures | None,
    others: Sequence[Classifier],
    own: Classifier | None,
    stores: Mapping[Attack, StoreReader],
    results: Mapping[Attack, AttackResult],
) -> tuple[Mitigation | None, dict[Attack, StoreReader]]:
    """Return what a mitigation is worth, if one is asked for, and the stores that it took."""
    kind = evolver.wish.mitigate
    if kind is None:
        return None, {}
    seed = derived_seed(evolver.wish.seed, 1)
    garbage = {each: evolver.evolve(each, own, seed) for each in of_other_seeds(kind, list(results))}
    changed = mitigated(kind, looks, pictures, others, list(garbage.values()))
    again = against_mitigated(kind, list(results))
    after = {each: evolver.evolve(each, changed) for each in again.values()}
    before = [(attack, stores[attack], results[attack]) for attack in again]
    found = mitigation_of(kind, looks, changed, pictures, before, list(after.items()))
    return found, {**garbage, **after}


def _learnt(
    classifier: Classifier, pictures: Pictures | None, stack: ExitStack, missing: dict[str, str]
) -> tuple[Looks, Known | None]:
    """Return what looks at images, as long as `stack` lasts, and what detectors know of real pictures."""
    if pictures is None:
        missing["noticed"] = missing["real"]
        return Looks(classifier, None), None
    last = None
    try:
        last = stack.enter_context(watched(classifier))
    except NetworkError as error:
        missing["features"] = str(error)
    looks = Looks(classifier, last)
    try:
        return looks, learn(looks, pictures, missing)
    except DataError as error:
        missing["noticed"] = str(error)
        return looks, None


def _unnoticed(looks: Looks, known: Known | None, missing: dict[str, str]) -> Unnoticed | None:
    """Return what an attacker sees who knows the detector; None: there is none to know."""
    if known is None or looks.last is None or known.fitted is None:
        missing["in_the_loop"] = missing.get("noticed") or missing["features"]
        return None
    return Unnoticed(looks.last, known.fitted, limit_of(known))


def _comparable(wish: Wish, classifier: Classifier) -> list[Classifier]:
    """Return the networks that are to see the images, which is known to make sense before any are evolved."""
    found = []
    for network in wish.against:
        other = load_classifier(**network.as_held_out.model_dump(), device=resolve_device("auto"))
        if other.fingerprint == classifier.fingerprint:
            raise InputError(f"--against {network.label}: it is the network of the card; expected another")
        if other.classes != classifier.classes:
            raise NetworkError(
                f"--against {network.label}: got {len(other.classes)} classes that are not those of "
                f"{classifier.name} ({len(classifier.classes)}); expected a network of the same classes"
            )
        found.append(other)
    return found


def _carried_over(
    wish: Wish,
    readers: Sequence[StoreReader],
    own: Classifier | None,
    missing: dict[str, str],
    say: Callable[[str], None],
) -> dict[str, Any] | None:
    if not wish.against:
        missing["carry_over"] = "no other network was named; give some with --against NETWORK"
        return None
    for reader in readers:
        if lacks_scores(reader, wish.against):
            say(f"showing the images of {reader.path} to {len(wish.against)} other networks")
            score_store(str(reader.path), wish.against)
    stores = [str(reader.path) for reader in readers]
    if own is not None:  # controls would load it by its name
        return transfer(stores, threshold=0.9, controls=0).as_json()
    # Whoever names networks on the command line trusts them.
    return transfer(stores, threshold=0.9, trust_networks=True).as_json()


def _network(classifier: Classifier) -> Network:
    return Network(
        name=classifier.name,
        fingerprint=classifier.fingerprint,
        classes=len(classifier.classes),
        input_size=classifier.input_size,
        channels=classifier.channels,
        engine=engine_of(conditions(classifier)),
    )


def _made(wish: Wish, budget: Budget, stores: Mapping[Attack, StoreReader], own: Classifier | None) -> Made:
    first = next(iter(stores.values()))
    versions = first.attributes["versions"]
    return Made(
        command=wish.command(budget) if own is None else wish.call(budget),
        seed=wish.seed,
        runs=budget.runs,
        runs_wanted=RUNS,
        images=budget.images,
        versions={name: str(version) for name, version in versions.items() if version is not None},
        conditions={key: value for key, value in first.conditions[-1].items() if key != "epoch"},
        settings={attack.name: _settings(reader) for attack, reader in stores.items()},
    )


def _settings(reader: StoreReader) -> dict[str, Any]:
    """Return what a result follows from; where it lies and how many workers there were say nothing of it."""
    config = reader.config.model_dump(mode="json", exclude_defaults=True)
    return {
        key: config[key]
        for key in ("network", "encoding", "evolve", "islands", "runs", "seed")
        if key in config
    }
