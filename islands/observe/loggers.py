"""TensorBoard, MLflow and Weights & Biases, each through its own library, once per epoch."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from islands.archipelago.progress import Observe, Progress
from islands.config import RunConfig
from islands.config.logger_settings import MlflowLogger, TensorBoardLogger, WandbLogger
from islands.errors import ConfigError
from islands.observe.metrics import values


@contextmanager
def tensorboard(settings: TensorBoardLogger, _config: RunConfig) -> Iterator[Observe]:
    """Open TensorBoard's files."""
    writer = _library("torch.utils.tensorboard", "tensorboard").SummaryWriter(settings.folder)

    def log(epoch: int, found: Mapping[str, float]) -> None:
        for name, value in found.items():
            writer.add_scalar(name, value, epoch)

    try:
        yield _each_epoch(log)
    finally:
        writer.close()


@contextmanager
def mlflow(settings: MlflowLogger, config: RunConfig) -> Iterator[Observe]:
    """Open a run of MLflow."""
    client = _library("mlflow", "mlflow").MlflowClient(tracking_uri=settings.tracking_uri)
    experiment = client.get_experiment_by_name(config.pipeline)
    known = client.create_experiment(config.pipeline) if experiment is None else experiment.experiment_id
    run = client.create_run(known, run_name=config.store).info.run_id
    for name, value in _flat(config.model_dump(mode="json")).items():
        client.log_param(run, name, value)

    def log(epoch: int, found: Mapping[str, float]) -> None:
        for name, value in found.items():
            client.log_metric(run, name, value, step=epoch)

    try:
        yield _each_epoch(log)
    except BaseException:
        client.set_terminated(run, "FAILED")
        raise
    client.set_terminated(run)


@contextmanager
def wandb(settings: WandbLogger, config: RunConfig) -> Iterator[Observe]:
    """Open a run of Weights & Biases."""
    run = _library("wandb", "wandb").init(
        project=settings.project, name=config.store, config=config.model_dump(mode="json"), save_code=False
    )
    try:
        yield _each_epoch(lambda epoch, found: run.log(dict(found), step=epoch))
    except BaseException:
        run.finish(exit_code=1)
        raise
    run.finish()


def _each_epoch(log: Callable[[int, Mapping[str, float]], object]) -> Observe:
    """Return an observer that logs each epoch once."""
    last = -1

    def observe(progress: Progress) -> None:
        nonlocal last
        if progress.epoch > last:
            last = progress.epoch
            log(progress.epoch, values(progress))

    return observe


def _library(module: str, extra: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ConfigError(
            f"loggers.{extra}: its library is not installed ({error}); pip install 'islands[{extra}]'"
        ) from error


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat
