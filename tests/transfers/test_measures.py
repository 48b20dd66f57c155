"""The numbers of the transfer report, against counting by hand."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from islands.transfers.measures import (
    CONFIDENCES,
    CURVE,
    SCHEMA_VERSION,
    ScoredImages,
    Transfer,
    by_class,
    detection,
    entries_of,
    rate,
)
from islands.transfers.tables import as_text, draw

Images = list[tuple[int, float, int, float]]
IMAGES = st.lists(
    st.tuples(st.integers(0, 4), st.floats(0, 1, width=32), st.integers(1, 5), st.floats(0, 1, width=32)),
    max_size=30,
)


def sample(images: Images) -> ScoredImages:
    """Columns: class, probability on the target, rank there, probability on the source."""
    classes, probability, rank, source = (np.array([image[i] for image in images]) for i in range(4))
    return ScoredImages(
        classes.astype(np.int64),
        probability.astype(np.float32),
        rank.astype(np.int32),
        probability.astype(np.float32),
        source.astype(np.float32),
    )


@given(IMAGES, st.sampled_from([0.0, 0.5, 0.99, 1.0]))
def test_every_rate_is_a_count(images: Images, threshold: float) -> None:
    found = entries_of("a", "b", sample(images), own=False, threshold=threshold, real=None)
    for entry, kept in zip(
        found,
        (images, [image for image in images if image[3] >= np.float32(threshold)]),
        strict=True,
    ):
        assert (entry.n, entry.top1.n) == (len(kept), len(kept))
        assert entry.top1.k == sum(rank == 1 for _, _, rank, _ in kept)
        assert entry.top5.k == len(kept)
        for least in CONFIDENCES:
            assert entry.at[f"{least:g}"].k == sum(p >= np.float32(least) for _, p, _, _ in kept)
        assert entry.curve == sorted(entry.curve, reverse=True)
        if kept:
            assert entry.mean == pytest.approx(np.mean([p for _, p, _, _ in kept]), abs=1e-6)
            assert entry.area == pytest.approx(entry.mean, abs=CURVE[1])


@given(st.integers(0, 60), st.integers(1, 60))
def test_intervals_are_those_of_wilsons_formula(k: int, n: int) -> None:
    k = min(k, n)
    z, share = 1.959963984540054, k / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    found = rate(np.arange(n) < k)
    assert (found.k, found.n, found.value) == (k, n, share)
    assert found.low == pytest.approx(max(0.0, centre - half), abs=1e-9)
    assert found.high == pytest.approx(min(1.0, centre + half), abs=1e-9)


def test_detection_of_what_is_never_and_what_is_always_above() -> None:
    low, high = np.linspace(0.1, 0.4, 20), np.linspace(0.6, 0.9, 20)
    apart, turned = detection(low, high), detection(high, low)
    assert apart is not None
    assert turned is not None
    assert (apart.auroc, apart.aupr_in, apart.aupr_out, apart.fpr95) == (1, 1, 1, 0)
    assert (turned.auroc, turned.fpr95) == (0, 1)
    assert detection(low, low[:0]) is None


def test_classes_that_never_transfer_are_listed() -> None:
    found = by_class("a", "b", sample([(0, 0.1, 2, 1), (0, 0.9, 1, 1), (2, 0.1, 3, 1)]), 4)
    assert (found.n, found.top1, found.never) == ([2, 0, 1, 0], [1, 0, 0, 0], [2])
    assert found.dogs_and_cats is None


def test_dogs_and_cats_are_counted_apart() -> None:
    found = by_class("a", "b", sample([(157, 0.1, 1, 1), (286, 0.9, 2, 1), (287, 0.1, 1, 1)]), 1000)
    assert found.dogs_and_cats is not None
    assert found.others is not None
    assert (found.dogs_and_cats.k, found.dogs_and_cats.n) == (1, 2)
    assert (found.others.k, found.others.n) == (1, 1)


@pytest.fixture
def report() -> Transfer:
    images: Images = [(0, 0.2, 2, 0.9), (1, 0.95, 1, 1.0)]
    control = sample(images)
    control = ScoredImages(control.classes, control.probability, control.rank, control.top1_probability)
    real = np.array([0.9, 0.99], np.float32)
    entries = [
        *entries_of("a", "a", sample(images), own=True, threshold=0.99, real=real),
        *entries_of("a", "b", sample(images), own=False, threshold=0.99, real=None),
        *entries_of("noise", "b", control, own=False, threshold=0.99, real=None),
        *entries_of("b", "b", sample([]), own=True, threshold=0.99, real=real),
    ]
    return Transfer(
        threshold=0.99,
        chance=0.1,
        sources=({"name": "a"}, {"name": "b"}),
        targets=({"name": "a"}, {"name": "b"}),
        entries=tuple(entries),
        by_class=(by_class("a", "b", sample(images), 10),),
        remarks=("something is missing",),
    )


def test_text_marks_the_diagonal_and_what_was_not_scored(report: Transfer) -> None:
    text = as_text(report)
    assert "1/2 50.00 % [9.45 %, 90.55 %]*" in text
    assert "not scored" in text
    assert "no images*" in text
    assert "#7570" in text
    assert text.endswith("something is missing")


def test_json_is_plain_and_versioned(report: Transfer) -> None:
    read = json.loads(json.dumps(report.as_json(), allow_nan=False))
    assert read["schema_version"] == SCHEMA_VERSION == 1
    assert read["entries"][0]["top1"]["k"] == 1
    assert len(read["entries"][0]["curve"]) == len(read["curve_thresholds"]) == 101


def test_long_form_has_one_number_a_row(report: Transfer) -> None:
    rows = report.rows()
    assert {tuple(row) for row in rows} == {tuple(rows[0])}
    keys = [(row["source"], row["target"], row["denominator"], row["metric"]) for row in rows]
    assert len(set(keys)) == len(keys)
    csv.DictWriter(io.StringIO(), list(rows[0])).writerows(rows)


def test_figure_is_drawn(report: Transfer, tmp_path: Path) -> None:
    draw(report, tmp_path / "x.png")
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")
