"""The parameters of the encodings, with the paper's values as defaults. Imports no torch.

Sources: "paper" is Nguyen, Yosinski and Clune (CVPR 2015); "released code" is
https://github.com/Evolving-AI-Lab/fooling at commit 66f097d. Where they differ, `variant` chooses the
defaults; every default can still be overridden by name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    field_validator,
    model_validator,
)

from islands.extensions.kinds import Registry
from islands.extensions.references import implementation
from islands.extensions.sections import Probability, own_settings

if TYPE_CHECKING:
    from islands.encodings.contract import Encoding

Variant = Literal["paper", "released-code"]
Colour = Literal["hsv", "hls"]
Activation = Literal["sine", "sigmoid", "gaussian", "linear"]


class EncodingSettings(BaseModel):
    """What every encoding has. Your own derives from this, and says what is made of its settings.

    Example:
        >>> class Stripes(islands.EncodingSettings):
        ...     made_by = "stripes.encoding:StripesEncoding"
        ...     width: int = 4
        >>> Stripes(name="stripes", width=8).size is None
        True
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    made_by: ClassVar[str] = ""
    """`MODULE:NAME` of a class that is called with the settings, the channels and the size, and is an
    `Encoding`. It is imported when the first is built, so that settings are read without torch."""
    released_code: ClassVar[dict[str, Any]] = {"colour": "hls"}
    padded: ClassVar[bool] = False
    """Whether genomes vary in length, and their arrays are padded with zeros that mean nothing."""
    is_network: ClassVar[bool] = False
    """Whether settings and genomes are those of a CPPN: emitters of networks vary it, its graph can be drawn,
    and it is small whatever the image."""

    name: str
    """Of the encoding; `islands encodings` lists them. `MODULE:NAME` or `file:PATH.py:NAME` is your own."""
    variant: Variant = "paper"
    """Which defaults apply where the paper and its released code differ."""
    size: PositiveInt | None = None
    """Height and width of the images in pixels; null: what the network is fed."""
    colour: Colour = "hsv"
    """How three numbers per pixel become a colour: `hsv` (paper), where the hue byte 0..255 is one turn, or
    `hls` (released code), OpenCV's 8-bit HLS, where the hue byte counts 2 degrees and so wraps at 180. Grey
    images have no use for it."""

    @property
    def images_per_seed(self) -> int:
        """What a genome of generation 0 counts as, in images scored."""
        return 1

    def build(self, channels: int, size: int) -> Encoding:
        """Build the encoding.

        Args:
            channels: 1 for grey images, 3 for RGB.
            size: height and width of the images that are scored, in pixels.
        """
        encoding: Encoding = implementation(self.made_by)(self, channels, size)
        return encoding

    def genome_bytes(self, values: int) -> int:
        """Return about how many bytes one of the first genomes has, for images of so many values."""
        return 4 * values

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_variant(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("variant") == "released-code":
            return cls.released_code | values
        return values


class ByteSettings(EncodingSettings):
    """How genomes of bytes vary (paper, section 2.2: the direct encoding)."""

    released_code: ClassVar[dict[str, Any]] = {"colour": "hls", "halve_every": 0, "crossover_rate": 0.5}

    mutation_rate: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Probability that a gene mutates, in (0, 1], at the start (paper and released code)."""
    halve_every: NonNegativeInt = 1000
    """Generations after which the mutation rate halves (paper: 1000); 0: never (released code)."""
    mutation_eta: PositiveFloat = 15.0
    """Index of the polynomial mutation: the higher, the smaller the steps (paper and released code: 15)."""
    crossover_rate: Probability = 0.0
    """Probability in [0, 1] of simulated binary crossover before mutation (paper: 0; released code: 0.5)."""
    crossover_eta: PositiveFloat = 10.0
    """Index of the crossover: the higher, the closer to the parents (released code: 10)."""


class DirectSettings(ByteSettings):
    """The direct encoding: one integer per pixel and channel (paper, section 2.2)."""

    made_by: ClassVar[str] = "islands.encodings.direct:DirectEncoding"

    name: Literal["direct"] = "direct"

    def genome_bytes(self, values: int) -> int:
        """See `EncodingSettings.genome_bytes`."""
        return values


class DctSettings(ByteSettings):
    """The frequency encoding: one integer per low frequency and channel (beyond the paper)."""

    made_by: ClassVar[str] = "islands.encodings.dct:DctEncoding"

    name: Literal["dct"] = "dct"
    frequencies: Annotated[int, Field(ge=1, le=64)] = 16
    """Frequencies along each side, from 0, in half waves per image."""


class CppnSettings(EncodingSettings):
    """The indirect encoding: a compositional pattern-producing network (paper, section 2.2).

    The rates are the released code's; the paper does not list them.
    """

    made_by: ClassVar[str] = "islands.encodings.cppn:CppnEncoding"
    padded: ClassVar[bool] = True
    is_network: ClassVar[bool] = True

    name: Literal["cppn"] = "cppn"
    coordinates: Literal["pixels", "normalized"] = "pixels"
    """What the inputs x and y are: pixel indices 0..size-1 (released code; the paper does not say), or -1..1.
    The distance from the centre is 0..1.414 in both."""
    activations: tuple[Activation, ...] = ("sine", "sigmoid", "gaussian", "linear")
    """The functions that nodes draw from, uniformly (paper: all four)."""
    start: Literal["minimal", "deep"] = "minimal"
    """Generation 0: networks without hidden nodes, every input connected to every output (paper), or with 16
    to 32 hidden nodes; see `islands.encodings.deep`."""
    max_nodes: PositiveInt | None = None
    """Hidden nodes from which on mutation adds neither nodes nor connections, and crossovers and warps may
    add an eighth of them at most; null: mutation has no bound (paper), the others have one of 160."""
    weight_limit: PositiveFloat = 10.0
    """Connection weights lie in [-weight_limit, weight_limit]; genes map to it linearly (released code:
    10)."""
    weight_rate: Probability = 0.1
    """Probability in [0, 1] that a connection's weight mutates (released code: 0.1)."""
    weight_eta: PositiveFloat = 15.0
    """Index of the polynomial mutation of weights: the higher, the smaller the steps (released code: 15)."""
    function_rate: Probability = 0.1
    """Probability in [0, 1] that a node draws its function anew, perhaps the same (released code: 0.1)."""
    add_connection_rate: Probability = 0.5
    """Probability in [0, 1] that a connection is added (released code: 0.5)."""
    delete_connection_rate: Probability = 0.3
    """Probability in [0, 1] that a connection is deleted (released code: 0.3)."""
    add_node_rate: Probability = 0.5
    """Probability in [0, 1] that a node is put on a connection (released code: 0.5)."""
    delete_node_rate: Probability = 0.2
    """Probability in [0, 1] that a hidden node is deleted with its connections (released code: 0.2)."""
    seed_steps: NonNegativeInt = 0
    """Points of a gradient ascent on the weights of each genome of generation 0, of which the best is kept.
    Each counts as three images, a pass forward and one back that costs about two, so that there are fewer
    genomes: `evolve.initial` stays what generation 0 costs. 0: none (paper)."""
    seed_rate: PositiveFloat = 0.05
    """How far a gene in [0, 1] moves from one of these points to the next, about."""

    @property
    def images_per_seed(self) -> int:
        """What a genome of generation 0 counts as, in images scored, with the gradients that tune it."""
        return 1 + 3 * self.seed_steps

    def genome_bytes(self, values: int) -> int:
        """See `EncodingSettings.genome_bytes`; the first have up to a dozen connections."""
        del values
        return 256

    @field_validator("activations")
    @classmethod
    def _some_and_distinct(cls, activations: tuple[Activation, ...]) -> tuple[Activation, ...]:
        if not activations or len(set(activations)) < len(activations):
            raise ValueError(
                f"activations is {list(activations)}; name one or more of sine, sigmoid, gaussian and linear,"
                " each once"
            )
        return activations


ENCODINGS = Registry[type[EncodingSettings]](
    "encodings",
    "a class that derives from islands.EncodingSettings",
    own_settings(EncodingSettings),
    {"direct": DirectSettings, "cppn": CppnSettings, "dct": DctSettings},
)
"""All encodings by name."""
