"""What each experiment concludes from made-up archives; no figure of the paper lacks its certainty."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

import pipelines
from islands.errors import InputError
from islands.report.archives import Archives
from islands.report.evidence import Evidence
from islands.report.findings import Certainty, Finding, Verdict, as_text
from tests.report.samples import TESTED, archives, evidence, final

AGREES, DISAGREES, NOT_COMPARABLE = Verdict
PAPER = 2_000_400
NOISE_PAPER = 4_000_200


def conclude(found: Evidence) -> Sequence[Finding]:
    findings = pipelines.get(found.config.pipeline).findings
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
    rows = {"class": np.zeros(2, int), "id": np.array([1, 2]), "parents": np.array([[-1, -1], [9, -1]])}
    return final(confidence + spread, evaluations, (rows,) * runs)


class TestMnist:
    def test_direct_takes_all_runs(self) -> None:
        fast, slow = digits(0.5, 1.0, 1.0), digits(0.5, 0.99, 1.0)
        slow[5] = [0.9] * 10
        fast[5] = [1.0] * 10
        both = evidence("mnist_direct", {"": archives(fast, slow)})
        median, every = conclude(both)
        assert (median.verdict, every.verdict) == (AGREES, DISAGREES)
        assert every.ours == "1 of 2 runs by generation 50; 2 by generation 200, at generations 50 to 200"
        assert verdicts(evidence("mnist_direct", {"": archives(fast, fast)})) == [AGREES, AGREES]

    def test_cppn_needs_the_generations_that_the_claim_is_about(self) -> None:
        whole = archives(digits(0.99, 0.999, 0.99999))
        median, few = conclude(evidence("mnist_cppn", {"": whole}))
        assert (median.verdict, few.verdict) == (AGREES, DISAGREES)
        assert median.value == pytest.approx(0.99999)
        assert median.networks == (TESTED,)
        short = archives(digits(0.99999, 0.999, 0.99999)[:6])
        assert verdicts(evidence("mnist_cppn", {"": short})) == [NOT_COMPARABLE, AGREES]

    def test_more_images_in_a_generation_than_the_papers_support_nothing(self) -> None:
        for children, verdict, note in (
            (200, AGREES, ""),
            (400, NOT_COMPARABLE, "larger budget: 400 for 200"),
        ):
            made = archives(digits(1.0, 1.0, 1.0), evaluations=children * 201)
            for pipeline in ("mnist_cppn", "mnist_direct"):
                found = conclude(evidence(pipeline, {"": made}))
                assert [each.verdict for each in found] == [verdict] * 2
                assert all(each.why.startswith(note) for each in found)
        missed = archives(digits(0.5, 0.5, 0.5), evaluations=400 * 201)
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
            "direct": final(spread),
            "cppn": final(spread + 0.5),
            "cppn_no_sine": final(spread + 0.5),
            "cppn_normalized": final(spread + 0.3),
            "cppn_seeded": final(spread + 0.25),
            "dct": final(spread + 0.2),
        }
        verdict = [AGREES, DISAGREES, AGREES, DISAGREES, AGREES, AGREES]
        assert verdicts(evidence("encodings", made)) == verdict

    def test_unequal_budgets_are_refused(self) -> None:
        made = {name: final([[0.5, 0.6]], 1000) for name in pipelines.get("encodings").variants}
        made["direct"] = final([[0.5, 0.6]], 1001)
        with pytest.raises(InputError, match=r"cppn scored \[1000\] .* expected equal budgets"):
            conclude(evidence("encodings", made))

    def test_one_target_at_a_time_spends_what_all_at_once_do(self) -> None:
        from islands.config.files import variants_of

        config = evidence("single_target").config
        spent = {name: each.images_by(each.evolve.generations) for name, each in variants_of(config).items()}
        assert spent == {"all_at_once": 200 + 200 * 200, "one_at_a_time": 200 + 200 * 200}


def shown(source: str, target: str, low: float = 0.11, denominator: str = "all") -> dict[str, object]:
    """Return an entry of `transfer.json`: 15 of 100 images fool the target."""
    top1 = {"k": 15, "n": 100, "low": low, "high": 0.23}
    place = {"source": source, "target": target, "own": source == target, "denominator": denominator}
    return {**place, "n": 100, "top1": top1}


class TestTransfer:
    @pytest.mark.parametrize(("low", "verdict"), [(0.11, AGREES), (0.09, DISAGREES)])
    def test_more_than_chance_means_the_whole_interval(self, low: float, verdict: Verdict) -> None:
        document = {
            "chance": 0.1,
            "sources": [{"name": "lenet-mnist"}],
            "entries": [
                shown("lenet-mnist", "lenet-mnist", low),
                shown("lenet-mnist", "lenet:1", low),
                shown("lenet-mnist", "lenet:1", low, denominator="confident"),
                shown("uniform noise", "lenet:1", low),
            ],
        }
        (found,) = conclude(evidence("lenet_pair", documents={"transfer.json": document}))
        assert (found.value, found.verdict) == (0.15, verdict)
        assert found.ours == f"15 of 100 images, 15.0% [{low:.1%}, 23.0%]; chance 10.0%"

    @pytest.mark.parametrize(
        ("pipeline", "figures"),
        [
            ("alexnet_googlenet", ["17.3 % of images", "20.7 % of images"]),
            ("architectures", ["17.3 % and 20.7 % of images"] * 6),
        ],
    )
    def test_every_direction_has_the_papers_figure(self, pipeline: str, figures: list[str]) -> None:
        from islands.config.files import variants_of

        labels = [config.network.label for config in variants_of(evidence(pipeline).config).values()]
        document = {
            "chance": 0.001,
            "sources": [{"name": label} for label in labels],
            "entries": [shown(source, target) for source in labels for target in labels],
        }
        found = conclude(evidence(pipeline, documents={"transfer.json": document}))
        assert [finding.paper and finding.paper.text for finding in found] == figures
        assert {finding.verdict for finding in found} == {AGREES}
        directions = [(source, target) for source in labels for target in labels if source != target]
        for finding, (source, target) in zip(found, directions, strict=True):
            assert finding.claim.index(source) < finding.claim.index(target)


class TestRealImages:
    def test_are_the_yardstick(self) -> None:
        item = {"item": "lenet-mnist", "n": 10_000, "data": "digits", "accuracy": 0.99}
        item |= {"median_confidence": 0.98, "median_right": 0.99, "median_wrong": None}
        surer = {**item, "item": "linear-mnist", "median_wrong": 0.6}
        items = {"test": {"lenet-mnist": item, "linear-mnist": surer}}
        for evaluations, verdict in ((40_200, AGREES), (40_199, NOT_COMPARABLE)):
            evolved = evidence("mnist_cppn", {"": final([[0.995] * 10], evaluations)})
            found = evidence("real_images", items=items, others={"mnist_cppn": evolved})
            assert verdicts(found) == [NOT_COMPARABLE, AGREES, verdict]


def test_no_figure_is_printed_without_its_certainty() -> None:
    made = {"": imagenet(0.3, 0.9, PAPER)}
    text = as_text(conclude(evidence("imagenet_cppn", made)))
    assert "88.11 % [quoted]" in text
    assert "sample: right on 87.50% of 200 test images" in text
    assert {certainty.split(",")[0] for certainty in Certainty} == {"verified", "quoted", "recalled"}
