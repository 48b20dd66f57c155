"""What the package brings passes the suites of Islands."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from islands_gratings.settings import Contrast, First, Gratings, Pairs, Rarest, Swap, Tally, Weakest

import islands
from islands.classifiers.registry import load_classifier
from islands.testing import (
    ClassifierTests,
    EmitterTests,
    EncodingTests,
    LoggerTests,
    MeasureTests,
    ParentsTests,
    ReplacementTests,
    SelectionTests,
    TopologyTests,
)


def gratings() -> islands.Encoding:
    return Gratings(name="gratings", waves=3).build(channels=3, size=24)


class TestGratings(EncodingTests):
    @pytest.fixture
    def encoding(self) -> islands.Encoding:
        return gratings()


class TestBlobs(ClassifierTests):
    @pytest.fixture
    def classifier(self) -> islands.Classifier:
        return load_classifier("blobs", device=torch.device("cpu"))


class TestSwap(EmitterTests):
    @pytest.fixture
    def settings(self) -> islands.EmitterSettings:
        return Swap(name="swap")

    @pytest.fixture
    def encoding(self) -> islands.Encoding:
        return gratings()

    @pytest.fixture
    def classifier(self) -> islands.Classifier:
        return load_classifier("blobs", device=torch.device("cpu"))


class TestRarest(ParentsTests):
    def settings(self) -> islands.ParentsSettings:
        return Rarest(name="rarest")


class TestPairs(TopologyTests):
    def settings(self) -> islands.TopologySettings:
        return Pairs(name="pairs")


class TestWeakest(SelectionTests):
    def settings(self) -> islands.SelectionSettings:
        return Weakest(name="weakest")


class TestFirst(ReplacementTests):
    def settings(self) -> islands.ReplacementSettings:
        return First(name="first")


class TestContrast(MeasureTests):
    def settings(self) -> islands.MeasureSettings:
        return Contrast(name="contrast")


class TestTally(LoggerTests):
    @pytest.fixture
    def settings(self, tmp_path: Path) -> islands.LoggerSettings:
        return Tally(name="tally", file=str(tmp_path / "tally.jsonl"))
