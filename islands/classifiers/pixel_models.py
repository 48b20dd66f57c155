"""Shallow and generative models of MNIST's pixels: are they fooled as well?

Their weights were fitted by `islands.training.fit_pixels` and lie in this package.
"""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Callable
from importlib.resources import files

import torch
from safetensors.torch import load
from torch import Tensor, nn

from islands.classifiers.lenet import CLASSES
from islands.classifiers.network_classifier import Preprocessing
from islands.classifiers.state_dicts import require_sha256
from islands.classifiers.torch_classifier import Network


class KernelMachine(nn.Module):
    """Ten one-against-the-rest support vector machines with a Gaussian kernel.

    Logits are `temperature` x the decision values, which has the probabilities fit held-out digits best.

    Args:
        vectors: support vectors, uint8 (S, 784).
        coefficients: (S, 10) of each machine; zero where a vector does not support it.
        bias: (10,).
        gamma: of the kernel exp(-gamma |x - v|^2), of pixels in [0, 1].
        temperature: of the softmax.
    """

    def __init__(
        self, vectors: Tensor, coefficients: Tensor, bias: Tensor, gamma: Tensor, temperature: Tensor
    ) -> None:
        super().__init__()
        self.register_buffer("vectors", vectors.float() / 255)
        self.register_buffer("coefficients", coefficients)
        self.register_buffer("bias", bias)
        self.register_buffer("gamma", gamma)
        self.register_buffer("temperature", temperature)

    def forward(self, pixels: Tensor) -> Tensor:
        """Return logits (B, 10) of pixels (B, 1, 28, 28)."""
        x, buffers = pixels.flatten(1), dict(self.named_buffers())
        vectors = buffers["vectors"]
        squares = x.square().sum(1)[:, None] + vectors.square().sum(1) - 2 * x @ vectors.T
        # Rounding may take the square of a small distance below 0.
        kernel = (-buffers["gamma"] * squares.clamp_min(0)).exp()
        decisions = kernel @ buffers["coefficients"] + buffers["bias"]
        return decisions * buffers["temperature"]


class GaussianPerClass(nn.Module):
    """A generative model: each class a Gaussian with a low-rank covariance (probabilistic PCA).

    Logits are log p(x, c); their softmax is p(c|x) by Bayes' rule, and their logsumexp is log p(x), which
    tells how likely the model finds the image at all (Tipping and Bishop 1999).

    Args:
        means: (K, D).
        bases: orthonormal (K, D, q): directions of high variance.
        variances: (K, q) along them.
        noise: (K,) variance along all others.
        priors: log p(c), (K,).
    """

    def __init__(
        self, means: Tensor, bases: Tensor, variances: Tensor, noise: Tensor, priors: Tensor
    ) -> None:
        super().__init__()
        rest = means.shape[1] - variances.shape[1]
        log_det = variances.log().sum(1) + rest * noise.log()
        self.register_buffer("means", means)
        self.register_buffer("bases", bases)
        self.register_buffer("gains", 1 / noise[:, None] - 1 / variances)
        self.register_buffer("noise", noise)
        self.register_buffer("offsets", priors - (log_det + means.shape[1] * math.log(2 * math.pi)) / 2)

    def forward(self, pixels: Tensor) -> Tensor:
        """Return log p(x, c), (B, K), of pixels (B, 1, 28, 28)."""
        buffers = dict(self.named_buffers())
        apart = pixels.flatten(1)[:, None] - buffers["means"]
        along = torch.einsum("bkd,kdq->bkq", apart, buffers["bases"]).square()
        # But for q directions the variance is the same in all, so that no D x D matrix has to be inverted.
        distance = apart.square().sum(2) / buffers["noise"] - (along * buffers["gains"]).sum(2)
        return buffers["offsets"] - distance / 2


def build_linear(tensors: dict[str, Tensor]) -> nn.Module:
    """Return multinomial logistic regression: 7850 parameters."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    network.load_state_dict(tensors)
    return network


BUILDERS: dict[str, Callable[[dict[str, Tensor]], nn.Module]] = {
    "linear-mnist": build_linear,
    "svm-mnist": lambda tensors: KernelMachine(**tensors),
    "generative-mnist": lambda tensors: GaussianPerClass(
        **{name: tensor.float() for name, tensor in tensors.items()}
    ),
}
"""From the tensors of its file to the network, by name."""


def load_pixel_model(name: str) -> Network:
    """Return one of `BUILDERS` with the weights of this package.

    Raises:
        NetworkError: the file of weights is damaged.
    """
    folder = files("islands.classifiers") / "weights"
    data = (folder / f"{name}.safetensors.gz").read_bytes()
    record = json.loads((folder / f"{name}.json").read_text())
    require_sha256(data, record["sha256"], f"{name}.safetensors.gz")
    module = BUILDERS[name](load(gzip.decompress(data)))
    return Network(module, CLASSES, Preprocessing(1, 28), batch_size=256)
