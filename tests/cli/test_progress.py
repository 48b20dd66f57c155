"""How a run gets on, in real terminals: phases, the bar, the last screen."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.cli.terminals import in_terminal, lines_of

RUN = """
pipeline: mnist_direct
store: runs/digits
network: {name: linear-mnist}
evolve: {initial: 20, children: 20, generations: 200, generations_per_epoch: 10}
workers: {executor: in-process}
"""


@pytest.mark.slow
@pytest.mark.parametrize(("columns", "colours"), [(80, True), (80, False), (200, True)])
def test_a_run_in_a_terminal(tmp_path: Path, columns: int, colours: bool) -> None:
    (tmp_path / "run.yaml").write_text(RUN)
    said, code = in_terminal(
        ["launch", "run.yaml"],
        tmp_path,
        columns=columns,
        environment={} if colours else {"NO_COLOR": "1"},
    )
    assert code == 0, said
    lines = lines_of(said)
    assert max(len(line) for line in lines if "elapsed" in line) == columns
    assert any(re.match(r"loading linear-mnist +.*0:00:0\d elapsed", line) for line in lines), said
    bar = next(line for line in reversed(lines) if "elapsed" in line)
    assert re.match(r"generation 200 of 200 ━+ 0:0\d:\d\d elapsed 0:00:00 left$", bar), bar
    numbers = lines[len(lines) - lines[::-1].index(bar)]
    assert re.match(r"median [\d.]+ %, \d+ of 10 classes at 90 %, [\d,]+ images/s, commit in", numbers)
    assert ("\x1b[38;" in said or "\x1b[36m" in said) is colours
    assert re.match(r"mnist_direct +complete after .*: generation 200 of 200, 4,020 images", lines[-7])
    assert re.match(r"verdicts +\d ", lines[-4])
    assert [line.split(maxsplit=line.startswith("next"))[-1].strip() for line in lines[-3:-2]] == [
        "islands show runs/digits --sheet"
    ]
    assert [line.strip() for line in lines[-2:]] == [
        "islands report runs/digits",
        "islands query runs/digits --preset best",
    ]


@pytest.mark.slow
def test_a_terminal_that_cannot_redraw_gets_plain_lines(tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text(RUN)
    said, code = in_terminal(["launch", "run.yaml"], tmp_path, columns=80, environment={"TERM": "dumb"})
    assert code == 0, said
    assert "\x1b" not in said
    assert lines_of(said)[0] == "loading linear-mnist"
    assert "epoch 20/20, generation 200" in said
