"""Settles what a card will be made of, once: the folder keeps it, and whoever goes on has the same."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from islands.cards.card_budget import Budget, Speed, choose
from islands.cards.evolving import LEAST, PROTOCOL, RUNS, Attack, run_config
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
    """

    network: NetworkConfig
    folder: Path
    against: tuple[NetworkConfig, ...] = ()
    pictures: Path | None = None
    minutes: float = 5.0
    runs: int | None = None
    images: int | None = None
    seed: int = 0

    def command(self, budget: Budget) -> str:
        """Return the command that makes the same card again."""
        words: list[object] = ["card", named(self.network)]
        words += [word for each in self.against for word in ("--against", named(each))]
        words += ["--pictures", self.pictures] if self.pictures is not None else []
        words += ["--seeds", budget.runs, "--images", budget.images]
        words += ["--seed", self.seed] if self.seed else []
        words += as_options()
        return islands_command(*words)


def folder_of(network: NetworkConfig) -> Path:
    """Return where the card of a network goes, unless told otherwise."""
    return Path("cards") / re.sub(r"[^\w.-]+", "-", network.label).strip("-.")


def named(network: NetworkConfig) -> str:
    """Return a network as the command line takes it."""
    settings = network.model_dump(mode="json", exclude_defaults=True)
    return network.name if len(settings) == 1 else json.dumps(settings)


def settled(
    wish: Wish, classifier: Classifier, chosen: Sequence[Attack], say: Callable[[str], None]
) -> Budget:
    """Return the budget that the folder has, or measure, choose and keep it."""
    subject = {
        "protocol": PROTOCOL,
        "network": wish.network.unlimited.model_dump(mode="json"),
        "fingerprint": classifier.fingerprint,
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
    speed = _measured(wish, classifier, chosen)
    budget = choose(speed, wish.minutes, wish.runs, wish.images)
    write_whole(path, json.dumps({**subject, **asdict(budget)}, indent=1) + "\n")
    for line in plan_lines(budget, chosen, len(classifier.classes), speed):
        say(line)
    return budget


def plan_lines(budget: Budget, chosen: Sequence[Attack], classes: int, speed: Speed) -> list[str]:
    """Return what is about to happen."""
    fewer = f"; the protocol has {RUNS}" if budget.runs < RUNS else ""
    rates = ", ".join(
        f"{attack.title} {1 / seconds:,.0f}" for attack, seconds in zip(chosen, speed.seconds, strict=True)
    )
    return [
        f"{len(chosen)} attacks on {classes:,} classes: " + ", ".join(each.title for each in chosen),
        f"each {budget.runs} runs of {budget.images:,} images{fewer}",
        f"images/s of each of {speed.workers} workers: {rates}",
        f"about {budget.seconds / 60:.1f} minutes, beside pictures and controls",
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
        if found.get(key) != expected:
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


def _measured(wish: Wish, classifier: Classifier, chosen: Sequence[Attack]) -> Speed:
    seconds = []
    for attack in chosen:
        config = config_of(wish, attack, Budget(1, LEAST, 0.0), classifier)
        found = plan([config], ("evolve",))
        assert found.seconds is not None, "a device that is here can be measured"
        seconds.append(found.seconds / found.evaluations)
    scored = len(wish.against) * len(classifier.classes)
    return Speed(seconds, _workers(classifier), scored)


def _workers(classifier: Classifier) -> int:
    return (os.cpu_count() or 1) if classifier.device.type == "cpu" else 1


def config_of(wish: Wish, attack: Attack, budget: Budget, classifier: Classifier) -> RunConfig:
    """Return the settings of an attack's run with a budget."""
    return run_config(
        attack,
        wish.network,
        wish.folder,
        runs=budget.runs,
        images=budget.images,
        seed=wish.seed,
        workers=_workers(classifier),
    )
