"""What an image is like: measures that can be axes of the archive beside the class. Imports no torch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from islands.extensions.kinds import Registry
from islands.extensions.references import implementation
from islands.extensions.sections import Choice, PositiveInt, Section, own_settings

if TYPE_CHECKING:
    from torch import Tensor

    from islands.encodings.contract import Encoding
    from islands.encodings.genomes import Genomes


class MeasureSettings(Section):
    """A number of an image or its genome, and how it is cut into bins. Your own derives from this.

    Example:
        >>> class Green(islands.MeasureSettings):
        ...     high: float = 255
        ...     def measure(self, images, genomes, encoding):
        ...         return images[:, 1].double().mean((1, 2))
        >>> Green(name="green", bins=2).edges
        (0.0, 127.5, 255.0)
    """

    made_by: ClassVar[str] = ""
    """`MODULE:NAME` of a function that measures; it is imported when it is called first."""
    networks_only: ClassVar[bool] = False
    """Whether it is one of CPPNs, and not of other genomes."""

    name: str
    """`islands measures` lists them. `MODULE:NAME` or `file:PATH.py:NAME` is your own."""
    bins: Annotated[int, Field(ge=2)] = 4
    """Into how many equal parts the range is cut."""
    low: float = 0.0
    """Where the first bin begins; what is below belongs to it."""
    high: float = 1.0
    """Where the last bin ends; what is above belongs to it."""

    @model_validator(mode="after")
    def _is_a_range(self) -> MeasureSettings:
        if not self.low < self.high:
            raise ValueError(f"got a range from {self.low:g} to {self.high:g}; expected high above low")
        return self

    @property
    def edges(self) -> tuple[float, ...]:
        """Where bins begin, and where the last ends."""
        return tuple(self.low + (self.high - self.low) * n / self.bins for n in range(self.bins + 1))

    def measure(self, images: Tensor, genomes: Genomes, encoding: Encoding) -> Tensor:
        """Return a finite number of each image: float64 (B,), on the device of the images.

        Args:
            images: uint8 (B, channels, size, size), as they are scored.
            genomes: that drew them, B rows.
            encoding: by which.
        """
        function = implementation(self.made_by)
        measured: Tensor = function(images, genomes, encoding)
        return measured


class BrightnessSettings(MeasureSettings):
    """The mean of all bytes, 0 black to 1 white."""

    made_by: ClassVar[str] = "islands.measures.functions:brightness"

    name: Literal["brightness"] = "brightness"


class WarmthSettings(MeasureSettings):
    """How much redder than blue an image is, from -1 to 1; 0 for grey ones."""

    made_by: ClassVar[str] = "islands.measures.functions:warmth"

    name: Literal["warmth"] = "warmth"
    low: float = -1.0


class SymmetrySettings(MeasureSettings):
    """How alike the left and the right half are: 1 for mirror images, less the more their bytes differ."""

    made_by: ClassVar[str] = "islands.measures.functions:symmetry"

    name: Literal["symmetry"] = "symmetry"


class DetailSettings(MeasureSettings):
    """How much neighbouring pixels differ, a mean of 0 to 1: high spatial frequencies make it large."""

    made_by: ClassVar[str] = "islands.measures.functions:detail"

    name: Literal["detail"] = "detail"
    high: float = 0.25


class CompressibilitySettings(MeasureSettings):
    """Which share of its bytes an image saves when zlib compresses it: 0 for noise, near 1 for plain areas.

    It is measured on the host, image by image, by Python's zlib. Workers whose zlib is another may put an
    image into another bin: all of a run need the same.
    """

    made_by: ClassVar[str] = "islands.measures.functions:compressibility"

    name: Literal["compressibility"] = "compressibility"


class NodesSettings(MeasureSettings):
    """The number of hidden nodes of a CPPN."""

    made_by: ClassVar[str] = "islands.measures.functions:nodes"
    networks_only: ClassVar[bool] = True

    name: Literal["nodes"] = "nodes"
    high: float = 32.0


MEASURES = Registry[type[MeasureSettings]](
    "measures",
    "a class that derives from islands.MeasureSettings",
    own_settings(MeasureSettings),
    {
        "brightness": BrightnessSettings,
        "warmth": WarmthSettings,
        "symmetry": SymmetrySettings,
        "detail": DetailSettings,
        "compressibility": CompressibilitySettings,
        "nodes": NodesSettings,
    },
)
"""All measures by name."""


class ArchiveConfig(Section):
    """Which cells a class has: one, as in the paper, or one for each bin of some measures."""

    measures: list[Annotated[MeasureSettings, Choice(MEASURES, MeasureSettings, by_name=True)]] = Field(
        default=[]
    )
    """Axes of the archive beside the class, such as `[{name: brightness, bins: 3}, symmetry]`: a class
    then has a cell for each combination of their bins, and a different image in each. Without any, the
    archive is the paper's."""
    top: PositiveInt = 1
    """How many elites each such cell keeps, the best of different fitness."""

    @model_validator(mode="after")
    def _different(self) -> ArchiveConfig:
        names = [measure.name for measure in self.measures]
        if repeated := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"measures has {repeated} twice; name each once")
        return self

    @property
    def bins(self) -> int:
        """Combinations of bins; 1 without measures."""
        return math.prod(measure.bins for measure in self.measures)

    def niche(self, bin_: int) -> str:
        """Say in words what a combination of bins is; nothing where there is but one."""
        said = []
        for measure in reversed(self.measures):
            bin_, at = divmod(bin_, measure.bins)
            said.append(f"{measure.name} {measure.edges[at]:g} to {measure.edges[at + 1]:g}")
        return ", ".join(reversed(said))
