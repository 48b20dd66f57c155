"""What becomes of good and bad configurations."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest

from islands.config import RunConfig
from islands.config.resolve import override_run_config
from islands.encodings.settings import CppnSettings
from islands.errors import ConfigError
from islands.experiments.catalogue import PIPELINES
from islands.experiments.configure import load_run_config, resolve_run_config

Write = Callable[[str], Path]

MINIMAL = "pipeline: mnist_cppn\nstore: runs/x\n"


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_file(text: str) -> Path:
        path = tmp_path / "run.yaml"
        path.write_text(text)
        return path

    return write_file


def mistakes(path: Path, *overrides: str) -> list[str]:
    """Return the lines of the error, without the folder in front."""
    with pytest.raises(ConfigError) as caught:
        load_run_config(path, overrides)
    return [line.removeprefix(f"{path.parent}/") for line in str(caught.value).splitlines()]


class TestPrecedence:
    def test_pipeline_fills_what_the_file_leaves_out(self, write: Write) -> None:
        config = load_run_config(write(MINIMAL))
        assert (config.network.name, config.encoding.name) == ("lenet-mnist", "cppn")
        assert config.evolve.children == 200

    def test_file_wins_over_pipeline_key_by_key(self, write: Write) -> None:
        config = load_run_config(write(f"{MINIMAL}evolve: {{children: 50}}\n"))
        assert (config.evolve.children, config.evolve.initial) == (50, 200)

    def test_set_wins_over_file_and_the_last_set_over_the_others(self, write: Write) -> None:
        path = write(f"{MINIMAL}evolve: {{children: 50}}\n")
        config = load_run_config(path, ["evolve.children=60", "evolve.children=70"])
        assert config.evolve.children == 70

    def test_set_may_choose_the_pipeline(self, write: Write) -> None:
        config = load_run_config(write(MINIMAL), ["pipeline=imagenet_direct"])
        assert (config.encoding.name, config.evolve.generations, config.runs) == ("direct", 20_000, 5)

    def test_encoding_may_be_changed_by_name(self, write: Write) -> None:
        config = load_run_config(write(MINIMAL), ["encoding.name=direct"])
        assert (config.encoding.name, config.encoding.size) == ("direct", None)

    def test_section_with_all_keys_commented_out_is_empty(self, write: Write) -> None:
        text = f"{MINIMAL}evolve:\nworkers:\nislands:\n  migration:\n"
        assert load_run_config(write(text)) == load_run_config(write(MINIMAL))


class TestMistakes:
    def test_all_are_reported_at_once_in_the_order_of_the_file(self, write: Write) -> None:
        path = write(
            f"{MINIMAL}"
            "islands:\n"
            "  migartion: {size: 2}\n"
            "  count: two\n"
            "  topology: rign\n"
            "  weight: 1.5\n"
            "seed: -1\n"
            "seed: 2\n"
            "generations: 30\n"
        )
        assert mistakes(path, "workers.count=0", "evolve.generations=15") == [
            "run.yaml:4:3: islands.migartion: unknown key; did you mean 'migration'?",
            'run.yaml:5:3: islands.count: expected an integer of at least 1, got "two"',
            "run.yaml:6:3: islands.topology: expected one of 'erdos_renyi', 'free_form', 'fully_connected',"
            " 'hypercube', 'one_way_ring', 'ring', 'scale_free', 'small_world', 'star', 'torus',"
            " 'unconnected', got \"rign\"; did you mean 'ring'?",
            "run.yaml:7:3: islands.weight: expected a number of at least 0 and at most 1, got 1.5",
            "run.yaml:8:1: seed: expected an integer of at least 0 and less than 9223372036854775808, got -1",
            "run.yaml:9:1: seed: this key is here twice",
            "run.yaml:10:1: generations: unknown key; did you mean 'evolve.generations'?",
            "--set evolve.generations=15: evolve: generations is 15, which is not a multiple of"
            " generations_per_epoch (10); use 10, or set evolve.generations_per_epoch",
            "--set workers.count=0: workers.count: expected an integer of at least 1, got 0",
        ]

    @pytest.mark.parametrize(
        ("line", "message"),
        [
            ("network: lenet", "network: expected a mapping with keys among name, "),
            ("encoding: 3", "encoding: expected a mapping with name 'cppn' or 'dct' or 'direct', got 3"),
            (
                "encoding: {name: dirct}",
                "expected one of 'cppn', 'dct', 'direct', got \"dirct\"; did you mean 'direct'?",
            ),
            ("encoding: {mutation_rate: 1}", "encoding.mutation_rate: unknown key"),
            ("encoding: {size: 0}", "encoding.size: expected an integer"),
            ("runs: true", "runs: expected an integer of at least 1, got true"),
            ("runs: 2.0", "runs: expected an integer of at least 1, got 2.0"),
            ("runs: '2'", 'runs: expected an integer of at least 1, got "2"'),
            ("runs:", "runs: expected an integer of at least 1, got nothing"),
            ("workers: {wait_s: .inf}", "workers.wait_s: expected a number greater than 0, got Infinity"),
            ("workers: {gpus: .nan}", "workers.gpus: expected a number of at least 0, got NaN"),
            (
                "ray: {address: 6379}",
                "ray.address: expected text that is not empty, got 6379; put it in quotes",
            ),
            ("loggers: {wandb: 2026-11-27}", "or null, got 2026-11-27; put it in quotes"),
            ("held_out: [{name: on}]", "held_out.0.name: expected text that is not empty, got true; put it"),
            ("islands: {claims: 'yes'}", 'islands.claims: expected true or false, got "yes"'),
            ("zebra: 1", "zebra: unknown key; known keys: pipeline, store"),
        ],
    )
    def test_each_names_line_key_and_what_is_expected(self, write: Write, line: str, message: str) -> None:
        (mistake,) = mistakes(write(f"{MINIMAL}{line}\n"))
        assert mistake.startswith("run.yaml:3:")
        assert message in mistake

    def test_missing_store(self, write: Write) -> None:
        assert mistakes(write("pipeline: mnist_cppn\n")) == ["run.yaml: store: this key is required"]

    @pytest.mark.parametrize("line", ["store:", "store: ''"])
    def test_empty_store(self, write: Write, line: str) -> None:
        (mistake,) = mistakes(write(f"pipeline: mnist_cppn\n{line}\n"))
        assert mistake.startswith("run.yaml:2:1: store: expected text that is not empty, got")

    def test_unknown_pipeline_names_the_near_one_and_hides_no_other_mistake(self, write: Write) -> None:
        first, second = mistakes(write("pipeline: mnist_cpn\nstore: x\nruns: 0\n"))
        assert first.startswith("run.yaml:1:1: pipeline: expected one of 'alexnet_googlenet', ")
        assert first.endswith("got \"mnist_cpn\"; did you mean 'mnist_cppn'?")
        assert second.startswith("run.yaml:3:1: runs:")

    def test_missing_pipeline(self, write: Write) -> None:
        (mistake,) = mistakes(write("store: x\n"))
        assert mistake.startswith("run.yaml: pipeline: expected one of ")

    def test_pipeline_of_another_type(self, write: Write) -> None:
        (mistake,) = mistakes(write("pipeline: [mnist_cppn]\nstore: x\n"))
        assert mistake.endswith('got ["mnist_cppn"]')


class TestFiles:
    @pytest.mark.parametrize("text", ["", "# nothing\n", "---\n"])
    def test_empty(self, write: Write, text: str) -> None:
        assert mistakes(write(text)) == [
            "run.yaml: the file is empty; `islands init` writes files to start from"
        ]

    @pytest.mark.parametrize("text", ["- a\n", "text\n", "3\n"])
    def test_other_than_a_mapping(self, write: Write, text: str) -> None:
        assert mistakes(write(text))[0].startswith("run.yaml: expected a mapping of settings, got ")

    def test_missing_with_a_near_one(self, write: Write) -> None:
        path = write(MINIMAL)
        (mistake,) = mistakes(path.with_name("rum.yaml"))
        assert mistake == f"rum.yaml: no such file; did you mean '{path}'?"

    def test_missing_in_a_missing_folder(self, tmp_path: Path) -> None:
        (mistake,) = mistakes(tmp_path / "none" / "run.yaml")
        assert mistake == "run.yaml: no such file; `islands init` writes files to start from"

    def test_folder(self, tmp_path: Path) -> None:
        assert mistakes(tmp_path)[0].endswith(": expected a YAML file, got a folder")

    def test_binary(self, tmp_path: Path) -> None:
        path = tmp_path / "run.yaml"
        path.write_bytes(bytes(range(256)))
        assert mistakes(path) == ["run.yaml: expected a YAML file, got something that is not UTF-8 text"]

    def test_unreadable(self, write: Write) -> None:
        assert mistakes(write(MINIMAL) / "below")[0].endswith("cannot be read: Not a directory")

    @pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
    def test_byte_order_mark(self, tmp_path: Path, encoding: str) -> None:
        path = tmp_path / "run.yaml"
        path.write_bytes(MINIMAL.replace("\n", "\r\n").encode(encoding))
        assert load_run_config(path).store == "runs/x"

    @pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16-le"])
    def test_standard_input(self, monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
        text = MINIMAL if encoding == "utf-8-sig" else f"\ufeff{MINIMAL}"
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode(encoding))))
        assert load_run_config("-").store == "runs/x"

    def test_syntax_error_names_the_line(self, write: Write) -> None:
        assert mistakes(write(f"{MINIMAL}islands: {{count: 2\n"))[0].startswith(
            "run.yaml:4:1: not valid YAML: "
        )


class TestFilesOfOthers:
    LAUNCHER = "cluster_name: c\nprovider: {type: local}\n"

    def test_launcher_file_may_carry_our_settings(self, write: Write) -> None:
        text = f"{self.LAUNCHER}metadata:\n  islands:\n    pipeline: mnist_cppn\n    store: runs/x\n"
        assert load_run_config(write(text)).store == "runs/x"
        assert mistakes(write(f"{text}    runs: 0\n")) == [
            "run.yaml:7:5: runs: expected an integer of at least 1, got 0"
        ]

    def test_launcher_file_without_our_settings_is_explained(self, write: Write) -> None:
        (mistake,) = mistakes(write(self.LAUNCHER))
        assert "this file is for Ray's cluster launcher" in mistake
        assert "ray up" in mistake
        assert "`metadata: {islands: {...}}`" in mistake

    @pytest.mark.parametrize("kind", ["RayCluster", "RayJob"])
    def test_kubernetes_manifest_is_explained(self, write: Write, kind: str) -> None:
        (mistake,) = mistakes(write(f"apiVersion: ray.io/v1\nkind: {kind}\n"))
        assert "kubectl apply -f" in mistake
        assert "ray: {address:" in mistake


class TestDictionaries:
    def test_need_no_file(self, tmp_path: Path) -> None:
        config = resolve_run_config({"pipeline": "mnist_direct", "store": tmp_path / "x", "runs": 2})
        assert (config.store, config.runs, config.encoding.name) == (str(tmp_path / "x"), 2, "direct")

    def test_may_hold_settings_objects(self) -> None:
        encoding = CppnSettings(size=64)
        config = resolve_run_config({"pipeline": "mnist_cppn", "store": "x", "encoding": encoding})
        assert config.encoding == encoding

    def test_errors_name_the_source(self) -> None:
        with pytest.raises(ConfigError, match=r"^notebook: runs: expected an integer"):
            resolve_run_config({"pipeline": "mnist_cppn", "store": "x", "runs": 0}, "notebook")

    def test_are_not_changed(self) -> None:
        settings = {"pipeline": "mnist_cppn", "store": "x", "evolve": {"children": 3}}
        resolve_run_config(settings, overrides=["evolve.children=4"])
        assert settings["evolve"] == {"children": 3}

    def test_every_pipeline_is_complete_but_for_the_store(self) -> None:
        for name in set(PIPELINES) - {"custom"}:
            config = resolve_run_config({"pipeline": name, "store": "x"})
            assert PIPELINES[name].name == config.pipeline == name

    def test_configuration_survives_json(self) -> None:
        config = resolve_run_config({"pipeline": "imagenet_cppn", "store": "x"})
        assert RunConfig.model_validate(config.model_dump(mode="json")) == config


class TestOverride:
    CONFIG = resolve_run_config({"pipeline": "mnist_cppn", "store": "x"})

    def test_lays_texts_over_a_complete_configuration(self) -> None:
        config = override_run_config(self.CONFIG, ["evolve.generations=400", "store=y"])
        assert (config.evolve.generations, config.store) == (400, "y")
        assert config.encoding == self.CONFIG.encoding

    def test_does_not_ask_for_the_pipeline(self) -> None:
        """A run can be resumed after its pipeline was renamed."""
        old = self.CONFIG.model_copy(update={"pipeline": "gone"})
        assert override_run_config(old, []) == old

    def test_names_the_override_that_is_wrong(self) -> None:
        with pytest.raises(ConfigError, match=r"^--set runs=0: runs: expected"):
            override_run_config(self.CONFIG, ["runs=0"])
