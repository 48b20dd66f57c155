"""Makes the card of a network: what `islands card` calls.

What is done is not done again: the budget is settled in the first minute and kept in `plan.json`, each attack
is a store of its own, and the same command goes on after a stop, to the same bits.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from islands.archipelago.progress import Observe, observe_nothing
from islands.cards.attack_results import OWN_LEVEL, is_unreliable, random_images, result_of
from islands.cards.card import Card, InTheLoop, Made, Network, Noticed, schema_text
from islands.cards.card_budget import Budget
from islands.cards.evolving import RANDOM, RUNS, Attack, attacks
from islands.cards.images_to_fool import LEVELS
from islands.cards.knowing import Unnoticed, in_the_loop, knowing, limit_of
from islands.cards.last_features import watched
from islands.cards.noticing import Known, Looks, learn, notice
from islands.cards.real_level import Pictures, level_of, logits_of, pictures_for, why_no_rho5
from islands.cards.settling import Chosen, Wish, config_of, settled
from islands.classifiers.apart import conditions
from islands.classifiers.contract import Classifier
from islands.classifiers.registry import load_classifier, resolve_device
from islands.errors import DataError, InputError, NetworkError
from islands.experiments.context import Context, Stopped
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


def make_card(
    wish: Wish, observe: Observe = observe_nothing, say: Callable[[str], None] = say
) -> Evidence | None:
    """Evolve what is missing, and return what the card says; None where a signal stopped it.

    `card.json` and its schema are written.

    Raises:
        InputError: something does not fit, or the folder has a card of another kind.
        IslandsError: a run failed; what was done before stands.
    """
    started = time.monotonic()
    train_missing([wish.network, *wish.against])
    classifier = load_classifier(**wish.network.model_dump(), device=resolve_device("auto"))
    _require_comparable(wish, classifier)
    missing: dict[str, str] = {}
    pictures = real = None
    try:
        pictures = pictures_for(classifier, wish.pictures)
        real = level_of(logits_of(classifier, pictures.images), pictures)
    except DataError as error:
        if wish.pictures is not None:
            raise
        missing["real"] = str(error)
    with ExitStack() as stack:
        looks, known = _learnt(classifier, pictures, stack, missing)
        blind = attacks(classifier)
        chosen: dict[Attack, Classifier | None] = dict.fromkeys(blind)
        unnoticed = _unnoticed(looks, known, missing)
        aware = {} if unnoticed is None else knowing(blind)
        chosen |= dict.fromkeys(aware.values(), unnoticed)
        budget = settled(wish, classifier, chosen, pictures, started, say)
        every = _evolved(wish, budget, classifier, chosen, observe, say)
        if every is None:
            return None
        readers = [every[attack] for attack in blind]
        noticed: tuple[Noticed, ...] = ()
        loops: tuple[InTheLoop, ...] = ()
        if known is not None:
            say("asking detectors")
            noticed = notice(looks, blind, readers, known)
            loops = tuple(
                in_the_loop(looks, known, (attack, every[attack]), (other, every[other]))
                for attack, other in aware.items()
            )
    carry_over = _carried_over(wish, readers, missing, say)
    if real is not None and real.rho5 is None:
        missing["rho5"] = why_no_rho5(real)
    levels = {f"{level:g}": level for level in LEVELS}
    if real is not None and real.rho5 is not None:
        levels[OWN_LEVEL] = real.rho5
    controls = {
        attack.encoding: random_images(reader, classifier, RANDOM)
        for attack, reader in zip(blind, readers, strict=True)
        if attack.access == "black box"
    }
    results = tuple(
        result_of(attack, reader, levels, controls[attack.encoding], RANDOM)
        for attack, reader in zip(blind, readers, strict=True)
    )
    if not any(attack.access == "gradients" for attack in blind):
        missing["gradients"] = f"{classifier.name} lets no gradients pass: only a black box was attacked"
    judged = sum(reader.evaluations(run) for reader in every.values() for run in range(reader.runs))
    card = Card(
        name=wish.network.label,
        dataset="none" if real is None else real.name,
        clean_acc=None if real is None else real.accuracy,
        number_forward_passes=judged + RANDOM * len(controls),
        unreliable=is_unreliable(results),
        network=_network(classifier),
        real=real,
        attacks=results,
        carry_over=carry_over,
        noticed=noticed,
        in_the_loop=loops,
        missing=missing,
        made=_made(wish, budget, every),
    )
    write_whole(wish.folder / f"{NAME}.json", card.as_text())
    write_whole(wish.folder / f"{NAME}.schema.json", schema_text())
    return Evidence(classifier, blind, tuple(readers), pictures, card)


def _evolved(
    wish: Wish,
    budget: Budget,
    classifier: Classifier,
    chosen: Chosen,
    observe: Observe,
    say: Callable[[str], None],
) -> dict[Attack, StoreReader] | None:
    """Return the store of each attack; None where a signal stopped it."""
    found = {}
    for attack, seen in chosen.items():
        config = config_of(wish, attack, budget, classifier, seen)
        say(f"{attack.title}: {budget.runs} runs of {budget.images:,} images")
        try:
            found[attack] = Context(config, None, observe, say).evolve(config, seen)
        except Stopped:
            return None
    return found


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


def _require_comparable(wish: Wish, classifier: Classifier) -> None:
    """Check the networks that are to see the images before any are evolved."""
    for network in wish.against:
        other = load_classifier(**network.as_held_out.model_dump(), device=resolve_device("auto"))
        if other.fingerprint == classifier.fingerprint:
            raise InputError(f"--against {network.label}: it is the network of the card; expected another")
        if other.classes != classifier.classes:
            raise NetworkError(
                f"--against {network.label}: got {len(other.classes)} classes that are not those of "
                f"{classifier.name} ({len(classifier.classes)}); expected a network of the same classes"
            )


def _carried_over(
    wish: Wish, readers: Sequence[StoreReader], missing: dict[str, str], say: Callable[[str], None]
) -> dict[str, Any] | None:
    if not wish.against:
        missing["carry_over"] = "no other network was named; give some with --against NETWORK"
        return None
    for reader in readers:
        if lacks_scores(reader, wish.against):
            say(f"showing the images of {reader.path} to {len(wish.against)} other networks")
            score_store(str(reader.path), wish.against)
    # Whoever names networks on the command line trusts them.
    return transfer([str(reader.path) for reader in readers], threshold=0.9, trust_networks=True).as_json()


def _network(classifier: Classifier) -> Network:
    return Network(
        name=classifier.name,
        fingerprint=classifier.fingerprint,
        classes=len(classifier.classes),
        input_size=classifier.input_size,
        channels=classifier.channels,
        engine=engine_of(conditions(classifier)),
    )


def _made(wish: Wish, budget: Budget, stores: Mapping[Attack, StoreReader]) -> Made:
    first = next(iter(stores.values()))
    versions = first.attributes["versions"]
    return Made(
        command=wish.command(budget),
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
