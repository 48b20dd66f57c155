"""`cluster-file`: what `ray up`, `kubectl` and `sbatch` take."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from islands.cli.options import Overrides
from islands.errors import InputError


class Kind(StrEnum):
    """For whom the file is."""

    RAY = "ray"
    RAYJOB = "rayjob"
    SLURM = "slurm"


def cluster_file(
    kind: Annotated[Kind, typer.Argument(help="Ray's cluster launcher, KubeRay, or Slurm.")],
    file: Annotated[str, typer.Argument(metavar="FILE", help="A configuration.")],
    overrides: Overrides = None,
    nodes: Annotated[int, typer.Option("--nodes", min=1, help="Machines.")] = 2,
    hosts: Annotated[
        str | None, typer.Option("--hosts", metavar="HEAD,…", help="For ray: their names, the head first.")
    ] = None,
    image: Annotated[
        str | None, typer.Option("--image", help="For rayjob: made of cluster/Dockerfile.")
    ] = None,
) -> None:
    """Print a file that starts a cluster for the run that FILE describes."""
    from islands.deploy import cluster_files
    from islands.experiments.configure import load_run_config

    config = load_run_config(file, overrides or ())
    match kind:
        case Kind.RAY:
            text = cluster_files.ray_cluster(config, nodes, hosts.split(",") if hosts else ())
        case Kind.RAYJOB:
            if image is None:
                raise InputError("give --image, the image that the pods run; see cluster/Dockerfile")
            text = cluster_files.rayjob(config, nodes, image)
        case Kind.SLURM:
            text = cluster_files.slurm(config, nodes, file)
    print(text, end="")
