"""The two networks of the paper, with weights that Caffe wrote."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from islands.classifiers.caffe_format import read_binaryproto, read_caffemodel
from islands.classifiers.imagenet import imagenet_classes
from islands.classifiers.lenet import CLASSES, build_lenet
from islands.classifiers.network_classifier import Preprocessing
from islands.classifiers.state_dicts import LocalFile, fill
from islands.classifiers.torch_classifier import Network
from islands.errors import NetworkError

_LENET = {"conv1": "0", "conv2": "2", "ip1": "5", "ip2": "7"}
_CAFFENET = ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8")
_CAFFENET_SIZE = 227


class BytesMinusMean(nn.Module):
    """Turns pixels (B, C, H, W) in [0, 1] into what Caffe feeds: bytes less a mean image, in BGR order."""

    mean: Tensor

    def __init__(self, mean: Tensor, scale: float = 1.0) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self._scale = scale

    def forward(self, pixels: Tensor) -> Tensor:
        """Return (x - mean) * scale of bytes x."""
        return (pixels.flip(1) * 255 - self.mean) * self._scale


class CaffeNet(nn.Module):
    """Caffe's reference network: AlexNet with pooling before normalisation and two groups of filters.

    60,965,224 parameters; input (B, 3, 227, 227) BGR less the mean, 1000 logits
    (`bvlc_reference_caffenet/deploy.prototxt`).
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 96, 11, stride=4)
        self.conv2 = nn.Conv2d(96, 256, 5, padding=2, groups=2)
        self.conv3 = nn.Conv2d(256, 384, 3, padding=1)
        self.conv4 = nn.Conv2d(384, 384, 3, padding=1, groups=2)
        self.conv5 = nn.Conv2d(384, 256, 3, padding=1, groups=2)
        self.fc6 = nn.Linear(9216, 4096)
        self.fc7 = nn.Linear(4096, 4096)
        self.fc8 = nn.Linear(4096, 1000)
        # Caffe rounds the number of pooling windows up.
        self.pool = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        # torch means by these numbers what Caffe does: alpha is divided by the 5 channels, and 1 is added.
        self.norm = nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, 1000)."""
        x = self.norm(self.pool(self.conv1(x).relu()))
        x = self.norm(self.pool(self.conv2(x).relu()))
        x = self.conv4(self.conv3(x).relu()).relu()
        x = self.pool(self.conv5(x).relu())
        logits: Tensor = self.fc8(self.fc7(self.fc6(x.flatten(1)).relu()).relu())
        return logits


def load_caffe(spec: str, sha256: str | None) -> Network:
    """Return LeNet or CaffeNet with weights from a `.caffemodel`.

    Args:
        spec: `lenet:PATH`, `caffenet:PATH`, or either with `,MEAN`, the path of a `.binaryproto` mean image.
            The paper's LeNet was trained on x / 256 without a mean; its CaffeNet needs its mean.
        sha256: of the `.caffemodel`.

    Raises:
        NetworkError: a file is missing, damaged, or holds another network.
    """
    kind, _, paths = spec.partition(":")
    path, _, mean_path = paths.partition(",")
    file = LocalFile(Path(path), sha256)
    blobs = read_caffemodel(file.read(), path)
    mean = read_binaryproto(LocalFile(Path(mean_path)).read(), mean_path) if mean_path else None
    if kind == "lenet":
        return _lenet(blobs, mean, path)
    return _caffenet(blobs, mean, path)


def _lenet(blobs: dict[str, list[Tensor]], mean: Tensor | None, path: str) -> Network:
    network = build_lenet()
    fill(network, _state(network, blobs, _LENET, path), path)
    mean = _centre(mean, 1, 28) if mean is not None else torch.zeros(1, 1, 28, 28)
    # 1/256 and not 1/255, as in the released prototxt.
    module = nn.Sequential(BytesMinusMean(mean, scale=1 / 256), network)
    return Network(module, CLASSES, Preprocessing(1, 28), batch_size=256)


def _caffenet(blobs: dict[str, list[Tensor]], mean: Tensor | None, path: str) -> Network:
    if mean is None:
        raise NetworkError(
            f"caffe:caffenet:{path}: got no mean image; expected caffe:caffenet:PATH,MEAN with the mean that "
            "the network was trained with, such as imagenet_mean.binaryproto"
        )
    network = CaffeNet()
    fill(network, _state(network, blobs, {name: name for name in _CAFFENET}, path), path)
    module = nn.Sequential(BytesMinusMean(_centre(mean, 3, _CAFFENET_SIZE)), network)
    return Network(module, imagenet_classes(), Preprocessing(3, _CAFFENET_SIZE, resize=256))


def _centre(mean: Tensor, channels: int, size: int) -> Tensor:
    """Cut the centre out of a mean image: Caffe's fork pastes every crop there (paper section 2.1)."""
    found = tuple(mean.shape[-3:])
    if found[0] != channels or min(found[1:]) < size:
        raise NetworkError(f"mean image: got {found}; expected ({channels}, {size}, {size}) or larger")
    top, left = (found[1] - size) // 2, (found[2] - size) // 2
    return mean.reshape(1, *found)[:, :, top : top + size, left : left + size].contiguous()


def _state(
    network: nn.Module, blobs: dict[str, list[Tensor]], names: dict[str, str], path: str
) -> dict[str, Tensor]:
    """Return the blobs under the network's names; Caffe's leading dimensions of size 1 are dropped."""
    if missing := [name for name in names if len(blobs.get(name, ())) != 2]:
        raise NetworkError(
            f"{path}: got layers {', '.join(blobs)}, without weights and bias of {', '.join(missing)}; "
            f"expected those of {', '.join(names)}"
        )
    own = network.state_dict()
    state = {}
    for theirs, ours in names.items():
        for blob, part in zip(blobs[theirs], ("weight", "bias"), strict=True):
            key = f"{ours}.{part}"
            state[key] = blob.squeeze() if blob.numel() == own[key].numel() else blob
            if state[key].numel() == own[key].numel():
                state[key] = state[key].reshape(own[key].shape)
    return state
