"""Islands and pyribs (https://pyribs.org), in both directions; `pip install 'islands[ribs]'`.

`ClassArchive` is an archive with a cell for each class that a scheduler of pyribs and its emitters fill. Its
measures are the scores of all classes, and a solution takes every cell that it is best for. It can be saved
as a store. `EncodingEmitter` is an emitter of pyribs with our encodings: CPPNs in any archive of pyribs.

A genome of fixed length (`direct`, `dct`) is a solution of floats, its genes in [0, 1]. CPPNs grow: there a
solution is a `Genome`, in an archive of objects (`solution_dim=()`, `solution_dtype=object`).

Example:
    >>> from ribs.emitters import GaussianEmitter
    >>> from ribs.schedulers import Scheduler
    >>> import numpy as np
    >>> archive = ClassArchive(["dark", "bright"], size=8, channels=1, seed=0)
    >>> emitter = GaussianEmitter(archive, sigma=0.1, x0=np.full(64, 0.5), bounds=[(0, 1)] * 64, seed=0)
    >>> scheduler = Scheduler(archive, [emitter])
    >>> for _ in range(20):
    ...     bright = archive.draw(scheduler.ask()).mean((1, 2, 3)) / 255
    ...     scores = np.stack([1 - bright, bright], 1)
    ...     scheduler.tell(scores.max(1), scores)
    >>> archive.save("runs/ribs").image("bright").shape
    (8, 8, 1)
"""

# First: who has no pyribs is told so before torch is imported.
import islands.ribs.pyribs  # noqa: F401
from islands.ribs.class_archive import ClassArchive
from islands.ribs.encoding_emitter import EncodingEmitter
from islands.ribs.solutions import Genome

__all__ = ["ClassArchive", "EncodingEmitter", "Genome"]
