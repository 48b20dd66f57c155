"""What each experiment concludes from made-up archives; no figure of the paper lacks its certainty."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from islands.errors import InputError
from islands.experiments.catalogue import PIPELINES
from islands.experiments.findings.archives import Archives
from islands.experiments.findings.evidence import Evidence
from islands.experiments.findings.verdicts import Certainty, Finding, Verdict, as_text
from tests.reports.samples import TESTED, archives, evidence, final

AGREES, DISAGREES, TOO_FEW, NOT_COMPARABLE = Verdict
PAPER = 2_000_400
NOISE_PAPER = 4_000_200


def conclude(found: Evidence) -> Sequence[Finding]:
    findings = PIPELINES[found.config.pipeline].findings
    assert findings is not None
    return findings(found)


def verdicts(found: Evidence) -> list[Verdict]:
    return [finding.verdict for finding in conclude(found)]


def digits(at_10: float, at_50: float, at_200: float) -> list[list[float]]:
    """A curve of ten digits over 200 generations."""
    levels = [0.1, *[at_10] * 4, *[at_50] * 15, at_200]
    return [[level] * 10 for level in levels]


def imagenet(animals: float, others: float, evaluations: int, runs: int = 1) -> Archives:
    """1000 classes; those of dogs and cats at one confidence, the rest at another, a little spread."""
    confidence = np.full((runs, 1000), others)
    confidence[:, 157:287] = animals
    spread = np.random.default_rng(0).uniform(-1e-3, 0, confidence.shape)
    classes, ids = np.arange(2000) // 2, np.arange(2000)
    parents = np.stack([np.where(ids % 2, 2000, -1), np.full(2000, -1)], 1)
    rows = {"class": classes, "id": ids, "parents": parents}
    return final(confidence + spread, evaluations, (rows,) * runs)


class TestMnist:
    def test_direct_takes_all_runs(self) -> None:
        fast, slow = digits(0.5, 1.0, 1.0), digits(0.5, 0.99, 1.0)
        slow[5] = [0.9] * 10
        fast[5] = [1.0] * 10
        both = evidence("mnist_direct", {"": archives(fast, slow)})
        median, every = conclude(both)
        # One run that did not is enough to contradict "every".
        assert (median.verdict, every.verdict) == (TOO_FEW, DISAGREES)
        assert every.ours == "1 of 2 runs by generation 50; 2 by generation 200, at generations 50 to 200"
        assert verdicts(evidence("mnist_direct", {"": archives(*[fast] * 7)})) == [AGREES, AGREES]
        assert verdicts(evidence("mnist_direct", {"": archives(*[fast] * 6)})) == [TOO_FEW, TOO_FEW]

    def test_cppn_needs_the_generations_that_the_claim_is_about(self) -> None:
        whole = archives(*[digits(0.99, 0.999, 0.99999)] * 8)
        median, few = conclude(evidence("mnist_cppn", {"": whole}))
        assert (median.verdict, few.verdict) == (AGREES, DISAGREES)
        assert median.value == pytest.approx(0.99999)
        assert median.networks == (TESTED,)
        short = archives(*[digits(0.99999, 0.999, 0.99999)[:6]] * 8)
        assert verdicts(evidence("mnist_cppn", {"": short})) == [NOT_COMPARABLE, AGREES]

    def test_more_images_in_a_generation_than_the_papers_support_nothing(self) -> None:
        for children, verdict, note in (
            (200, AGREES, ""),
            (400, NOT_COMPARABLE, "larger budget: 400 for 200"),
        ):
            made = archives(*[digits(1.0, 1.0, 1.0)] * 10, evaluations=children * 201)
            for pipeline in ("mnist_cppn", "mnist_direct"):
                found = conclude(evidence(pipeline, {"": made}))
                assert [each.verdict for each in found] == [verdict] * 2
                assert all(each.why.startswith(note) for each in found)
        missed = archives(*[digits(0.5, 0.5, 0.5)] * 10, evaluations=400 * 201)
        assert verdicts(evidence("mnist_cppn", {"": missed})) == [DISAGREES] * 2


class TestImagenet:
    def test_the_papers_budget_is_compared(self) -> None:
        full = imagenet(0.3, 0.9, PAPER)
        noise = evidence("imagenet_direct", {"": imagenet(0.2, 0.2, NOISE_PAPER)})
        found = evidence("imagenet_cppn", {"": full}, others={"imagenet_direct": noise})
        median, many, above, animals, switches = conclude(found)
        assert median.value == pytest.approx(float(np.median(full.confidence)))
        assert (median.verdict, many.verdict) == (AGREES, DISAGREES)
        assert (above.verdict, animals.verdict) == (AGREES, AGREES)
        assert "noise had 2.0 times the images" in above.ours
        assert (switches.value, switches.verdict) == (0.5, NOT_COMPARABLE)
        lasting = replace(full, generations_per_epoch=1000)
        found = evidence("imagenet_cppn", {"": lasting}, others={"imagenet_direct": noise})
        assert conclude(found)[-1].verdict is AGREES

    def test_a_smaller_budget_is_not(self) -> None:
        found = evidence("imagenet_cppn", {"": imagenet(0.3, 0.3, PAPER - 1)})
        median, many, above, animals, _ = conclude(found)
        assert {median.verdict, many.verdict, above.verdict} == {NOT_COMPARABLE}
        assert "2,000,399 of 2,000,400 images" in median.why
        assert animals.verdict is DISAGREES
        assert "islands findings CPPN DIRECT" in above.why

    def test_neither_is_a_larger_one(self) -> None:
        """Sixteen islands of 400 children each scored 16 times the paper's images, and agreed."""
        noise = evidence("imagenet_direct", {"": imagenet(0.2, 0.2, NOISE_PAPER)})
        made = {"": imagenet(0.3, 0.9, 16 * PAPER)}
        median, many, above, *_ = conclude(evidence("imagenet_cppn", made, others={"imagenet_direct": noise}))
        assert {median.verdict, many.verdict, above.verdict} == {NOT_COMPARABLE}
        assert "larger budget: 32,006,400 for 2,000,400 images a run" in median.why
        assert "fewer images" in above.why

    def test_noise(self) -> None:
        some = imagenet(0.2, 0.2, NOISE_PAPER)
        some.confidence[:, :50] = 0.995
        assert verdicts(evidence("imagenet_direct", {"": some})) == [AGREES, AGREES]
        some.confidence[:, 30:50] = 0.5
        assert verdicts(evidence("imagenet_direct", {"": some})) == [AGREES, DISAGREES]

    def test_ensemble(self) -> None:
        confidence = np.linspace(0.3, 1, 1000)
        assert verdicts(evidence("ensemble", {"": final(confidence, 1_600_400)})) == [DISAGREES, AGREES]
        assert verdicts(evidence("ensemble", {"": final(confidence, 1_600_399)})) == [NOT_COMPARABLE] * 2


class TestEqualBudgets:
    def test_encodings_are_ranked(self) -> None:
        spread = np.random.default_rng(1).random((2, 200)) / 10
        made = {
            "direct": final(spread + 0.1),
            "cppn": final(spread + 0.5),
            "cppn_no_sine": final(spread + 0.5),
            "cppn_normalized": final(spread + 0.3),
            "cppn_seeded": final(spread + 0.25),
            "dct": final(spread + 0.2),
        }
        verdict = [AGREES, DISAGREES, AGREES, DISAGREES, AGREES, AGREES]
        assert verdicts(evidence("encodings", made)) == verdict

    def test_unequal_budgets_are_refused(self) -> None:
        made = {name: final([[0.5, 0.6]], 1000) for name in PIPELINES["encodings"].variants}
        made["direct"] = final([[0.5, 0.6]], 1001)
        with pytest.raises(InputError, match=r"cppn scored \[1000\] .* expected equal budgets"):
            conclude(evidence("encodings", made))

    def test_one_target_at_a_time_spends_what_all_at_once_do(self) -> None:
        from islands.experiments.configure import variants_of

        config = evidence("single_target").config
        spent = {
            name: each.evolution.images_by(each.evolve.generations)
            for name, each in variants_of(config).items()
        }
        assert spent == {"all_at_once": 200 + 200 * 200, "one_at_a_time": 200 + 200 * 200}


def shown(source: str, target: str, k: int = 15, denominator: str = "all") -> dict[str, object]:
    """Return an entry of `transfer.json`: of 100 images some fool the target."""
    top1 = {"k": k, "n": 100, "low": 0.11, "high": 0.23}
    place = {"source": source, "target": target, "own": source == target, "denominator": denominator}
    return {**place, "n": 100, "top1": top1}


def by_class(source: str, target: str, hits: int = 15) -> dict[str, object]:
    """Return that entry class by class."""
    return {"source": source, "target": target, "n": [100] * 10, "top1": [hits] * 10}


class TestTransfer:
    @pytest.mark.parametrize(("control", "verdict"), [(1, AGREES), (14, TOO_FEW), (40, DISAGREES)])
    def test_more_than_chance_means_more_than_any_control(self, control: int, verdict: Verdict) -> None:
        document = {
            "chance": 0.1,
            "sources": [{"name": "lenet-mnist"}],
            "entries": [
                shown("lenet-mnist", "lenet-mnist"),
                shown("lenet-mnist", "lenet:1"),
                shown("lenet-mnist", "lenet:1", denominator="confident"),
                shown("uniform noise", "lenet:1", 0),
                shown("generation 0 of lenet-mnist", "lenet:1", control),
                shown("generation 0 of another", "lenet:1", 100),
            ],
            "by_class": [by_class("lenet-mnist", "lenet:1")],
        }
        (found,) = conclude(evidence("lenet_pair", documents={"transfer.json": document}))
        assert (found.value, found.verdict) == (0.15, verdict)
        assert found.ours == (
            f"15 of 100 images, 15.00 % [11.00 %, 23.00 %]; chance 10.00 %, "
            f"generation 0 of lenet-mnist {control} of 100"
        )

    @pytest.mark.parametrize(
        ("pipeline", "figures"),
        [
            ("alexnet_googlenet", ["17.3 % of images", "20.7 % of images"]),
            ("architectures", ["17.3 % and 20.7 % of images"] * 6),
        ],
    )
    def test_every_direction_has_the_papers_figure(self, pipeline: str, figures: list[str]) -> None:
        from islands.experiments.configure import variants_of

        labels = [config.network.label for config in variants_of(evidence(pipeline).config).values()]
        document = {
            "chance": 0.001,
            "sources": [{"name": label} for label in labels],
            "entries": [
                *(shown(source, target) for source in labels for target in labels),
                *(shown("uniform noise", target, 0) for target in labels),
            ],
            "by_class": [by_class(source, target) for source in labels for target in labels],
        }
        found = conclude(evidence(pipeline, documents={"transfer.json": document}))
        assert [finding.paper and finding.paper.text for finding in found] == figures
        assert {finding.verdict for finding in found} == {AGREES}
        directions = [(source, target) for source in labels for target in labels if source != target]
        for finding, (source, target) in zip(found, directions, strict=True):
            assert finding.claim.index(source) < finding.claim.index(target)


class TestRealImages:
    def test_are_the_yardstick(self) -> None:
        item = {"item": "lenet-mnist", "n": 100, "data": "digits", "accuracy": 1.0}
        item |= {"median_confidence": 0.98, "median_right": 0.99, "median_wrong": None}
        surer = {**item, "item": "linear-mnist", "accuracy": 0.9, "median_wrong": 0.6}
        items = {"test": {"lenet-mnist": item, "linear-mnist": surer}}
        spread = np.linspace(0.98, 1, 100)
        wrong = np.arange(100) < 10
        kept = {
            ("test", "lenet-mnist"): {"confidence": spread, "right": np.ones(100, bool)},
            ("test", "linear-mnist"): {"confidence": np.where(wrong, 0.6, spread), "right": ~wrong},
        }
        for evaluations, verdict in ((40_200, AGREES), (40_199, NOT_COMPARABLE)):
            evolved = evidence("mnist_cppn", {"": final([[0.995] * 10] * 8, evaluations)})
            found = evidence("real_images", stages=items, kept=kept, others={"mnist_cppn": evolved})
            assert verdicts(found) == [TOO_FEW, AGREES, verdict]


def test_no_figure_is_printed_without_its_certainty() -> None:
    made = {"": imagenet(0.3, 0.9, PAPER)}
    text = as_text(conclude(evidence("imagenet_cppn", made)))
    assert "88.11 % [quoted]" in text
    assert "sample: right on 87.50 % of 200 test images" in text
    assert {certainty.split(",")[0] for certainty in Certainty} == {"verified", "quoted", "recalled"}
