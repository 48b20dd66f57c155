"""Settles what a card will be made of, once: the folder keeps it, and whoever goes on has the same."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from islands.cards.card_budget import Budget, Speed, choose
from islands.cards.evolving import LEAST, PROTOCOL, RANDOM, RUNS, SAMPLE, Attack, run_config
from islands.cards.mitigating import Kind
from islands.cards.real_level import Pictures, logits_of
from islands.classifiers.apart import one_thread
from islands.classifiers.combinators import Stability
from islands.classifiers.contract import Classifier
from islands.classifiers.hosts import as_options
from islands.config import NetworkConfig, RunConfig
from islands.errors import InputError
from islands.files import write_whole
from islands.runs.plan import plan
from islands.texts import islands_command

PLAN = "plan.json"


@dataclass(frozen=True)
class Wish:
    """What a card is asked for.

    Attributes:
        network: that is attacked.
        folder: of the card.
        against: other networks that are shown the images.
        pictures: a folder of real pictures, a folder for each class; None: those at hand.
        minutes: that it may take, about.
        runs: of each attack; None: five, fewer if the time is short.
        images: of each run; None: as many as the time allows.
        seed: of the runs.
        mitigate: the mitigation that is tried; None: none.
        labels_only: whether one attacks who sees labels alone.
    """

    network: NetworkConfig
    folder: Path
    against: tuple[NetworkConfig, ...] = ()
    pictures: Path | None = None
    minutes: float = 5.0
    runs: int | None = None
    images: int | None = None
    seed: int = 0
    mitigate: Kind | None = None
    labels_only: bool = False

    def command(self, budget: Budget) -> str:
        """Return the command that makes the same card again."""
        words: list[object] = ["card", named(self.network)]
        words += [word for each in self.against for word in ("--against", named(each))]
        words += ["--pictures", self.pictures] if self.pictures is not None else []
        words += ["--seeds", budget.runs, "--images", budget.images]
        words += ["--seed", self.seed] if self.seed else []
        words += ["--mitigate", self.mitigate] if self.mitigate else []
        words += ["--labels-only"] if self.labels_only else []
        words += as_options()
        return islands_command(*words)

    def call(self, budget: Budget) -> str:
        """Return the call that makes it again of a network that no command can name."""
        settings = {
            "against": [named(each) for each in self.against],
            "pictures": None if self.pictures is None else str(self.pictures),
            "seeds": budget.runs,
            "images": budget.images,
            "seed": self.seed,
            "mitigate": self.mitigate,
            "labels_only": self.labels_only,
        }
        told = "".join(
            f", {name}={value!r}" for name, value in settings.items() if value not in (None, [], 0)
        )
        return f"islands.card(network{told})  # network: {self.network.name}"


def folder_of(network: NetworkConfig) -> Path:
    """Return where the card of a network goes, unless told otherwise."""
    return Path("cards") / re.sub(r"[^\w.-]+", "-", network.label).strip("-.")


def named(network: NetworkConfig) -> str:
    """Return a network as the command line takes it."""
    settings = network.model_dump(mode="json", exclude_defaults=True)
    return network.name if len(settings) == 1 else json.dumps(settings)


Chosen = Mapping[Attack, Classifier | None]
"""Attacks, each with the classifier that it sees; None: the network that is named."""


def settled(
    wish: Wish,
    classifier: Classifier,
    chosen: Chosen,
    pictures: Pictures | None,
    detects: bool,
    started: float,
    say: Callable[[str], None],
) -> Budget:
    """Return the budget that the folder has, or measure, choose and keep it.

    Args:
        wish: what is asked for.
        classifier: that is attacked.
        chosen: how.
        pictures: real ones.
        detects: whether detectors look at images.
        started: when the card was, as `time.monotonic` has it.
        say: takes lines for people.
    """
    subject = {
        "protocol": PROTOCOL,
        "network": wish.network.unlimited.model_dump(mode="json"),
        "fingerprint": classifier.fingerprint,
        "pictures": None if pictures is None else pictures.digest,
        "seed": wish.seed,
    }
    path = wish.folder / PLAN
    if path.exists():
        budget = _kept(path, subject, wish)
        say(f"going on with {path}: {budget.runs} runs of {budget.images:,} images for each attack")
        return budget
    # What a killed process has not finished to write is hidden.
    if wish.folder.exists() and any(not each.name.startswith(".") for each in wish.folder.iterdir()):
        raise InputError(f"{wish.folder} is not empty and holds no card; name another folder with --out")
    say("measuring how fast this machine is")
    speed = _measured(wish, classifier, chosen, detects, started)
    budget = choose(speed, wish.minutes, wish.runs, wish.images)
    write_whole(path, json.dumps({**subject, **asdict(budget)}, indent=1) + "\n")
    for line in plan_lines(budget, chosen, len(classifier.classes), speed):
        say(line)
    return budget


def plan_lines(budget: Budget, chosen: Collection[Attack], classes: int, speed: Speed) -> list[str]:
    """Return what is about to happen."""
    fewer = f"; the protocol has {RUNS}" if budget.runs < RUNS else ""
    rates = "; ".join(
        f"{attack.title} {1 / seconds:,.0f}" for attack, seconds in zip(chosen, speed.seconds, strict=True)
    )
    return [
        f"{len(chosen)} attacks on {classes:,} classes: " + "; ".join(each.title for each in chosen),
        f"each {budget.runs} runs of {budget.images:,} images{fewer}",
        f"images/s of each of {speed.workers} workers: {rates}",
        f"about {budget.seconds / 60:.1f} minutes, with controls and detectors",
    ]


def _kept(path: Path, subject: dict[str, Any], wish: Wish) -> Budget:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        budget = Budget(found["runs"], found["images"], found["seconds"])
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(
            f"{path} cannot be read as the plan of a card; name another folder with --out"
        ) from None
    for key, expected in subject.items():
        if found.get(key, expected) != expected:
            raise InputError(
                f"{wish.folder} has the card of another {key}: {found.get(key)!r} in place of {expected!r}; "
                "name another folder with --out"
            )
    for name, asked, has in (("--seeds", wish.runs, budget.runs), ("--images", wish.images, budget.images)):
        if asked is not None and asked != has:
            raise InputError(
                f"{name}: got {asked}, but {wish.folder} has a card of {has}; name another folder with --out"
            )
    return budget


def _measured(wish: Wish, classifier: Classifier, chosen: Chosen, detects: bool, started: float) -> Speed:
    seconds = []
    for attack, seen in chosen.items():
        config = config_of(wish, attack, Budget(1, LEAST, 0.0), classifier, seen)
        with one_thread():
            found = plan([config], ("evolve",), classifier=seen)
        assert found.seconds is not None, "a device that is here can be measured"
        seconds.append(found.seconds / found.evaluations)
    blind = sum(attack.access == "black box" for attack in chosen)
    an_image = _alone(classifier)
    sheet = min(len(classifier.classes), SAMPLE)
    # Features cost a pass of their own.
    looks = 3 * an_image if detects else 0
    scored = len(wish.against) * len(classifier.classes) * an_image
    fixed = time.monotonic() - started + blind * (RANDOM * an_image + SAMPLE * looks)
    each_run = len(chosen) * (sheet * looks + scored)
    if wish.labels_only:
        each_run += LEAST * Stability.COPIES * an_image / _workers(classifier)
    return Speed(seconds, _workers(classifier), fixed, each_run)


def _alone(classifier: Classifier) -> float:
    """Return the seconds that a network takes for an image, one batch after the other."""
    shape = (16, classifier.channels, classifier.input_size, classifier.input_size)
    images = torch.randint(256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    logits_of(classifier, images)
    before = time.perf_counter()
    logits_of(classifier, images)
    return (time.perf_counter() - before) / len(images)


def _workers(classifier: Classifier) -> int:
    return (os.cpu_count() or 1) if classifier.device.type == "cpu" else 1


def config_of(
    wish: Wish,
    attack: Attack,
    budget: Budget,
    classifier: Classifier,
    seen: Classifier | None,
    seed: int | None = None,
) -> RunConfig:
    """Return the settings of an attack's run with a budget, under the card's seed or another.

    The network is called what `seen` is, if that is what the attack sees.
    """
    return run_config(
        attack,
        wish.network if seen is None else NetworkConfig(name=seen.name),
        wish.folder,
        runs=budget.runs,
        images=budget.images,
        seed=wish.seed if seed is None else seed,
        workers=_workers(classifier),
    )
