"""Experiments for real, on tiny budgets: stopped anywhere they go on, and come to the same table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from islands.archipelago.progress import Progress
from islands.cli.main import execute
from islands.config import RunConfig
from islands.errors import ConfigError, InputError
from islands.experiments import configure
from islands.experiments.catalogue import PIPELINES
from islands.experiments.configure import resolve_run_config
from islands.experiments.findings.evidence import Evidence
from islands.experiments.findings.verdicts import Verdict
from islands.experiments.runner import STAGES, findings_of, run_experiment
from islands.experiments.stages import real_images
from islands.extensions.sections import Section
from islands.store.images import render_elite
from islands.store.reader import StoreReader

pytestmark = pytest.mark.slow

Capture = pytest.CaptureFixture[str]


def config(store: Path, pipeline: str, **settings: Any) -> RunConfig:
    return resolve_run_config(
        {
            "pipeline": pipeline,
            "store": str(store),
            "runs": 2,
            "evolve": {"generations": 10},
            "workers": {"executor": "in-process"},
            **settings,
        }
    )


@pytest.fixture(scope="module")
def targets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The experiment `single_target`, run without a break."""
    folder = tmp_path_factory.mktemp("whole") / "targets"
    assert run_experiment(config(folder, "single_target"))
    return folder


class Interruption(Exception):  # noqa: N818 - it stands for no error
    """Stands for whatever ends a process."""


def test_an_experiment_that_was_cut_off_comes_to_the_same_table(
    targets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = config(tmp_path / "targets", "single_target")
    reports: list[Progress] = []

    def in_the_second_run(progress: Progress) -> None:
        reports.append(progress)
        if (tmp_path / "targets/one_at_a_time").is_dir():
            raise Interruption

    with pytest.raises(Interruption):
        run_experiment(again, in_the_second_run)
    assert (tmp_path / "targets/all_at_once").is_dir()

    def between_stages(*_: object) -> None:
        raise Interruption

    with monkeypatch.context() as patch:
        patch.setitem(STAGES.built_in, "test", between_stages)
        with pytest.raises(Interruption):
            run_experiment(again)
    assert not (tmp_path / "targets/findings.json").exists()
    reports.clear()
    assert run_experiment(again, reports.append)
    assert not reports, "evolution was done already"
    for name in ("findings.json", "findings.txt"):
        assert (tmp_path / "targets" / name).read_bytes() == (targets / name).read_bytes()


def test_the_table_is_computed_again_from_the_folder_alone(
    targets: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(real_images, "load_classifier", None)
    (found,) = findings_of([targets]).values()
    rows = json.loads(json.dumps([each.as_json() for each in found]))
    assert rows == json.loads((targets / "findings.json").read_text())
    assert execute(["findings", str(targets), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"single_target": rows}
    assert execute(["findings", str(targets)]) == 0
    assert "[recalled, low certainty]" in capsys.readouterr().out


def test_single_targets_spend_as_much_and_mail_nothing(targets: Path) -> None:
    all_at_once, one = (StoreReader(targets / name) for name in ("all_at_once", "one_at_a_time"))
    for run_ in range(2):
        assert all_at_once.evaluations(run_) == one.evaluations(run_) == 200 + 200 * 10
        history = one.history(run_)
        assert (history["island"] == history["class"]).all()
        assert not history["claimed"].any()
        assert len(one.migrations(run_)["class"]) == 0
        # A child descends from earlier champions of its own class and of no other.
        champions: dict[int, set[int]] = {}
        for class_, id_, (parent, _) in zip(
            history["class"].tolist(), history["id"].tolist(), history["parents"].tolist(), strict=True
        ):
            assert parent == -1 or parent in champions[class_]
            champions.setdefault(class_, set()).add(id_)


def test_the_finding_is_that_of_the_stores(targets: Path) -> None:
    from scipy.special import logit

    first, second = findings_of([targets])["single_target"]
    curves = [
        np.median(logit([StoreReader(targets / name).curves(run_) for run_ in range(2)]), 2)
        for name in ("all_at_once", "one_at_a_time")
    ]
    ahead = curves[0] - curves[1]
    assert first.value == pytest.approx(np.median(ahead[:, -1] - ahead[:, 0].clip(0)), rel=1e-3)
    assert first.verdict is Verdict.TOO_FEW
    assert first.effect is not None
    assert first.effect.n == 2
    assert second.value is not None
    assert 0 < second.value < 1
    assert first.networks[0].n == 10_000
    assert first.networks[0].accuracy > 0.99


def test_other_settings_are_refused(targets: Path) -> None:
    with pytest.raises(ConfigError, match="seed: another value would change"):
        run_experiment(config(targets, "single_target", seed=1))
    with pytest.raises(InputError, match="expected the folder of an experiment"):
        findings_of([targets / "results"])
    with pytest.raises(InputError, match="got a second single_target"):
        findings_of([targets, targets])


def test_variants_may_have_other_encodings(tmp_path: Path) -> None:
    small = config(
        tmp_path / "encodings",
        "encodings",
        runs=1,
        network={"name": "lenet-mnist"},
        encoding={"size": 28},
        evolve={"initial": 56, "children": 20, "generations": 10},
    )
    assert run_experiment(small)
    stores = {name: StoreReader(tmp_path / "encodings" / name) for name in PIPELINES["encodings"].variants}
    assert {name: store.config.encoding.name for name, store in stores.items()} == {
        "direct": "direct",
        "cppn": "cppn",
        "cppn_no_sine": "cppn",
        "cppn_normalized": "cppn",
        "cppn_seeded": "cppn",
        "dct": "dct",
    }
    assert {store.evaluations(0) for store in stores.values()} == {56 + 20 * 10}
    functions = stores["cppn_no_sine"].elites(0).genomes["functions"]
    assert (functions != 1).all()
    assert render_elite(stores["dct"], 3, size=50).shape == (50, 50, 1)


def test_a_single_run_ends_with_its_findings(tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(f"pipeline: mnist_direct\nstore: {tmp_path}/run\nworkers: {{executor: in-process}}\n")
    short = ["--set", "evolve.generations=10", "--set", "evolve.children=20"]
    assert execute(["launch", str(file), *short]) == 0
    out = capsys.readouterr().out
    (verdicts,) = [line for line in out.splitlines() if line.startswith("verdicts")]
    assert " not comparable" in verdicts
    assert f"`islands findings {tmp_path}/run`" in verdicts
    assert execute(["findings", f"{tmp_path}/run"]) == 0
    out = capsys.readouterr().out
    assert "not comparable  the claim is about generation 50" in out
    assert "lenet-mnist: right on 99." in out


class Settings(Section):
    steps: int = 3


def test_parameters_have_the_schema_of_their_pipeline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    plain = PIPELINES["mnist_cppn"]
    with pytest.raises(ConfigError, match="parameters: the pipeline mnist_cppn takes none"):
        config(tmp_path, "mnist_cppn", parameters={"steps": 4})
    with_parameters = {**PIPELINES, plain.name: replace(plain, parameters=Settings)}
    monkeypatch.setattr(configure, "PIPELINES", with_parameters)
    assert configure.parameters_of(config(tmp_path, "mnist_cppn")) == Settings()
    found = config(tmp_path, "mnist_cppn", parameters={"steps": 4})
    assert configure.parameters_of(found) == Settings(steps=4)
    for parameters, message in (
        ({"step": 4}, "unknown key; did you mean 'steps'"),
        ({"steps": "x"}, 'parameters.steps: input should be a valid integer, got "x"'),
    ):
        with pytest.raises(ConfigError, match=message):
            config(tmp_path, "mnist_cppn", parameters=parameters)


class TestPaper:
    SHORT = (
        *("--only", "mnist_cppn", "--only", "mnist_direct", "--set", "runs=1"),
        *("--set", "evolve.generations=10", "--set", "evolve.children=20"),
    )

    def test_reports_claim_by_claim_and_goes_on(self, tmp_path: Path, capsys: Capture) -> None:
        command = ["paper", *self.SHORT, "--out", str(tmp_path), "--progress", "none"]
        assert execute(command) == 0
        text = capsys.readouterr().out
        assert text.startswith("# The paper's claims, and what came out here\n\n4 claims in 2 experiments")
        assert "| 99.99 % [quoted] |" in text
        assert (tmp_path / "small/report.md").read_text() == text
        report = json.loads((tmp_path / "small/report.json").read_text())
        verdicts = {each["verdict"] for chapter in report["experiments"] for each in chapter["findings"]}
        assert verdicts <= set(Verdict)
        before = StoreReader(tmp_path / "small/mnist_cppn").session.snapshot_id
        assert execute(command) == 0
        assert capsys.readouterr().out == text
        assert StoreReader(tmp_path / "small/mnist_cppn").session.snapshot_id == before

    def test_one_failure_keeps_no_other_from_running(self, tmp_path: Path, capsys: Capture) -> None:
        (tmp_path / "small").mkdir()
        (tmp_path / "small/mnist_cppn").mkdir()
        (tmp_path / "small/mnist_cppn/mine").touch()
        assert execute(["paper", *self.SHORT, "--out", str(tmp_path), "--progress", "none"]) == 1
        text = capsys.readouterr().out
        assert "Not run: mnist_cppn." in text
        assert "stopped at generation 10" in text

    def test_unknown_experiment(self, tmp_path: Path, capsys: Capture) -> None:
        assert execute(["paper", "--only", "mnist", "--out", str(tmp_path)]) == 2
        assert "--only mnist: expected one of " in capsys.readouterr().err
        assert not list(tmp_path.iterdir())


def test_every_small_budget_is_a_valid_experiment(tmp_path: Path) -> None:
    from islands.experiments.paper import configure, experiments

    for name in experiments("small"):
        found = configure(name, "small", tmp_path)
        assert found.workers.executor == "in-process"
        assert set(PIPELINES[name].stages) <= set(STAGES.built_in)
        assert Evidence(tmp_path, found).config == found
    assert set(experiments("small")) < set(experiments("full"))
