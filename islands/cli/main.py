"""The `islands` command. Commands parse, call and print; what is slow to import is imported inside them."""

from __future__ import annotations

import gc
import os
import re
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from islands.cli import (
    asset_commands,
    background_commands,
    bench_command,
    card_command,
    cluster_commands,
    compare_command,
    config_commands,
    doctor_command,
    list_commands,
    look_commands,
    paper_commands,
    query_command,
    run_commands,
    score_commands,
    show_command,
    status_command,
    store_commands,
)
from islands.cli.help_examples import shown
from islands.cli.panics import without_panics
from islands.cli.standard_streams import decoded, repair_streams
from islands.errors import InputError, IslandsError
from islands.folders import ensure_home
from islands.texts import islands_version

# Newer typers bring a click of their own, so click's base class is reached through what typer exports.
_UsageError: Any = typer.BadParameter.__bases__[0]

_HOME = re.compile(r"^(?P<option>--[\w-]+=)?(?P<home>~)(?=/|$)")

app = typer.Typer(
    name="islands",
    help="Evolve images that fool deep networks: MAP-Elites islands on Ray, archived in Zarr.",
    epilog="`islands COMMAND -h` explains a command and has two examples of it.",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        print(f"islands {islands_version()}")
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Take `--debug` into the help; `main` has read it already, for it may stand anywhere."""


_PANELS: Mapping[str, tuple[Callable[..., None], ...]] = {
    "Run": (
        run_commands.launch,
        run_commands.resume,
        background_commands.logs,
        background_commands.stop,
        compare_command.compare,
        paper_commands.paper,
    ),
    "Look": (
        without_panics(status_command.status),
        without_panics(query_command.query),
        without_panics(show_command.show),
        without_panics(look_commands.lineage),
        without_panics(look_commands.figure),
        without_panics(look_commands.report),
        look_commands.view,
    ),
    "Judge": (
        score_commands.score,
        score_commands.transfer,
        card_command.card,
        card_command.cards,
        without_panics(store_commands.verify),
        without_panics(paper_commands.findings),
    ),
    "Prepare": (
        list_commands.init,
        doctor_command.doctor,
        run_commands.plan,
        bench_command.bench,
        cluster_commands.cluster_file,
        list_commands.explain,
        list_commands.networks,
        list_commands.pipelines,
        *map(list_commands.list_of, list_commands.LISTS),
        list_commands.version,
    ),
    "Keep": (
        without_panics(store_commands.export),
        without_panics(store_commands.tag),
        without_panics(store_commands.prune),
    ),
}
"""What one wants to do, and the commands for it, in the order of the help."""

for _panel, _commands in _PANELS.items():
    for _command in _commands:
        _name = _command.__name__.replace("_", "-")
        app.command(_name, rich_help_panel=_panel, epilog=shown(_name))(_command)
app.command("gc", hidden=True)(without_panics(store_commands.gc))
app.add_typer(config_commands.config, name="config", rich_help_panel="Prepare")
app.add_typer(asset_commands.assets, name="assets", rich_help_panel="Prepare")


def main() -> None:
    """Run the command line of this process and exit."""
    # What imports make stays, and to look through it after every 700 objects takes a twentieth of `status`.
    gc.set_threshold(10_000)
    repair_streams()
    ensure_home()
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    code = execute(arguments or ["--help"], debug=len(arguments) < len(sys.argv) - 1)
    if "icechunk" not in sys.modules:
        sys.exit(code)
    # Icechunk's threads call back into Python; one that does so while Python shuts down aborts the process
    # (measured: 6 of 300 exits). All that is ours is closed by now.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def execute(arguments: Sequence[str], *, debug: bool = False) -> int:
    """Run a command line and return its exit code: 0, 1 for a failure, 2 for bad input, 130 for Ctrl-C.

    `~/` is the home directory at the beginning of a word, and after `--option=`, where shells leave it.

    A failure is told in a line on stderr, several mistakes of the input in a line each; its traceback is
    shown only with `debug`.
    """
    try:
        words = [_HOME.sub(_with_home, word) for word in decoded(arguments)]
        code = app(words, prog_name="islands", standalone_mode=False) or 0
        sys.stdout.flush()
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except BrokenPipeError:
        # The reader of our output, such as `head`, has gone; nothing may be flushed to it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if debug:
            traceback.print_exc()
        lines, code = _explain(error)
        for line in lines:
            print(f"error: {line}", file=sys.stderr)
    return int(code)


def _with_home(found: re.Match[str]) -> str:
    try:
        return f"{found['option'] or ''}{Path(found['home']).expanduser()}"
    except RuntimeError:
        raise InputError(f"{found[0]}: no home directory is known; set HOME, or write the path out") from None


def _explain(error: Exception) -> tuple[list[str], int]:
    """Return what to tell of an error, and the exit code."""
    if isinstance(error, _UsageError):
        command = error.ctx.command_path if error.ctx else "islands"
        return [f"{error.format_message()} (see `{command} --help`)"], 2
    match error:
        case InputError():
            return str(error).splitlines(), error.exit_code
        case IslandsError():
            return [_first_line(error)], error.exit_code
        case OSError(strerror=str(reason)):
            return [f"{error.filename}: {reason}" if error.filename else reason], 2
        case _:
            return [f"{type(error).__name__}: {_first_line(error)} (run with --debug for the traceback)"], 1


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
