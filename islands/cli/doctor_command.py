"""`doctor`: would this run work?"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from islands.classifiers.hosts import allow_hosts
from islands.cli.options import AllowHost, Json, Overrides

File = Annotated[str, typer.Argument(metavar="FILE", help="A configuration, such as cluster/local.yaml.")]


def doctor(
    file: File, overrides: Overrides = None, allow_host: AllowHost = None, as_json: Json = False
) -> None:
    """Check networks, devices, Ray, store, disk and memory for the run that FILE describes."""
    allow_hosts(allow_host or ())
    from islands.experiments.configure import load_run_config

    config = load_run_config(file, overrides or ())
    from islands.cli.run_commands import stdout_for_result
    from islands.runs.doctor import examine

    with stdout_for_result():
        diagnoses = examine(config)
    if as_json:
        print(json.dumps([asdict(diagnosis) for diagnosis in diagnoses]))
    else:
        for diagnosis in diagnoses:
            print(f"{diagnosis.verdict:<9}{diagnosis.subject:<15}{diagnosis.text}")
    if any(diagnosis.verdict == "failed" for diagnosis in diagnoses):
        raise typer.Exit(2)
