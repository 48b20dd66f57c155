"""What `islands.open` gives."""

from __future__ import annotations

import io
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import islands
from islands.datasets.evolved import EvolvedImages
from islands.errors import InputError
from islands.store.images import render_elite
from islands.store.reader import StoreReader
from tests.reports.conftest import NAMES


def test_elites_are_a_frame_with_pictures(evolved: Path) -> None:
    results = islands.open(evolved)
    frame = results.elites
    assert len(frame) == 20
    assert frame["name"].tolist() == NAMES * 2
    row = frame[(frame["run"] == 1) & (frame["class"] == 4)].iloc[0]
    reader = StoreReader(evolved)
    assert row["confidence"] == reader.elites(1).confidence[4]
    with Image.open(io.BytesIO(row["elite"]._repr_png_())) as image:
        np.testing.assert_array_equal(np.asarray(image), render_elite(reader, 4, 1)[:, :, 0])
    assert "lion" in repr(results.elite("lion"))


def test_tables_and_arrays_agree(scored: Path) -> None:
    results = islands.open(scored)
    assert results.confidence.shape == (2, 10)
    dataset = results.xarray()
    np.testing.assert_array_equal(dataset["confidence"], results.confidence)
    assert dataset["curve"].dims == ("run", "epoch", "class")
    last = results.curves[results.curves["epoch"] == results.epoch]
    assert last["confidence"].tolist() == dataset["curve"].isel(epoch=-1).to_numpy().ravel().tolist()
    ends = results.statistics[results.statistics["epoch"] == results.epoch]
    assert ends["evaluations"].tolist() == [results.reader.evaluations(run) for run in range(2)]
    np.testing.assert_allclose(ends["qd_score"], last.groupby("run")["confidence"].sum(), rtol=1e-5)
    assert (ends["coverage"] == 1).all()
    assert len(results.scores) == 40
    assert set(results.history) > {"claimed", "confidence"}
    assert len(results.migrations) > 0
    answer = results.query("select network, count(*) as n from scores group by network order by network")
    assert answer["n"].tolist() == [20, 20]


def test_a_picture_of_a_class_by_its_name(evolved: Path) -> None:
    results = islands.open(evolved)
    np.testing.assert_array_equal(results.image("lion", 1), render_elite(results.reader, 9, 1))
    assert results.image(9, size=40).shape == (40, 40, 1)
    with pytest.raises(InputError, match="lion"):
        results.image("loin")


def test_earlier_checkpoints_can_be_looked_at(evolved: Path) -> None:
    results = islands.open(evolved)
    epochs = results.checkpoints["epoch"].tolist()
    before = results.at(epochs[0])
    assert before.epoch == epochs[0] < (results.epoch or 0)
    assert (before.confidence <= results.confidence).all()
    with pytest.raises(InputError, match="no checkpoint"):
        results.at(999)
    with pytest.raises(InputError, match="no table"):
        results.table("champions")


def test_a_lineage_ends_with_the_elite(evolved: Path) -> None:
    elite = islands.open(evolved).elite(3)
    assert elite.lineage()[-1].id == StoreReader(evolved).elites(0).ids[3]


def test_a_data_set_for_pytorch(evolved: Path) -> None:
    everything = EvolvedImages(evolved)
    image, class_ = everything[13]
    assert (len(everything), class_, everything.rows[13]) == (20, 3, (1, 3))
    expected = render_elite(StoreReader(evolved), 3, 1)
    np.testing.assert_array_equal(image.numpy(), expected.transpose(2, 0, 1))
    sure = EvolvedImages(evolved, lambda image: image.float() / 255, least=0.9)
    assert min(sure.confidence) >= 0.9
    assert 0 < len(sure) < 20
    assert sure[0][0].max() <= 1
    there = pickle.loads(pickle.dumps(everything))  # what a loader's workers get
    np.testing.assert_array_equal(there[13][0], image)
