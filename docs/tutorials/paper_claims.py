# %% [markdown]
# # The paper, claim by claim
#
# Each experiment of the paper is a pipeline. It evolves, and then says of each claim whether it holds here,
# with an effect, an interval and a test. We run one: patterns for digits.

# %% tags=["parameters"] small={"settings": ["evolve.generations=10", "evolve.children=20", "runs=2"]}
settings = ["runs=10"]  # ten independent archives

# %% [markdown]
# ## Which experiments are there?
#
# `islands pipelines` lists them. We call the command from here; in a terminal, leave Python out.

# %%
import subprocess
import sys


def command(*words):
    """Print what `islands WORDS` says."""
    done = subprocess.run([sys.executable, "-m", "islands", *words], capture_output=True, text=True)
    print(done.stdout + done.stderr)


command("pipelines")

# %% [markdown]
# ## Run one
#
# `mnist_cppn` has the paper's settings: 200 children in each of 200 generations, against a LeNet.

# %%
import islands

run = islands.launch(
    {"pipeline": "mnist_cppn", "store": "runs/claims"},
    ["workers.executor=in-process", *settings],
    progress=False,
)
print(run.confidence.shape)

# %% [markdown]
# ## What it says
#
# `islands findings STORE` computes the verdicts again from what is stored, offline. Figures of the paper
# carry how well they are known: most are quoted, or recalled from memory, and were not checked.

# %%
command("findings", "runs/claims")

# %% [markdown]
# ## All of them
#
# `islands paper --budget small` runs every experiment on two cores, and writes one report. It took 14 minutes
# on two cores (AMD EPYC, while other programs ran). [Claims and verdicts](../paper/claims.md) has what came
# out, disagreements included.
