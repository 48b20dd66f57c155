"""`networks`, `encodings` and other lists, `explain`, `init` and `version`: what there is to work with."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict
from importlib import import_module
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from islands.cli.options import Json
from islands.errors import InputError
from islands.texts import islands_command, islands_version

if TYPE_CHECKING:
    from islands.experiments.pipeline import Pipeline
    from islands.extensions.kinds import Registry

_PACKAGE = Path(__file__).parents[1]

SCHEMA = "islands.schema.json"
"""Beside the configurations that come with Islands: editors complete and check them by it."""

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Where to put them; made if need be.")]


def networks(as_json: Json = False) -> None:
    """List the networks that images can be evolved to fool."""
    from islands.classifiers.catalogue import FAMILIES, NETWORKS, OWN, OWN_NETWORKS

    others = OWN_NETWORKS.entries()
    families = [*FAMILIES.values(), OWN]
    if as_json:
        listed = [asdict(entry) for entry in NETWORKS.values()]
        listed += [
            {"name": entry.name, "summary": entry.summary, "source": entry.package} for entry in others
        ]
        print(json.dumps(listed + [{"name": family.usage, "summary": family.summary} for family in families]))
        return
    for entry in NETWORKS.values():
        print(f"{entry.name:<36}{entry.summary}  ({entry.input_size} x {entry.input_size}, {entry.licence})")
    for other in others:
        print(f"{other.name:<36}{other.summary}  ({other.package})")
    for family in families:
        print(f"{family.usage:<36}{family.summary}")


LISTS = {
    "encodings": (
        "encodings.settings:ENCODINGS",
        "how genomes can become images: what `encoding.name` takes",
    ),
    "measures": (
        "measures.axes:MEASURES",
        "what can be an axis of the archive beside the class: what `archive.measures` takes",
    ),
    "emitters": ("search.choices:EMITTERS", "what can make children: what `evolve.emitters` takes"),
    "parents": ("search.choices:PARENTS", "how parents can be chosen: what `evolve.parents` takes"),
    "topologies": (
        "migration.topologies:TOPOLOGIES",
        "between which islands migrants can travel: what `islands.topology` takes",
    ),
    "selections": (
        "migration.migrants:SELECTIONS",
        "which elites can leave: what `islands.migration.selection` takes",
    ),
    "replacements": (
        "migration.migrants:REPLACEMENTS",
        "which migrants can be kept: what `islands.migration.replacement` takes",
    ),
    "loggers": (
        "config.logger_settings:LOGGERS",
        "who can be told how a run gets on: what `loggers.others` takes",
    ),
    "stages": (
        "experiments.runner:STAGES",
        "what experiments are made of: what the stages of a pipeline can be",
    ),
}
"""Commands that list a registry, by name: where it is, and what they list."""


def list_of(kind: str) -> Callable[[bool], None]:
    """Return the command that lists a kind of `LISTS`; what has the registry is imported when it runs."""
    place, what = LISTS[kind]
    module, _, name = place.partition(":")

    def command(as_json: Json = False) -> None:
        _list(getattr(import_module(f"islands.{module}"), name), as_json)

    command.__name__ = kind
    command.__doc__ = f"List {what}."
    return command


def _list(kind: Registry[Any], as_json: bool) -> None:
    entries = kind.entries()
    if as_json:
        print(json.dumps([entry._asdict() for entry in entries]))
        return
    for entry in entries:
        print(f"{entry.name:<20}{entry.summary}" + (f"  ({entry.package})" if entry.package else ""))
    print(f"{'your own':<20}MODULE:NAME or file:PATH.py:NAME, {kind.expected}")


def pipelines(as_json: Json = False) -> None:
    """List the experiments that a configuration can name."""
    from islands.experiments.catalogue import KIND, PIPELINES

    listed = list(KIND.built_in.values())
    for name in KIND.announced:
        try:
            listed.append(PIPELINES[name])
        except InputError as error:  # a broken package hides no other
            print(f"{name} cannot be used: {error}", file=sys.stderr)
    if as_json:
        print(json.dumps([_as_json(pipeline) for pipeline in listed]))
        return
    for pipeline in listed:
        print(f"{pipeline.name:<28}{pipeline.summary}  ({pipeline.paper})")


def _as_json(pipeline: Pipeline) -> dict[str, Any]:
    """Return what is data in a pipeline."""
    from islands.experiments.pipeline import Budget

    schema = pipeline.parameters
    return {
        **{name: getattr(pipeline, name) for name in ("name", "summary", "paper", "settings", "stages")},
        "variants": pipeline.variants,
        "parameters": None if schema is None else schema.model_json_schema(),
        **{budget: pipeline.laid_over(budget) for budget in get_args(Budget)},
    }


def explain(
    preset: Annotated[
        str | None, typer.Argument(metavar="[PRESET]", help="One of them; all, if none is named.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Say what the presets of `evolve.preset` are, and what one of them sets for each encoding."""
    from islands.config.explain import did_you_mean
    from islands.encodings.settings import ENCODINGS
    from islands.search.presets import PRESETS, settings_of

    if preset is None:
        if as_json:
            print(json.dumps(dict(PRESETS)))
            return
        for name, summary in PRESETS.items():
            print(f"{name:<12}{summary}")
        return
    if preset not in PRESETS:
        raise InputError(
            f"got the preset {preset!r}; expected one of {', '.join(PRESETS)}{did_you_mean(preset, PRESETS)}"
        )
    found = {encoding: settings_of(preset, encoding) for encoding in ENCODINGS.built_in}
    if as_json:
        print(json.dumps(found))
        return
    print(f"{preset}: {PRESETS[preset]}")
    for encoding, settings in found.items():
        print(f"\nencoding {encoding}" + ("" if settings else ": nothing; defaults are the paper's"))
        for section, values in settings.items():
            for key, value in values.items():
                print(f"  {section}.{key}: {json.dumps(value)}")


def init(
    folder: Folder,
    full: Annotated[
        bool, typer.Option("--full", help="With every key that there is, and what it means.")
    ] = False,
) -> None:
    """Copy the configurations that come with Islands into DIR, to be edited and launched."""
    files = shipped_files()
    names = [SCHEMA, *(file.name for file in files)]
    if present := [folder / name for name in names if (folder / name).exists()]:
        raise InputError(f"{present[0]} exists and is left as it is; choose another folder, or move the file")
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(cluster_folder() / SCHEMA, folder / SCHEMA)
    for file in files:
        text = _in_full(file) if full else file.read_text(encoding="utf-8")
        (folder / file.name).write_text(text.replace(f"../cluster/{SCHEMA}", SCHEMA), encoding="utf-8")
        print(f"wrote {folder / file.name}")
    print(f"next: {islands_command('launch', folder / 'local.yaml')}")


def _in_full(file: Path) -> str:
    """Return a file with all that it leaves to its pipeline and to defaults, below its own heading."""
    from islands.config.described import commented, described
    from islands.experiments.catalogue import PIPELINES
    from islands.experiments.configure import as_written, load_run_config

    found = load_run_config(file)
    lines = takewhile(lambda line: line.startswith("#"), file.read_text(encoding="utf-8").splitlines())
    return "\n".join([*lines, commented(as_written(found), described(PIPELINES[found.pipeline].parameters))])


def version() -> None:
    """Print the version."""
    print(islands_version())


def shipped_files() -> list[Path]:
    """Return the configurations that come with Islands: where to run, and experiments."""
    return sorted(
        file for folder in (cluster_folder(), _PACKAGE / "pipelines") for file in folder.glob("*.yaml")
    )


def cluster_folder() -> Path:
    """Return the folder of files that say where to run: in the package, or in a checkout beside it."""
    installed = _PACKAGE / "cluster"
    return installed if installed.is_dir() else _PACKAGE.parent / "cluster"
