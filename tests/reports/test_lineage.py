"""Lineages: what they are, against naive walks over the history; and every form they are written in."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import networkx
import numpy as np
import pytest
from PIL import Image, ImageSequence

from islands.cli.main import execute as islands
from islands.store.genealogy import Genealogy, newick
from islands.store.images import Studio
from islands.store.reader import StoreReader
from islands.store.writer import StoreWriter
from tests.archipelago.conftest import in_process, stored_config
from tests.reports.conftest import NAMES


def history(store: Path, run: int) -> list[dict[str, Any]]:
    columns = {name: column.tolist() for name, column in StoreReader(store).history(run).items()}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


class TestGenealogy:
    def test_a_chain_leads_to_generation_0(self, evolved: Path) -> None:
        reader = StoreReader(evolved)
        parents = {row["id"]: row["parents"][0] for row in history(evolved, 1)}
        elites = reader.elites(1)
        parents |= dict(zip(elites.ids.tolist(), elites.parents[:, 0].tolist(), strict=True))
        longest = 0
        for class_ in range(10):
            expected = [int(elites.ids[class_])]
            while parents[expected[0]] >= 0:
                expected.insert(0, parents[expected[0]])
            chain = Genealogy(reader, 1).chain(class_)
            assert [ancestor.id for ancestor in chain] == expected
            assert chain[0].generation == 0
            assert [each.generation for each in chain] == sorted(each.generation for each in chain)
            longest = max(longest, len(chain))
        assert longest > 3

    def test_an_ancestor_knows_the_cells_that_it_took(self, evolved: Path) -> None:
        genealogy = Genealogy(StoreReader(evolved), 0)
        rows = history(evolved, 0)
        for ancestor in genealogy.chain(4)[:-1]:
            taken = {(row["class"], row["confidence"]) for row in rows if row["id"] == ancestor.id}
            assert {tuple(held) for held in ancestor.held} == taken
            confidences = [held.confidence for held in ancestor.held]
            assert confidences == sorted(confidences, reverse=True)

    def test_goal_switches(self, evolved: Path) -> None:
        incumbents: dict[int, int] = {}
        champions, switches = [0] * 10, [0] * 10
        for row in history(evolved, 0):
            champions[row["class"]] += 1
            if row["class"] in incumbents and max(row["parents"]) >= 0:
                switches[row["class"]] += incumbents[row["class"]] not in row["parents"]
            incumbents[row["class"]] = row["id"]
        found = Genealogy(StoreReader(evolved), 0).goal_switches()
        assert (found.takeovers.tolist(), found.switches.tolist()) == (champions, switches)
        assert found.share == sum(switches) / sum(champions)
        assert 0 < found.share < 1

    def test_the_tree_holds_all_elites_and_their_ancestors(self, evolved: Path) -> None:
        reader = StoreReader(evolved)
        tree = Genealogy(reader, 0).tree()
        ancestors = reader.ancestors(0)
        assert ancestors is not None
        elites = set(reader.elites(0).ids.tolist())
        assert {node for node in tree if tree.nodes[node]["elite"]} == elites
        # Ancestors of letters are kept as well; the tree is of the elites.
        assert elites <= set(tree) <= elites | set(ancestors.ids.tolist())
        assert networkx.is_directed_acyclic_graph(tree)
        of_one = Genealogy(reader, 0).tree(4)
        assert set(of_one) == networkx.ancestors(tree, int(reader.elites(0).ids[4])) | {
            int(reader.elites(0).ids[4])
        }

    def test_newick_names_every_genome_once(self, evolved: Path) -> None:
        tree = Genealogy(StoreReader(evolved), 0).tree()
        text = newick(tree)
        assert text.endswith(";")
        assert text.count("(") == text.count(")")
        labels = re.findall(r"'((?:[^']|'')*)':(\d+)", text)
        assert sorted(int(label.rpartition("_")[2]) for label, _ in labels) == sorted(tree)
        last = max(tree, key=lambda node: tree.nodes[node]["generation"])
        lengths = {int(label.rpartition("_")[2]): int(length) for label, length in labels}
        path = networkx.ancestors(tree, last) | {last}
        assert sum(lengths[node] for node in path) == tree.nodes[last]["generation"]


class TestCommand:
    def test_it_is_told(self, evolved: Path, capsys: pytest.CaptureFixture[str]) -> None:
        chain = Genealogy(StoreReader(evolved), 1).chain(0)
        assert islands(["lineage", str(evolved), "--class", "tench", "--run", "1"]) == 0
        *told, share = capsys.readouterr().out.splitlines()
        assert len(told) == len(chain)
        assert "goal switches" in share
        assert islands(["lineage", str(evolved), "--class", "0", "--run", "1", "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert [each["id"] for each in found["lineage"]] == [each.id for each in chain]

    @pytest.mark.parametrize("suffix", ["gif", "webp"])
    def test_it_moves(self, evolved: Path, tmp_path: Path, suffix: str) -> None:
        reader = StoreReader(evolved)
        out = tmp_path / f"lineage.{suffix}"
        assert islands(["lineage", str(evolved), "--class", "9", "--out", str(out)]) == 0
        studio = Studio(reader, 0)
        drawn = [studio.draw(ancestor.id) for ancestor in Genealogy(reader, 0).chain(9)]
        frames = [picture for picture in drawn if picture is not None]
        assert len(frames) == len(drawn) > 1
        with Image.open(out) as image:
            pictures = [np.asarray(frame.convert("L")) for frame in ImageSequence.Iterator(image)]
        captions = set()
        for picture, frame in zip(pictures, frames, strict=True):
            assert picture.shape == (8 * 28 + 20, 8 * 28)
            np.testing.assert_array_equal(picture[: 8 * 28 : 8, ::8], frame[:, :, 0])
            captions.add(picture[8 * 28 :].tobytes())
        assert len(captions) == len(frames)  # each has a generation of its own

    def test_a_video_is_one(self, evolved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "ffmpeg").symlink_to(imageio_ffmpeg.get_ffmpeg_exe())
        monkeypatch.setenv("PATH", str(tmp_path))
        out = tmp_path / "lineage.mp4"
        assert islands(["lineage", str(evolved), "--class", "9", "--out", str(out)]) == 0
        video = imageio_ffmpeg.read_frames(str(out))
        assert next(video)["size"] == (224, 244)
        first = np.frombuffer(next(video), np.uint8).reshape(244, 224, 3)[:224:8, ::8].astype(int)
        reader = StoreReader(evolved)
        drawn = Studio(reader, 0).draw(Genealogy(reader, 0).chain(9)[0].id)
        assert drawn is not None
        assert np.abs(first - drawn).mean() < 12  # H.264 is not exact

    def test_a_video_without_ffmpeg_is_refused(
        self,
        evolved: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        assert islands(["lineage", str(evolved), "--class", "9", "--out", str(tmp_path / "x.mp4")]) == 2
        assert "x.mp4: videos need the program ffmpeg" in capsys.readouterr().err

    @pytest.mark.parametrize("suffix", ["png", "svg", "pdf", "json", "newick", "nwk", "tree", "graphml"])
    def test_it_is_written(self, evolved: Path, tmp_path: Path, suffix: str) -> None:
        out = tmp_path / f"lineage.{suffix}"
        assert islands(["lineage", str(evolved), "--class", "9", "--out", str(out)]) == 0
        assert out.stat().st_size > 50
        if suffix == "graphml":
            read = networkx.read_graphml(out, node_type=int)
            assert {read.nodes[node]["name"] for node in read} <= set(NAMES)

    @pytest.mark.parametrize(
        ("arguments", "told"),
        [
            (["--class", "9", "--out", "x.avi"], ".gif"),
            (["--out", "x.png"], ".newick"),
            (["--class", "zebra"], "no class"),
            (["--class", "crane"], "2 classes"),
            (["--run", "2"], "runs 0 to 1"),
        ],
    )
    def test_it_refuses(
        self, evolved: Path, arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert islands(["lineage", str(evolved), *arguments]) == 2
        assert told in capsys.readouterr().err

    def test_ids_alone_cannot_be_drawn(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        config = stored_config(tmp_path / "run", checkpoint={"ancestors": "ids"})
        with StoreWriter.create(tmp_path / "run", config, NAMES, "f" * 64, channels=1, size=28) as writer:
            writer.commit(in_process(config).last, complete=True)
        assert islands(["lineage", str(tmp_path / "run"), "--class", "3"]) == 0
        assert "generation" in capsys.readouterr().out
        out = str(tmp_path / "x.png")
        assert islands(["lineage", str(tmp_path / "run"), "--class", "3", "--out", out]) == 2
        assert "checkpoint.ancestors=genomes" in capsys.readouterr().err
