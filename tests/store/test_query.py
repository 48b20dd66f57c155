from __future__ import annotations

import json
import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from islands.cli.main import execute
from islands.errors import InputError, StoreError, StoreExistsError
from islands.store import schema
from islands.store.columns import TABLES, table
from islands.store.query import PRESETS, ask, named, query, schemas
from islands.store.reader import StoreReader
from islands.store.status import read_status
from islands.store.writer import StoreWriter
from tests.conftest import examples
from tests.store.samples import make_checkpoint, make_names, make_scores, make_store


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """5 runs of 1000 classes, one of them with an empty cell."""
    path = tmp_path_factory.mktemp("large") / "run"
    checkpoint = make_checkpoint(2, 0, runs=5, k=1000)
    checkpoint.runs[3].elites.ids[17] = -1
    checkpoint.runs[3].elites.probabilities[17] = 0
    with make_store(path, runs=5, k=1000) as writer:
        writer.commit(checkpoint, complete=True)
    return path


class TestAnswers:
    def test_elites(self, large: Path) -> None:
        """SQL and numpy agree."""
        got = query(large, "select class, name, confidence from elites where run = 2 and confidence > .9")
        confidence = StoreReader(large).elites(2).confidence
        names = make_names(1000)
        expected = {(int(c), names[c], float(confidence[c])) for c in np.flatnonzero(confidence > 0.9)}
        assert got.columns == ("class", "name", "confidence")
        assert set(got.rows) == expected

    def test_operators_and_parents(self, large: Path) -> None:
        elites = StoreReader(large).elites(0)
        rows = query(
            large, "select operator, parent, partner, island from elites where run = 0 order by class"
        )
        expected = [
            (schema.OPERATORS[operator], int(parents[0]), int(parents[1]), int(island))
            for operator, parents, island in zip(
                elites.operators, elites.parents, elites.islands, strict=True
            )
        ]
        assert rows.rows == expected

    def test_empty_cells_are_no_elites(self, large: Path) -> None:
        assert query(large, "select count(*) from elites").rows == [(4999,)]
        assert query(large, "select cells from runs order by run").rows[3] == (999,)

    def test_curves_are_long(self, store: Path) -> None:
        curves = StoreReader(store).curves(1)
        got = query(store, "select epoch, class, confidence from curves where run = 1 order by epoch, class")
        expected = [
            (*map(int, place), float(value)) for place, value in np.ndenumerate(curves) for place in [place]
        ]
        assert got.rows == expected

    def test_runs(self, large: Path) -> None:
        sql = "select median_confidence, cells_90, evaluations from runs where run = 4"
        reader = StoreReader(large)
        confidence = reader.elites(4).confidence
        expected = (float(np.median(confidence)), int((confidence >= 0.9).sum()), reader.evaluations(4))
        assert query(large, sql).rows == [expected]

    @pytest.mark.parametrize("name", TABLES)
    def test_every_table(self, store: Path, name: str) -> None:
        """A table has the documented columns, and `select *` returns all of its rows."""
        columns = table(StoreReader(store), name)
        got = query(store, f"select * from {name}")
        assert got.columns == tuple(columns) == tuple(TABLES[name])
        assert len(got.rows) == len(next(iter(columns.values()))) > 0

    def test_history_and_migrations(self, store: Path) -> None:
        reader = StoreReader(store)
        claimed = [int(reader.history(run)["claimed"].sum()) for run in range(2)]
        kinds = sum(int((reader.migrations(run)["kind"] == 0).sum()) for run in range(2))
        sql = "select count(*) from history where claimed group by run order by run"
        assert query(store, sql).rows == [(number,) for number in claimed]
        assert query(store, "select count(*) from migrations where kind = 'claim'").rows == [(kinds,)]

    def test_at(self, store: Path) -> None:
        """An earlier checkpoint answers as it did then."""
        assert query(store, "select max(epoch) from curves", at=0).rows == [(0,)]

    def test_joins(self, store: Path) -> None:
        sql = "select count(*) from elites e join classes c on e.class = c.class and e.name = c.name"
        assert query(store, sql).rows == [(20,)]


class TestSeveralStores:
    def test_tables_are_joined_and_told_apart(self, store: Path, large: Path) -> None:
        readers = {"small": StoreReader(store), "large": StoreReader(large)}
        sql = "select store, count(*) from elites group by store order by store"
        assert ask(readers, sql).rows == [("large", 4999), ("small", 20)]
        joined = ask(readers, "select count(*) from small.elites s join large.elites l using (run, class)")
        assert joined.rows == [(20,)]

    def test_names_are_words_of_sql(self, tmp_path: Path) -> None:
        paths = [tmp_path / "a" / "mnist-cppn", tmp_path / "b" / "MNIST cppn", tmp_path / "two"]
        assert list(named(paths)) == ["mnist_cppn", "mnist_cppn_2", "two"]

    @pytest.mark.parametrize("name", PRESETS)
    def test_common_questions(self, store: Path, large: Path, name: str) -> None:
        one = query(store, PRESETS[name][1])
        several = ask({"a": StoreReader(store), "b": StoreReader(large)}, PRESETS[name][1])
        assert 0 < len(one.rows) <= len(several.rows) <= 20


class TestParquet:
    def test_it_holds_the_answer(self, store: Path, tmp_path: Path) -> None:
        file = tmp_path / "it's.parquet"
        sql = "create temp table t as from elites; select class, name, confidence from t order by run, class;"
        answer = ask({"": StoreReader(store)}, sql, file)
        with duckdb.connect() as connection:
            stored = connection.execute("from read_parquet(?)", [str(file)]).fetchall()
        assert stored == answer.rows
        assert len(stored) == 20

    def test_nothing_else_is_written(self, store: Path, tmp_path: Path) -> None:
        sql = f"copy elites to '{tmp_path}/other.parquet'"
        with pytest.raises(InputError, match="disabled by configuration"):
            ask({"": StoreReader(store)}, f"{sql}; from elites", tmp_path / "mine.parquet")
        assert not (tmp_path / "other.parquet").exists()


class TestRefusals:
    @pytest.mark.parametrize(
        ("sql", "told"),
        [
            ("select foo from elites", "columns: elites .run, class"),
            ("select * from champions", "tables: elites, cells, history"),
            ("selec", "syntax error"),
            ("select * from read_csv('/etc/hostname')", "disabled by configuration"),
            ("select 'x'::int", "Could not convert"),
        ],
    )
    def test_wrong_sql(self, store: Path, sql: str, told: str) -> None:
        """One line, with what there is instead."""
        with pytest.raises(InputError, match=told) as caught:
            query(store, sql)
        assert len(str(caught.value).splitlines()) == 1

    def test_before_first_checkpoint(self, tmp_path: Path) -> None:
        make_store(tmp_path / "run").close()
        with pytest.raises(StoreError, match="no checkpoint yet"):
            query(tmp_path / "run", "select * from elites")


class TestStatus:
    def test_complete(self, large: Path) -> None:
        found = read_status(large)
        confidence = np.concatenate([StoreReader(large).elites(run).confidence for run in range(5)])
        assert (found.complete, found.epoch, found.checkpoints, found.cells) == (True, 0, 1, 5000)
        assert found.cells_at["cells_50"] == (confidence >= 0.5).sum()
        assert found.median_confidence == float(np.median(confidence))
        assert found.bytes > 5 * 1000 * 1000
        assert found.next.startswith("islands show")

    def test_running_and_stopped(self, store: Path) -> None:
        """While a writer is there, status says so; afterwards it says how to resume."""
        with StoreWriter.open(store):
            assert read_status(store).written_by is not None
        found = read_status(store)
        assert found.written_by is None
        assert found.next == f"islands resume {store}"

    def test_what_comes_next_can_be_copied_into_a_shell(self, tmp_path: Path) -> None:
        place = tmp_path / "Anna's runs; $(first)"
        make_store(place).close()
        assert shlex.split(read_status(place).next) == ["islands", "resume", str(place)]
        with pytest.raises(StoreExistsError) as exists:
            make_store(place)
        assert shlex.quote(str(place)) in str(exists.value)

    def test_before_first_checkpoint(self, tmp_path: Path) -> None:
        make_store(tmp_path / "run").close()
        found = read_status(tmp_path / "run")
        assert (found.epoch, found.last_written, found.median_confidence) == (None, None, 0.0)


class TestTables:
    """All tables are there, whether or not their names stand in the SQL."""

    @pytest.mark.parametrize("count", [1, 2])
    def test_they_are_listed(self, store: Path, count: int) -> None:
        readers = {f"store{number}": StoreReader(store) for number in range(count)}
        assert ask(readers, "show tables").rows == [(name,) for name in sorted(TABLES)]
        listed = ask(readers, "select distinct table_name from information_schema.tables order by 1")
        assert listed.rows == [(name,) for name in sorted(TABLES)]
        columns = ask(readers, "select table_name, column_name from information_schema.columns").rows
        assert set(columns) >= {(name, column) for name in TABLES for column in TABLES[name]}
        described = [row[0] for row in ask(readers, "describe elites").rows]
        assert described[count - 1 :] == list(TABLES["elites"])

    @pytest.mark.parametrize("count", [1, 2])
    def test_types_do_not_depend_on_whether_rows_were_needed(self, store: Path, count: int) -> None:
        readers = {f"store{number}": StoreReader(store) for number in range(count)}
        sql = "select table_name, column_name, data_type from information_schema.columns order by all"
        every = ask(readers, f"{sql} -- {' '.join(TABLES)}").rows
        assert ask(readers, sql).rows == every

    def test_names_that_are_put_together_reach_their_rows(self, store: Path) -> None:
        assert query(store, "select count(*) from query_table('eli' || 'tes')").rows == [(20,)]
        assert query(store, "select count(*) from query('from ' || 'cur' || 'ves')").rows[0][0] > 0

    def test_curves_are_not_read_for_nothing(self, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        asked: list[int] = []
        read = StoreReader.curves

        def curves(self: StoreReader, run: int) -> npt.NDArray[np.float32]:
            asked.append(run)
            return read(self, run)

        monkeypatch.setattr(StoreReader, "curves", curves)
        query(store, "select count(*) from elites")
        assert not asked
        query(store, "select count(*) from curves")
        assert asked == [0, 1]

    def test_operators_are_those_of_the_schema(self) -> None:
        for name in schema.OPERATORS:
            assert name in TABLES["elites"]["operator"]
            assert name in TABLES["history"]["operator"]


class TestNamesOfStores:
    NAMES = ("main", "temp", "system", "information_schema", "pg_catalog", "memory", "select", "2026", "_")

    def test_folders_may_have_any_name(self, store: Path, tmp_path: Path) -> None:
        others = ("Main", "with space", "it's", 'quoted"', "ÄÖ", "temp_")
        paths = [tmp_path / name for name in (*self.NAMES, *others)]
        names = named([*paths, tmp_path / "other" / "main"])
        assert {"main", "main_2", "main_3", "temp", "information_schema", "2026"} < names.keys()
        readers = dict.fromkeys(names, StoreReader(store))
        rows = ask(readers, "select store, count(*) from classes group by store").rows
        assert dict(rows) == dict.fromkeys(names, 10)
        parts = (f'select count(*) from "{place}".classes' for place in schemas(names).values())
        assert ask(readers, " union all ".join(parts)).rows == [(10,)] * len(names)

    @settings(max_examples=examples(5), suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.sets(st.text(max_size=6) | st.sampled_from(NAMES), min_size=2, max_size=3))
    def test_readers_may_be_called_anything(self, store: Path, names: set[str]) -> None:
        readers = dict.fromkeys((name.replace("\0", "0") for name in names), StoreReader(store))
        rows = ask(readers, "select * from (select count(*) from classes)").rows
        assert rows == [(10 * len(readers),)]

    def test_a_single_store_may_be_called_anything(self, store: Path) -> None:
        reader = StoreReader(store)
        for name in self.NAMES:
            assert ask({name: reader}, "select count(*) from classes").rows == [(10,)]


class TestColumnsOfOneName:
    SQL = "select 1 as a, 2 as a, 3 as a_1, 4 as A"

    def test_each_keeps_its_value(self, store: Path, tmp_path: Path) -> None:
        """They are called as DuckDB calls the columns of a table."""
        got = query(store, self.SQL)
        assert got.columns == ("a", "a_1", "a_1_1", "A_2")
        file = tmp_path / "x.parquet"
        assert ask({"": StoreReader(store)}, self.SQL, file) == got

    @pytest.mark.parametrize("format_", ["json", "csv"])
    def test_and_is_printed(self, store: Path, capsys: pytest.CaptureFixture[str], format_: str) -> None:
        joined = "select e.name, c.name from elites e join classes c using (class) limit 1"
        assert execute(["query", str(store), joined, "--format", format_]) == 0
        text = capsys.readouterr().out
        if format_ == "json":
            assert [list(row) for row in json.loads(text)] == [["name", "name_1"]]
        else:
            assert text.splitlines()[0] == "name,name_1"


class TestNetworksOfOneName:
    def test_they_are_told_apart(self, store: Path) -> None:
        """Two networks whose weights share a file name: a row each, in one store and over several."""
        generator = np.random.default_rng(1)
        twins = [
            replace(make_scores(generator, name="net (w.pt)"), fingerprint=letter * 64) for letter in "ab"
        ]
        with StoreWriter.open(store) as writer:
            writer.commit_scores(twins)
        counted = "select network, fingerprint, count(*) from scores"
        sql = f"{counted} group by all having fingerprint < 'c' order by 1"
        expected = [(f"net (w.pt) [{letter * 8}]", letter * 64, 20) for letter in "ab"]
        assert query(store, sql).rows == expected
        both = {"one": StoreReader(store), "two": StoreReader(store)}
        assert ask(both, sql).rows == [(*row[:2], 40) for row in expected]
        assert {row[0] for row in query(store, PRESETS["transfer"][1]).rows} > {row[0] for row in expected}

    def test_over_stores_too(self, store: Path, tmp_path: Path) -> None:
        readers = {}
        for letter in "ab":
            path = Path(shutil.copytree(store, tmp_path / letter))
            scores = make_scores(np.random.default_rng(2), name="net (w.pt)")
            with StoreWriter.open(path) as writer:
                writer.commit_scores([replace(scores, fingerprint=letter * 64)])
            readers[letter] = StoreReader(path)
        names = ask(readers, "select distinct network from scores where fingerprint < 'c' order by 1").rows
        assert names == [("net (w.pt) [aaaaaaaa]",), ("net (w.pt) [bbbbbbbb]",)]

    def test_one_network_of_two_names_counts_once(self, store: Path) -> None:
        generator = np.random.default_rng(3)
        with StoreWriter.open(store) as writer:
            writer.commit_scores(
                [replace(make_scores(generator, name=name), fingerprint="a" * 64) for name in ("x", "y")]
            )
        assert query(store, "select count(*) from scores where fingerprint < 'c'").rows == [(20,)]
