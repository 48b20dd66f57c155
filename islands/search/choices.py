"""What a file may choose of a search: who become parents, and which emitters vary them. Imports no torch."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveFloat, PositiveInt

GRADIENT = 3
"""Images that a gradient counts as: a pass forward, and one back that takes about two."""

ParentsName = Literal["uniform", "fresh"]
"""See `islands.search.parents`."""


class EmitterSettings(BaseModel):
    """What every emitter has."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    needs: ClassVar[str | None] = None
    """The one encoding that the emitter works on; None: all."""
    wants_gradients: ClassVar[bool] = False
    """Whether the source network has to let gradients pass."""

    share: PositiveFloat = 1.0
    """Of the images of a generation, relative to the shares of the other emitters."""
    from_images: NonNegativeInt = 0
    """Images of a run before which the emitter rests."""

    @property
    def images(self) -> int:
        """What a visit costs, in images scored, its children included."""
        return 1


class MutationSettings(EmitterSettings):
    """Mutation as the encoding has it, with crossover where its settings say so (paper)."""

    name: Literal["mutation"] = "mutation"


class FineSettings(EmitterSettings):
    """Small steps: of a share of the genes, log-uniform from one gene to all of them."""

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

    needs: ClassVar[str | None] = "cppn"
    name: Literal["crossover"] = "crossover"


class WarpSettings(EmitterSettings):
    """One output of another elite displaces the x or the y of a CPPN."""

    needs: ClassVar[str | None] = "cppn"
    name: Literal["warp"] = "warp"
    reach: PositiveFloat = 1.0
    """Standard deviation of the displacement, in units of that output, which lies in [-1, 1]."""


class TransformSettings(EmitterSettings):
    """A CPPN's picture is zoomed, turned, shifted or stretched, each as likely."""

    needs: ClassVar[str | None] = "cppn"
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
    name: Literal["gradient"] = "gradient"
    steps: PositiveInt = 5
    """Points of a climb, each of them a child."""
    rate: PositiveFloat = 0.03
    """How far a gene in [0, 1] moves in a step, about."""

    @property
    def images(self) -> int:
        """See `EmitterSettings.images`."""
        return self.steps * (1 + GRADIENT)


SearchEmitter = Annotated[
    MutationSettings | FineSettings | CrossoverSettings | WarpSettings | TransformSettings | GradientSettings,
    Field(discriminator="name"),
]
