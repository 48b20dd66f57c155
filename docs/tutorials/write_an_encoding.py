# %% [markdown]
# # Write an encoding
#
# An encoding says what a genome is, how it becomes an image, and how it varies. We write one: an image is a
# few soft discs of light.

# %% tags=["parameters"] small={"generations": 10}
generations = 200

# %% [markdown]
# ## The file
#
# Two classes make an encoding. `Discs` has the settings, which a file may set and pydantic checks.
# `DiscsEncoding` does the work. You would write the file in an editor; here the page writes it.
#
# - `random` draws genomes of generation 0. A population is a struct of tensors with two dimensions, a row for
#   each genome.
# - `vary` makes a child for each parent. All randomness comes from the generator that is handed in.
# - `render` draws genomes, at any size. The bytes are what the network sees.
# - The last three say how genomes are kept in stores.

# %%
from pathlib import Path

written = Path("discs.py").write_text('''
import torch
from pydantic import Field

import islands
from islands.encodings.contract import Children, Operator
from islands.encodings.genomes import Genomes


class Discs(islands.EncodingSettings):
    """Soft discs of light, each with a place, a radius and a brightness."""

    count: int = Field(6, ge=1, le=100)
    rate: float = Field(0.15, gt=0, le=1)  # probability that a gene is drawn anew

    def build(self, channels, size):
        return DiscsEncoding(self, channels, size)


class DiscsEncoding:
    """Genes float32 (n, count * (3 + channels)) in [0, 1]: x, y, radius, brightness of each channel."""

    def __init__(self, settings, channels, size):
        self.name, self.channels, self.size = settings.name, channels, size
        self._settings = settings

    def random(self, n, generator):
        shape = (n, self._settings.count * (3 + self.channels))
        return Genomes({"genes": torch.rand(shape, generator=generator, device=generator.device)})

    def vary(self, parents, partners, generation, generator):
        genes = parents["genes"]
        dice = torch.rand((2, *genes.shape), generator=generator, device=genes.device)
        genes = torch.where(dice[0] < self._settings.rate, dice[1], genes)
        operators = torch.full((len(genes),), int(Operator.MUTATION), dtype=torch.uint8, device=genes.device)
        return Children(Genomes({"genes": genes}), operators)

    def render(self, genomes, size=None):
        side = self.size if size is None else size
        genes = genomes["genes"].view(-1, self._settings.count, 3 + self.channels)
        axis = (torch.arange(side, device=genes.device) + 0.5) / side
        x, y, radius = (genes[:, :, field, None, None] for field in range(3))
        square = (axis[None, None, None, :] - x) ** 2 + (axis[None, None, :, None] - y) ** 2
        light = torch.exp(-square / (0.02 + 0.3 * radius) ** 2)  # (n, count, side, side)
        image = torch.zeros((len(genes), self.channels, side, side), device=genes.device)
        for disc in range(self._settings.count):  # one after the other: sums must not depend on the batch
            image += light[:, disc, None] * (2 * genes[:, disc, 3:, None, None] - 1)
        return (127.5 * (1 + image.tanh())).to(torch.uint8)

    def compact(self, genomes):
        return genomes

    def to_arrays(self, genomes):
        return {"genes": genomes["genes"].cpu().numpy().copy()}

    def from_arrays(self, arrays, device):
        return Genomes({"genes": torch.tensor(arrays["genes"], device=device)})
''')

# %% [markdown]
# ## Test it
#
# `islands.testing` has a suite for encodings. It finds what goes wrong most often: a genome that is changed
# in place, randomness from elsewhere, an image that depends on its batch.

# %%
import subprocess
import sys

written = Path("test_discs.py").write_text("""
import pytest
from discs import Discs
from islands.testing import EncodingTests


class TestDiscs(EncodingTests):
    @pytest.fixture(params=[1, 3])
    def encoding(self, request):
        return Discs(name="discs").build(channels=request.param, size=16)
""")
done = subprocess.run(
    [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "--color=no",
        "-p",
        "no:randomly",
        "-p",
        "no:cacheprovider",
        "test_discs.py",
    ],
    capture_output=True,
    text=True,
)
print(done.stdout.splitlines()[-1].partition(" in ")[0])

# %% [markdown]
# ## Evolve
#
# `file:discs.py:Discs` names it. Settings stand beside the name.

# %%
import islands

run = islands.evolve(
    "lenet-mnist",
    encoding={"name": "file:discs.py:Discs", "count": 8},
    generations=generations,
    evolve={"preset": "paper"},
    progress=False,
)
median = run.query("select median(confidence) as median from elites")["median"][0]
print(f"median confidence {100 * median:.1f} %")

# %% [markdown]
# To draw the images of a store runs its encoding. A store could come from anybody. So Islands runs code that
# a store names only if you say that you trust it.

# %%
import os

os.environ["ISLANDS_TRUST_CODE"] = "1"
run.sheet(columns=5)

# %% [markdown]
# In a file the same is `encoding: {name: "file:discs.py:Discs", count: 8}`. The store remembers the source's
# fingerprint, so that a resume with other code is refused. As a package, an entry point in the group
# `islands.encodings` announces the encoding.
#
# Next: [write a search strategy](write_a_search.md).
