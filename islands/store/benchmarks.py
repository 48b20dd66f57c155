"""What benchmarks of out-of-distribution detection expect beside images: names, lists, and a data sheet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from islands.errors import InputError
from islands.store.reader import StoreReader

FOOLING_IMAGES = "10-runs-x-1000-cppns"
"""The folder in which pytorch-ood's `FoolingImages` looks."""

GENERATIONS = "map_gen_5000"
"""That of a run, whatever its generations are."""

RUNS = 10
"""That it looks for, no more and no fewer."""

IMAGE_LIST = "fooling.txt"
SHEET = "datasheet.md"

_READ = {
    "pytorch-ood": f"""\
pytorch-ood's `FoolingImages` knows the authors' archive by its md5 and reads no other; so do not ask it:

```python
from pytorch_ood.dataset.img import FoolingImages

class Evolved(FoolingImages):
    def _check_integrity(self):
        return True

images = Evolved("FOLDER")  # targets are -1
```

It wants {RUNS} runs: folders of runs that there are not are empty.
""",
    "openood": f"""\
`{IMAGE_LIST}` lists the images as OpenOOD does, each with the label -1. OpenOOD takes it as an `imglist_pth`,
and this folder as the `data_dir`. pytorch-ood reads it, too:

```python
from pytorch_ood.dataset.img import ImageListDataset

images = ImageListDataset("FOLDER", "FOLDER/{IMAGE_LIST}")
```
""",
}
"""How readers take each layout."""


def require_ten_runs(reader: StoreReader) -> None:
    """Check that pytorch-ood sees all runs.

    Raises:
        InputError: there are more than it looks for.
    """
    if reader.runs > RUNS:
        raise InputError(
            f"{reader.path} has {reader.runs} runs, and pytorch-ood reads the first {RUNS} alone; "
            "use --layout openood"
        )


def make_empty_runs(folder: Path) -> None:
    """Make the folders of runs that pytorch-ood looks for and that are not there."""
    for run in range(RUNS):
        (folder / FOOLING_IMAGES / f"run_{run}" / GENERATIONS).mkdir(parents=True, exist_ok=True)


def write_image_list(folder: Path, files: Iterable[str]) -> None:
    """Write the list of images that belong to no class: a path without spaces and -1 in each line."""
    (folder / IMAGE_LIST).write_text("".join(f"{file} -1\n" for file in files), encoding="utf-8")


def write_sheet(reader: StoreReader, folder: Path, layout: str, count: int) -> None:
    """Write what the images are: from where, whose, how they were made, and how to read them."""
    attributes, confidence = reader.attributes, [reader.confidence(run) for run in range(reader.runs)]
    sure = sum(int((each >= 0.99).sum()) for each in confidence)
    versions = {name: version for name, version in attributes["versions"].items() if version is not None}
    (folder / SHEET).write_text(
        f"""# Images that belong to no class

{count:,} images that evolved until {reader.config.network.name} took each for one of its
{len(reader.classes):,} classes; {sure:,} of them with 99 % or more. Nobody drew them and no camera took them:
they mean nothing, and a network should reject them. They are for tests of out-of-distribution detection; do
not train on what you test with.

## Source and licence
Made by Islands, which repeats Nguyen, Yosinski and Clune, "Deep Neural Networks are Easily Fooled", CVPR
2015 (https://arxiv.org/abs/1412.1897). A program drew them from numbers; no picture of anybody's is in them.
Islands is licensed under Apache-2.0 and claims no rights in what it evolves: whoever publishes the images
names their licence.

## How they were made
Generation {reader.generation:,}, {reader.runs} independent runs, against the network of the fingerprint
{attributes["fingerprint"]}.

These settings in a file, and `islands launch FILE`, make them again where the network can be had:

```yaml
{yaml.safe_dump(_settings(reader), sort_keys=False, width=100).rstrip()}
```

Versions: {", ".join(f"{name} {version}" for name, version in versions.items())}.

What they are not: a sample of all images that fool this network. There is one for each class and run, that
in which it was surest. Other networks need not be fooled by them.

## Digests
sha256 of each run, as `islands verify` computes it; those of files are in `manifest.json`.

{_lines({f"run {run}": reader.digest(run) for run in range(reader.runs)})}

## How to read them
{_READ[layout]}
`images.csv` has the class, its name and the confidence of each image.
""",
        encoding="utf-8",
    )


def _settings(reader: StoreReader) -> dict[str, Any]:
    """Return what the images follow from, and where they would go."""
    config = reader.config.model_dump(mode="json", exclude_defaults=True)
    told = ("pipeline", "network", "encoding", "evolve", "archive", "islands", "runs", "seed")
    return {"store": reader.path.name, **{key: config[key] for key in told if key in config}}


def _lines(pairs: Mapping[str, str]) -> str:
    return "\n".join(f"- {name}: {value}" for name, value in pairs.items())
