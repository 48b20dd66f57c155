"""Hosts islands in one process: one classifier replica, one device."""

from __future__ import annotations

import os
import time
import traceback
from dataclasses import replace

import torch

from islands.archipelago.island import Island
from islands.archipelago.messages import Inbox, IslandKey, IslandState, NetworkFacts, StepResult
from islands.classifiers.checks import require_sound
from islands.classifiers.contract import Classifier, require_differentiable
from islands.config import EvolutionSettings, WorkConfig
from islands.devices import deferred_checks, enough_memory
from islands.encodings.contract import Encoding
from islands.errors import BudgetSpentError, ConfigError, IslandFailedError, IslandsError, NotLoadedError
from islands.evolution.seeding import tuned


class IslandHost:
    """Steps the islands it is asked for; knows neither threads nor Ray."""

    def __init__(self, settings: EvolutionSettings, encoding: Encoding, classifier: Classifier) -> None:
        self._settings = settings
        self._encoding = encoding
        self._classifier = classifier
        self._islands: dict[IslandKey, Island] = {}

    @property
    def facts(self) -> NetworkFacts:
        """What the driver needs to know of network and images."""
        return NetworkFacts.of(self._classifier, self._encoding.size)

    def load(self, key: IslandKey, state: IslandState | None) -> None:
        """Host `key` from now on; None: from before generation 0."""
        island = Island(key, self._settings, self._encoding, self._classifier)
        if state is not None:
            island.load(state)
        self._islands[key] = island

    def step(self, key: IslandKey, epoch: int, inbox: Inbox) -> StepResult:
        """Do one epoch of one island.

        Raises:
            NotLoadedError: the island is not here, or not at the epoch before.
            IslandFailedError: an exception escaped from the island; it carries the traceback.
        """
        if key not in self._islands:
            raise NotLoadedError(f"{key} is not on this worker")
        try:
            started = time.perf_counter()
            with torch.inference_mode(), deferred_checks(), enough_memory(self._classifier.device):
                result = self._islands[key].step(epoch, inbox)
            return result._replace(delta=replace(result.delta, seconds=time.perf_counter() - started))
        except NotLoadedError:
            # Not wrapped: the executor tells by it that the island must be loaded. Nothing was computed.
            raise
        except Exception as error:
            # The island may be half way through the epoch: whoever asks next must load it again.
            del self._islands[key]
            if isinstance(error, BudgetSpentError):
                raise  # of all islands together
            where = f"island {key.island} of run {key.run} failed in epoch {epoch}"
            if isinstance(error, IslandsError):
                # Of the same type, by which callers tell what a user can mend from what is a bug of ours.
                raise type(error)(f"{where}: {error}") from error
            raise IslandFailedError(
                f"{where}: {type(error).__name__}: {error}\n{traceback.format_exc()}"
            ) from error


def build_host(config: WorkConfig) -> IslandHost:
    """Build network and encoding as the configuration says, on the device and threads that it names."""
    return IslandHost(config.evolution, *build_parts(config))


def build_parts(config: WorkConfig) -> tuple[Encoding, Classifier]:
    """Do the same, and return encoding and network by themselves."""
    from islands.classifiers.registry import load_classifier, resolve_device

    torch.set_num_threads(config.workers.threads)
    repeatable_on_gpu()
    device = resolve_device(config.workers.device, has_gpu=config.workers_have_gpus)
    # An island sees to images without finite scores: it knows where they come from.
    network = config.network.model_copy(update={"not_finite": "skip"})
    children = config.evolution.children_of(0)
    classifier = load_classifier(**network.model_dump(), device=device, at_once=children)
    return _encoding_for(config, classifier), classifier


def assemble(config: WorkConfig, classifier: Classifier) -> IslandHost:
    """Give a classifier the encoding that the configuration says, and see whether it scores as it should.

    Raises:
        NetworkError: it does not.
    """
    return IslandHost(config.evolution, _encoding_for(config, classifier), classifier)


def _encoding_for(config: WorkConfig, classifier: Classifier) -> Encoding:
    from islands.encodings.factory import attempt_drawing, build_encoding

    size = config.encoding.size or classifier.input_size
    encoding = build_encoding(config.encoding, classifier.channels, size)
    genomes = encoding.random(2, torch.Generator(classifier.device).manual_seed(0))
    # What does not fit must be known before anything is written.
    if tuned(encoding) or any(emitter.wants_gradients for emitter in config.evolve.emitters):
        require_differentiable(classifier)
        repeatable_gradients(classifier.device)
    drawn = attempt_drawing(encoding, genomes)
    expected = (2, classifier.channels, size, size)
    if len(genomes) != 2 or drawn.dtype != torch.uint8 or drawn.shape != expected:
        raise ConfigError(
            f"encoding {config.encoding.name}: got {len(genomes)} genomes of 2 asked for, and images "
            f"{drawn.dtype} {tuple(drawn.shape)}; expected uint8 {expected}"
        )
    # Noise as well: both drawn images may be uniform.
    noise = torch.randint(256, drawn.shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    images = torch.cat([drawn, noise.to(drawn.device)])
    require_sound(classifier, images, config.network.not_finite)
    return encoding


def repeatable_on_gpu() -> None:
    """Make float32 mean float32, and equal inputs give equal bits, on CUDA as well."""
    # TF32 rounds the factors to 10 bits of mantissa.
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    # The benchmark chooses kernels by their time: other runs, other bits.
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    # Without this cuBLAS may take other algorithms where several streams share its memory.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


def repeatable_gradients(device: torch.device) -> None:
    """Make gradients on CUDA such as come out the same each time, in this process from now on.

    All threads share the switch: to flip it for one island would change what the others compute meanwhile.
    """
    if device.type == "cuda":
        # Only a warning: for some operations torch has no deterministic kernel.
        torch.use_deterministic_algorithms(True, warn_only=True)
