"""Stores of real networks that draw, and their report in a browser."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from playwright.sync_api import Browser, Page

from islands.encodings.contract import Encoding
from islands.encodings.settings import CppnSettings
from islands.evolution.checkpoint import Checkpoint
from islands.reports.page import write_report
from islands.store.images import stored_encoding
from islands.store.reader import StoreReader
from islands.store.writer import StoreWriter
from tests.store.samples import make_checkpoint, make_config, make_names

K, SIZE = 10, 20


def evolved_genomes(coder: Encoding, run: int) -> Any:
    """Networks that thirty mutations have made large."""
    generator = torch.Generator().manual_seed(run)
    genomes = coder.random(K, generator)
    for generation in range(1, 31):
        genomes = coder.vary(genomes, genomes, generation, generator).genomes
    return coder.to_arrays(genomes)


def filled(writer: StoreWriter, path: Path) -> StoreReader:
    """A store with one commit of real genomes, whose ancestors are not kept."""
    with writer:
        coder = stored_encoding(StoreReader(path))
        runs = []
        for number, run in enumerate(make_checkpoint(3, 0, k=K).runs):
            genomes = evolved_genomes(coder, number)
            letters = {name: array[: len(run.mail.elites)] for name, array in genomes.items()}
            mail = replace(run.mail, elites=replace(run.mail.elites, genomes=letters))
            runs.append(replace(run, elites=replace(run.elites, genomes=genomes), mail=mail, ancestors=None))
        writer.commit(Checkpoint(0, tuple(runs)), complete=True)
    return StoreReader(path)


def network_store(path: Path, channels: int, **settings: Any) -> StoreReader:
    config = make_config(path).model_copy(update={"encoding": CppnSettings(**settings)})
    names = make_names(K)
    writer = StoreWriter.create(path, config, names, "f" * 64, channels=channels, size=SIZE)
    return filled(writer, path)


@contextmanager
def opened(browser: Browser, reader: StoreReader, folder: Path) -> Iterator[Page]:
    """Its report; in the end nothing has gone wrong."""
    file = folder / "report.html"
    write_report(reader, file)
    page = browser.new_page(viewport={"width": 700, "height": 600})
    page.set_default_timeout(20_000)
    troubles: list[str] = []
    page.on("console", lambda message: troubles.append(message.text))
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.goto(file.as_uri())
    yield page
    assert troubles == []
    page.close()


def assert_same_colours(got: npt.NDArray[np.uint8], expected: npt.NDArray[np.uint8]) -> None:
    """All but a few bytes, where the last bit of a sine decides."""
    assert (got != expected).mean() < 0.001
    assert np.unique(got).size > 3
