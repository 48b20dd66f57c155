"""What a file may choose of a search: who become parents, and which emitters vary them. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveFloat, PositiveInt

from islands.extensions.kinds import Registry
from islands.extensions.references import implementation
from islands.extensions.sections import Section, own_settings

if TYPE_CHECKING:
    from islands.classifiers.contract import Classifier
    from islands.encodings.contract import Encoding
    from islands.search.contract import Emitter, Parents

GRADIENT = 3
"""Images that a gradient counts as: a pass forward, and one back that takes about two."""


class ParentsSettings(Section):
    """What chooses parents. Your own derives from this, and says what is made of its settings.

    Example:
        >>> class Oldest(islands.ParentsSettings):
        ...     made_by = "oldest:OldestFirst"
        >>> Oldest(name="oldest").name
        'oldest'
    """

    made_by: ClassVar[str] = ""
    """`MODULE:NAME` of a class that is called with the settings, and is `Parents`."""

    name: str
    """`islands parents` lists them. `MODULE:NAME` or `file:PATH.py:NAME` is your own."""

    def build(self) -> Parents:
        """Build what chooses."""
        parents: Parents = implementation(self.made_by)(self)
        return parents


class UniformSettings(ParentsSettings):
    """Any cell is as likely as another (paper)."""

    made_by: ClassVar[str] = "islands.search.parents:Uniform"
    name: Literal["uniform"] = "uniform"


class FreshSettings(ParentsSettings):
    """Genomes with the fewest children first: each has its turn, however many cells it holds."""

    made_by: ClassVar[str] = "islands.search.parents:Fresh"
    name: Literal["fresh"] = "fresh"


PARENTS = Registry[type[ParentsSettings]](
    "parents",
    "a class that derives from islands.ParentsSettings",
    own_settings(ParentsSettings),
    {"uniform": UniformSettings, "fresh": FreshSettings},
)
"""All that choose parents, by name."""


class EmitterSettings(BaseModel):
    """What every emitter has. Your own derives from this, and says what is made of its settings.

    Example:
        >>> class Swap(islands.EmitterSettings):
        ...     made_by = "swap:SwapEmitter"
        ...     pixels: int = 2
        >>> Swap(name="swap", share=0.5).images
        1
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    made_by: ClassVar[str] = ""
    """`MODULE:NAME` of a class that is called with the settings, the encoding and the classifier, and is an
    `Emitter`."""
    networks_only: ClassVar[bool] = False
    """Whether the emitter works on encodings of networks alone; see `EncodingSettings.is_network`."""
    colours_only: ClassVar[bool] = False
    """Whether grey images have no use for the emitter: the others then share its images."""
    wants_gradients: ClassVar[bool] = False
    """Whether the source network has to let gradients pass."""

    name: str
    """`islands emitters` lists them. `MODULE:NAME` or `file:PATH.py:NAME` is your own."""
    share: PositiveFloat = 1.0
    """Of the images of a generation, relative to the shares of the other emitters."""
    from_images: NonNegativeInt = 0
    """Images of a run before which the emitter rests."""

    @property
    def images(self) -> int:
        """What a visit costs, in images scored, its children included."""
        return 1

    def build(self, encoding: Encoding, classifier: Classifier) -> Emitter:
        """Build the emitter.

        Raises:
            ConfigError: it does not go with the encoding.
            NetworkError: it needs gradients, and `classifier` has none.
        """
        emitter: Emitter = implementation(self.made_by)(self, encoding, classifier)
        return emitter


class MutationSettings(EmitterSettings):
    """Mutation as the encoding has it, with crossover where its settings say so (paper)."""

    made_by: ClassVar[str] = "islands.search.emitters:Mutation"
    name: Literal["mutation"] = "mutation"


class FineSettings(EmitterSettings):
    """Small steps: of a share of the genes, log-uniform from one gene to all of them."""

    made_by: ClassVar[str] = "islands.search.emitters:Fine"
    name: Literal["fine"] = "fine"
    smallest: PositiveFloat = 0.0005
    """The standard deviation of a child's steps is log-uniform between this and `largest`, where genes lie in
    [0, 1]."""
    largest: PositiveFloat = 0.1
    """The upper end of what `smallest` begins."""


class CrossoverSettings(EmitterSettings):
    """One or two of a CPPN's three outputs, with all that they depend on, come from another elite.

    Grey images have one output, and nothing to exchange: there the other emitters share its images.
    """

    networks_only: ClassVar[bool] = True
    made_by: ClassVar[str] = "islands.search.emitters:Crossover"
    colours_only: ClassVar[bool] = True
    name: Literal["crossover"] = "crossover"


class WarpSettings(EmitterSettings):
    """One output of another elite displaces the x or the y of a CPPN."""

    networks_only: ClassVar[bool] = True
    made_by: ClassVar[str] = "islands.search.emitters:Warp"
    name: Literal["warp"] = "warp"
    reach: PositiveFloat = 1.0
    """Standard deviation of the displacement, in units of that output, which lies in [-1, 1]."""


class TransformSettings(EmitterSettings):
    """A CPPN's picture is zoomed, turned, shifted or stretched, each as likely."""

    networks_only: ClassVar[bool] = True
    made_by: ClassVar[str] = "islands.search.emitters:Transform"
    name: Literal["transform"] = "transform"
    zoom: PositiveFloat = 0.35
    """Standard deviation of the logarithm of the factor."""
    turn: PositiveFloat = 0.5
    """Standard deviation of the angle, in radians."""
    shift: PositiveFloat = 0.25
    """Standard deviation along both axes, in units of the inputs x and y."""
    stretch: PositiveFloat = 0.3
    """Standard deviation of the logarithm of the factor, along one of the axes."""


class GradientSettings(EmitterSettings):
    """Steps of Adam on the genes of an elite, up the log probability of its class.

    Each point is a child, judged on every class. It costs four images: its own, and three for the gradient
    that leads to it, a pass forward and one back that takes about two.
    """

    wants_gradients: ClassVar[bool] = True
    made_by: ClassVar[str] = "islands.search.gradient:Gradient"
    name: Literal["gradient"] = "gradient"
    steps: PositiveInt = 5
    """Points of a climb, each of them a child."""
    rate: PositiveFloat = 0.03
    """How far a gene in [0, 1] moves in a step, about."""

    @property
    def images(self) -> int:
        """See `EmitterSettings.images`."""
        return self.steps * (1 + GRADIENT)


EMITTERS = Registry[type[EmitterSettings]](
    "emitters",
    "a class that derives from islands.EmitterSettings",
    own_settings(EmitterSettings),
    {
        "mutation": MutationSettings,
        "fine": FineSettings,
        "crossover": CrossoverSettings,
        "warp": WarpSettings,
        "transform": TransformSettings,
        "gradient": GradientSettings,
    },
)
"""All emitters by name."""

FIRST_OWN = 128
"""Code of the first of somebody else's emitters in `Children.operators`, in the order of the file: codes of
ours, see `islands.encodings.contract.Operator`, are lower."""


def own_emitters(emitters: Sequence[EmitterSettings]) -> list[str]:
    """Return the names of somebody else's emitters; they have the codes from `FIRST_OWN` on."""
    return [each.name for each in emitters if each.name not in EMITTERS.built_in]
