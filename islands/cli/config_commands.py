"""`config schema`, `explain`, `reference` and `show`: what a configuration file may say."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from islands.cli.help_examples import shown
from islands.cli.options import Overrides
from islands.errors import InputError

if TYPE_CHECKING:
    from islands.config.explain import Schema

config = typer.Typer(help="What a configuration file may say.", no_args_is_help=True)

PipelineName = Annotated[
    str | None,
    typer.Option("--pipeline", metavar="NAME", help="With the section `parameters` of this pipeline."),
]


@config.command(epilog=shown("config schema"))
def schema(pipeline: PipelineName = None) -> None:
    """Print the JSON schema of configuration files, for editors and other programs.

    In a file, `# yaml-language-server: $schema=islands.schema.json` names it.
    """
    from islands.config.described import of_files

    print(json.dumps(of_files(_parameters(pipeline)), indent=2))


@config.command(epilog=shown("config explain"))
def explain(
    key: Annotated[str, typer.Argument(metavar="KEY", help="Such as islands.lag, or a section: islands.")],
    pipeline: PipelineName = None,
) -> None:
    """Say what KEY means, what may be there, and what its default is."""
    from islands.config.described import described, described_keys, known_keys
    from islands.config.explain import did_you_mean

    root = described(_parameters(pipeline))
    found = described_keys(root, key.split("."))
    if not found:
        known = list(known_keys(root))
        elsewhere = [each for each in known if each.rpartition(".")[2] == key]
        hint = f"; did you mean {elsewhere[0]!r}?" if elsewhere else did_you_mean(key, known)
        raise InputError(f"there is no key {key!r}{hint or '; `islands config schema` has all of them'}")
    print(key)
    for each in found:
        print("\n" + _explained(each, root))


@config.command(epilog=shown("config reference"))
def reference() -> None:
    """Print a page of all keys, in Markdown."""
    from islands.config import reference as page
    from islands.config.described import described

    print(page.reference(described()), end="")


@config.command(epilog=shown("config show"))
def show(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A configuration; `-`: standard input.")],
    overrides: Overrides = None,
) -> None:
    """Print all that FILE and its pipeline set, defaults too, as a file that says the same."""
    from islands.config.described import commented, described
    from islands.experiments.catalogue import PIPELINES
    from islands.experiments.configure import as_written, load_run_config

    found = load_run_config(file, overrides or ())
    print(commented(as_written(found), described(PIPELINES[found.pipeline].parameters)), end="")


def _explained(schema: Schema, root: Schema) -> str:
    from islands.config.described import keys_of
    from islands.config.explain import describe

    default = f"; default {json.dumps(schema['default'])}" if "default" in schema else ""
    keys = keys_of(schema, root)
    expected = [] if keys else [f"expected  {describe(schema)}{default}"]
    width = max(map(len, keys), default=0)
    rows = [f"  {key:<{width}}  {_first_sentence(value)}".rstrip() for key, value in keys.items()]
    return "\n".join([*([schema["description"]] if "description" in schema else []), *expected, *rows])


def _first_sentence(schema: Schema) -> str:
    text: str = schema.get("description", "")
    return text.partition(". ")[0].rstrip(".")


def _parameters(pipeline: str | None) -> type | None:
    from islands.config.explain import did_you_mean
    from islands.experiments.catalogue import PIPELINES

    if pipeline is None:
        return None
    if pipeline not in PIPELINES:
        raise InputError(
            f"--pipeline {pipeline}: there is no such pipeline{did_you_mean(pipeline, PIPELINES)}; "
            "`islands pipelines` lists them"
        )
    return PIPELINES[pipeline].parameters
