"""One way in for everything: built in, announced by a package, or named by a reference."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from islands.classifiers.catalogue import OWN_NETWORKS
from islands.cli.main import execute
from islands.config.logger_settings import LOGGERS
from islands.encodings.settings import ENCODINGS
from islands.errors import ConfigError, InputError
from islands.experiments.catalogue import KIND, PIPELINES
from islands.experiments.configure import resolve_run_config
from islands.experiments.runner import STAGES
from islands.extensions import kinds
from islands.extensions.kinds import Registry
from islands.migration.migrants import REPLACEMENTS, SELECTIONS
from islands.migration.topologies import TOPOLOGIES
from islands.migration.topology import build_topology
from islands.search.choices import EMITTERS, PARENTS

PLUGIN = Path(__file__).parents[1] / "plugin"
KINDS: tuple[Registry[Any], ...] = (
    *(ENCODINGS, EMITTERS, PARENTS, TOPOLOGIES, SELECTIONS, REPLACEMENTS, LOGGERS, STAGES, KIND),
    OWN_NETWORKS,
)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Packages that announce things: `announce` one with lines of entry points and the text of a module."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(tmp_path)
    kinds._points.cache_clear()
    yield tmp_path
    kinds._points.cache_clear()
    for name in set(sys.modules) - before:
        if not name.startswith("islands"):
            del sys.modules[name]


def announce(folder: Path, points: str, **modules: str) -> None:
    info = folder / "sample-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: sample\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(points)
    for name, text in modules.items():
        (folder / f"{name}.py").write_text(text)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.group)
class TestEveryKind:
    def test_ours_are_there_and_say_what_they_are(self, kind: Registry[Any]) -> None:
        for name, found in kind.built_in.items():
            assert kind.get(name) is found
            assert kind.accepts(found)
        assert kind is OWN_NETWORKS or all(entry.summary for entry in kind.entries())

    @pytest.mark.parametrize("name", ["no_such", "file:no_such.py:x", "no.such:x"])
    def test_what_is_not_there_is_told_in_a_line(self, kind: Registry[Any], name: str) -> None:
        with pytest.raises(kind.raises, match=r"no_such|no\.such") as caught:
            kind.get(name)
        assert "\n" not in str(caught.value)

    def test_something_else_is_refused(self, kind: Registry[Any], tmp_path: Path) -> None:
        (tmp_path / "mine.py").write_text("thing = 3\n")
        with pytest.raises(kind.raises, match=r"got int; expected an? "):
            kind.get(f"file:{tmp_path}/mine.py:thing")

    def test_a_failing_import_is_told_with_its_line(self, kind: Registry[Any], tmp_path: Path) -> None:
        (tmp_path / "broken.py").write_text("\n1 / 0\n")
        with pytest.raises(kind.raises, match=r"ZeroDivisionError.*broken.py, line 2"):
            kind.get(f"file:{tmp_path}/broken.py:thing")


def test_what_packages_announce_is_used(installed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    announce(
        installed,
        "[islands.topologies]\nlonely = sample_lonely:Lonely\nring = sample_lonely:Lonely\n",
        sample_lonely="import islands\nclass Lonely(islands.TopologySettings):\n    'Nobody sends.'\n"
        "    def edges(self, count, stream):\n        return []\n",
    )
    assert TOPOLOGIES.get("ring") is TOPOLOGIES.built_in["ring"], "a name of ours stays ours"
    assert TOPOLOGIES.get("lonely")(name="lonely").name == "lonely"
    assert execute(["topologies"]) == 0
    assert "lonely              Nobody sends.  (sample 1.0)" in capsys.readouterr().out


def test_a_broken_package_hides_no_other(installed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    announce(
        installed,
        "[islands.encodings]\nbad = sample_bad:Bad\n[islands.pipelines]\nworse = sample_bad:WORSE\n"
        "[islands.networks]\nabsent = sample_absent:build\n",
        sample_bad="import no_such_module",
    )
    for command in ("encodings", "pipelines", "networks"):
        assert execute([command]) == 0
    said = capsys.readouterr()
    assert "bad                 cannot be used: bad: its import failed with" in said.out
    assert "worse cannot be used" in said.err
    assert "mnist_cppn" in said.out
    assert "lenet-mnist" in said.out


def test_source_that_changes_after_its_import_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("import islands\nclass Mine(islands.TopologySettings):\n    pass\n")
    assert TOPOLOGIES.get(f"file:{file}:Mine") is TOPOLOGIES.get(f"file:{file}:Mine")
    file.write_text(file.read_text() + "# other\n")
    with pytest.raises(ConfigError, match="has changed since it was imported; start Python anew"):
        TOPOLOGIES.get(f"file:{file}:Mine")


BASE = {"pipeline": "mnist_cppn", "store": "x"}


class TestConfigurations:
    def refused(self, **settings: Any) -> str:
        with pytest.raises(ConfigError) as caught:
            resolve_run_config({**BASE, **settings})
        return str(caught.value)

    def test_settings_of_others_are_checked_by_their_own_model(self, tmp_path: Path) -> None:
        (tmp_path / "mine.py").write_text(
            "import islands\nclass Grid(islands.TopologySettings):\n    rows: int = 2\n"
        )
        name = f"file:{tmp_path}/mine.py:Grid"
        config = resolve_run_config({**BASE, "islands": {"topology": {"name": name, "rows": 3}}})
        assert config.islands.topology.model_dump() == {"name": name, "rows": 3}
        assert resolve_run_config({**BASE, "islands": {"topology": name}}).islands.topology.name == name
        said = self.refused(islands={"topology": {"name": name, "rows": "three", "column": 1}})
        assert said.splitlines() == [
            'settings: islands.topology.rows: input should be a valid integer, got "three"',
            "settings: islands.topology.column: unknown key",
        ]

    def test_what_others_say_of_a_choice(self) -> None:
        said = self.refused(islands={"topology": "no_such_thing_at_all"})
        assert "what `islands topologies` lists, MODULE:NAME or file:PATH.py:NAME" in said
        assert "did you mean 'ring'?" in self.refused(islands={"topology": "rign"})

    @pytest.mark.parametrize(
        "settings",
        [
            {"encoding": {"name": "file:absent.py:Mine"}},
            {"evolve": {"parents": "file:absent.py:Mine"}},
            {"evolve": {"emitters": [{"name": "file:absent.py:Mine"}]}},
            {"islands": {"migration": {"selection": "file:absent.py:Mine"}}},
            {"islands": {"migration": {"replacement": "file:absent.py:Mine"}}},
            {"loggers": {"others": [{"name": "file:absent.py:Mine"}]}},
            {"pipeline": "file:absent.py:MINE"},
        ],
    )
    def test_absent_code_is_told_with_its_key(self, settings: dict[str, Any]) -> None:
        said = self.refused(**settings)
        assert "file:absent.py" in said
        assert "there is no such Python file" in said
        assert len(said.splitlines()) == 1

    def test_a_pipeline_by_reference(self, tmp_path: Path) -> None:
        (tmp_path / "mine.py").write_text(
            "import islands\nMINE = islands.Pipeline('mine', 'my own', '', "
            "{'network': {'name': 'lenet-mnist'}, 'encoding': {'name': 'direct'}})\n"
        )
        name = f"file:{tmp_path}/mine.py:MINE"
        assert resolve_run_config({"pipeline": name, "store": "x"}).network.name == "lenet-mnist"
        assert name not in list(PIPELINES)


def test_errors_are_input_errors() -> None:
    assert all(issubclass(kind.raises, InputError) for kind in KINDS)


def test_the_topology_that_the_documentation_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).parents[2] / "docs/how-to/own-parts.md").read_text()
    code, settings = re.search(
        r'<!-- test:own-topology -->\n```python title="mine.py"\n(.*?)```\n\n```yaml\n(.*?)```',
        page,
        re.DOTALL,
    ).groups()  # type: ignore[union-attr]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(code)
    islands = resolve_run_config({**BASE, **yaml.safe_load(settings)}).islands
    topology = build_topology(islands.topology, islands.count, islands.weight, 0, 0)
    senders = [[each.sender for each in topology.get_connections(island)] for island in range(8)]
    assert senders[0] == [1, 2, 3]
    assert senders[7] == [0, 4, 5, 6]
