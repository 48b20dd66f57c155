"""Searches compared at equal images: real archives, side by side."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from islands.cli.main import execute
from islands.errors import ConfigError
from islands.experiments.arms import arm_configs, read_arms
from islands.store.reader import StoreReader

Capture = pytest.CaptureFixture[str]

ARMS = """
paper: {evolve: {preset: paper, tie_break: margin}}
swift: {evolve: {preset: swift}}
"""


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    run, arms = tmp_path / "run.yaml", tmp_path / "arms.yaml"
    run.write_text(
        f"pipeline: mnist_cppn\nstore: {tmp_path}/compared\nseed: 4\n"
        "evolve: {initial: 40, children: 20, generations_per_epoch: 4}\n"
        "workers: {executor: in-process}\n"
    )
    arms.write_text(ARMS)
    return str(run), str(arms)


def test_arms_lie_over_the_file_and_have_equal_images(files: tuple[str, str]) -> None:
    configs = arm_configs(files[0], read_arms(Path(files[1])), 2, 999, ("runs=3",))
    assert list(configs) == ["paper", "swift"]
    assert [config.evolve.parents.name for config, _ in configs.values()] == ["uniform", "fresh"]
    for name, own in configs.items():
        assert [config.seed for config in own] == [4, 5]
        assert [Path(config.store).parts[-2:] for config in own] == [(name, "seed-0"), (name, "seed-1")]
        # 40 images and 11 epochs of 80 are 920; a twelfth would be 1000.
        assert {config.evolve.generations for config in own} == {44}
        assert {config.runs for config in own} == {1}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected arms by name"),
        ("[1]", "expected arms by name"),
        ("a b: {}", "got the arm 'a b'; expected letters"),
        ("a: 1", "a: expected a mapping of settings"),
        ("a: {evolve: {preset: swft}}", "arm a: .*did you mean 'swift'"),
        ("a: {evolve: {children: 4000}}", "arm a: got 500 images; expected at least 16040"),
        ("a: {pipeline: lenet_pair}", "lenet_pair is several runs"),
    ],
)
def test_what_cannot_be_compared_is_refused(files: tuple[str, str], text: str, message: str) -> None:
    Path(files[1]).write_text(text)
    with pytest.raises(ConfigError, match=message):
        arm_configs(files[0], read_arms(Path(files[1])), 1, 500)


@pytest.mark.slow
def test_the_command_compares_and_goes_on(files: tuple[str, str], tmp_path: Path, capsys: Capture) -> None:
    command = ["compare", files[0], "--arms", files[1], "--images", "600", "--progress", "none", "--json"]
    assert execute([*command, "--seeds", "1"]) == 0
    assert json.loads(capsys.readouterr().out)["contrasts"][0]["p"] is None
    first = StoreReader(tmp_path / "compared" / "swift" / "seed-0").session.snapshot_id
    assert execute([*command, "--seeds", "3"]) == 0
    found = json.loads(capsys.readouterr().out)
    # What was there has not been done again.
    assert StoreReader(tmp_path / "compared" / "swift" / "seed-0").session.snapshot_id == first
    paper, swift = found["arms"]
    assert (paper["name"], swift["name"], paper["seeds"]) == ("paper", "swift", 3)
    assert swift["area"]["mean"] > paper["area"]["mean"]
    assert found["contrasts"][0]["corrected"] is not None
    page = (tmp_path / "compared" / "comparison.html").read_text(encoding="utf-8")
    assert "<svg" in page
    assert "islands compare" in page
    # Another meaning in the same folder is refused.
    Path(files[1]).write_text(ARMS.replace("tie_break: margin", "tie_break: first"))
    assert execute([*command, "--seeds", "3"]) == 2
    assert "evolve.tie_break" in capsys.readouterr().err
