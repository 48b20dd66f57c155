"""No experiment of the paper: the file, or the Python call, says which network and which encoding.

The search is `swift`, unless the file names another preset.
"""

from islands.experiments.pipeline import Pipeline

PIPELINE = Pipeline(
    name="custom",
    summary="Any network with any encoding, as the settings say.",
    paper="none",
    settings={"evolve": {"preset": "swift"}},
)
