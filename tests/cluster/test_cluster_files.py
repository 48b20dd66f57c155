"""What `islands cluster-file` prints is what `ray up`, `kubectl` and `sbatch` take."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import ray.autoscaler
import yaml

from islands.cli.main import execute
from islands.deploy.cluster_files import ray_cluster, rayjob, slurm
from islands.experiments.configure import load_run_config, resolve_run_config
from tests.config.test_shipped import FILES

RAY_SCHEMA = json.loads((Path(ray.autoscaler.__file__).parent / "ray-schema.json").read_text())


def section(required: list[str] | None = None, **properties: Any) -> dict[str, Any]:
    """Describe a mapping that has no other keys."""
    return {
        "type": "object",
        "additionalProperties": False,
        "required": required or [],
        "properties": properties,
    }


TEXT, FLAG, COUNT = {"type": "string"}, {"type": "boolean"}, {"type": "integer", "minimum": 0}
TEXTS = {"type": "object", "additionalProperties": TEXT}
POD = {"type": "object"}
RAYJOB_SCHEMA = section(
    ["apiVersion", "kind", "metadata", "spec"],
    apiVersion={"const": "ray.io/v1"},
    kind={"const": "RayJob"},
    metadata=section(["name"], name=TEXT),
    spec=section(
        ["entrypoint", "rayClusterSpec"],
        entrypoint=TEXT,
        shutdownAfterJobFinishes=FLAG,
        rayClusterSpec=section(
            ["headGroupSpec"],
            rayVersion=TEXT,
            enableInTreeAutoscaling=FLAG,
            authOptions=section(mode={"enum": ["disabled", "token"]}),
            headGroupSpec=section(["rayStartParams", "template"], rayStartParams=TEXTS, template=POD),
            workerGroupSpecs={
                "type": "array",
                "items": section(
                    ["groupName", "maxReplicas", "minReplicas", "rayStartParams", "template"],
                    groupName=TEXT,
                    replicas=COUNT,
                    minReplicas=COUNT,
                    maxReplicas=COUNT,
                    rayStartParams=TEXTS,
                    template=POD,
                ),
            },
        ),
    ),
)
"""The part of KubeRay's resource definition (version 1 of `rayjobs.ray.io`) that we write, and nothing else.

No package carries the definition itself; its names and types are those of KubeRay's API reference. Pods are
checked against Kubernetes' own schema.
"""


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_one_file_serves_ray_up_and_launch(file: Path, tmp_path: Path) -> None:
    config = load_run_config(file)
    text = ray_cluster(config, 3, ["one", "two", "three"])
    content = yaml.safe_load(text)
    jsonschema.validate(content, RAY_SCHEMA)
    assert content["provider"]["worker_ips"] == ["two", "three"]
    (tmp_path / "up.yaml").write_text(text)
    again = load_run_config(tmp_path / "up.yaml")
    assert again.ray.address == "http://one:8265"
    assert again.model_copy(update={"ray": config.ray}) == config


def test_rays_schema_refuses_a_key_of_ours() -> None:
    """So that the test above can fail."""
    content = yaml.safe_load(ray_cluster(load_run_config(FILES[0]), 2, ()))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**content, "islands": {}}, RAY_SCHEMA)


def test_a_rayjob_is_valid_and_carries_the_run(tmp_path: Path) -> None:
    file = Path(__file__).parents[2] / "cluster/multi-gpu.yaml"
    config = load_run_config(file, ["store=s3://bucket/run", "workers.min=4"])
    content = yaml.safe_load(rayjob(config, 8, "islands:cuda"))
    jsonschema.validate(content, RAYJOB_SCHEMA)
    cluster = content["spec"]["rayClusterSpec"]
    [group] = cluster["workerGroupSpecs"]
    for template in (cluster["headGroupSpec"]["template"], group["template"]):
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod"}, **template}
        kubernetes_validate.validate(pod, kubernetes_validate.latest_version(), strict=True)
    assert (group["minReplicas"], group["maxReplicas"]) == (2, 8)
    assert group["template"]["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "1"
    # The entrypoint is run with a command of ours that notes what it is given.
    (tmp_path / "islands").write_text(
        f'#!/bin/sh\n[ "$1" = launch ] && cat > {tmp_path}/given\n[ "$1" = launch ]\n'
    )
    (tmp_path / "islands").chmod(0o755)
    path = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    subprocess.run(content["spec"]["entrypoint"], shell=True, env=path, check=True)
    given = resolve_run_config(json.loads((tmp_path / "given").read_text()))
    assert given == config.model_copy(update={"ray": given.ray})
    assert given.ray.address == "auto"


def test_a_slurm_script_is_sound(tmp_path: Path) -> None:
    config = load_run_config(Path(__file__).parents[2] / "cluster/multi-gpu.yaml")
    script = tmp_path / "job.sh"
    script.write_text(slurm(config, 2, "cluster/my file.yaml"))
    subprocess.run(["bash", "-n", str(script)], check=True)
    checked = subprocess.run(["shellcheck", str(script)], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout
    assert "#SBATCH --gpus-per-node=4\n" in script.read_text()
    assert "'cluster/my file.yaml'" in script.read_text()


def test_pods_need_a_store_that_outlives_them(capsys: pytest.CaptureFixture[str]) -> None:
    local = str(Path(__file__).parents[2] / "cluster/local.yaml")
    assert execute(["cluster-file", "rayjob", local, "--image", "islands:cpu"]) == 2
    assert "s3://BUCKET/PREFIX" in capsys.readouterr().err
    assert execute(["cluster-file", "rayjob", local]) == 2
    assert execute(["cluster-file", "slurm", local, "--nodes", "3"]) == 0
    assert "#SBATCH --nodes=3" in capsys.readouterr().out


def test_the_image_can_build_what_launches_kernels_of_triton() -> None:
    """Triton compiles a C file against Python.h at its first launch."""
    installed = (
        (Path("cluster") / "Dockerfile").read_text().partition("apt-get install")[2].partition("&&")[0]
    )
    assert {"gcc", "libc6-dev", "python3-dev"} <= {*installed.split()}
