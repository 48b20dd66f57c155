"""What somebody's code consists of: found without running it, and told apart by its text alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from islands.errors import ConfigError
from islands.extensions.sources import of_reference


def files(folder: Path, **texts: str) -> Path:
    for name, text in texts.items():
        file = folder / f"{name.replace('__', '/')}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder


def names(reference: str) -> set[str]:
    return set(of_reference(reference, ConfigError).files)


def test_of_a_file_are_what_it_imports_from_its_folder_directly_or_not(tmp_path: Path) -> None:
    files(
        tmp_path,
        mine="import json, one\nfrom pack import two\n",
        one="def f():\n    import three\n",
        three="raise SystemExit('this is never run')",
        other="",
        pack__init="",
        pack__two="from . import four\nfrom .five import x as y\nfrom ..mine import z\n",
        pack__four="",
        pack__five="import mine",
    )
    (tmp_path / "pack/init.py").rename(tmp_path / "pack/__init__.py")
    found = names(f"file:{tmp_path}/mine.py:thing")
    inside = {"pack/__init__.py", "pack/two.py", "pack/four.py", "pack/five.py"}
    assert found == {"mine.py", "one.py", "three.py", *inside}


def test_of_a_module_they_are_found_from_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files(tmp_path, pack__mine="from pack import helper", pack__helper="", apart="")
    monkeypatch.chdir(tmp_path)
    assert names("pack.mine:thing") == {"pack/mine.py", "pack/helper.py"}
    assert names("apart:thing") == {"apart.py"}


def test_of_an_installed_package_they_are_all_of_it() -> None:
    found = of_reference("hypothesis.strategies:integers", ConfigError)
    assert found.is_installed
    assert {"hypothesis/__init__.py", "hypothesis/strategies/__init__.py"} <= set(found.files)


def test_fingerprints_follow_the_text_and_not_the_place(tmp_path: Path) -> None:
    one = files(tmp_path / "one", mine="import helper", helper="RATE = 1\n")
    two = files(tmp_path / "two", mine="import helper", helper="RATE = 1\n", unrelated="RATE = 5\n")
    first, second = (of_reference(f"file:{each}/mine.py:x", ConfigError).fingerprint for each in (one, two))
    assert first == second
    (two / "helper.py").write_bytes(b"RATE = 1\r\n")
    assert of_reference(f"file:{two}/mine.py:x", ConfigError).fingerprint == first
    (two / "helper.py").write_text("RATE = 2\n")
    assert of_reference(f"file:{two}/mine.py:x", ConfigError).fingerprint != first


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("file:nowhere.py:x", "there is no such Python file"),
        ("nowhere.at.all:x", "there is no module 'nowhere'"),
        ("hollow.inner:x", "there is no such module"),
    ],
)
def test_what_is_not_there_is_told(
    reference: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files(tmp_path, hollow__other="")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=said):
        of_reference(reference, ConfigError)


def test_files_that_cannot_be_parsed_have_a_fingerprint(tmp_path: Path) -> None:
    found = set()
    for text in (b"x = '\xff'\n(", b"x = '\xfe'\n("):
        (tmp_path / "mine.py").write_bytes(text)
        found.add(of_reference(f"file:{tmp_path}/mine.py:x", ConfigError).fingerprint)
    assert len(found) == 2
