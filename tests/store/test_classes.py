"""What a person types, or a folder is called, is the class that is meant, or an error."""

from __future__ import annotations

import re

import numpy as np
import pytest

from islands.errors import InputError
from islands.store.classes import find_class, find_folder, find_range, folder_name

NAMES = ("tench", "great white shark", "hammerhead", "crane", "crane", "Crayfish", "caf\u00e9")
SVHN = tuple("1234567890")
SORTED_AS_TEXT = tuple(sorted(map(str, range(1, 13))))
DIGITS = tuple("0123456789")
AGES = ("0-2", "3-4", "5-9", "10-19", "20+")


@pytest.mark.parametrize(
    ("names", "text", "index"),
    [
        (NAMES, "2", 2),
        (NAMES, "hammerhead", 2),
        (NAMES, "HAMMERHEAD", 2),
        (NAMES, "crayfish", 5),
        (NAMES, "cafe\u0301", 6),
        (NAMES, "index:4", 4),
        (NAMES, "name:tench", 0),
        (NAMES, np.int64(3), 3),
        (DIGITS, "3", 3),
        (SVHN, "name:1", 0),
        (SVHN, "index:1", 1),
        (SVHN, 1, 1),
        (SORTED_AS_TEXT, "12", 3),
        (SORTED_AS_TEXT, "0", 0),
        (AGES, "3-4", 1),
        (("index:1", "b"), "name:index:1", 0),
    ],
)
def test_found(names: tuple[str, ...], text: str | int, index: int) -> None:
    assert find_class(names, text) == index


@pytest.mark.parametrize(
    ("names", "text", "told"),
    [
        (NAMES, "7", "there is no class 7; the network has classes 0 to 6"),
        (NAMES, -1, "there is no class -1"),
        (NAMES, "index:tench", "there is no class tench"),
        (NAMES, "name:2", "no class is called '2'"),
        (NAMES, "crane", "2 classes are called 'crane': 3 (crane), 4 (crane); write index:3 or index:4"),
        (NAMES, "hamerhaed", "did you mean 2 (hammerhead)? write hammerhead"),
        (NAMES, "white", "did you mean 1 (great white shark)? write great white shark"),
        (NAMES, "ra", "did you mean 3 (crane), 4 (crane), 5 (Crayfish)? write index:3"),
        (NAMES, "zzz", "no class is called 'zzz'"),
        (NAMES, "", "a class is missing"),
        (SVHN, "1", "'1' is the name of class 0 (1) and the index of class 1 (2); write name:1 or index:1"),
        (SORTED_AS_TEXT, "2", "is the name of class 4 (2) and the index of class 2 (11)"),
        (NAMES, "9" * 5000, "no class is called"),
    ],
)
def test_refused(names: tuple[str, ...], text: str | int, told: str) -> None:
    with pytest.raises(InputError, match=re.escape(told)):
        find_class(names, text)


@pytest.mark.parametrize(
    ("names", "text", "classes"),
    [
        (NAMES, "0-2, 5,hammerhead", [0, 1, 2, 5, 2]),
        (DIGITS, "7-9,0", [7, 8, 9, 0]),
        (SVHN, "index:0-2,name:0", [0, 1, 2, 9]),
        (SVHN, "name:0-2", [9, 0, 1]),
        (SORTED_AS_TEXT, "name:9-12", [11, 1, 2, 3]),
        (("00", "01", "02"), "00-02", [0, 1, 2]),
        (AGES, "name:3-4,20+,5-9", [1, 4, 2]),
        (("crane, bird", "crane, machine"), "crane, machine", [1]),
    ],
)
def test_ranges(names: tuple[str, ...], text: str, classes: list[int]) -> None:
    assert find_range(names, text) == classes


@pytest.mark.parametrize(
    ("names", "text", "told"),
    [
        (SVHN, "1-3", "write name:1 or index:1"),
        (AGES, "3-4", "write name:3-4 or index:3-4"),
        (tuple("0193456782"), "1-4", "write name:2 or index:2"),
        (NAMES, "3-1", "'3-1' runs backwards"),
        (NAMES, "0-7", "there is no class 7"),
        (NAMES, "0,,1", "a class is missing"),
    ],
)
def test_ranges_refused(names: tuple[str, ...], text: str, told: str) -> None:
    with pytest.raises(InputError, match=re.escape(told)):
        find_range(names, text)


def test_folders_are_called_as_classes_or_as_exports_of_them() -> None:
    assert [find_folder(SVHN, str(digit)) for digit in range(10)] == [9, *range(9)]
    assert find_folder(SVHN, folder_name(0, "1")) == 0
    assert find_folder(DIGITS, folder_name(0, "1")) == 1
    assert find_folder(("a b", "a_b"), folder_name(1, "a_b")) == 1
    assert find_folder(("a/b", "c"), folder_name(0, "a/b")) == 0
    assert find_folder(NAMES, "0002_tench") == 0
    assert find_folder(NAMES, "2") is None
    with pytest.raises(InputError, match="2 classes are called"):
        find_folder(NAMES, "crane")
