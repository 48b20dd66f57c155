"""A store as people look at it: tables, pictures, lineages. What `islands.open` returns."""

from __future__ import annotations

import html
import io
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from islands.config import RunConfig
from islands.errors import InputError
from islands.store.classes import find_class
from islands.store.genealogy import Genealogy
from islands.store.location import Location
from islands.store.reader import StoreReader
from islands.texts import percent

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from PIL.Image import Image

    from islands.reports.notebook import Animation, Lineage, Plot

Picture = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Elite:
    """One elite, drawn when it is looked at; a notebook shows its picture.

    Attributes:
        class_: its class, counted from 0.
        run: its run, counted from 0.
        name: of its class.
        confidence: probability of the class, 0 to 1.
        cell: which of the cells of its class; None: the best of them, by fitness.

    Example:
        >>> elite = islands.open("runs/digits").elite(3)
        >>> elite.class_, elite.image(size=56).shape
        (3, (56, 56, 1))
    """

    class_: int
    run: int
    name: str
    confidence: float
    _reader: StoreReader
    cell: int | None = None

    def image(self, size: int | None = None) -> Picture:
        """Draw it: uint8 (size, size, channels); at `size=None` byte for byte what was scored."""
        from islands.store.images import render_cell, render_elite  # they need torch; tables do not

        if self.cell is None:
            return render_elite(self._reader, self.class_, self.run, size)
        return render_cell(self._reader, self.run, self._cell(self.cell), size)

    def draw(self, size: int | None = None) -> Image:
        """Draw it as an image of Pillow, which notebooks show and which saves itself; see `image`.

        Example:
            >>> islands.open("runs/digits").elite(3).draw(56).size
            (56, 56)
        """
        from islands.store.images import as_image

        return as_image(self.image(size))

    def lineage(self) -> Lineage:
        """Return its ancestors, the oldest first and itself last; see `Genealogy.chain`.

        It is a list; a notebook shows their pictures, where their genomes were kept.
        """
        from islands.reports.notebook import Lineage

        genealogy = Genealogy(self._reader, self.run)
        if self.cell is None:
            chain = genealogy.chain(self.class_)
        else:
            ids = self._reader.cell_columns(self.run, "id")["id"]
            chain = genealogy.chain_to(int(ids[self._cell(self.cell)]))
        return Lineage(chain, self._reader, self.run)

    def animate(self, size: int | None = None) -> Animation:
        """Return its ancestors as an animation, which notebooks play and which saves itself.

        Args:
            size: of the pictures, in pixels; None: as they were scored.

        Raises:
            StoreError: their genomes were not kept.

        Example:
            >>> islands.open("runs/digits").elite(3).animate().save("three.webp")
        """
        from islands.reports.lineage import caption, drawn
        from islands.reports.notebook import Animation

        pictures = drawn(self._reader, self.run, self.lineage(), size)
        captions = [caption(ancestor, self._reader) for ancestor, _ in pictures]
        return Animation([picture for _, picture in pictures], captions)

    def _cell(self, cell: int) -> int:
        """Count a cell of the class over all classes."""
        return self.class_ * self._reader.layout.per_class + cell

    def __repr__(self) -> str:
        cell = "" if self.cell is None else f", cell {self.cell}"
        return (
            f"<elite of run {self.run}, class {self.class_} ({self.name}){cell}, {percent(self.confidence)}>"
        )

    def _repr_html_(self) -> str:
        from islands.reports.notebook import figure

        size = self._reader.attributes["image"]["size"]
        # Small images in whole multiples of their pixels.
        return figure(self.image(), f"{self.name}, {percent(self.confidence)}", size * max(1, 224 // size))

    def _repr_png_(self) -> bytes:
        from islands.store.images import write_png

        png = io.BytesIO()
        write_png(self.image(), png)
        return png.getvalue()


class Results:
    """A store as it was at one checkpoint; what is written later does not show.

    Tables are those of `islands query STORE --schema`, all runs together, as pandas DataFrames (which
    `pip install 'islands[frame]'` brings); everything else works without pandas.

    Args:
        location: the store's path.
        at: an epoch, `nearest:EPOCH`, a tag or the id of a checkpoint; None: the latest.

    Raises:
        StoreError: there is no store, or it cannot be read; any member may raise it.
        InputError: there is no checkpoint `at`.

    Example:
        >>> run = islands.open("runs/digits")
        >>> run.complete, len(run.classes), run.image("3").dtype
        (True, 10, dtype('uint8'))
    """

    def __init__(self, location: Location | Path | str, at: str | int | None = None) -> None:
        self.reader = StoreReader(location, at)

    @property
    def path(self) -> Location:
        """Where the store is."""
        return self.reader.path

    @property
    def config(self) -> RunConfig:
        """What the runs are made of."""
        return self.reader.config

    @property
    def classes(self) -> tuple[str, ...]:
        """The K class names."""
        return self.reader.classes

    @property
    def epoch(self) -> int | None:
        """The epoch of the checkpoint; None before the first."""
        return self.reader.epoch

    @property
    def complete(self) -> bool:
        """Whether evolution has spent its budget."""
        return self.reader.complete

    @property
    def confidence(self) -> npt.NDArray[np.float32]:
        """(runs, K) float32, 0 to 1: the confidence of every class's best elite; 0 where there is none."""
        runs = range(self.reader.runs)
        columns = [self.reader.elite_columns(run, "confidence")["confidence"] for run in runs]
        return np.stack(columns).astype(np.float32)

    @cached_property
    def elites(self) -> pd.DataFrame:
        """One row per class and run: the best elite.

        The column `elite` holds `Elite`s, whose pictures are drawn when wanted.
        """
        return self._with_pictures("elites")

    @cached_property
    def cells(self) -> pd.DataFrame:
        """One row per elite of any cell, which are several of a class where `archive` says so.

        The column `niche` says in words what its image is like, `elite` is as in `elites`.
        """
        return self._with_pictures("cells")

    def _with_pictures(self, name: str) -> pd.DataFrame:
        frame = self.table(name)
        columns = [frame[each] for each in ("class", "run", "name", "confidence")]
        columns += [frame["cell"]] if "cell" in frame else []
        frame["elite"] = _pandas().Series(
            [
                Elite(class_, run, name, confidence, self.reader, *cell)
                for class_, run, name, confidence, *cell in zip(*columns, strict=True)
            ],
            dtype=object,
        )
        return frame

    @cached_property
    def history(self) -> pd.DataFrame:
        """One row per takeover."""
        return self.table("history")

    @cached_property
    def migrations(self) -> pd.DataFrame:
        """One row per elite that an island received."""
        return self.table("migrations")

    @cached_property
    def curves(self) -> pd.DataFrame:
        """One row per run, epoch and class: the confidence, 0 to 1, at the epoch's end."""
        return self.table("curves")

    @cached_property
    def statistics(self) -> pd.DataFrame:
        """One row per run and epoch: coverage, QD score and what else the quality-diversity field asks for.

        Columns: `run`, `epoch`, `evaluations` (images scored by then), `coverage` (0 to 1), `qd_score` (0 to
        K), `normalized_qd_score` (0 to 1), `best` and `mean` (0 to 1, of filled cells; NaN: all are empty).
        Claims on their way count, as in `table("runs")`, which has the same of the archives as they are.

        Raises:
            StoreError: there is no checkpoint yet.
            InputError: pandas is not installed.

        Example:
            >>> islands.open("runs/digits").statistics[["epoch", "evaluations", "coverage"]].iloc[-1].tolist()
            [2.0, 420.0, 1.0]
        """
        return self.table("statistics")

    @cached_property
    def scores(self) -> pd.DataFrame:
        """One row per elite and held-out network: what that network sees in it."""
        return self.table("scores")

    @cached_property
    def checkpoints(self) -> pd.DataFrame:
        """One row per checkpoint that `at` takes."""
        return self.table("checkpoints")

    def table(self, name: str) -> pd.DataFrame:
        """Return one of the tables of `islands query STORE --schema`."""
        from islands.store.columns import TABLES, table

        if name not in TABLES:
            raise InputError(f"there is no table {name!r}; there are {', '.join(TABLES)}")
        frame: pd.DataFrame = _pandas().DataFrame(table(self.reader, name))
        return frame

    def query(self, sql: str) -> pd.DataFrame:
        """Answer a query in DuckDB's SQL over the tables."""
        from islands.store.query import ask

        answer = ask({"": self.reader}, sql)
        frame: pd.DataFrame = _pandas().DataFrame(answer.rows, columns=list(answer.columns))
        return frame

    def elite(self, class_: int | str, run: int = 0) -> Elite:
        """Return the elite of a class, given by its index or its name; see `find_class` for texts."""
        index = find_class(self.classes, class_)
        confidence = self.reader.elite_columns(run, "confidence")["confidence"][index]
        return Elite(index, run, self.classes[index], float(confidence), self.reader)

    def image(self, class_: int | str, run: int = 0, size: int | None = None) -> Picture:
        """Draw an elite: uint8 (size, size, channels); at `size=None` byte for byte what was scored."""
        return self.elite(class_, run).image(size)

    def at(self, checkpoint: str | int) -> Results:
        """Return the store as it was at another checkpoint: an epoch, `nearest:EPOCH`, a tag or an id.

        Not every epoch has a checkpoint; `curves` has the confidences at each.

        Raises:
            InputError: there is none; the message says which there are.
        """
        return Results(self.path, checkpoint)

    def sheet(
        self,
        run: int = 0,
        *,
        sort: Literal["confidence", "class", "name", "generation"] = "confidence",
        top: int = 24,
        columns: int | None = None,
        dark: bool = False,
    ) -> Image:
        """Draw the best elites on one sheet, as an image of Pillow; see `islands show STORE --sheet`.

        Args:
            run: counted from 0.
            sort: what comes first.
            top: how many at most, no genome twice.
            columns: pictures a row; None: as fits.
            dark: whether the sheet is black.

        Example:
            >>> islands.open("runs/digits").sheet(top=4, columns=2).size
            (280, 336)
        """
        from islands.reports.sheets import choose, contact_sheet
        from islands.store.images import as_image

        chosen = choose(self.reader, run, sort, top)
        return as_image(contact_sheet(self.reader, chosen, run, columns=columns, dark=dark))

    def plot(self, name: str = "confidence", width: Literal["single", "double"] = "double") -> Plot:
        """Draw one of the figures of `islands figure`, which a notebook shows and which saves itself.

        Raises:
            InputError: there is no such figure; the message lists them.

        Example:
            >>> islands.open("runs/digits").plot("histogram").save("histogram.pdf")
        """
        from islands.reports.figures import draw_figure
        from islands.reports.notebook import Plot

        return Plot(draw_figure([self.reader], name, width))

    def compare(self, *others: Results, width: Literal["single", "double"] = "double") -> Plot:
        """Draw the median confidence of this store and of others over generations.

        Example:
            >>> run = islands.open("runs/digits")
            >>> run.compare(run.at(0)).save("comparison.svg")
        """
        from islands.reports.figures import draw_figure
        from islands.reports.notebook import Plot

        return Plot(draw_figure([self.reader, *(other.reader for other in others)], "compare", width))

    def xarray(self) -> xr.Dataset:
        """Return elites and curves as arrays with named dimensions (`pip install 'islands[frame]'`).

        Variables: `confidence` (run, class), `probabilities` (run, class, output), `generation` (run, class),
        `id` (run, class; -1 in empty cells), `curve` (run, epoch, class). Confidences are 0 to 1.
        """
        try:
            import xarray as xr
        except ImportError as error:
            raise InputError("xarray is not installed; pip install 'islands[frame]'") from error

        runs = range(self.reader.runs)
        names = ("confidence", "probabilities", "generation", "id")
        stored = [self.reader.elite_columns(run, *names) for run in runs]
        dimensions = {"probabilities": ("run", "class", "output")}
        variables: dict[str, Any] = {
            name: (dimensions.get(name, ("run", "class")), np.stack([columns[name] for columns in stored]))
            for name in names
        }
        curves = np.stack([self.reader.curves(run) for run in runs])
        variables["curve"] = (("run", "epoch", "class"), curves)
        coordinates = {
            "run": list(runs),
            "class": np.arange(len(self.classes)),
            "name": ("class", list(self.classes)),
        }
        return xr.Dataset(variables, coordinates, attrs={"store": str(self.path), "epoch": self.epoch})

    def _repr_html_(self) -> str:
        lines = [html.escape(repr(self)[1:-1])]
        if self.epoch is None:
            return f"<p>{lines[0]}; no checkpoint yet</p>"
        from islands.reports.notebook import image_html

        confidence = self.confidence
        median, sure = percent(float(np.median(confidence))), int((confidence >= np.float32(0.9)).sum())
        lines += [
            f"median {median}, {sure:,} of {confidence.size:,} classes at 90 %",
            f"generation {self.reader.generation:,} of {self.config.evolve.generations:,}",
        ]
        return f"<p>{'<br>'.join(lines)}</p>{image_html(self.sheet())}"

    def __repr__(self) -> str:
        reader = self.reader
        return (
            f"<{reader.path}: {reader.config.pipeline} on {reader.config.network.name}, {reader.runs} runs x"
            f" {len(self.classes)} classes, epoch {reader.epoch}>"
        )


def _pandas() -> Any:
    try:
        import pandas as pd
    except ImportError as error:
        raise InputError("pandas is not installed; pip install 'islands[frame]'") from error
    return pd
