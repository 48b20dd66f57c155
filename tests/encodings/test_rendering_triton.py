"""The GPU's kernel, without a GPU: its logic in Triton's interpreter, and that it compiles."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from islands.encodings.cppn import CppnEncoding
from islands.encodings.programs import paths_between, programs_of
from islands.encodings.settings import CppnSettings
from islands.testing import evolved
from tests.accelerator import count_reads
from tests.conftest import examples
from tests.encodings.naive import INPUTS, connections
from tests.encodings.triton_checks import CASES

needs_triton = pytest.mark.skipif(find_spec("triton") is None, reason="triton has no package for this system")


def in_a_process(what: str, cache: Path) -> Any:
    """Run a check; the kernels that it compiles go to `cache`."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.encodings.triton_checks", what],
        env={**os.environ, "TRITON_CACHE_DIR": str(cache)},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
@needs_triton
def test_the_kernel_draws_the_bytes_of_the_cpu(tmp_path: Path) -> None:
    found = in_a_process("draw", tmp_path)
    assert [each["different"] for each in found] == [0] * len(CASES)
    assert max(each["levels"] for each in found) > 20


@pytest.mark.slow
@needs_triton
def test_the_kernel_compiles_for_gpus_to_operations_that_round_as_the_cpu(tmp_path: Path) -> None:
    for each in in_a_process("compile", tmp_path):
        assert each["bytes"] > 0
        assert (each["fused"], each["approximate"]) == (0, 0)
        assert (each["stack"], each["spilled"]) == (0, 0)
        assert 0 < each["registers"] <= 64  # of 65,536: 8 instances of 4 warps a multiprocessor


@settings(max_examples=examples(20))
@given(seed=st.integers(0, 2**32), channels=st.sampled_from([1, 3]), generations=st.integers(0, 40))
def test_a_program_evaluates_what_outputs_need_sources_first(
    seed: int, channels: int, generations: int
) -> None:
    genomes = evolved(CppnEncoding(CppnSettings(), channels, 8), 3, generations, seed)
    programs = programs_of(genomes, channels, 10)
    for row in range(3):
        edges = list(connections(genomes, row))
        order = programs.nodes[row, : programs.steps[row]].tolist()
        outputs = set(range(INPUTS, INPUTS + channels))
        assert set(order) == {
            node
            for node in range(INPUTS, genomes["functions"].shape[1])
            if node in outputs or any(node in ancestors(edges, output) for output in outputs)
        }
        done = set(range(INPUTS))
        for step, node in enumerate(order):
            first, last = programs.starts[row, step : step + 2].tolist()
            sources = programs.sources[row, first:last].tolist()
            assert sources == [source for source, target, _ in edges if target == node]
            assert set(sources) <= done
            done.add(node)


@settings(max_examples=examples(20))
@given(seed=st.integers(0, 2**32), generations=st.integers(0, 40))
def test_paths_lead_from_ancestors(seed: int, generations: int) -> None:
    genomes = evolved(CppnEncoding(CppnSettings(), 1, 8), 2, generations, seed)
    width = genomes["functions"].shape[1]
    paths = paths_between(genomes["sources"].long(), genomes["targets"].long(), width)
    for row in range(2):
        edges = list(connections(genomes, row))
        for node in range(width):
            assert set(paths[row, node].nonzero()[:, 0].tolist()) == {node} | ancestors(edges, node)


def test_a_program_is_made_without_reading_a_value(monkeypatch: pytest.MonkeyPatch) -> None:
    genomes = evolved(CppnEncoding(CppnSettings(), 3, 8), 4, 10)
    assert count_reads(monkeypatch, lambda: programs_of(genomes, 3, 10)) == 0


def ancestors(edges: list[tuple[int, int, float]], node: int) -> set[int]:
    """Return the nodes with a path to `node`."""
    found: set[int] = set()
    reached = {node}
    while reached:
        reached = {source for source, target, _ in edges if target in reached} - found
        found |= reached
    return found
