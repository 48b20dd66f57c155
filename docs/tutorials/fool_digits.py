# %% [markdown]
# # Fool a digit network
#
# LeNet reads handwritten digits, and is right on 99.5 % of those that it has never seen. We evolve ten images
# that mean nothing, each of which LeNet takes for a digit with great confidence.
#
# One import is enough. The next numbers say how long we look: two hundred children in each of fifty
# generations.

# %%
import islands

# %% tags=["parameters"] small={"generations": 10, "children": 20}
generations = 50
children = 200

# %% [markdown]
# ## Evolve
#
# `islands.evolve` takes a network and an encoding. The encoding says what an image is made of. `cppn` is a
# small network that computes a colour for each place, so that images are patterns.

# %%
run = islands.evolve(
    "lenet-mnist",
    encoding="cppn",
    generations=generations,
    evolve={"initial": children, "children": children},
    store="runs/digits",
    progress=False,
)
print(f"{(run.confidence > 0.99).sum()} of {run.confidence.size} digits are above 0.99")

# %% [markdown]
# `run.confidence` has a row for each run and a column for each digit. Confidence is the softmax probability
# that LeNet gives to the digit.
#
# ## Look
#
# A sheet has the best image of each class, the surest first.

# %%
run.sheet(columns=5)

# %% [markdown]
# None of them looks like its digit. That is the point: LeNet has learned what tells digits apart, and not
# what a digit is.
#
# A pattern can be drawn at any size.

# %%
run.elite("3").draw(256)

# %% [markdown]
# ## Ask
#
# The run is a store with tables, and answers SQL. Which image was found last?

# %%
print(
    run.query("select name, generation from elites order by generation desc limit 3").to_string(index=False)
)

# %% [markdown]
# And how did the median confidence grow? An epoch has ten generations here.

# %%
grown = run.query("select epoch, median(confidence) as median from curves group by epoch order by epoch")
print(grown.round(3).to_string(index=False))

# %% [markdown]
# ## Pixels in place of patterns
#
# With the encoding `direct` each pixel is a gene. It takes longer, and gives noise.

# %%
noise = islands.evolve(
    "lenet-mnist",
    encoding="direct",
    generations=4 * generations,
    evolve={"initial": children, "children": children},
    progress=False,
)
noise.sheet(columns=5)

# %% [markdown]
# ## Keep
#
# The run lies in the folder `runs/digits`, because we named it. `islands.open` opens it again, and a report
# has all of it on one page.

# %%
again = islands.open("runs/digits")
print(again.classes)
print(islands.report("runs/digits", "digits.html").name)

# %% [markdown]
# Next: [fool your own network](own_network.md).
