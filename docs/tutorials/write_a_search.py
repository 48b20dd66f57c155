# %% [markdown]
# # Write a search strategy
#
# A search chooses parents and makes children of them. We write both: parents whose images are weak come
# first, and a child takes its left half from one parent and its right half from another.

# %% tags=["parameters"] small={"generations": 10, "seeds": 1}
generations = 40
seeds = 3

# %% [markdown]
# ## The file
#
# As with encodings, a class of settings names what can be set, and `build` makes what works.
#
# - An emitter's `emit` asks the population for pairs (`mates`), and returns children with their parents' ids.
# - What chooses parents gets all candidates: ids of genomes, and how many children each has had. A genome
#   that holds several cells stands there several times. `Rare` prefers genomes that hold few cells, so that
#   no genome crowds out the others.
#
# You would write the file in an editor; here the page writes it.

# %%
from pathlib import Path

written = Path("halves.py").write_text('''
import torch

import islands
from islands.encodings.contract import Children, Operator
from islands.encodings.genomes import Genomes
from islands.search.contract import Offspring, Pairs


class Halves(islands.EmitterSettings):
    """The left half of one parent, the right half of another: for pixels."""

    def build(self, encoding, classifier):
        return HalvesEmitter(encoding)


class HalvesEmitter:
    def __init__(self, encoding):
        self._encoding = encoding

    def emit(self, population, visits, generation, generator):
        mates = population.mates(visits, generator)
        parents, partners = self._encoding.compact(mates.parents), self._encoding.compact(mates.partners)
        genes = {name: self._joined(parents[name], partners[name]) for name in parents}
        operators = torch.full_like(mates.ids, int(Operator.CROSSOVER), dtype=torch.uint8)
        return Offspring(Children(Genomes(genes), operators), torch.stack([mates.ids, mates.partner_ids], 1))

    def _joined(self, ours, theirs):  # (n, channels * size * size)
        left = torch.arange(self._encoding.size, device=ours.device) < self._encoding.size // 2
        return torch.where(left.repeat(ours.shape[1] // self._encoding.size), ours, theirs)


class Rare(islands.ParentsSettings):
    """Genomes that hold the fewest cells first."""

    def build(self):
        return RareFirst()


class RareFirst:
    counts = False  # how many children a genome has had does not matter here

    def choose(self, candidates, n, generator):
        ids = candidates.ids
        cells = (ids[:, None] == ids[None, :]).sum(1)
        ties = torch.rand(len(ids), generator=generator, device=ids.device)
        order = (cells + ties).argsort(stable=True)
        partners = torch.randint(len(ids), (n,), generator=generator, device=ids.device)
        return Pairs(order[torch.arange(n, device=ids.device) % len(ids)], partners)
''')

# %% [markdown]
# ## Run it
#
# Emitters share the images of a generation. Here three quarters are mutations, and a quarter are halves.

# %%
import islands

ours = {
    "preset": "paper",
    "parents": "file:halves.py:Rare",
    "emitters": [{"name": "mutation", "share": 3}, {"name": "file:halves.py:Halves", "share": 1}],
}
run = islands.evolve("lenet-mnist", encoding="direct", generations=generations, evolve=ours, progress=False)
made = run.query("select operator, count(*) as elites from elites group by operator order by operator")
print(made.to_string(index=False))

# %% [markdown]
# ## Is it better?
#
# One run says little: seeds differ. So we run both searches with the same seeds and equal numbers of images,
# and compare the median confidence.

# %%
for seed in range(seeds):
    medians = []
    for search in ({"preset": "paper"}, ours):
        run = islands.evolve(
            "lenet-mnist",
            encoding="direct",
            generations=generations,
            evolve=search,
            seed=seed,
            progress=False,
        )
        medians.append(float(run.query("select median(confidence) as m from elites")["m"][0]))
    print(f"seed {seed}: paper {medians[0]:.3f}, ours {medians[1]:.3f}")

# %% [markdown]
# `islands compare FILE --arms arms.yaml` does this for whole experiments, with intervals over seeds and
# corrected tests: [compare searches](../how-to/compare.md). `islands.testing` has suites for emitters and for
# what chooses parents.
#
# Next: [the paper, claim by claim](paper_claims.md).
