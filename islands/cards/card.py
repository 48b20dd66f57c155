"""What a card says: the schema of `card.json`."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, ConfigDict

from islands.cards.evolving import PROTOCOL, Access
from islands.cards.images_to_fool import Score
from islands.cards.real_level import RealLevel
from islands.texts import percent
from islands.transfers.learning import Estimate

SCHEMA_VERSION = 1


class Part(BaseModel):
    """A part of a card; what it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Network(Part):
    """A network.

    Attributes:
        name: that loads it.
        fingerprint: of weights, preprocessing and precision.
        classes: how many.
        input_size: pixels a side.
        channels: 1 for grey, 3 for RGB.
        engine: what ran it.
    """

    name: str
    fingerprint: str
    classes: int
    input_size: int
    channels: int
    engine: str


class ClassResult(Part):
    """A class under one attack.

    Attributes:
        name: of the class.
        images: median over runs of N at the level of `AttackResult.level`; None: more than the budget.
        confidence: median over runs, in the end.
        next: the class that the network sees next in its image, in most runs.
    """

    name: str
    images: float | None
    confidence: float
    next: str


class GroupResult(Part):
    """A group of classes under one attack, at the level of `AttackResult.level`.

    Attributes:
        name: of the group.
        classes: how many.
        images: after which half of them are fooled, the median over runs; None: more than the budget.
        reached: share of them that is fooled in the end, the mean over runs.
    """

    name: str
    classes: int
    images: float | None
    reached: float


class AttackResult(Part):
    """One way to attack.

    Attributes:
        name: of its store.
        title: in words.
        encoding: what the images are made of.
        access: what the attacker saw of the network.
        scores: by level: `0.5`, `0.9`, `0.99`, and `rho5` where it is known.
        random: the same of random images of the same encoding, as many as `random_images`; one draw.
        random_images: how many.
        generation_0: the share of classes that the random start reached, by level.
        geometric_mean: G, for sorting alone.
        level: of `classes`.
        classes: all, in the order of the network.
        digests: of each run.
        groups: of classes, where the names are ImageNet's.
    """

    name: str
    title: str
    encoding: str
    access: Access
    scores: dict[str, Score]
    random: dict[str, Score]
    random_images: int
    generation_0: dict[str, float]
    geometric_mean: float
    level: str
    classes: tuple[ClassResult, ...]
    digests: tuple[str, ...]
    groups: tuple[GroupResult, ...] = ()


class Noticed(Part):
    """What a detector notices of some images.

    Attributes:
        detector: its name.
        needs: what it has to see of the network, and of real pictures.
        images: which.
        n: how many, over runs.
        real: pictures that they are told from.
        noticed: share that is rejected where 5 % of the real pictures are: mean over runs, and its interval.
        auroc: chance that a real picture looks more real than one of them: likewise.
    """

    detector: str
    needs: str
    images: str
    n: int
    real: int
    noticed: Estimate
    auroc: Estimate


class Facing(Part):
    """Images that face a detector: shares of classes, the mean over runs and its interval.

    Attributes:
        sure: of whose image the network is as sure as `InTheLoop.sure`.
        unnoticed: whose image passes for real where 5 % of the real pictures do not.
        both: whose image does both.
    """

    sure: Estimate
    unnoticed: Estimate
    both: Estimate


class InTheLoop(Part):
    """An attack once more, of one who knows the detector: only images that pass it count in full.

    Attributes:
        name: of its store.
        attack: that it is once more.
        detector: that is known.
        images: of each run.
        classes: that are looked at.
        sure: the confidence that counts.
        blind: images of the attack that does not know it.
        aware: of that which does.
        digests: of each run of the latter.
    """

    name: str
    attack: str
    detector: str
    images: int
    classes: int
    sure: float
    blind: Facing
    aware: Facing
    digests: tuple[str, ...]


class LabelsOnly(Part):
    """An attack that sees labels alone, and evolves for images whose perturbed copies keep theirs.

    Attributes:
        name: of its store.
        attack: in words.
        copies: queries that an image costs.
        images: of each run.
        stable: by the share of copies that keep the label; N50, ranges and budgets count queries.
        named: share of classes whose image in the end has the label of the class: mean over runs.
        sure: share of classes whose image has a confidence that the attack did not see, by level.
        digests: of each run.
    """

    name: str
    attack: str
    copies: int
    images: int
    stable: dict[str, Score]
    named: Estimate
    sure: dict[str, Estimate]
    digests: tuple[str, ...]


class Mitigated(Part):
    """An attack once more, on the network with a mitigation.

    Attributes:
        name: of its store.
        attack: that it is once more.
        before: scores on the network as it was, by level; rho5 is its own.
        after: on the changed network, of the same classes and budget; rho5 is the changed network's own.
        digests: of each run of the latter.
    """

    name: str
    attack: str
    before: dict[str, Score]
    after: dict[str, Score]
    digests: tuple[str, ...]


class Mitigation(Part):
    """What a change of the network is worth.

    Attributes:
        kind: its name.
        what: in words.
        real_before: the network on real pictures from which nothing was learnt; None: there are none.
        real_after: the changed network on the same.
        recognised: share of the images that had evolved against the network, under seeds from which nothing
            was learnt, that go to the class of what belongs to none; None: there is no such class.
        attacks: once more.
    """

    kind: str
    what: str
    real_before: RealLevel | None
    real_after: RealLevel | None
    recognised: float | None
    attacks: tuple[Mitigated, ...]


class Made(Part):
    """How a card was made.

    Attributes:
        command: that repeats it.
        seed: of the runs.
        runs: of each attack.
        runs_wanted: by the protocol.
        images: of each run.
        versions: of what it depends on.
        conditions: what else the bits depend on.
        settings: of each attack.
    """

    command: str
    seed: int
    runs: int
    runs_wanted: int
    images: int
    versions: dict[str, str]
    conditions: dict[str, Any]
    settings: dict[str, dict[str, Any]]


class Card(Part):
    """How easily a network is fooled.

    Attributes:
        name: of the network, as RobustBench calls it.
        dataset: what its classes and pictures are.
        clean_acc: accuracy on real pictures; None: there are none.
        number_forward_passes: images that the attackers had judged, gradients as three.
        unreliable: whether gradients did worse than a black box, which points to masked gradients.
        network: that was attacked.
        real: on real pictures; None: `missing` says why.
        attacks: on it.
        carry_over: what `islands transfer` says of the other networks; None: `missing` says why.
        noticed: by detectors; empty: `missing` says why.
        in_the_loop: what that is worth to whom the detector is known; empty: `missing` says why.
        labels_only: what an attacker gets who sees nothing else; None: it was not asked for.
        mitigation: that was asked for; None: none was.
        missing: why a section is not there, by its name.
        made: how.
        protocol: that defines the scores.
        schema_version: of this.
    """

    name: str
    dataset: str
    clean_acc: float | None
    number_forward_passes: int
    unreliable: bool
    network: Network
    real: RealLevel | None
    attacks: tuple[AttackResult, ...]
    carry_over: dict[str, Any] | None
    noticed: tuple[Noticed, ...]
    missing: dict[str, str]
    made: Made
    in_the_loop: tuple[InTheLoop, ...] = ()
    labels_only: LabelsOnly | None = None
    mitigation: Mitigation | None = None
    protocol: str = PROTOCOL
    schema_version: int = SCHEMA_VERSION

    @property
    def headline(self) -> tuple[str, Score]:
        """The black-box attack that is the quickest, and its score at the level of the card."""
        found = [(each.title, each.scores[each.level]) for each in self.attacks if each.access == "black box"]
        return min(found, key=lambda pair: (pair[1].n50 is None, pair[1].n50, -pair[1].reached))

    def summary(self) -> str:
        """Return the card in a line."""
        title, score = self.headline
        sure = percent(score.confidence)
        if score.n50 is None:
            return (
                f"{self.name}: {title} fool {percent(score.reached)} of the classes at {sure} within "
                f"{score.budget:,} images"
            )
        return f"{self.name}: after {score.n50:,.0f} images {title} fool half of the classes at {sure}"

    def as_text(self) -> str:
        """Return what stands in `card.json`."""
        return json.dumps(self.model_dump(mode="json"), indent=1, allow_nan=False) + "\n"


def schema_text() -> str:
    """Return the JSON schema of `card.json`."""
    schema = Card.model_json_schema(mode="serialization")
    return json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}, indent=1) + "\n"
