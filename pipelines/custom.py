"""No experiment of the paper: the file, or the Python call, says which network and which encoding."""

from islands.experiments.pipeline import Pipeline

PIPELINE = Pipeline(
    name="custom",
    summary="Any network with any encoding, as the settings say.",
    paper="none",
    settings={},
)
