"""Bit-exact equality of what the store gives back."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np

from islands.evolution.checkpoint import Checkpoint, RunCheckpoint


def assert_same(got: Any, expected: Any) -> None:
    """Compare dataclasses, dicts and arrays to the last bit: dtypes, shapes, bytes."""
    if isinstance(expected, np.ndarray):
        assert (got.dtype, got.shape) == (expected.dtype, expected.shape)
        assert got.tobytes() == expected.tobytes()
    elif isinstance(expected, dict):
        assert got.keys() == expected.keys()
        for key in expected:
            assert_same(got[key], expected[key])
    elif isinstance(expected, tuple):
        assert len(got) == len(expected)
        for mine, theirs in zip(got, expected, strict=True):
            assert_same(mine, theirs)
    elif hasattr(expected, "__dataclass_fields__"):
        for field in fields(expected):
            assert_same(getattr(got, field.name), getattr(expected, field.name))
    else:
        assert got == expected


def assert_resumes(got: Checkpoint | None, expected: Checkpoint) -> None:
    """Check that `load` gave what a resume after `expected` needs."""
    assert got is not None
    assert got.epoch == expected.epoch
    for mine, theirs in zip(got.runs, expected.runs, strict=True):
        _assert_run(mine, theirs)
    assert_same(got.scores, expected.scores)


def _assert_run(got: RunCheckpoint, expected: RunCheckpoint) -> None:
    for name in ("elites", "mail", "evaluations", "ancestors"):
        assert_same(getattr(got, name), getattr(expected, name))
    assert not got.changed.any()
    assert got.changed.shape == expected.changed.shape
    for name in ("history", "migrations"):
        columns = getattr(got, name)
        assert {key: (column.dtype, column.shape[1:]) for key, column in columns.items()} == {
            key: (column.dtype, column.shape[1:]) for key, column in getattr(expected, name).items()
        }
        assert not any(map(len, columns.values()))
    assert got.curves.shape == (0, expected.curves.shape[1])
