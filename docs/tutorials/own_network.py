# %% [markdown]
# # Fool your own network
#
# Any network that gives a number for each class will do. Here we train a small one that tells shapes apart,
# and then evolve images against it.

# %% tags=["parameters"] small={"generations": 10, "steps": 30}
generations = 100
steps = 300

# %% [markdown]
# ## A network in a file
#
# A network lives in a file with a function that returns it. Three attributes tell Islands how to feed it: the
# names of its classes, how many pixels a side it wants, and its channels. You would write the file in an
# editor. Here the page writes it, so that nothing is hidden.

# %%
from pathlib import Path

written = Path("shapes.py").write_text("""
import torch
from torch import nn


class Shapes(nn.Module):
    classes = ("square", "cross", "ring")  # one for each output
    input_size = 32  # pixels a side
    channels = 1  # grey

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 12, 5, stride=2), nn.ReLU(),
            nn.Conv2d(12, 24, 5, stride=2), nn.ReLU(),
            nn.Flatten(), nn.Linear(600, 3),
        )

    def forward(self, x):  # float32 (B, 1, 32, 32) in [0, 1]
        return self.layers(x)  # logits (B, 3)


def build():
    network = Shapes()
    network.load_state_dict(torch.load("shapes.pt", weights_only=True))
    return network
""")

# %% [markdown]
# ## Train it
#
# The pictures are drawn: a square, a cross or a ring at a random place, of a random size, with noise on top.

# %%
import torch
from shapes import Shapes, build
from torch import nn


def draw(n, generator):
    """Return n pictures, float32 (n, 1, 32, 32), and their classes."""
    axis = torch.arange(32.0)
    labels = torch.randint(3, (n,), generator=generator)
    centre = 11 + 10 * torch.rand((n, 2, 1, 1), generator=generator)
    size = 5 + 5 * torch.rand((n, 1, 1), generator=generator)
    x = (axis[None, None, :] - centre[:, 0]).abs()
    y = (axis[None, :, None] - centre[:, 1]).abs()
    inside = (x < size) & (y < size)
    radius = (x**2 + y**2).sqrt()
    cross, ring = inside & ((x < 2) | (y < 2)), (radius < size) & (radius > size - 3)
    shapes = torch.stack([inside, cross, ring], 1)[torch.arange(n), labels].float()
    noise = 0.2 * torch.rand(shapes.shape, generator=generator)
    return (shapes + noise).clamp(0, 1)[:, None], labels


torch.manual_seed(0)
network, generator = Shapes(), torch.Generator().manual_seed(1)
optimiser = torch.optim.Adam(network.parameters(), 0.003)
for _ in range(steps):
    pictures, labels = draw(64, generator)
    optimiser.zero_grad()
    nn.functional.cross_entropy(network(pictures), labels).backward()
    optimiser.step()
torch.save(network.state_dict(), "shapes.pt")

# %% [markdown]
# How well does it see new pictures?

# %%
pictures, labels = draw(1000, torch.Generator().manual_seed(2))
with torch.inference_mode():
    right = (build()(pictures).argmax(1) == labels).float().mean()
print(f"right on {100 * right:.0f} % of new pictures")

# %% [markdown]
# ## Fool it
#
# `file:shapes.py:build` names the function. The same name serves on the command line, as `--set
# network.name=file:shapes.py:build`.

# %%
import islands

run = islands.evolve("file:shapes.py:build", encoding="cppn", generations=generations, progress=False)
for name, confidence in zip(run.classes, run.confidence[0], strict=True):
    print(f"{name:<8}{100 * confidence:.0f} %")

# %%
run.sheet(columns=3)

# %% [markdown]
# The network is right on almost all pictures of shapes, and as sure of these.
#
# [Bring your own network](../how-to/own-network.md) says what else a network may say of itself, and what
# `islands doctor` checks.
#
# Next: [a thousand classes of ImageNet](thousand_classes.md).
