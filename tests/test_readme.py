"""The README is short, its commands and pictures are real, and it has what CI looks for."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from PIL import Image

from islands.classifiers.registry import load_classifier
from islands.cli.main import execute
from islands.config.resolve import resolve_work_config
from islands.evolution.checkpoint import Checkpoint
from islands.experiments.catalogue import PIPELINES
from islands.store.images import stored_encoding
from islands.store.reader import StoreReader
from tests.docs.pages import PAGES, overrides, words_of
from tests.docs.test_blocks import parse
from tests.store.samples import make_checkpoint, make_store

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_it_is_short() -> None:
    assert len(README.encode()) <= 6 * 1024


def test_ci_finds_its_test_command() -> None:
    assert re.search(r"^<!-- ci:test -->\n```\n(pip install .*pytest)\n```$", README, re.MULTILINE)


def test_it_cites_the_paper_as_the_file_for_citations_does() -> None:
    (paper,) = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))["references"]
    assert paper["url"] in README
    assert str(paper["year"]) in README


_INLINE = re.compile(r"`(islands [a-z][^`\n]*)`")


def inline() -> list[list[str]]:
    """Return the words of each command that stands in a sentence or a table of any page, whole ones alone."""
    found = [
        re.sub(r"(?<=\w)(\\?\|\w+)+", "", line)
        for page in PAGES
        for line in _INLINE.findall(page.read_text(encoding="utf-8"))
    ]
    words = [each for line in dict.fromkeys(found) for each in words_of(line)]
    return [each for each in words if len(each) > 1 and each[0].islower()]


@pytest.mark.parametrize("words", inline(), ids=" ".join)
def test_commands_in_sentences_are_commands(words: list[str]) -> None:
    parse(words)
    if words[0] == "bench" and not words[1].endswith(".yaml"):
        resolve_work_config(PIPELINES, "mnist_cppn", overrides(words))


@pytest.mark.parametrize("file", sorted((ROOT / "docs").glob("lite*.py")), ids=lambda file: file.name)
def test_the_networks_of_the_documentation_load(file: Path) -> None:
    assert load_classifier(f"file:{file}:build", device=torch.device("cpu")).classes


PICTURES = re.findall(r"!\[[^\]]*\]\((\.readme/[^)]+)\)\n\n\*[^*]*?`islands (show [^`]*)`", README)


@pytest.mark.parametrize(("picture", "command"), PICTURES)
def test_its_pictures_are_those_of_its_commands(
    picture: str, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same command draws as many pictures, in as many columns, of a run with as many classes."""
    monkeypatch.chdir(tmp_path)
    words = shlex.split(command)
    with make_store(tmp_path / words[1], k=1000) as writer:
        coder = stored_encoding(StoreReader(words[1]))
        genomes = coder.to_arrays(coder.random(1000, torch.Generator().manual_seed(0)))
        runs = make_checkpoint(0, 0, k=1000).runs
        drawn = [replace(run, elites=replace(run.elites, genomes=genomes)) for run in runs]
        writer.commit(Checkpoint(0, tuple(drawn)), complete=True)
    assert execute([*words, "--out", "x.png"]) == 0
    with Image.open("x.png") as expected, Image.open(ROOT / picture) as shown:
        assert shown.size == expected.size


def test_there_are_pictures_of_commands() -> None:
    assert PICTURES
