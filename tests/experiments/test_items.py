"""Items of stages are there as a whole or not at all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from islands.errors import StoreDamagedError, StoreError
from islands.experiments.items import Items

WRITER = """
import sys
from pathlib import Path
from islands.experiments.items import Items
results = Items(sys.argv[1], "stage")
print("ready", flush=True)
while True:
    for number in range(100):
        results.keep(f"item {number}", {"values": [number] * 5000})
"""


def test_what_cannot_be_written_is_told_in_one_line(tmp_path: Path) -> None:
    results = Items(tmp_path, "stage")
    results.keep("lion", {"value": 1})
    (results.folder / "tiger.npz").mkdir()
    with pytest.raises(StoreError, match=r"cannot be written.*run the same command again") as told:
        results.keep("tiger", {"value": 2}, {"pixels": np.zeros(3)})
    assert "\n" not in str(told.value)
    assert results.all().keys() == {"lion"}


def test_an_item_is_made_once(tmp_path: Path) -> None:
    results, made = Items(tmp_path, "stage"), []

    def make() -> dict[str, float]:
        made.append(True)
        return {"value": 0.5}

    assert results.once("lion: 291/a", make) == results.once("lion: 291/a", make)
    assert Items(tmp_path, "stage").all() == {"lion: 291/a": {"value": 0.5, "item": "lion: 291/a"}}
    assert len(made) == 1
    assert results.get("tiger") is None
    assert Items(tmp_path, "other").all() == {}


def test_nothing_is_kept_of_what_fails(tmp_path: Path) -> None:
    results = Items(tmp_path, "stage")
    with pytest.raises(ZeroDivisionError):
        results.once("item", lambda: {"value": 1 / 0})
    with pytest.raises(ValueError, match="not JSON compliant"):
        results.keep("item", {"value": float("nan")})
    assert results.all() == {}


def test_arrays_come_back(tmp_path: Path) -> None:
    results = Items(tmp_path, "stage")
    images = np.arange(12, dtype=np.uint8).reshape(1, 3, 2, 2)
    results.keep("images", {"n": 1}, {"images": images})
    assert results.all() == {"images": {"n": 1, "item": "images"}}
    assert (results.arrays("images")["images"] == images).all()


def test_an_item_that_was_saved_by_another_editor(tmp_path: Path) -> None:
    results = Items(tmp_path, "stage")
    results.keep("a", {"value": 1})
    (file,) = results.folder.glob("*.json")
    file.write_text(file.read_text(encoding="utf-8"), encoding="utf-8-sig", newline="\r\n")
    assert results.get("a") == results.all()["a"] == {"value": 1, "item": "a"}


def test_a_damaged_item_is_named(tmp_path: Path) -> None:
    results = Items(tmp_path, "stage")
    results.keep("item", {"n": 1})
    (results.folder / "item.json").write_text('{"n": ')
    with pytest.raises(StoreDamagedError, match=r"item\.json is damaged .* remove it and run again"):
        results.get("item")


def test_kill_9_leaves_whole_items(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"ready\n"
        while len(Items(tmp_path, "stage").all()) < 20:
            pass
        os.kill(writer.pid, signal.SIGKILL)
    items = Items(tmp_path, "stage").all()
    assert items
    for name, item in items.items():
        assert item["values"] == [int(name.split()[1])] * 5000
