"""Answers to queries in real terminals, the prompt, and Markdown."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from islands.cli.main import execute
from tests.cli.terminals import in_terminal, lines_of
from tests.store.samples import make_checkpoint, make_store

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("query") / "run"
    with make_store(path, k=100) as writer:
        writer.commit(make_checkpoint(0, 0, k=100), complete=True)
    return path


@pytest.mark.parametrize("columns", [80, 200])
def test_a_table_fits_its_terminal(store: Path, columns: int) -> None:
    said, code = in_terminal(["query", str(store), "select * from elites"], store.parent, columns=columns)
    assert code == 0
    lines = lines_of(said)
    assert max(map(len, lines)) <= columns
    assert lines[0].startswith("┌")
    assert "200 rows" in said
    assert "(40 shown)" in said
    if columns == 80:
        assert "…" in lines[1]  # columns in the middle are hidden, and counted
        assert "columns (" in lines[-1]


@pytest.mark.parametrize("sql", ["set threads = 1", "create table x (a int)"])
def test_what_answers_nothing_is_no_mistake(store: Path, sql: str) -> None:
    said, code = in_terminal(["query", str(store), sql], store.parent, columns=80)
    assert code == 0, said


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("select * from elits", "did you mean 'elites'?"),
        ("select confidense from elites", "did you mean 'confidence'?"),
    ],
)
def test_a_near_name_is_suggested(store: Path, sql: str, told: str, capsys: Capture) -> None:
    assert execute(["query", str(store), sql]) == 2
    assert told in capsys.readouterr().err


def test_markdown(store: Path, capsys: Capture) -> None:
    sql = "select class, 'a|b' as text from elites where run = 0 and class < 2 order by class"
    assert execute(["query", str(store), sql, "--format", "markdown"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "| class | text |",
        "| --- | --- |",
        "| 0 | a\\|b |",
        "| 1 | a\\|b |",
    ]


def test_a_prompt_answers_until_it_is_left(store: Path) -> None:
    typed = "select count(*) as n\nfrom elites;\nselect * from elits;\n.exit\n"
    said, code = in_terminal(["query", str(store), "--open"], store.parent, columns=80, typed=typed)
    assert code == 0, said
    assert "tables: elites, " in said
    assert "│   200 │" in said
    assert "did you mean 'elites'?" in said
    assert said.count("islands> ") >= 3


def test_queries_come_from_a_pipe_too(store: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("select 41 + 1 as answer;\n"))
    assert execute(["query", str(store), "--open"]) == 0
    said = capsys.readouterr().out
    assert "42" in said
    assert "islands>" not in said
