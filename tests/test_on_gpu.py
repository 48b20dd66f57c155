"""What holds on a GPU, on the one that is here and on the CPU in its part: `pytest -m gpu`.

On the CPU it shows that these tests work. What only a GPU can show is skipped where there is none.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Generator
from typing import Any

import pytest
import torch

from islands.archipelago.host import build_host
from islands.archipelago.island import Asking, Brood, Island
from islands.archipelago.messages import Inbox, IslandKey
from islands.config import WorkConfig
from islands.encodings.canvas import Canvas
from islands.encodings.cppn import CppnEncoding
from islands.encodings.rendering import renderer_for
from islands.encodings.rendering_cpu import render_on_cpu
from islands.encodings.settings import CppnSettings
from islands.evolution.screening import Judgement
from islands.runs.diagnosis import diagnose_drawing
from islands.testing import evolved
from tests.accelerator import count_reads, pretend
from tests.archipelago.conftest import digest, in_process, small_config

pytestmark = [pytest.mark.gpu, pytest.mark.slow]

CASES: dict[str, dict[str, Any]] = {
    "cppn": {},
    "direct": {"encoding": {"name": "direct", "variant": "released-code"}},
    "dct": {"encoding": {"name": "dct", "frequencies": 8}},
    "ensemble": {"network": {"name": "ensemble:lenet-mnist+linear-mnist", "engine": "torch"}},
    "screen": {"network": {"screen": "bfloat16", "engine": "torch"}},
    "ten-crop": {"network": {"view": "ten-crop", "engine": "torch"}, "encoding": {"size": 32}},
    "resized": {"encoding": {"size": 32}},
}


@pytest.fixture(params=["cuda", "cpu"])
def device(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> torch.device:
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("there is no GPU")
    if request.param == "cpu":
        pretend(monkeypatch)
    return torch.device(request.param)


def on(device: torch.device, case: str) -> WorkConfig:
    sections = {"network": {"engine": "torch"}, **CASES[case]}
    return small_config(workers={"executor": "in-process", "device": device.type}, **sections)


@pytest.mark.parametrize("variant", ["paper", "released-code"])
@pytest.mark.parametrize(("channels", "size"), [(3, 224), (1, 28), (3, 17), (3, 1)])
def test_images_have_the_bytes_of_the_cpu_each_time(
    device: torch.device, variant: str, channels: int, size: int
) -> None:
    encoding = CppnEncoding(CppnSettings.model_validate({"variant": variant}), channels, size)
    canvas = Canvas.of(encoding.settings, size, size)
    rest = (channels, encoding.settings.weight_limit, canvas, encoding.settings.colour)
    for generations in (0, 30):
        genomes = evolved(encoding, 12, generations)
        expected = render_on_cpu(genomes, *rest)
        there = genomes.to(device)
        for _ in range(5):
            # The memory that the images get is full of something else.
            torch.full(expected.shape, 171, dtype=torch.uint8, device=device)
            assert torch.equal(renderer_for(device)(there, *rest).cpu(), expected)


def test_the_doctor_finds_nothing(device: torch.device) -> None:
    for channels in (1, 3):
        assert diagnose_drawing(CppnEncoding(CppnSettings(), channels, 64), device).verdict == "ok"


def without_waiting(device: torch.device, patch: pytest.MonkeyPatch, work: Callable[[], Any]) -> Any:
    """Do `work`, in which the host must not wait for the device."""
    found: list[Any] = []
    if device.type == "cpu":
        assert count_reads(patch, lambda: found.append(work())) == 0
        return found[0]
    torch.cuda.set_sync_debug_mode("error")
    try:
        return work()
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("case", CASES)
def test_the_host_waits_for_no_generation(
    device: torch.device, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = on(device, case)
    host, key = build_host(config), IslandKey(0, 0)
    host.load(key, None)
    for epoch in (0, 1):  # in which constants are brought there and kernels compiled
        host.step(key, epoch, Inbox())
    generation, score = Island._generation, Island._score
    seen = 0

    def watched(island: Island, *arguments: Any) -> Asking:
        nonlocal seen
        asking = generation(island, *arguments)
        brood = without_waiting(device, monkeypatch, lambda: next(asking))
        seen += 1
        scores = yield brood
        without_waiting(device, monkeypatch, lambda: ended(asking, scores))

    monkeypatch.setattr(Island, "_generation", watched)
    monkeypatch.setattr(
        Island,
        "_score",
        lambda island, brood: without_waiting(device, monkeypatch, lambda: score(island, brood)),
    )
    host.step(key, 2, Inbox())
    assert seen == config.evolve.generations_per_epoch


def ended(asking: Generator[Brood | Any, Judgement, None], scores: Judgement) -> None:
    with pytest.raises(StopIteration):
        asking.send(scores)


@pytest.mark.parametrize("case", CASES)
def test_an_archive_is_the_same_twice(device: torch.device, case: str) -> None:
    assert digest(in_process(on(device, case), 1).last) == digest(in_process(on(device, case), 1).last)


@pytest.mark.parametrize("case", ["cppn", "direct"])
def test_an_archive_is_the_same_in_another_process(device: torch.device, case: str) -> None:
    code = f"""
import pytest, torch
from tests.accelerator import pretend
from tests.test_on_gpu import digest, in_process, on
device = torch.device("{device}")
if device.type == "cpu":
    pretend(pytest.MonkeyPatch())
print(digest(in_process(on(device, "{case}"), 1).last))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=True
    )
    assert done.stdout.split()[-1] == digest(in_process(on(device, case), 1).last)
