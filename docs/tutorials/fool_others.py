# %% [markdown]
# # Do they fool others?
#
# An image that fools one network may fool another. We evolve images against LeNet and show them to two
# networks that took no part: a support vector machine and a linear model.

# %% tags=["parameters"] small={"generations": 10, "runs": 1, "controls": 10}
generations = 200
runs = 3
controls = 200

# %% [markdown]
# ## Evolve, and ask others meanwhile
#
# `held_out` names the networks that are asked. They score in the background and never affect evolution.

# %%
import islands

run = islands.evolve(
    "lenet-mnist",
    encoding="cppn",
    generations=generations,
    runs=runs,
    held_out=["svm-mnist", "linear-mnist"],
    store="runs/for-others",
    progress=False,
)
median = run.query("select median(confidence) as median from elites")["median"][0]
print(f"{run.confidence.size} images, median confidence {100 * median:.2f} %")

# %% [markdown]
# ## What others see
#
# Each row of `scores` is an image and a network. `target_rank` is the rank of the class that the image was
# evolved for.

# %%
seen = run.query(
    "select network, count(*) as images, sum((top1 = class)::int) as same_class, "
    "round(median(target_probability), 3) as median from scores group by network order by network"
)
print(seen.to_string(index=False))

# %% [markdown]
# ## Is that more than chance?
#
# A network that says "8" to everything agrees on every 8. So the same is asked of three controls: uniform
# noise, random patterns, and the images of generation 0. `islands.transfer` puts it all together, with
# Wilson's 95 % intervals.

# %%
found = islands.transfer(["runs/for-others"], controls=controls)
print(f"chance: {found.chance}")
for entry in found.entries:
    if entry.denominator == "all" and not entry.own and entry.top1.n:
        top = entry.top1
        rate = f"{top.k} of {top.n}: {100 * top.value:.0f} % [{100 * top.low:.0f}, {100 * top.high:.0f}]"
        print(f"{entry.source:<32}seen by {entry.target:<16}{rate}")

# %% [markdown]
# Read it so: where the interval of the evolved images lies above that of the controls, images carry over.
# Where the two overlap, as many of them agree as of images that were never evolved. With 30 images intervals
# are wide; more `runs` make them narrower.
#
# ## Add one afterwards
#
# A network can be asked later, too.

# %%
islands.score("runs/for-others", ["generative-mnist"])
again = islands.open("runs/for-others")
print(again.query("select distinct network from scores order by network").to_string(index=False))

# %% [markdown]
# On the command line these are `islands launch FILE --set 'held_out=[svm-mnist]'`, `islands transfer STORE`
# and `islands score STORE --network NAME`. [Transfer and its statistics](../concepts/transfer.md) says what
# the numbers mean.
#
# Next: [write an encoding](write_an_encoding.md).
