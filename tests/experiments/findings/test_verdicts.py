"""Every claim of every experiment can agree, disagrees on its null, and says so where samples are few."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pytest

from islands.errors import InputError
from islands.experiments.catalogue import PIPELINES
from islands.experiments.findings.archives import Archives, Rows
from islands.experiments.findings.verdicts import Finding, Verdict, as_text
from islands.pipelines import ensemble, real_images
from islands.transfers.measures import DOGS_AND_CATS
from tests.reports.samples import Made, archives, evidence, final

Kind = Literal["holds", "null", "few"]
Floats = npt.NDArray[np.float64]

SPENT = {**real_images.EVALUATIONS, "ensemble": ensemble.EVALUATIONS}
"""Images that a run of the paper scored."""


def odds(level: npt.ArrayLike, shape: tuple[int, int], seed: int = 0) -> Floats:
    """Confidences (runs, classes) around a level of log-odds."""
    noise = np.random.default_rng(seed).normal(0, 0.3, shape)
    return np.asarray(1 / (1 + np.exp(-(np.asarray(level) + noise))))


def switching(classes: int, switches: int) -> Rows:
    """Ten champions of each class, some of them children of another class's champion."""
    rows = [
        (c, 100 * c + n, 7 if n <= switches else 100 * c + n - 1) for c in range(classes) for n in range(10)
    ]
    class_, ids, parents = (np.array(column) for column in zip(*rows, strict=True))
    parents[ids % 100 == 0] = -1
    return {"class": class_, "id": ids, "parents": np.stack([parents, np.full_like(parents, -1)], 1)}


def evolved(first: Floats, last: Floats, kind: Kind, spent: int = 40_200) -> Archives:
    """Archives that evolved from `first` to `last` in 1000 generations; the null is generation 0."""
    history = switching(first.shape[1], 0 if kind == "null" else 2)
    made = final(last if kind != "null" else first, spent, (history,) * len(first), start=first)
    return replace(made, generations_per_epoch=1000)


def mnist(pipeline: str) -> Callable[[Kind], Made]:
    def make(kind: Kind) -> Made:
        level = 0.3 if kind == "null" else 0.99999
        curve = np.full((21, 10), level)
        curve[0] = 0.3
        runs = 3 if kind == "few" else 10
        return evidence(pipeline, {"": archives(*[curve] * runs, evaluations=SPENT[pipeline])})

    return make


ANIMALS = np.isin(np.arange(1000), np.array(DOGS_AND_CATS))


def patterns(kind: Kind) -> Made:
    # Before anything evolves, patterns are above noise, and dogs and cats below the others.
    first = odds(-4 - 2.0 * ANIMALS, (2, 1000))
    last = odds(np.where(ANIMALS, -2, np.where(np.arange(1000) % 5, 2.2, 14)), (2, 1000), 1)
    noise_first, noise_last = odds(-7, (2, 1000), 2), odds(-5, (2, 1000), 3)
    noise = evidence(
        "imagenet_direct", {"": evolved(noise_first, noise_last, kind, SPENT["imagenet_direct"])}
    )
    made = evolved(first, last, kind, SPENT["imagenet_cppn"])
    return evidence("imagenet_cppn", {"": made}, others={"imagenet_direct": noise})


def reached(pipeline: str, median: float, sure: int, confidence: float) -> Callable[[Kind], Made]:
    def make(kind: Kind) -> Made:
        last = np.full((1, 1000), median)
        last[:, :sure] = confidence
        return evidence(pipeline, {"": evolved(odds(-6, (1, 1000)), last, kind, SPENT[pipeline])})

    return make


def encodings(kind: Kind) -> Made:
    shape = (2, 10) if kind == "few" else (1, 200)
    levels = {"direct": 0, "dct": 1, "cppn_normalized": 1, "cppn_no_sine": 1, "cppn_seeded": 2, "cppn": 3}
    if kind == "null":
        # Gradients tune generation 0 itself: with no effect, it is as without them.
        levels["cppn_seeded"] = 1
    ahead = 1 if kind == "null" else 0
    made = {
        name: final(odds(level - 5 * ahead, shape, seed), start=odds(ahead * level - 5, shape, seed))
        for seed, (name, level) in enumerate(levels.items())
    }
    return evidence("encodings", made)


def single_target(kind: Kind) -> Made:
    shape = (3 if kind == "few" else 10, 10)
    levels = {"all_at_once": (0, 6), "one_at_a_time": (-1, 3)}
    made = {
        name: evolved(odds(first, shape, 1), odds(last, shape, 2), kind)
        for name, (first, last) in levels.items()
    }
    return evidence("single_target", made)


def families(kind: Kind) -> Made:
    level = 0.3 if kind == "null" else 0.995
    runs = 2 if kind == "few" else 8
    row = {
        **{"median": level, "at_99": 1.0, "log_likelihood": -5000.0, "distance": 14.0, "unlikely": 1.0},
        **{"accuracy": 0.97, "test_images": 1000, "tested_on": "digits"},
        "confidence": np.full((runs, 10), level).tolist(),
        "unlikely_images": np.ones((runs, 10), bool).tolist(),
    }
    made = evidence("discriminative_generative")
    items = {
        f"{network} {encoding}": {**row, "network": network}
        for network in made.parameters.networks
        for encoding in ("direct", "cppn")
    }
    return replace(made, stages={"families": {**items, "test digits": row}})


def garbage(kind: Kind) -> Made:
    runs = 2 if kind == "few" else 8
    made = evidence("none_of_the_above")
    items: dict[str, dict[str, Any]] = {}
    for source in made.parameters.sources:
        unprotected = source == "none" and kind != "null"
        for encoding in ("direct", "cppn"):
            confidence = odds(8 if unprotected else -1, (runs, 10), len(items))
            items[f"{source} {encoding}"] = {
                **{"source": source, "median": float(np.median(confidence)), "at_99": 0.5, "images": 80},
                **{"accuracy": 0.97, "test_images": 1000, "tested_on": "digits"},
                "confidence": confidence.tolist(),
                "recognised": None if source == "none" else {"noise": 1.0},
            }
    return replace(made, stages={"garbage": items})


def retrained(pipeline: str, levels: Sequence[float], null: Sequence[float]) -> Callable[[Kind], Made]:
    def make(kind: Kind) -> Made:
        runs, tested = (2, 50) if kind == "few" else (35, 10_000)
        items = {}
        for number, level in enumerate(null if kind == "null" else levels):
            confidence = odds(level, (runs, 10), number)
            items[f"dnn-{number + 1:02}"] = {
                "median": float(np.median(confidence)),
                "confidence": confidence.tolist(),
                "accuracy": 0.97 if number == 0 or kind != "null" else 0.1,
                **{"test_images": tested, "tested_on": "digits"},
            }
        return evidence(pipeline, stages={"retrain": items})

    return make


def ascent(kind: Kind) -> Made:
    made = evidence("gradient_ascent")
    level = 0.01 if kind == "null" else 0.99999
    found = [
        {"network": "lenet-mnist", "way": way, "class": class_, "confidence": {"best": level}}
        for way in made.parameters.settings
        for class_ in range(2 if kind == "few" else 10)
        for _ in range(5)
    ]
    return replace(made, stages={"ascend": {str(number): item for number, item in enumerate(found)}})


def repetition(kind: Kind) -> Made:
    items = {}
    for number in range(3 if kind == "few" else 20):
        lost, elsewhere = np.random.default_rng(number).uniform(0.08, 0.1, 2)
        control = 0.9 - (elsewhere if kind == "null" else elsewhere / 5)
        place = {"run": 0, "class": number, "genome": number, "item": str(number), "copies": 3}
        items[str(number)] = {**place, "confidence": [0.9, 0.9 - lost], "control": [0.9, control]}
    return evidence("repetition", stages={"repetition": items})


def label_only(kind: Kind) -> Made:
    fooled = 0.1 if kind == "null" else 0.7
    items = {
        f"{attack} {attempt}": {
            **{"attack": attack, "attempt": attempt, "named_by": "own label"},
            **{"queries": [100], "named": [1.0], "fooled": [fooled], "median": [0.9]},
        }
        for attack in ("random", "stability", "surrogate lenet:1")
        for attempt in range(3 if kind == "few" else 8)
    }
    return evidence("label_only", stages={"label-only": items})


def photographs(kind: Kind) -> Made:
    right = np.ones(20 if kind == "few" else 2000, bool)
    right[: 1 if kind == "few" else 500] = False
    confidence = np.where(right, 0.9, 0.4) + np.random.default_rng(0).uniform(-0.1, 0.1, len(right))
    if kind == "null":
        right = np.random.default_rng(1).permutation(right)
    item = {"item": "lenet-mnist", "n": len(right), "data": "digits", "accuracy": float(right.mean())}
    item |= {"median_confidence": 0.9, "median_right": 0.9, "median_wrong": 0.4}
    level, runs = 0.3 if kind == "null" else 0.99, 2 if kind == "few" else 10
    others = {
        name: evidence(name, {"": final(np.full((runs, 10), level), SPENT[name])})
        for name in ("mnist_direct", "mnist_cppn")
    }
    kept = {("test", "lenet-mnist"): {"confidence": confidence, "right": right}}
    return evidence("real_images", stages={"test": {"lenet-mnist": item}}, kept=kept, others=others)


def transfer(pipeline: str) -> Callable[[Kind], Made]:
    from islands.experiments.configure import variants_of

    def make(kind: Kind) -> Made:
        made = evidence(pipeline)
        labels = [config.network.label for config in variants_of(made.config).values()]
        classes = 2 if kind == "few" else 10
        hits = np.full(classes, 1 if kind == "null" else 3)
        controls = ["uniform noise", *(f"generation 0 of {label}" for label in labels)]
        entries = [entry(source, target, hits.sum(), 10 * classes) for source in labels for target in labels]
        entries += [entry(source, target, 100, 1000) for source in controls for target in labels]
        document = {
            "chance": 0.1,
            "sources": [{"name": label} for label in labels],
            "entries": entries,
            "by_class": [
                {"source": source, "target": target, "n": [10] * classes, "top1": hits.tolist()}
                for source in labels
                for target in labels
            ],
        }
        return replace(made, documents={"transfer.json": document})

    return make


def entry(source: str, target: str, k: int, n: int) -> dict[str, Any]:
    place = {"source": source, "target": target, "own": source == target, "denominator": "all"}
    return {**place, "n": n, "top1": {"k": int(k), "n": n, "low": 0.1, "high": 0.9}}


CASES: dict[str, Callable[[Kind], Made]] = {
    "alexnet_googlenet": transfer("alexnet_googlenet"),
    "architectures": transfer("architectures"),
    "discriminative_generative": families,
    "encodings": encodings,
    "ensemble": reached("ensemble", 0.65, 300, 0.95),
    "gradient_ascent": ascent,
    "imagenet_cppn": patterns,
    "imagenet_direct": reached("imagenet_direct", 0.22, 60, 0.995),
    "label_only": label_only,
    "lenet_pair": transfer("lenet_pair"),
    "mnist_cppn": mnist("mnist_cppn"),
    "mnist_direct": mnist("mnist_direct"),
    "none_of_the_above": garbage,
    "real_images": photographs,
    "repetition": repetition,
    "retrain_imagenet": retrained("retrain_imagenet", (3, -4), (3, 3)),
    "retrain_mnist": retrained("retrain_mnist", (8, 5, 6), (8, -1, 6)),
    "single_target": single_target,
}
ALL_CLASSES = {"ensemble", "imagenet_cppn", "imagenet_direct"}
"""Their samples are the 1000 classes, however little was spent."""


def conclude(found: Made) -> Sequence[Finding]:
    findings = PIPELINES[found.config.pipeline].findings
    assert findings is not None
    return findings(found)


def test_every_experiment_that_concludes_has_a_case() -> None:
    concluding = {name for name in PIPELINES if PIPELINES[name].findings is not None}
    assert set(CASES) == concluding


@pytest.mark.parametrize("pipeline", CASES)
def test_every_claim_can_agree_and_says_on_what_it_rests(pipeline: str) -> None:
    found = conclude(CASES[pipeline]("holds"))
    assert {finding.claim: finding.verdict for finding in found} == dict.fromkeys(
        (finding.claim for finding in found), Verdict.AGREES
    )
    for finding in found:
        assert finding.effect is not None
        assert finding.effect.size is not None
        assert finding.effect.null
        assert finding.effect.test
        assert finding.effect.n >= 7
        row = json.loads(json.dumps(finding.as_json(), allow_nan=False))
        assert row["effect"]["p"] < 0.01
        assert finding.effect.test in " ".join(as_text([finding]).split())


@pytest.mark.parametrize("pipeline", CASES)
def test_every_claim_disagrees_on_its_null(pipeline: str) -> None:
    found = conclude(CASES[pipeline]("null"))
    assert {finding.claim: finding.verdict for finding in found} == dict.fromkeys(
        (finding.claim for finding in found), Verdict.DISAGREES
    )


@pytest.mark.parametrize("pipeline", sorted(CASES.keys() - ALL_CLASSES))
def test_small_samples_are_too_few(pipeline: str) -> None:
    found = conclude(CASES[pipeline]("few"))
    assert {finding.claim: finding.verdict for finding in found} == dict.fromkeys(
        (finding.claim for finding in found), Verdict.TOO_FEW
    )


class TestDogsAndCats:
    """What differs before anything evolves shows nothing, and neither do many runs of the same classes."""

    @staticmethod
    def conclude(first: Floats, last: Floats) -> Finding:
        from islands.experiments.findings.imagenet_claims import dogs_and_cats

        return dogs_and_cats(final(last, start=first), ())

    @pytest.mark.parametrize("runs", [1, 8])
    def test_a_difference_that_was_there_before_is_none(self, runs: int) -> None:
        levels = -6 - 1.0 * ANIMALS
        first = odds(levels, (runs, 1000))
        assert self.conclude(first, first).verdict is Verdict.DISAGREES
        # All classes gain alike.
        assert self.conclude(first, odds(levels + 4, (runs, 1000), 1)).verdict is Verdict.DISAGREES
        assert (
            self.conclude(first, odds(levels + 4 - 1.0 * ANIMALS, (runs, 1000), 1)).verdict is Verdict.AGREES
        )

    def test_permuted_classes_show_nothing(self) -> None:
        first, last = odds(-6, (2, 1000)), odds(-2 - 2.0 * ANIMALS, (2, 1000), 1)
        assert self.conclude(first, last).verdict is Verdict.AGREES
        order = np.random.default_rng(0).permutation(1000)
        assert self.conclude(first[:, order], last[:, order]).verdict is not Verdict.AGREES

    def test_a_larger_gain_of_what_stays_higher_is_none(self) -> None:
        first = odds(-6 + 4.0 * ANIMALS, (1, 1000))
        assert self.conclude(first, odds(-1 + 1.0 * ANIMALS, (1, 1000), 1)).verdict is Verdict.DISAGREES

    def test_runs_are_no_independent_samples_of_a_class(self) -> None:
        first, last = odds(-6, (1, 1000)), odds(-2 - 0.2 * ANIMALS, (1, 1000), 1)
        one, many = (self.conclude(first.repeat(n, 0), last.repeat(n, 0)).effect for n in (1, 30))
        assert one == many

    def test_other_classes_have_no_dogs(self) -> None:
        assert self.conclude(odds(-6, (9, 10)), odds(2, (9, 10))).verdict is Verdict.NOT_COMPARABLE


def test_a_head_start_is_no_advantage_of_evolution() -> None:
    from islands.experiments.findings.effects import advantage

    first, second = odds(-3, (1, 500)), odds(-6, (1, 500), 1)
    ahead = final(odds(0, (1, 500), 2), start=first), final(odds(-3, (1, 500), 3), start=second)
    assert advantage(*ahead).verdict is Verdict.DISAGREES
    assert advantage(*ahead, beyond_start=False).verdict is Verdict.AGREES
    further = final(odds(0, (1, 500), 2), start=first), final(odds(-5, (1, 500), 3), start=second)
    assert advantage(*further).verdict is Verdict.AGREES
    assert advantage(*reversed(further)).verdict is Verdict.DISAGREES


def test_removing_copies_that_loses_no_more_than_other_places_is_nothing() -> None:
    made = repetition("holds")
    items = {
        name: {**item, "control": item["confidence"]} for name, item in made.stages["repetition"].items()
    }
    (found,) = conclude(replace(made, stages={"repetition": items}))
    assert found.value is not None
    assert found.value > 0
    assert found.verdict is Verdict.DISAGREES
    # What leaves nothing of the confidence is not slight.
    items = {name: {**item, "confidence": [0.9, 0.01]} for name, item in made.stages["repetition"].items()}
    assert conclude(replace(made, stages={"repetition": items}))[0].verdict is Verdict.DISAGREES


def test_one_genome_in_many_cells_is_one_image() -> None:
    made = repetition("holds")
    items = {name: {**item, "genome": 5} for name, item in made.stages["repetition"].items()}
    (found,) = conclude(replace(made, stages={"repetition": items}))
    assert found.effect is not None
    assert (found.effect.n, found.verdict) == (1, Verdict.TOO_FEW)


def test_what_may_be_taken_for_a_digit_fools_nobody() -> None:
    made = families("holds")
    items = {
        name: {**item, "unlikely_images": np.zeros((8, 10), bool).tolist()}
        for name, item in made.stages["families"].items()
    }
    found = conclude(replace(made, stages={"families": items}))
    assert {finding.verdict for finding in found} == {Verdict.DISAGREES}
    assert {finding.value for finding in found} == {0.0}


class TestOlderResults:
    """Folders made before something was kept are read, and say what they lack."""

    def test_real_images_have_medians_alone(self) -> None:
        for kind, verdict in (("holds", Verdict.NOT_COMPARABLE), ("few", Verdict.TOO_FEW)):
            found = conclude(replace(photographs(kind), kept={}))  # type: ignore[arg-type]
            assert [finding.verdict for finding in found] == [verdict, *[Verdict.NOT_COMPARABLE] * 2]
            assert "remove results/test" in found[1].why

    def test_families_do_not_say_which_images_are_unlikely(self) -> None:
        made = families("holds")
        items = {
            name: {key: value for key, value in item.items() if key != "unlikely_images"}
            for name, item in made.stages["families"].items()
        }
        found = conclude(replace(made, stages={"families": items}))
        assert {finding.verdict for finding in found} == {Verdict.NOT_COMPARABLE}
        assert "made before" in found[0].why

    def test_images_of_repetition_have_no_genome(self) -> None:
        made = repetition("holds")
        for item in made.stages["repetition"].values():
            del item["genome"]
        assert conclude(made)[0].verdict is Verdict.AGREES

    def test_labels_were_counted_on_copies(self) -> None:
        made = label_only("holds")
        for item in made.stages["label-only"].values():
            del item["named_by"]
        assert "or by older results with a copy that has it" in conclude(made)[0].ours

    def test_a_comparison_without_controls(self) -> None:
        made = transfer("lenet_pair")("holds")
        document = made.documents["transfer.json"]
        document["entries"] = [each for each in document["entries"] if " " not in each["source"]]
        found = conclude(made)
        assert {finding.verdict for finding in found} == {Verdict.NOT_COMPARABLE}
        assert "no controls beside" in found[0].why


def test_a_course_of_one_network_is_compared_with_nothing() -> None:
    made = retrained("retrain_mnist", (8,), (8,))("holds")
    assert {finding.verdict for finding in conclude(made)} == {Verdict.NOT_COMPARABLE}


@pytest.mark.parametrize(
    ("pipeline", "stage"),
    [
        ("discriminative_generative", "families"),
        ("none_of_the_above", "garbage"),
        ("retrain_mnist", "retrain"),
        ("retrain_imagenet", "retrain"),
    ],
)
def test_a_stage_that_is_not_done_is_named(pipeline: str, stage: str) -> None:
    with pytest.raises(
        InputError, match=f"of the stage {stage} is not done yet; launch the experiment again"
    ):
        conclude(evidence(pipeline))
