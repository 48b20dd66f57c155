"""Fits the models of `islands.classifiers.pixel_models` to MNIST: how their weights were made.

`python -m islands.training.fit_pixels --out DIR` makes them again; it needs scikit-learn.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor
from torch.nn.functional import cross_entropy

from islands.classifiers.pixel_models import BUILDERS
from islands.datasets.examples import InMemory
from islands.datasets.mnist import MD5, Labelled, load_mnist
from islands.texts import percent
from islands.training.train import accuracy, on_bytes

WEIGHT_DECAY = 1e-4
SVM_DIGITS = 10_000
SVM_HELD_OUT = 5_000
SVM_C = 10.0
SVM_GAMMA = 0.02
COMPONENTS = 40


def fit_linear(data: Labelled) -> dict[str, Tensor]:
    """Return logistic regression with a little weight decay, by L-BFGS in float64."""
    x = data.images.flatten(1).double() / 255
    weight = torch.zeros(10, x.shape[1], dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(10, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([weight, bias], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        value = cross_entropy(x @ weight.T + bias, data.labels) + WEIGHT_DECAY * weight.square().sum()
        value.backward()
        return value

    optimiser.step(loss)
    return {"1.weight": weight.detach().float(), "1.bias": bias.detach().float()}


def fit_svm(data: Labelled) -> dict[str, Tensor]:
    """Return ten support vector machines of the first digits; the softmax is tempered on the next."""
    from sklearn.svm import SVC

    x = data.images.flatten(1)[:SVM_DIGITS]
    coefficients, bias = torch.zeros(len(x), 10), torch.zeros(10)
    for digit in range(10):
        machine = SVC(C=SVM_C, gamma=SVM_GAMMA).fit(
            x.numpy() / 255, (data.labels[: len(x)] == digit).numpy().astype(np.int64)
        )
        coefficients[machine.support_, digit] = torch.from_numpy(machine.dual_coef_[0]).float()
        bias[digit] = float(machine.intercept_[0])
    used = coefficients.any(1)
    tensors = {
        "vectors": x[used].contiguous(),
        "coefficients": coefficients[used].contiguous(),
        "bias": bias,
        "gamma": torch.tensor(SVM_GAMMA),
        "temperature": torch.tensor(1.0),
    }
    held_out = slice(SVM_DIGITS, SVM_DIGITS + SVM_HELD_OUT)
    decisions = BUILDERS["svm-mnist"](tensors)(data.images[held_out].float() / 255)
    scales = torch.linspace(1, 20, 191)
    losses = torch.stack([cross_entropy(decisions * scale, data.labels[held_out]) for scale in scales])
    return {**tensors, "temperature": scales[losses.argmin()].clone()}


def fit_generative(data: Labelled) -> dict[str, Tensor]:
    """Return the maximum likelihood fit of probabilistic PCA to each class, in closed form."""
    x = data.images.flatten(1).double() / 255
    found: dict[str, list[Tensor]] = {name: [] for name in ("means", "bases", "variances", "noise", "priors")}
    for digit in range(10):
        rows = x[data.labels == digit]
        values, vectors = torch.linalg.eigh(torch.cov(rows.T))
        found["means"].append(rows.mean(0))
        found["bases"].append(vectors[:, -COMPONENTS:])
        found["variances"].append(values[-COMPONENTS:])
        found["noise"].append(values[:-COMPONENTS].mean())
        found["priors"].append(torch.tensor(len(rows) / len(x)).log())
    stacked = {name: torch.stack(tensors).float() for name, tensors in found.items()}
    return {**stacked, "bases": stacked["bases"].half().contiguous()}


FITS: dict[str, Callable[[Labelled], dict[str, Tensor]]] = {
    "linear-mnist": fit_linear,
    "svm-mnist": fit_svm,
    "generative-mnist": fit_generative,
}


def main() -> None:
    """Fit all models, and write each with its record."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    train, test = load_mnist("train"), InMemory(load_mnist("test"))
    for name, fit in FITS.items():
        tensors = fit(train)
        data = gzip.compress(save(tensors), mtime=0)
        share = accuracy(on_bytes(BUILDERS[name](tensors)), test)
        record = {
            "network": name,
            "command": "python -m islands.training.fit_pixels --out DIR",
            "torch": torch.__version__,
            "data_md5": MD5,
            "test_accuracy": share,
            "sha256": hashlib.sha256(data).hexdigest(),
        }
        (options.out / f"{name}.safetensors.gz").write_bytes(data)
        (options.out / f"{name}.json").write_text(json.dumps(record, indent=2) + "\n")
        print(f"{name}: test accuracy {percent(share)}, {len(data):,} bytes")


if __name__ == "__main__":
    main()
