"""What a run is made of: the schema of cluster and pipeline files. Imports neither torch nor ray."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from islands.config.logger_settings import LoggersConfig
from islands.encodings.settings import ENCODINGS, EncodingSettings
from islands.evolution.cells import CellLayout
from islands.extensions.sections import (
    AS_STORED,
    Choice,
    Kept,
    Name,
    PathName,
    PositiveFloat,
    PositiveInt,
    Section,
)
from islands.measures.axes import ArchiveConfig
from islands.migration.migrants import MigrationConfig
from islands.migration.topologies import TOPOLOGIES, Ring, TopologySettings
from islands.search.choices import (
    EMITTERS,
    PARENTS,
    EmitterSettings,
    MutationSettings,
    ParentsSettings,
    UniformSettings,
)
from islands.search.presets import PresetName

NetworkName = Annotated[Name, Field(json_schema_extra={"format": "network"})]
"""The name of a network, which may hold paths."""


class NetworkConfig(Section):
    """A network: the source, which the images are evolved to fool, or a held-out one."""

    name: NetworkName
    """A registry name; `islands networks` lists them."""
    weights: PathName | None = None
    """Path of a state dict to use in place of the network's own weights; code in it is never run."""
    sha256: Annotated[str, Field(pattern="^[0-9a-fA-F]{8,64}$")] | None = None
    """Of the file in `weights`, or of that in `name`, or at least the first 8 digits; null: what the file's
    name says, as PyTorch writes it."""
    description: PathName | None = None
    """Of a served network (`kserve:URL/MODEL`): path of a JSON file with `classes`, `input_size`, `channels`,
    `mean` and `std`, and where its server does not say so `layout`, `input`, `output`, `datatype` and
    `outputs`; null: `MODEL.json` in the current folder."""
    queries_per_second: PositiveFloat | None = None
    """Of a served network: images it is asked about in a second at most, by all workers of a machine
    together; null: as many as it answers. Raise `workers.epoch_timeout_s` where an epoch takes longer so."""
    budget: PositiveInt | None = None
    """Of a served network: images it may be asked about, by all runs of a machine together; those count that
    fill up a batch, and those of a request that is repeated. The run commits and ends before there would be
    more; a resume may raise it. Null: any number."""
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    """Of the forward pass; confidences are float32 always."""
    engine: Literal["auto", "torch", "openvino"] = "auto"
    """What runs the forward pass. `auto`: OpenVINO on CPUs, where it can run the network in this precision
    and agrees with torch on it, else torch; `islands doctor` says which, and why. Part of the result: float
    sums depend on it."""
    screen: Literal["bfloat16", "float16"] | None = None
    """Precision in which all children are scored first; only those that might take a cell are then scored in
    float32, which alone decides. Null: all are scored in `precision` at once."""
    screen_margin: PositiveFloat | None = None
    """By how much log-odds may be off in the precision of `screen`; null: 0.5 in bfloat16, 0.0625 in float16.
    A child that is off by more may be missed; what is stored is right in any case."""
    view: Literal["whole", "center", "ten-crop", "standard"] = "whole"
    """How an image larger than the network's input is shown to it: resized as a whole, its centre, the mean
    over ten crops (four corners and centre, each mirrored: the paper's section 2.1), or as the weights' own
    transforms do, which resize and then cut out the centre."""
    outputs: Literal["logits", "softmax", "probabilities", "sigmoid", "logit"] | None = None
    """What the network gives for each class: logits, probabilities that sum to 1 (`softmax` and
    `probabilities` mean the same), or one number in [0, 1] for each class by itself (`sigmoid`: what they
    leave of 1 is spread evenly, what is above 1 scaled down). `logit`: one output, the log-odds of the second
    of two classes; so too one output of a `sigmoid`. Null: logits, and what looks like something else is
    refused."""
    not_finite: Literal["error", "skip"] | None = None
    """What becomes of an image whose scores are not finite: the run ends, or the image takes no cell and is
    counted. Null: error for the source network; held-out networks skip."""
    batch_size: PositiveInt | None = None
    """Images per forward pass at most; null: what suits the network and the kind of device. Part of the
    result: float sums depend on it."""

    @model_validator(mode="after")
    def _screened_is_float32(self) -> NetworkConfig:
        if self.screen is not None and self.precision != "float32":
            raise ValueError(
                f"screen is {self.screen} and precision {self.precision}; set network.precision to float32:"
                " what is screened is scored again in float32"
            )
        if self.screen is None and self.screen_margin is not None:
            raise ValueError(
                f"screen_margin is {self.screen_margin:g} without a screen; set network.screen to bfloat16 or"
                " float16, or leave screen_margin out"
            )
        return self

    @property
    def label(self) -> str:
        """The name, with what tells it from other settings of that name."""
        weights = [] if self.weights is None else [Path(self.weights).name]
        defaults = {"view": "whole", "precision": "float32", "outputs": None}
        extras = weights + [
            getattr(self, key) for key, usual in defaults.items() if getattr(self, key) != usual
        ]
        return f"{self.name} ({', '.join(extras)})" if extras else self.name

    @property
    def unlimited(self) -> NetworkConfig:
        """The same, however often it may be asked: that changes no score."""
        return self.model_copy(update={"queries_per_second": None, "budget": None})

    @property
    def as_held_out(self) -> NetworkConfig:
        """The same, with what null means for a held-out network."""
        return self.model_copy(update={"not_finite": self.not_finite or "skip"})


def _named(value: object) -> object:
    return {"name": value} if isinstance(value, str) else value


HeldOut = Annotated[NetworkConfig, BeforeValidator(_named), Field(json_schema_extra={"format": "network"})]
"""A network in full, or its name alone."""


class IslandsConfig(Section):
    """How the classes are split, and how islands are joined."""

    count: PositiveInt = 1
    """Islands per run; each owns a contiguous slice of the classes. 1 is exactly the paper's algorithm."""
    topology: Annotated[TopologySettings, Choice(TOPOLOGIES, TopologySettings, by_name=True)] = Ring()
    """Between which islands migrants travel; claims go from any island to any other. A `ring` keeps islands
    unlike, `fully_connected` makes them alike; `one_way_ring`, `torus`, `hypercube` and `star` lie between.
    Chance draws `small_world`, `erdos_renyi` and `scale_free`; `free_form` has `pairs` of your own. A name
    alone, or a mapping with settings of its own, such as `{name: small_world, neighbours: 3}`."""
    weight: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Probability that a connection is used in an epoch."""
    claims: bool = True
    """Whether a child that beats the posted confidence of a foreign class is mailed to its owner."""
    lag: PositiveInt = 2
    """Epochs that a parcel travels; waiting for stragglers shrinks as it grows."""
    asynchronous: bool = False
    """Whether islands read whatever mail has come instead of that of `lag` epochs ago. Nobody ever waits
    then, but timing decides what is found: results cannot be repeated."""
    migration: MigrationConfig = MigrationConfig()

    @model_validator(mode="after")
    def _topology_fits(self) -> IslandsConfig:
        self.topology.check(self.count)
        return self


class EvolveConfig(Section):
    """The budget and the rules of evolution."""

    initial: PositiveInt = 200
    """Images scored in generation 0: that many random genomes, unless gradients tune them."""
    children: PositiveInt = 200
    """Children per generation."""
    budget_per: Literal["run", "island"] = "run"
    """Whether `initial` and `children` count a run's images, which its islands share as evenly as can be, or
    those of each island, so that more islands score more images."""
    generations: PositiveInt = 200
    """Generations after generation 0, the random images; a multiple of `generations_per_epoch`."""
    generations_per_epoch: PositiveInt = 10
    """Generations between two exchanges."""
    tie_break: Literal["first", "margin"] = "first"
    """At equal confidence the incumbent stays (the paper's rule), or log-odds decide."""
    preset: PresetName = "paper"
    """A whole search by its name. What it sets, the file may set otherwise; `islands explain` shows it."""
    parents: Annotated[ParentsSettings, Choice(PARENTS, ParentsSettings, by_name=True)] = UniformSettings()
    """Who has children: any cell as likely as another (paper), or genomes with the fewest children first."""
    emitters: list[Annotated[EmitterSettings, Choice(EMITTERS, EmitterSettings)]] = Field(
        default=[MutationSettings()], min_length=1
    )
    """What makes children, and which share of a generation's images each may spend."""

    @field_validator("emitters")
    @classmethod
    def _sound_emitters(cls, emitters: list[EmitterSettings]) -> list[EmitterSettings]:
        names = [emitter.name for emitter in emitters]
        if repeated := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"{repeated} is here twice; give it the sum of both shares")
        # Whatever is left of a generation's images by those that cost several goes to one that costs one.
        if not any(emitter.images == 1 and not emitter.from_images for emitter in emitters):
            raise ValueError(
                f"got {', '.join(names)}; expected one that makes single images from the start, such as"
                " {name: mutation}"
            )
        return emitters

    @model_validator(mode="after")
    def _whole_epochs(self) -> EvolveConfig:
        if self.generations % self.generations_per_epoch:
            lower = self.generations // self.generations_per_epoch * self.generations_per_epoch
            near = lower or self.generations_per_epoch
            raise ValueError(
                f"generations is {self.generations}, which is not a multiple of generations_per_epoch"
                f" ({self.generations_per_epoch}); use {near}, or set evolve.generations_per_epoch"
            )
        return self

    @property
    def epochs(self) -> int:
        """Epochs after epoch 0, which is generation 0."""
        return self.generations // self.generations_per_epoch


class RayConfig(Section):
    """Where Ray runs."""

    address: Name = "local"
    """`local` starts Ray on this machine; `auto` or `HOST:PORT` joins a running cluster; `ray://HOST:10001`
    does so from outside, through Ray's client; `http://HOST:8265` submits the run as a job, whose driver runs
    in the cluster."""
    runtime_env: dict[str, Any] = Field(default={})
    """Of a job: `working_dir`, `pip`, `env_vars` and so on, as Ray's documentation has them. Stays out of the
    store, for it may hold secrets."""

    @property
    def is_job_server(self) -> bool:
        """Whether a run is submitted instead of driven from here."""
        return self.address.startswith(("http://", "https://"))


class WorkersConfig(Section):
    """The processes that evaluate. None of this changes results, except `threads` and `device`."""

    executor: Literal["ray", "in-process"] = "ray"
    """Processes of Ray, here or on a cluster, or threads of this process."""
    count: PositiveInt = 1
    """Workers, over which the islands of all runs are spread."""
    min: PositiveInt | None = None
    """Workers to start with; those up to `count` join when nodes for them come. Null: all."""
    strategy: Literal["spread", "pack", "strict_spread", "strict_pack"] = "spread"
    """On which nodes: on many or on few, if possible or strictly."""
    per_node: PositiveInt | None = None
    """Workers on each node, in place of a strategy; null: as many as come to lie there."""
    cpus: PositiveFloat = 1
    """CPUs that a worker reserves."""
    gpus: Annotated[float, Field(ge=0)] = 0
    """GPUs that a worker reserves; fractions share a GPU. With 0, a worker of Ray has none."""
    resources: dict[str, PositiveFloat] = Field(default={})
    """Other resources of Ray that a worker reserves, such as `accelerator_type:A100: 0.001`: nodes differ."""
    threads: PositiveInt = 1
    """Threads per worker. Part of the result: float sums depend on it."""
    device: Literal["auto", "cuda", "mps", "cpu"] = "auto"
    """Where images are drawn and scored; auto: a GPU if there is one, on Ray where `gpus` reserves a share of
    one. Part of the result."""
    wait_s: PositiveFloat = 60
    """Seconds to wait for the resources before giving up."""
    epoch_timeout_s: PositiveFloat = 3600
    """Seconds without an epoch done after which a busy worker counts as hung."""
    max_failures: Annotated[int, Field(ge=-1)] = 8
    """Failures in a row that a worker, or an island, survives before it does an epoch; -1: any number. Each
    has a count of its own, which begins anew with every epoch that it does: a node that is lost counts once
    however many workers it had. Failures of more than a day ago, or of more than `max_failures` + 1 times
    `epoch_timeout_s` ago if that is longer, are forgotten. Likewise scorers, and elites that are scored."""

    @model_validator(mode="after")
    def _min_is_least(self) -> WorkersConfig:
        if self.min is not None and self.min > self.count:
            raise ValueError(f"min is {self.min}, more than count ({self.count}); expected at most that")
        return self


class ScorersConfig(Section):
    """The processes, or threads in-process, that score elites on held-out networks; evolution never waits."""

    count: PositiveInt = 1
    """Scorers, which share the elites."""
    cpus: Annotated[float, Field(ge=0)] = 0
    """CPUs that a scorer reserves; 0: none, it takes what others leave idle."""
    gpus: Annotated[float, Field(ge=0)] = 0
    """GPUs that a scorer reserves; fractions share a GPU. With 0, a scorer of Ray has none."""
    threads: PositiveInt = 1
    """Threads per scorer. Part of the scores, as is `device`: float sums depend on it."""
    device: Literal["auto", "cuda", "mps", "cpu"] = "auto"
    """Where images are scored; auto: a GPU if there is one, on Ray where `gpus` reserves a share of one."""


SMALL_IMAGE = 16_384
"""Values of a direct image up to which `checkpoint.ancestors: auto` keeps genomes: 16 KB each."""


class CheckpointConfig(Section):
    """When the archipelago is committed to the store."""

    every_s: PositiveFloat = 30
    """Seconds between two commits."""
    keep: Annotated[int, Field(ge=2)] | None = 20
    """Newest commits that stay readable, beside the tagged ones; null: all. The store grows with each."""
    ancestors: Literal["auto", "genomes", "ids"] = "auto"
    """Whether the genomes of all that today's elites descend from are kept, so that lineages can be drawn, or
    their ids only; auto: genomes, but for direct images of more than 16,384 values."""


Encoding = Annotated[EncodingSettings, Choice(ENCODINGS, EncodingSettings)]


class EvolutionSettings(Section):
    """What decides which images evolve: all that islands and the driver's mirrors of them know of a run."""

    seed: int
    encoding: Encoding
    archive: ArchiveConfig
    evolve: EvolveConfig
    islands: IslandsConfig
    ancestors: Literal["auto", "genomes", "ids"]
    """See `CheckpointConfig`."""
    not_finite: Literal["error", "skip"]
    """See `NetworkConfig`."""

    @property
    def layout(self) -> CellLayout:
        """How the cells of the archive lie."""
        return CellLayout(self.archive.bins, self.archive.top)

    @property
    def budget(self) -> EvolveConfig:
        """`evolve` in images of a run, however the file counts them."""
        copies = self.islands.count if self.evolve.budget_per == "island" else 1
        return self.evolve.model_copy(
            update={
                "initial": copies * self.evolve.initial,
                "children": copies * self.evolve.children,
                "budget_per": "run",
            }
        )

    @property
    def island_budget(self) -> EvolveConfig:
        """`evolve` in images of the first island, which has the most where they do not divide evenly."""
        return self.evolve.model_copy(
            update={
                "initial": self.seeds_of(0) * self.encoding.images_per_seed,
                "children": self.children_of(0),
                "budget_per": "island",
            }
        )

    @property
    def largest_batch(self) -> int:
        """The largest number of genomes that a generation of an island may have."""
        return max(self.island_budget.initial, self.island_budget.children)

    def seeds_of(self, island: int) -> int:
        """Return how many genomes of generation 0 an island makes."""
        return self._share(self.budget.initial // self.encoding.images_per_seed, island)

    def children_of(self, island: int) -> int:
        """Return how many children an island makes in a generation."""
        return self._share(self.budget.children, island)

    def images_by(self, generation: int) -> int:
        """Return how many images a run has scored after a generation."""
        return self.budget.initial + self.budget.children * generation

    def _share(self, total: int, island: int) -> int:
        return total // self.islands.count + (island < total % self.islands.count)


class WorkConfig(Section):
    """What workers and scorers are told: nothing of pipeline, store and loggers."""

    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """From which all random numbers follow: equal seeds give equal archives."""
    runs: PositiveInt = 1
    """Independent archives (the paper: 5)."""
    network: NetworkConfig
    encoding: Encoding
    """How genomes become images, and what varies them."""
    archive: ArchiveConfig = ArchiveConfig()
    evolve: EvolveConfig = EvolveConfig()
    islands: IslandsConfig = IslandsConfig()
    held_out: list[HeldOut] = Field(default=[])
    """Networks that take no part in evolution and say what they see in the elites."""
    workers: WorkersConfig = WorkersConfig()
    scorers: ScorersConfig = ScorersConfig()
    ray: RayConfig = RayConfig()
    checkpoint: CheckpointConfig = CheckpointConfig()

    def as_message(self) -> dict[str, Any]:
        """Return what `WorkConfig.model_validate` reads, to be sent to another process."""
        return self.model_dump(mode="json", include=set(WorkConfig.model_fields))

    @property
    def workers_have_gpus(self) -> bool:
        """Whether a worker may take a GPU: Ray shows those that reserve none all the same one, or none."""
        return self.workers.executor != "ray" or self.workers.gpus > 0

    @property
    def scorers_have_gpus(self) -> bool:
        """Whether a scorer may, likewise."""
        return self.workers.executor != "ray" or self.scorers.gpus > 0

    @property
    def evolution(self) -> EvolutionSettings:
        """What decides which images evolve."""
        return EvolutionSettings(
            seed=self.seed,
            encoding=self.encoding,
            archive=self.archive,
            evolve=self.evolve,
            islands=self.islands,
            ancestors=self.checkpoint.ancestors,
            not_finite=self.network.not_finite or "error",
        )

    @model_validator(mode="after")
    def _whole_seeds(self) -> WorkConfig:
        if self.evolve.initial % (cost := self.encoding.images_per_seed):
            near = max(cost, self.evolve.initial // cost * cost)
            raise ValueError(
                f"evolve.initial is {self.evolve.initial}, but with encoding.seed_steps each genome of"
                f" generation 0 costs {cost} images; use a multiple of that, such as {near}"
            )
        return self

    @model_validator(mode="after")
    def _what_is_of_networks_fits(self) -> WorkConfig:
        # Of an encoding whose code is not imported, nobody knows.
        if self.encoding.is_network or isinstance(self.encoding, Kept):
            return self
        for key, chosen in (
            ("evolve.emitters", self.evolve.emitters),
            ("archive.measures", self.archive.measures),
        ):
            if found := next((each for each in chosen if each.networks_only), None):
                raise ValueError(
                    f"{key} has {found.name}, which works on encoding.name cppn; got {self.encoding.name}:"
                    " remove it, or change the encoding"
                )
        return self

    @model_validator(mode="after")
    def _emitters_fit(self) -> WorkConfig:
        for emitter in self.evolve.emitters:
            children = self.evolution.children_of(self.islands.count - 1)
            if children < emitter.images and emitter.images > 1:
                raise ValueError(
                    f"evolve.emitters: {emitter.name} spends {emitter.images} images at a time, and an island"
                    f" has {children} in a generation; raise evolve.children, or lower its steps"
                )
        return self

    @model_validator(mode="after")
    def _enough_for_islands(self) -> WorkConfig:
        count, cost = self.islands.count, self.encoding.images_per_seed
        budget = self.evolution.budget
        for key, images, least in (
            ("initial", budget.initial, count * cost),
            ("children", budget.children, count),
        ):
            if images < least:
                raise ValueError(
                    f"evolve.{key} is {images} for a run of {count} islands; expected at least {least}, for"
                    " each island needs a share: raise it, lower islands.count, or set"
                    " evolve.budget_per to island"
                )
        return self


def _path_text(value: object) -> object:
    return os.fspath(value) if isinstance(value, os.PathLike) else value


class _Named(Section):
    """What a file begins with."""

    pipeline: Name
    """The experiment; `islands pipelines` lists them. `custom` has settings for any network."""
    store: Annotated[PathName, BeforeValidator(_path_text)]
    """The folder that is written, or `s3://BUCKET/PREFIX`, `gs://…`, `az://…`. In all paths `~` and
    `$NAME` mean what they mean in a shell, and `$$` is a dollar sign; URLs stay as they are."""


class RunConfig(WorkConfig, _Named):
    """A whole run: a pipeline's settings with the cluster file's on top."""

    loggers: LoggersConfig = LoggersConfig()
    parameters: dict[str, Any] = Field(default={})
    """What stages other than evolution are told; the pipeline has the schema."""


def stored_run_config(values: Any) -> RunConfig:
    """Read a complete configuration that a store or an experiment keeps; no code that it names is imported.

    Before `evolve.budget_per` had a name, its value was `island`, and before `network.engine` had one, that
    was `torch`.

    Raises:
        ValidationError: this version does not know it.
    """
    match values:
        case {"evolve": dict() as evolve, "islands": {"count": int() as count}} if count > 1:
            values = {**values, "evolve": {"budget_per": "island", **evolve}}
    match values:
        case {"network": network}:
            held_out = [_with_engine(each) for each in values.get("held_out", [])]
            values = {**values, "network": _with_engine(network), "held_out": held_out}
    return RunConfig.model_validate(values, context=AS_STORED)


def stored_network_config(values: Any) -> NetworkConfig:
    """Read the complete settings of a network that a store keeps; see `stored_run_config`.

    Raises:
        ValidationError: this version does not know them.
    """
    return NetworkConfig.model_validate(_with_engine(values))


def _with_engine(network: Any) -> Any:
    return {"engine": "torch", **network} if isinstance(network, dict) else network
