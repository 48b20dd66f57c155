"""What `import islands` offers: every name has an example, and every example runs."""

from __future__ import annotations

import doctest
import inspect
import os
import pkgutil
import pty
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import FileIO
from operator import attrgetter
from pathlib import Path
from types import ModuleType

import pytest

import islands

NAMES = [name for name in islands.__all__ if name != "__version__"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the run that examples speak of."""
    folder = tmp_path_factory.mktemp("runs")
    budget = {"initial": 20, "children": 20}
    islands.evolve("linear-mnist", generations=20, evolve=budget, store=folder / "digits")
    return folder


@pytest.mark.parametrize("name", ["__doc__", *NAMES, "Results.statistics"])
def test_every_name_has_an_example_that_runs(
    name: str, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(runs, tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    text = islands.__doc__ if name == "__doc__" else inspect.getdoc(attrgetter(name)(islands))
    assert text
    examples = doctest.DocTestParser().get_doctest(text, {"islands": islands}, f"islands.{name}", None, 0)
    assert examples.examples, f"islands.{name} has no example"
    said: list[str] = []
    doctest.DocTestRunner(verbose=False).run(examples, out=said.append)
    assert not said, "".join(said)


def quick_run(progress: bool | None) -> None:
    budget = {"initial": 20, "children": 20}
    islands.evolve("linear-mnist", generations=10, evolve=budget, progress=progress)


@pytest.mark.parametrize(("progress", "shown"), [(None, False), (True, True), (False, False)])
def test_a_script_shows_progress_if_asked(
    progress: bool | None, shown: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    quick_run(progress)
    said = capsys.readouterr()
    assert said.out == ""
    assert ("220 images: median" in said.err) is shown


@pytest.mark.parametrize(("progress", "shown"), [(None, True), (True, True), (False, False)])
def test_a_terminal_shows_progress_unless_told_not_to(
    progress: bool | None, shown: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, writing = pty.openpty()
    # Read meanwhile: a terminal that nobody reads holds a few kilobytes, and then its writer waits.
    with os.fdopen(writing, "w") as terminal, os.fdopen(reading, "rb", buffering=0) as screen:
        with ThreadPoolExecutor(1) as reader:
            said = reader.submit(_all_of, screen)
            monkeypatch.setattr(sys, "stderr", terminal)
            try:
                quick_run(progress)
            finally:
                terminal.write(END)
                terminal.flush()
        assert ("median" in said.result()) is shown


END = "\x00"


def _all_of(screen: FileIO) -> str:
    said = b""
    while END.encode() not in said:
        said += screen.read(4096)
    return said.decode()


@pytest.mark.parametrize("pipeline", ["lenet_pair", "gradient_ascent"])
def test_an_experiment_of_more_than_a_run_is_refused(pipeline: str, tmp_path: Path) -> None:
    with pytest.raises(islands.errors.InputError, match=f"{pipeline} is more than a single run; .* launch"):
        islands.launch({"pipeline": pipeline, "store": tmp_path / "x"})
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: islands.open("nowhere"), "nowhere"),
        (lambda: islands.launch("nowhere.yaml"), "no such file"),
        (lambda: islands.launch("x.yaml", "runs=2"), r"overrides: got 'runs=2'; expected a list"),
        (lambda: islands.resume("runs/digits", "runs=2"), r"overrides: got 'runs=2'; expected a list"),
        (lambda: islands.score("runs/digits", []), r"networks: got \[\]; expected a list of 1 or more"),
        (lambda: islands.score("runs/digits", "svm-mnist"), "networks: got 'svm-mnist'; expected a list"),
        (lambda: islands.score("nowhere", ["svm-mnist"]), "nowhere is no folder; expected a store"),
        (lambda: islands.transfer([]), r"stores: got \[\]; expected a list of 1 or more"),
        (lambda: islands.transfer("runs/digits"), "stores: got 'runs/digits'; expected a list"),
        (lambda: islands.transfer(["runs/digits"], threshold=99), "got threshold 99 .* from 0 to 1"),
        (lambda: islands.transfer(["runs/digits"], controls=-1), "controls -1; expected .* 0 or more"),
        (lambda: islands.verify("runs/digits", sample=0), "sample: got 0; expected 1 or more"),
        (
            lambda: islands.export("runs/digits", "out", layout="flt"),  # type: ignore[arg-type]
            "got 'flt'; expected one of paper, flat",
        ),
        (lambda: islands.report("runs/digits", "."), "is a folder; name a file"),
    ],
)
def test_what_cannot_be_done_is_told(
    call: Callable[[], object], said: str, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(runs, tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(islands.errors.InputError, match=said):
        call()
    assert not Path("out").exists()


def test_dir_is_a_table_of_contents() -> None:
    assert dir(islands) == sorted(islands.__all__)
    assert {"open", "evolve", "Results", "errors"} <= set(islands.__all__)
    assert isinstance(islands.errors, ModuleType)
    assert isinstance(islands.__version__, str)
    with pytest.raises(AttributeError, match="has no attribute 'opne'"):
        islands.opne  # noqa: B018 - looking is what fails


def test_no_room_takes_the_place_of_a_function() -> None:
    """To import a module binds its name in the package, whatever was there."""
    rooms = {module.name for module in pkgutil.iter_modules(islands.__path__)}
    assert set(islands.__all__) & rooms == {"errors"}


def test_to_open_a_store_takes_neither_torch_nor_ray(runs: Path) -> None:
    code = (
        "import sys, islands; run = islands.open(sys.argv[1]); run.confidence;"
        "print(sorted({'torch', 'ray', 'pandas', 'numba'} & sys.modules.keys()))"
    )
    command = [sys.executable, "-c", code, str(runs / "digits")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "[]\n"


def test_names_cost_nothing_until_they_are_used() -> None:
    code = "import sys, islands; dir(islands); print(sorted({'numpy', 'zarr', 'typer'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"
