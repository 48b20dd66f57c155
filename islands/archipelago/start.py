"""Starts what a configuration asks for: workers and scorers, on Ray or in this process.

Ray is imported where it is needed: it takes half a second, and a notebook may do without it.
"""

from __future__ import annotations

from collections.abc import Mapping

from islands.archipelago.executor import Executor, InProcessExecutor
from islands.archipelago.host import assemble, build_host
from islands.archipelago.messages import NetworkFacts
from islands.archipelago.scorer import build_scorer
from islands.archipelago.scorers import InProcessScorers, Scorers
from islands.classifiers.contract import Classifier
from islands.config import WorkConfig
from islands.errors import ConfigError

SOURCE = "the source network"


def build_executor(config: WorkConfig, classifier: Classifier | None = None) -> Executor:
    """Start the workers that a configuration asks for.

    Args:
        config: see there.
        classifier: in place of the network that it names; workers are threads of this process then.
    """
    if classifier is not None or config.workers.executor == "in-process":
        host = build_host(config) if classifier is None else assemble(config, classifier)
        return InProcessExecutor(host, config.workers.count, config.workers.threads)
    from islands.archipelago.ray_executor import RayExecutor

    return RayExecutor(config)


def build_scorers(config: WorkConfig, source: NetworkFacts) -> Scorers | None:
    """Start the scorers that a configuration asks for; None where there is no held-out network.

    Raises:
        InputError: a held-out network cannot be had, or cannot be compared with the source network.
    """
    if not config.held_out:
        return None
    scorers: Scorers
    if config.workers.executor == "in-process":
        scorer = build_scorer(config, source.channels, source.size)
        scorers = InProcessScorers(scorer, config.scorers.count, config.scorers.threads)
    else:
        from islands.archipelago.ray_scorers import RayScorers

        scorers = RayScorers(config, source.channels, source.size)
    others = {source.fingerprint: SOURCE}
    try:
        for place, (network, facts) in enumerate(zip(config.held_out, scorers.facts, strict=True)):
            require_comparable(f"held_out.{place}: got {network.label}", facts, source, others)
            others[facts.fingerprint] = f"held_out.{place}"
    except BaseException:
        # Actors or threads run already, and the caller never gets hold of them.
        scorers.close()
        raise
    return scorers


def require_comparable(
    held_out: str, facts: NetworkFacts, source: NetworkFacts, others: Mapping[str, str]
) -> None:
    """Check that a held-out network says something about images that evolved against `source`.

    Args:
        held_out: what messages call it.
        facts: its own.
        source: of the network that images evolve against.
        others: what messages call the networks that are there already, by their fingerprints.

    Raises:
        ConfigError: it does not.
    """
    if same := others.get(facts.fingerprint):
        raise ConfigError(
            f"{held_out}, which is {same}; expected another one: what is measured is whether images fool "
            "networks that they were not evolved against"
        )
    for what, found, expected in (
        ("channels", facts.channels, source.channels),
        ("classes", len(facts.classes), len(source.classes)),
    ):
        if found != expected:
            raise ConfigError(f"{held_out} with {found} {what}; expected {expected}, as the source has")
    if facts.classes != source.classes:
        pairs = enumerate(zip(facts.classes, source.classes, strict=True))
        first, (theirs, ours) = next((i, names) for i, names in pairs if names[0] != names[1])
        raise ConfigError(
            f"{held_out}, whose class {first} is {theirs!r}; expected {ours!r}: source and held-out network "
            "must mean the same by each output"
        )
