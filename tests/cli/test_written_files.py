"""What files are called that nobody named, and that none is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

import islands
from islands.cli.main import execute
from islands.cli.written_files import class_words
from islands.store.reader import StoreReader
from tests.store.samples import make_checkpoint, make_store

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("written") / "digits"
    islands.evolve("linear-mnist", runs=2, generations=20, evolve={"initial": 20, "children": 20}, store=path)
    return path


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["show", "--class", "3"], "digits-3.png"),
        (["show", "--class", "3", "--size", "64", "--run", "1"], "digits-run-1-3-64.png"),
        (["show", "--class", "3", "--network"], "digits-3-network.png"),
        (["show", "--class", "3", "--at", "0"], "digits-3-epoch-0.png"),
        (["show", "--sheet"], "digits-sheet.png"),
        (["figure", "histogram"], "digits-histogram.pdf"),
        (["lineage", "--class", "3", "--out", "three.json"], "three.json"),
        (["query", "select 1", "--format", "parquet", "--out", "one.parquet"], "one.parquet"),
        (["score", "--network", "svm-mnist", "--out", "seen.csv"], "seen.csv"),
    ],
)
def test_a_file_is_named_after_what_it_shows_and_kept(
    words: list[str],
    name: str,
    store: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
) -> None:
    monkeypatch.chdir(tmp_path)
    command, *options = words
    asked = [command, str(store), *options]
    assert execute(asked) == 0, capsys.readouterr().err
    assert [file.name for file in tmp_path.iterdir()] == [name]
    Path(name).write_text("mine")
    capsys.readouterr()
    assert execute(asked) == 2
    said = capsys.readouterr().err
    assert said == (
        f"error: {name} exists and is left as it is; --force writes over it, or name another file\n"
    )
    assert Path(name).read_text() == "mine"
    assert execute([*asked, "--force"]) == 0
    assert Path(name).read_bytes() != b"mine"


def test_a_class_is_its_index_and_its_name(tmp_path: Path) -> None:
    with make_store(tmp_path / "run", k=1000) as writer:
        writer.commit(make_checkpoint(0, 0, k=1000), complete=True)
    reader = StoreReader(tmp_path / "run")
    words = [class_words(reader, class_) for class_ in range(1000)]
    assert len(set(words)) == 1000
    assert all(word.startswith(str(class_)) and "/" not in word for class_, word in enumerate(words))
