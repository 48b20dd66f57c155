# %% [markdown]
# # A thousand classes of ImageNet
#
# EfficientNet-Lite0 tells 1000 things apart. Its weights came with Islands, as a package. One run evolves an
# image for each of the 1000, on two CPU cores, in about 11 minutes.

# %% tags=["parameters"] small={"settings": ["evolve.generations=5", "workers.executor=in-process"]}
settings = []  # what differs from the file

# %% [markdown]
# ## Run the file
#
# `cluster/local-imagenet.yaml` has the settings. It is what `islands launch cluster/local-imagenet.yaml`
# runs. A thousand generations of 40 children, and 400 images to start with: 40,400 images. If it has run
# before, we open its store.

# %%
from pathlib import Path

import islands

store = "runs/imagenet-cppn"
if Path(store).is_dir():
    run = islands.open(store)
else:
    run = islands.launch("cluster/local-imagenet.yaml", settings, progress=False)

# %% [markdown]
# ## How far did it come?

# %%
counts = run.query("select cells_50, cells_90, cells_99, round(median_confidence, 3) as median from runs")
print(counts.to_string(index=False))

# %% [markdown]
# `cells_90` are the classes with an image of 0.9 confidence or more. The paper had 5000 generations of 400
# children, 50 times as many images.
#
# ## A contact sheet
#
# The images that the network is surest of. Each carries the class, and the confidence.

# %%
run.sheet(top=24, columns=6)

# %% [markdown]
# ## One of them, large
#
# A CPPN can be drawn at any size. This is the one that the network is surest of.

# %%
best = run.query("select class from elites order by confidence desc, class limit 1")["class"][0]
run.elite(int(best)).draw(384)

# %% [markdown]
# ## Where did it come from?
#
# Its ancestors held other cells. The paper calls that goal switching: a good image of one thing is a step
# towards another.

# %%
lineage = run.elite(int(best)).lineage()
print(f"{len(lineage)} images from the first to the last")

# %%
run.plot("confidence")

# %% [markdown]
# Next: [do they fool others?](fool_others.md)
