"""Writes the pages of `docs/reference` from the source that they describe.

python -m docs.reference_pages
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Any, get_args, get_type_hints

import typer.main

import islands
from islands.cli.help_examples import EXAMPLES
from islands.cli.main import app
from islands.config.described import described
from islands.config.reference import reference
from islands.evolution.cells import CellLayout
from islands.store import schema
from islands.store.columns import TABLES
from islands.store.query import PRESETS, type_of

FOLDER = Path(__file__).parent / "reference"

GENERATED = "<!-- Written by `python -m docs.reference_pages` from the source; do not edit. -->\n\n"


def pages() -> dict[str, str]:
    """Return each generated page by its file's name, in Markdown."""
    return {
        "configuration.md": reference(described()),
        "command-line.md": GENERATED + _command_line(),
        "sql.md": GENERATED + _sql(),
        "python.md": GENERATED + _python(),
        "errors.md": GENERATED + _errors(),
        "store.md": GENERATED + _store(),
    }


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table in Markdown; bars and line breaks in cells are escaped."""
    lines = [list(head), *(list(row) for row in rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "".join(f"| {' | '.join(map(_cell, line))} |\n" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", r"\|")


def commands(group: Any, above: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the words of each command that help lists, and the command."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{above}{name} ")
        elif not command.hidden:
            yield f"{above}{name}", command


def _command_line() -> str:
    parts = [
        "# Command line\n\n"
        "`islands -h` lists the commands, and `islands COMMAND -h` explains one. Options may stand before or "
        "after other words. Two options belong to `islands` itself: `--version` prints the version, and "
        "`--debug` shows the traceback of an error. "
        "[Errors and exit codes](errors.md) says how a command ends.\n"
    ]
    for name, command in commands(typer.main.get_command(app)):
        visible = [each for each in command.params if not each.hidden]
        arguments = [each for each in visible if not _is_option(each)]
        options = [each for each in visible if _is_option(each)]
        usage = " ".join([f"islands {name}", *(_shown(each) for each in arguments)])
        parts.append(f"\n## islands {name}\n\n{inspect.cleandoc(command.help or '')}\n")
        parts.append(f"\n```text\n{usage}{' [OPTIONS]' if options else ''}\n```\n")
        if arguments:
            rows = ([f"`{_shown(each)}`", each.help or ""] for each in arguments)
            parts.append("\n" + _table(("argument", "what it is"), rows))
        if options:
            kinds = get_type_hints(command.callback)
            rows = (
                [f"`{_spelled(each, kinds[each.name])}`", each.help or "", _default(each)] for each in options
            )
            parts.append("\n" + _table(("option", "what it does", "default"), rows))
        parts.append("\n<!-- parsed: examples of the help -->\n```console\n")
        parts += [f"$ {example}\n" for example in EXAMPLES[name]]
        parts.append("```\n")
    return "".join(parts)


def _is_option(parameter: Any) -> bool:
    return str(parameter.opts[0]).startswith("-")


def _shown(argument: Any) -> str:
    return argument.metavar or str(argument.name).upper()


def _spelled(option: Any, kind: object) -> str:
    """Return an option with what it takes, which is of a kind."""
    choices = [each for part in (kind, *get_args(kind)) if inspect.isclass(part) for each in _members(part)]
    if option.is_flag:
        return "/".join([*option.opts, *option.secondary_opts])
    return f"{', '.join(option.opts)} {option.metavar or '|'.join(map(_word, choices))}"


def _members(kind: type) -> Iterable[object]:
    """Return what an option of a kind may be, or a word for it."""
    if issubclass(kind, Enum):
        return kind
    return {int: ("N",), float: ("NUMBER",), Path: ("PATH",), str: ("TEXT",)}.get(kind, ())


def _word(choice: object) -> str:
    return str(choice.value) if isinstance(choice, Enum) else str(choice)


def _default(option: Any) -> str:
    if option.default is None or option.default is False or callable(option.default):
        return "several may be given" if option.multiple else ""
    return f"`{_word(option.default)}`"


def _sql() -> str:
    parts = [
        "# SQL tables\n\n"
        "`islands query STORE SQL` and `Results.query` answer SQL of DuckDB over these tables. "
        "[Query runs](../how-to/query.md) has examples. Empty cells have no row in any table. "
        "Of several stores each table has the rows of all, and one more column, `store`.\n"
    ]
    for name, columns in TABLES.items():
        rows = ([f"`{column}`", f"`{type_of(name, column)}`", text] for column, text in columns.items())
        parts.append(f"\n## {name}\n\n" + _table(("column", "type", "what it is"), rows))
    rows = ([f"`{name}`", what, f"`{sql}`"] for name, (what, sql) in PRESETS.items())
    parts.append("\n## Presets\n\n`islands query STORE --preset NAME` asks a common question.\n\n")
    parts.append(_table(("name", "what it asks", "SQL"), rows))
    return "".join(parts)


def _python() -> str:
    parts = [
        "# Python\n\n"
        "`import islands` offers these names, and `dir(islands)` lists them. They stay as they are "
        "documented, or warn for a release before they change. A name costs nothing until it is used: "
        "`islands.open` imports neither torch nor Ray. `islands.__version__` is the version, a text.\n"
    ]
    names = [name for name in islands.__all__ if name not in ("__version__", "errors")]
    functions = [name for name in names if inspect.isfunction(getattr(islands, name))]
    for heading, chosen in (
        ("Functions", functions),
        ("Classes", [name for name in names if name not in functions]),
    ):
        parts.append(f"\n## {heading}\n")
        for name in chosen:
            thing = getattr(islands, name)
            parts.append(f"\n### islands.{name}\n\n::: {thing.__module__}.{thing.__qualname__}\n")
    parts.append("\n## Errors\n\n### islands.errors\n\n[Errors and exit codes](errors.md) has all of them.\n")
    parts.append("\n## Suites of tests\n\n### islands.testing\n\n::: islands.testing\n    options:\n")
    parts.append("      members: false\n")
    return "".join(parts)


def _errors() -> str:
    found: list[Any] = [each for each in vars(islands.errors).values() if inspect.isclass(each)]
    tree = inspect.cleandoc(islands.errors.__doc__ or "").split("\n\n")[1]
    rows = (
        [f"`{each.__name__}`", (each.__doc__ or "").splitlines()[0], str(each.exit_code)] for each in found
    )
    return (
        "# Errors and exit codes\n\n"
        "A command that fails says so on stderr, in a line that begins with `error: `. The line says what "
        "was got, what was expected and what to do. Several mistakes in a configuration are told at once, a "
        "line each. `islands --debug COMMAND` shows the traceback as well. "
        "[Troubleshooting](../troubleshooting.md) goes through the messages.\n\n"
        "## Exit codes\n\n"
        + _table(
            ("code", "what it means"),
            [
                ("0", "The command did what it was asked."),
                ("1", "It failed: a run broke off, a check found a difference, or there is a bug."),
                ("2", "The input is wrong: a file, a key, a name, a store or an option. Nothing was lost."),
                ("130", "Ctrl-C or a signal stopped it. A run has committed; `islands resume` goes on."),
            ],
        )
        + "\n## Classes\n\nIn Python all of these are in `islands.errors`.\n\n"
        + f"```text\n{inspect.cleandoc(tree)}\n```\n\n"
        + _table(("class", "what it means", "exit code"), rows)
    )


def _columns(of: Mapping[str, schema.Column]) -> str:
    rows = (
        [f"`{name}`", each.dtype.__name__, ", ".join(("row", *each.dimensions)), each.description]
        for name, each in of.items()
    )
    return _table(("array", "dtype", "dimensions", "what it is"), rows)


def _store() -> str:
    layout = inspect.cleandoc(schema.__doc__ or "").split("\n\n")[1]
    one = CellLayout(1)
    tables = {
        "elites": schema.elite_schema(1),
        "elites, where a class has several cells": {"cell": schema.CELL},
        "mail in transit": schema.MAIL,
        "counters": schema.COUNTERS,
        "history": schema.history_schema(one),
        "migrations": schema.MIGRATIONS,
        "ancestors": schema.ANCESTORS,
        "scores": schema.SCORES,
        "arrays without a table": {"boards": schema.BOARDS, "curves": schema.CURVES},
    }
    return (
        "# Store schema\n\n"
        "A store is a Zarr hierarchy (format 3) in an Icechunk repository. Its groups and arrays carry the "
        "descriptions below as attributes, so that any reader of Zarr shows them. "
        f"This is version {schema.SCHEMA_VERSION} of the schema; Islands reads versions "
        f"{' and '.join(map(str, schema.READABLE))}. [The store and its checkpoints](../concepts/store.md) "
        "says how it is written.\n\n"
        f"## Groups\n\nK is the number of classes.\n\n```text\n{inspect.cleandoc(layout)}\n```\n"
        + "".join(f"\n## {name.capitalize()}\n\n{_columns(columns)}" for name, columns in tables.items())
    )


if __name__ == "__main__":
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
        print(f"wrote {FOLDER / name}")
