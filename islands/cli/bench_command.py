"""`bench`: how fast is this machine?"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from islands.classifiers.hosts import allow_hosts
from islands.cli.options import AllowHost, Force, Json, Overrides
from islands.cli.written_files import require_new

if TYPE_CHECKING:
    from islands.bench.machine import Bench

File = Annotated[
    str | None,
    typer.Argument(metavar="[FILE]", help="A configuration; without one, the pipeline `mnist_cppn`."),
]
Seconds = Annotated[float, typer.Option("--seconds", min=0.1, help="About how long a measurement takes.")]
Trace = Annotated[
    Path | None,
    typer.Option("--trace", metavar="JSON", help="Write a trace of one epoch, for https://ui.perfetto.dev."),
]


def bench(
    file: File = None,
    overrides: Overrides = None,
    seconds: Seconds = 10,
    trace: Trace = None,
    force: Force = False,
    allow_host: AllowHost = None,
    as_json: Json = False,
) -> None:
    """Measure how fast FILE runs here: the network, all around it, workers and driver."""
    allow_hosts(allow_host or ())
    from islands.config.resolve import resolve_work_config
    from islands.experiments.catalogue import PIPELINES
    from islands.experiments.configure import load_run_config

    if trace is not None:
        require_new(trace, force)
    if file is None:
        config = resolve_work_config(PIPELINES, "mnist_cppn", overrides or ())
    else:
        config = load_run_config(file, overrides or ())
    from islands.bench import machine as stage
    from islands.cli.run_commands import stdout_for_result

    with stdout_for_result():
        result = stage.bench(config, seconds, trace)
    print(json.dumps(asdict(result)) if as_json else _text(result))


def _text(result: Bench) -> str:
    lines = [result.machine, result.setting, ""]
    for row in result.rows:
        lines.append(f"{row.name:<16}{_number(row.value):>10} {row.unit:<9} {row.meaning}")
    return "\n".join(lines)


def _number(value: float) -> str:
    """Return three digits, or all before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
