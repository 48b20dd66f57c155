"""Writes the files with which others start a cluster for a run: Ray's launcher, KubeRay, Slurm."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import yaml

from islands.config import RayConfig, RunConfig
from islands.errors import ConfigError
from islands.experiments.configure import as_written, resolve_run_config
from islands.runs.sizes import EPOCHS_BETWEEN, driver_bytes, guessed
from islands.store.location import Location

HEAD_PORT = 6379
_HEAD_GIB = 3
"""Memory of Ray's own processes on the head and of the driver's programs."""
_STOP = "ray stop --grace-period 60"


def ray_cluster(config: RunConfig, nodes: int, hosts: Sequence[str]) -> str:
    """Return a file for `ray up` that `islands launch` takes as well: our settings are its metadata.

    Args:
        config: the run.
        nodes: machines, the head included.
        hosts: their names, the head first; empty: to be filled in.
    """
    head, *workers = hosts or ["HEAD", *(f"WORKER-{number}" for number in range(1, nodes))]
    start = "ulimit -n 65536; ray start"
    joined = {**_settings(config), "ray": {"address": f"http://{head}:8265"}}
    content = {
        "cluster_name": "islands",
        "provider": {"type": "local", "head_ip": head, "worker_ips": workers},
        "auth": {"ssh_user": "USER", "ssh_private_key": "~/.ssh/id_ed25519"},
        "max_workers": len(workers),
        "setup_commands": ["pip install 'islands[jobs]'"],
        "head_start_ray_commands": [
            _STOP,
            f"{start} --head --port={HEAD_PORT} --autoscaling-config=~/ray_bootstrap_config.yaml",
        ],
        "worker_start_ray_commands": [_STOP, f"{start} --address=$RAY_HEAD_IP:{HEAD_PORT}"],
        "metadata": {"islands": joined},
    }
    return _yaml(
        "For Ray's cluster launcher, and for Islands, which reads its part under `metadata`.",
        (
            "Fill in the hosts and the user, then, with RAY_AUTH_TOKEN set here and on the hosts:",
            "  RAY_UP_enable_autoscaler_v2=0 ray up FILE",
            f"  ssh -N -L 8265:localhost:8265 {head} &   the job server listens on the head only",
            "  islands launch FILE --set ray.address=http://localhost:8265 --detach",
        ),
        content,
    )


def rayjob(config: RunConfig, nodes: int, image: str) -> str:
    """Return a KubeRay RayJob that makes a cluster, runs the driver in it and takes it down.

    Args:
        config: the run.
        nodes: pods with workers, beside the head's.
        image: of the pods; see cluster/Dockerfile.

    Raises:
        ConfigError: the store would be lost with the pods.
    """
    if Location.of(config.store).is_local and not Location.of(config.store).path.is_absolute():
        raise ConfigError(
            f"store: got {config.store}, but what pods write to their own disks goes with them; expected a "
            "URL such as s3://BUCKET/PREFIX, or an absolute path on a volume that you add to the pods"
        )
    per_node = _per_node(config, nodes)
    held = driver_bytes(config, guessed(config), EPOCHS_BETWEEN)
    driver = {"cpu": "2", "memory": f"{_HEAD_GIB + math.ceil(held / 2**30)}Gi"}
    worker = {"cpu": str(math.ceil(per_node * config.workers.cpus)), "memory": f"{2 + 2 * per_node}Gi"}
    if config.workers.gpus:
        worker["nvidia.com/gpu"] = str(math.ceil(per_node * config.workers.gpus))
    run = config.model_copy(update={"ray": RayConfig(address="auto")})
    settings = shlex.quote(json.dumps(_settings(run)))
    store = shlex.quote(config.store)
    command = (
        f"if islands status {store}; then islands resume {store} --break-lock; "
        f"else echo {settings} | islands launch -; fi"
    )
    least = math.ceil((config.workers.min or config.workers.count) / per_node)
    content = {
        "apiVersion": "ray.io/v1",
        "kind": "RayJob",
        "metadata": {"name": "islands"},
        "spec": {
            "entrypoint": f"sh -c {shlex.quote(command)}",
            "shutdownAfterJobFinishes": True,
            "rayClusterSpec": {
                "rayVersion": version("ray"),
                "enableInTreeAutoscaling": least < nodes,
                "authOptions": {"mode": "token"},
                "headGroupSpec": {
                    "rayStartParams": {"num-cpus": "0", "dashboard-host": "0.0.0.0"},
                    "template": _pod("ray-head", image, driver),
                },
                "workerGroupSpecs": [
                    {
                        "groupName": "workers",
                        "replicas": nodes,
                        "minReplicas": min(least, nodes),
                        "maxReplicas": nodes,
                        "rayStartParams": {},
                        "template": _pod("ray-worker", image, worker),
                    }
                ],
            },
        },
    }
    return _yaml(
        "For KubeRay: a cluster for one run, which goes when the run is done.",
        (
            "kubectl apply -f FILE",
            "Credentials for the store: a secret named `islands`, whose keys become environment variables.",
        ),
        content,
    )


def slurm(config: RunConfig, nodes: int, file: str) -> str:
    """Return a batch script that starts Ray on all nodes of an allocation and runs `islands launch` there.

    Args:
        config: the run.
        nodes: machines, that of the driver included.
        file: the configuration's path, which all nodes see.
    """
    per_node = _per_node(config, nodes)
    gpus = math.ceil(per_node * config.workers.gpus)
    cpus = math.ceil(per_node * config.workers.cpus)
    store = shlex.quote(config.store)
    lines = [
        "#!/bin/bash",
        "#SBATCH --job-name=islands",
        f"#SBATCH --nodes={nodes}",
        "#SBATCH --ntasks-per-node=1",
        f"#SBATCH --cpus-per-task={cpus + 1}",
        *([f"#SBATCH --gpus-per-node={gpus}"] if gpus else []),
        "#SBATCH --signal=B:TERM@300",
        "#SBATCH --requeue",
        "# Starts Ray on every node of the allocation, and the driver on the first. Five minutes before its",
        "# time is up the driver commits and ends; submitted again, this script goes on from there. Of two",
        "# that run at once the later has the store: the earlier ends when it tries to commit.",
        "set -euo pipefail",
        "",
        "RAY_AUTH_MODE=token",
        'RAY_AUTH_TOKEN=$(head -c 32 /dev/urandom | od -An -tx1 | tr -d " \\n")',
        "export RAY_AUTH_MODE RAY_AUTH_TOKEN",
        'head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)',
        f"port=$((20000 + SLURM_JOB_ID % 10000))",  # noqa: F541
        "",
        "start() {  # NODES HOSTS RAY-ARGUMENTS: a Ray node on each of HOSTS until the job ends",
        '    srun --nodes="$1" --ntasks="$1" --nodelist="$2" --export=ALL \\',
        f'        ray start --block --disable-usage-stats --num-cpus={cpus} --num-gpus={gpus} "${{@:3}}" &',
        "}",
        "",
        'start 1 "$head" --head --port="$port"',
        'if [ "$SLURM_JOB_NUM_NODES" -gt 1 ]; then',
        '    others=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | tail -n +2 | paste -s -d ,)',
        '    start "$((SLURM_JOB_NUM_NODES - 1))" "$others" --address="$head:$port"',
        "fi",
        'until ray health-check --address "$head:$port" 2>/dev/null; do sleep 2; done',
        "",
        f"if islands status {store} >/dev/null 2>&1; then",
        f'    islands resume {store} --break-lock --set ray.address="$head:$port" &',
        "else",
        f'    islands launch {shlex.quote(file)} --set ray.address="$head:$port" &',
        "fi",
        "driver=$!",
        "trap 'kill -TERM \"$driver\"' TERM",
        "# The trap ends the first wait; the second is for the commit.",
        'wait "$driver" || wait "$driver"',
    ]
    return "\n".join(lines) + "\n"


def _per_node(config: RunConfig, nodes: int) -> int:
    return config.workers.per_node or math.ceil(config.workers.count / nodes)


def _settings(config: RunConfig) -> dict[str, Any]:
    """Return the settings that a file needs beside those of its pipeline."""
    settings = as_written(config)
    named = {"pipeline": config.pipeline, "store": settings["store"]}
    try:
        pipeline = resolve_run_config(named).model_dump(mode="json")
    except ConfigError:  # `custom` has no settings of its own
        return settings
    if config.encoding.name != pipeline["encoding"]["name"]:
        return settings
    return {**named, **_beyond(settings, pipeline)}


def _beyond(settings: dict[str, Any], base: dict[str, Any]) -> dict[str, Any]:
    """Return what differs from `base`."""
    return {
        name: _beyond(value, base[name]) if isinstance(value, dict) and name in base else value
        for name, value in settings.items()
        if name not in base or value != base[name]
    }


def _pod(name: str, image: str, resources: dict[str, str]) -> dict[str, Any]:
    container = {
        "name": name,
        "image": image,
        "resources": {"requests": {**resources}, "limits": {**resources}},
        "envFrom": [{"secretRef": {"name": "islands", "optional": True}}],
    }
    return {"spec": {"containers": [container]}}


def _yaml(title: str, advice: Sequence[str], content: dict[str, Any]) -> str:
    comment = "\n".join(f"# {line}" for line in (title, *advice))
    return f"{comment}\n\n{yaml.safe_dump(content, sort_keys=False, width=100)}"
