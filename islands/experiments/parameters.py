"""What stages other than evolution are told: the schemas of the section `parameters`. Imports no torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from islands.config import NetworkName
from islands.extensions.sections import Name, NonNegativeInt, PathName, PositiveFloat, PositiveInt, Section

Share = Annotated[float, Field(ge=0, le=1)]
Garbage = Literal["none", "noise", "cppn", "fashion"]
Percentile = Annotated[float, Field(ge=0, lt=100)]


class AscentSettings(Section):
    """One way to climb the gradient of a class's probability (section 3.9 of the paper; `ascent/*.py`).

    Pixels count from 0 to 255. The defaults are the released code's.
    """

    iterations: PositiveInt = 300
    """Steps up the gradient."""
    early_progress: PositiveFloat = 0.03
    """Gain in probability that a step aims at, at most."""
    late_progress: PositiveFloat = 0.1
    """The same as a share of what is missing to 1; the smaller of the two counts."""
    largest_rate: PositiveFloat = 1e12
    """Learning rate at most."""
    decay: Share = 0.01
    """What an image loses of its difference from the mean in each iteration."""
    blur: Annotated[float, Field(ge=0)] = 0
    """Radius of the Gaussian blur in pixels, 0.3 or more; 0: none."""
    blur_every: PositiveInt = 1
    """Iterations between two blurs."""
    small_norm: Percentile = 0
    """Percentile of the pixels' norms over channels below which a pixel is set to the mean."""
    small_value: Percentile = 0
    """The same of single values."""
    small_benefit: Percentile = 0
    """The same of the contribution that setting a pixel to the mean would make."""
    small_absolute_benefit: Percentile = 0
    """The same of its absolute value."""

    @property
    def regularised(self) -> bool:
        """Whether anything but the gradient moves the image."""
        clipped = (self.small_norm, self.small_value, self.small_benefit, self.small_absolute_benefit)
        return any((self.decay, self.blur, *clipped))


ASCENTS: dict[str, AscentSettings] = {
    "none": AscentSettings(iterations=500, early_progress=0.02, decay=0),
    "decay": AscentSettings(iterations=1500, late_progress=0.02),
    "decay and blur": AscentSettings(
        iterations=1000, late_progress=0.05, decay=0.001, blur=0.4, blur_every=2
    ),
    "decay, blur and clipping": AscentSettings(
        iterations=1500, late_progress=0.05, decay=0.001, blur=0.3, small_norm=20, small_absolute_benefit=20
    ),
}
"""The released code's final settings: seeds -1, 169, 188 and 360 of its search over settings, decoded by
replaying its random numbers."""

PAPER_CLASSES = (
    *(200, 207, 215, 279, 366, 367, 390, 414, 445, 500),
    *(509, 580, 643, 657, 704, 713, 782, 805, 826, 906),
)
"""The 20 classes of ImageNet for which the released code climbs."""


class AscentParameters(Section):
    """Gradient ascent: `settings` x `classes` x `starts` images on `network` and each of `held_out`."""

    settings: dict[Name, AscentSettings] = ASCENTS
    """Ways to climb, by name."""
    classes: list[NonNegativeInt] | None = None
    """Target classes; null: those of the paper on a network of ImageNet's classes, and all of another."""
    imagenet_classes: PositiveInt = len(PAPER_CLASSES)
    """How many of the paper's classes."""
    starts: PositiveInt = 5
    """Images for each class, each with random numbers of its own."""
    start: Literal["mean_plus", "uniform", "mean"] = "mean_plus"
    """What an image starts from: the mean of the network's preprocessing with normal noise of one grey level,
    uniform noise, or the mean."""
    batch: PositiveInt = 20
    """Images that climb side by side. Part of the result: float sums depend on it."""
    mean: list[Annotated[float, Field(ge=0, le=255)]] | None = None
    """In place of what the network's preprocessing subtracts: a grey level for each channel."""


class RepetitionParameters(Section):
    """Removal of repeated elements."""

    images: PositiveInt = 50
    """Elites of highest confidence that are looked at."""
    threshold: Share = 0.5
    """Confidence that an image must have."""
    colours: Annotated[int, Field(ge=2, le=64)] = 6
    """To which images are reduced before segments are looked for."""
    smallest: PositiveInt = 9
    """Pixels that a segment must have."""
    likeness: Annotated[float, Field(ge=1)] = 1.6
    """Ratio of areas, of heights and of widths up to which two segments of a colour are copies."""


class LabelOnlyParameters(Section):
    """Fooling a network that tells its label and nothing else."""

    queries: PositiveInt = 40_000
    """Images that chance and evolution may ask the network about."""
    repeats: PositiveInt = 10
    """Independent attempts of each attack."""
    batch: PositiveInt = 100
    """Queries between two looks at the success, and children in a generation."""
    threshold: Share = 0.99
    """Confidence, which no attack sees, from which an image fools the network."""
    surrogates: list[NetworkName] = Field(default=["lenet:1", "linear-mnist"])
    """Networks whose gradients make images that are tried on the target."""
    surrogate_images: PositiveInt = 20
    """Images of each class that are tried at most."""
    surrogate_iterations: PositiveInt = 200
    """Steps up a surrogate's gradient for each image."""


class TrainingParameters(Section):
    """How networks are trained."""

    epochs: PositiveInt = 12
    """Passes over the training images."""
    training_images: PositiveInt | None = None
    """The first of the training set; null: all."""
    test_images: PositiveInt | None = None
    """The first of those held back, on which accuracy is measured; null: all."""
    learning_rate: PositiveFloat = 0.05
    """At the start of training."""


class RetrainMnistParameters(TrainingParameters):
    """Training against fooling images of digits, again and again."""

    iterations: PositiveInt = 15
    """Networks in all: DNN_1 is trained on digits alone."""
    first_runs: PositiveInt = 300
    """Runs on DNN_1, whose images teach DNN_2."""
    first_images: PositiveInt = 6000
    """Fooling images that the first retraining adds."""
    images: PositiveInt = 1000
    """Fooling images that each later retraining adds."""


class RetrainImagesParameters(TrainingParameters):
    """The same on pictures in folders."""

    data: PathName = "fashion-mnist"
    """A folder with `train` and `val`, each with a folder of pictures for each class; or `fashion-mnist`,
    which is written into such folders as RGB pictures."""
    architecture: Name = "torchvision:alexnet"
    """What is trained: a model of torchvision."""
    start: Name | None = None
    """Weights of torchvision to start from, such as IMAGENET1K_V1; null: random ones."""
    size: PositiveInt = 224
    """Height and width of the network's input in pixels."""
    layers: Literal["all", "head"] = "all"
    """What is trained, of the first network and of its successors."""
    from_previous: bool = False
    """Whether DNN_i+1 starts from the weights of DNN_i instead of where DNN_1 started."""
    batch: PositiveInt = 128
    """Images of a step of training."""
    iterations: PositiveInt = 2
    """Networks in all: DNN_1 is trained on pictures alone."""
    over_represented: PositiveFloat = 7
    """Fooling images in units of the training images of a class (the paper: 9000, 7 x 1300)."""


class GarbageParameters(TrainingParameters):
    """A class for everything that belongs to no class."""

    garbage_images: PositiveInt = 6000
    """Training images of the garbage class."""
    sources: list[Garbage] = Field(default=["none", "noise", "cppn", "fashion"])
    """Of what the garbage class is made; `none`: there is no such class."""


class FamiliesParameters(TrainingParameters):
    """Models of several families; the training settings are the perceptron's."""

    networks: list[NetworkName] = Field(
        default=["linear-mnist", "svm-mnist", "mlp", "lenet-mnist", "generative-mnist"]
    )
    """`mlp` is trained; the others are in the package."""
