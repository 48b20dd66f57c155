"""Networks as people bring them: what can be taken is taken, all else is told in one line."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from islands.classifiers.checks import require_sound
from islands.classifiers.contract import Classifier
from islands.classifiers.registry import load_classifier
from islands.errors import NetworkError

CPU = torch.device("cpu")
IMAGES = torch.randint(256, (3, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
NET = """
import numpy as np, torch
from torch import nn

class Net(nn.Module):
    classes, input_size, mean, std = ["a", "b", "c"], 8, 0.5, 0.5

    def __init__(self, outputs=3):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(144, outputs)

    def forward(self, x):
        return self.fc(torch.relu(self.conv(x)).flatten(1))

def told(**attributes):
    net = Net()
    for name, value in attributes.items():
        setattr(net, name, value)
    return net
"""

Load = Callable[..., Classifier]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Return a function that loads what `build` returns, given the lines that define it."""

    def load(code: str, **settings: object) -> Classifier:
        (tmp_path / "net.py").write_text(NET + code)
        return load_classifier(f"file:{tmp_path}/net.py:build", **settings, device=CPU)  # type: ignore[arg-type]

    return load


def build(expression: str) -> str:
    return f"\ndef build():\n    return {expression}\n"


class Plain(torch.nn.Module):
    """The network of `NET`."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.conv, self.fc = torch.nn.Conv2d(3, 4, 3), torch.nn.Linear(144, 3)

    def forward(self, images: Tensor) -> Tensor:
        x = (images / 255 - 0.5) / 0.5
        outputs: Tensor = self.fc(torch.relu(self.conv(x)).flatten(1))
        return outputs


@pytest.fixture(scope="module")
def logits() -> Tensor:
    """What `NET` gives for `IMAGES`."""
    with torch.no_grad():
        expected: Tensor = Plain()(IMAGES)
    return expected


FLATTENED_BY_VIEW = """
class Other(Net):
    def forward(self, x):
        x = torch.relu(self.conv(x))
        return self.fc(x.view(len(x), -1))
"""
DEEP = """
class Other(Net):
    def __init__(self):
        super().__init__()
        self.deep = nn.Conv3d(1, 1, (1, 1, 1), bias=False)
        nn.init.ones_(self.deep.weight)
    def forward(self, x):
        return super().forward(self.deep(x[:, None])[:, 0])
"""
STRIDED = """
class Other(Net):
    def forward(self, x):
        x = torch.relu(self.conv(x))
        return self.fc(x.as_strided((len(x), 144), (144, 1)))
"""
WITH_STATE = """
class Other(Net):
    def get_extra_state(self): return {"version": 3, "kind": object()}
    def set_extra_state(self, state): pass
"""
AS_MAPPING = """
class Other(Net):
    def forward(self, x): return {"features": x, "logits": super().forward(x)}
"""
AS_OBJECT = """
from dataclasses import dataclass
@dataclass
class Output:
    logits: torch.Tensor
    loss: None = None
class Other(Net):
    def forward(self, x): return Output(super().forward(x))
"""
TALKATIVE = """
print("loading")
class Other(Net):
    def forward(self, x):
        return super().forward(x)
"""
ARGUMENTS = """
import argparse
rate = argparse.ArgumentParser().parse_args()
Other = Net
"""


@pytest.mark.parametrize(
    "code",
    [
        FLATTENED_BY_VIEW + build("Other()"),
        DEEP + build("Other()"),
        STRIDED + build("Other()"),
        WITH_STATE + build("Other()"),
        AS_MAPPING + build("Other()"),
        AS_OBJECT + build("Other()"),
        TALKATIVE + build("Other()"),
        ARGUMENTS + build("Other()"),
        build("nn.DataParallel(Net())"),
        build("Net().double()"),
        "build = Net()",
        build("told(mean=torch.tensor([0.5] * 3), std=np.array([0.5] * 3))"),
        build("told(mean=np.float32(0.5), std=[torch.tensor(0.5)] * 3)"),
        build("told(std=torch.full((3, 1, 1), 0.5, requires_grad=True))"),
        build("told(input_size=(8, 8), channels=np.int64(3))"),
        build("told(input_size=torch.Size([3, 8, 8]))"),
        build("told(input_size=np.int64(8), classes=np.array(['a', 'b', 'c']))"),
        build("told(classes={0: 'a', 1: 'b', 2: 'c'})"),
        build("told(classes={'2': 'c', '0': 'a', '1': 'b'})"),
        build("told(classes={'c': 2, 'a': np.int64(0), 'b': 1})"),
        build("told(classes={'a': 0, 'b': 1, 'c': 2}.keys())"),
        build("told(classes=(name for name in 'abc'))"),
    ],
)
def test_what_can_be_taken_is_taken(load: Load, logits: Tensor, code: str) -> None:
    classifier = load(code)
    torch.testing.assert_close(require_sound(classifier, IMAGES).logits, logits)
    assert classifier.classes == ("a", "b", "c")
    assert classifier.fingerprint == load(code).fingerprint


def test_extra_state_that_can_be_told_is_part_of_the_fingerprint(load: Load) -> None:
    other = WITH_STATE.replace("3", "4")
    prints = {load(code + build("Other()")).fingerprint for code in (WITH_STATE, other)}
    assert len(prints) == 2


def test_lazy_layers_are_filled_with_the_same_weights_each_time(
    load: Load, caplog: pytest.LogCaptureFixture
) -> None:
    code = build("told(fc=nn.LazyLinear(3))").replace("return", "import random; return")
    found = [load(code), (torch.rand(1), load(code))[1]]
    require_sound(found[0], IMAGES)
    assert found[0].fingerprint == found[1].fingerprint
    assert "lazy layers (fc.weight, fc.bias) got random weights" in caplog.text


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (build("told(classes=5)"), "got classes 5; expected the class names in the order of the outputs"),
        (build("told(classes={'a', 'b', 'c'})"), "expected the class names in the order"),
        (build("told(classes=['a', 'b', 'a'])"), "'a' stands there more than once"),
        (build("told(classes=[])"), "got no classes"),
        (build("told(classes={1: 'a', 2: 'b', 3: 'c'})"), "a name for each number from 0 to 2"),
        (build("told(classes={0: 1, 1: 0, 2: 2})"), None),
        (build("told(input_size=(8, 16))"), r"got input_size \(8, 16\); expected the pixels of one side"),
        (build("told(input_size=True)"), "got input_size True"),
        (build("told(input_size='8')"), "got input_size '8'"),
        (build("told(channels=4)"), "got channels 4; expected 1 for grey"),
        (build("told(channels=1, mean=np.array([[.1], [.2], [.3]]))"), r"got mean array\(.* for 1 channels"),
        (build("told(std=torch.tensor([1., 0., 1.]))"), "got std .*; expected one number above 0, or 3"),
        (build("told(mean=float('nan'))"), "got mean nan"),
        (build("told(mean='0.5')"), "got mean '0.5'"),
        (build("None"), "got NoneType without name"),
        (build("Net().to('meta')"), "got conv.weight on the device meta"),
        (
            "class Other(Net):\n  classes = property(lambda self: self.nms)" + build("Other()"),
            "classes failed",
        ),
        (
            "class Other(Net):\n  input_size = property(lambda self: 1 / 0)" + build("Other()"),
            "net.py, line 22",
        ),
        ("\ndef build(:\n", "SyntaxError: .*net.py, line 22"),
        ("\nimport sys\nsys.exit('no GPU')\n", "SystemExit: no GPU .*net.py, line 23"),
        ("\nimport no_such_package\n", "No module named 'no_such_package' .*net.py, line 22"),
        (build("open('absent')"), "FileNotFoundError: .*net.py, line 23"),
        ("def build(path): pass", "missing 1 required positional argument"),
        ("class Stop(BaseException): pass\ndef build(): raise Stop", "failed with Stop"),
        (
            "class Other(Net):\n  def forward(self, x): return {'a': x, 'b': x}" + build("Other()"),
            "outputs of type dict with a, b",
        ),
        ("class Other(Net):\n  def forward(self, x): return x.nope" + build("Other()"), "net.py, line 22"),
        (
            "class Other(Net):\n  def forward(self, x): raise SystemExit(1)" + build("Other()"),
            "SystemExit: 1",
        ),
    ],
)
def test_what_cannot_is_told_in_a_line(load: Load, code: str, message: str | None) -> None:
    if message is None:
        assert load(code).classes == ("1", "0", "2")
        return
    with pytest.raises(NetworkError, match=message) as refusal:
        require_sound(load(code), IMAGES)
    assert "\n" not in str(refusal.value)


def test_nothing_is_printed_to_stdout(load: Load, capfd: pytest.CaptureFixture[str]) -> None:
    load(TALKATIVE + build("print('building') or Other()"))
    out, err = capfd.readouterr()
    assert (out, err.split()) == ("", ["loading", "building"])


def other(forward: str, outputs: int = 3, classes: str = "['a', 'b', 'c']") -> str:
    return (
        f"class Other(Net):\n    classes = {classes}\n    def forward(self, x):\n"
        f"        x = super().forward(x)\n        return {forward}\n" + build(f"Other({outputs})")
    )


class TestOutputs:
    @pytest.mark.parametrize("kind", ["softmax", "probabilities"])
    def test_probabilities_are_taken_as_they_are(self, load: Load, logits: Tensor, kind: str) -> None:
        found = require_sound(load(other("x.softmax(1)"), outputs=kind), IMAGES)
        torch.testing.assert_close(found.probabilities, logits.softmax(1))
        torch.testing.assert_close(found.logits.softmax(1), found.probabilities)

    def test_of_a_sigmoid_leave_to_chance_what_no_class_claims(self, load: Load, logits: Tensor) -> None:
        found = require_sound(load(other("(x - 4).sigmoid()"), outputs="sigmoid"), IMAGES).probabilities
        claimed = (logits - 4).sigmoid()
        assert (claimed.sum(1) < 1).all()
        torch.testing.assert_close(found, claimed + (1 - claimed.sum(1, keepdim=True)) / 3)
        found = require_sound(load(other("(x + 4).sigmoid()"), outputs="sigmoid"), IMAGES).probabilities
        torch.testing.assert_close(found, (logits + 4).sigmoid() / (logits + 4).sigmoid().sum(1, True))

    @pytest.mark.parametrize(
        ("forward", "kind"), [("x", "logit"), ("x[:, 0]", "logit"), ("x.sigmoid()", "sigmoid")]
    )
    @pytest.mark.parametrize(
        ("classes", "names"), [("['cat']", ("not cat", "cat")), ("['dog', 'cat']", ("dog", "cat"))]
    )
    def test_one_makes_two_classes(
        self, load: Load, forward: str, kind: str, classes: str, names: tuple[str, str]
    ) -> None:
        classifier = load(other(forward, 1, classes), outputs=kind)
        with torch.no_grad():
            module = classifier.module  # type: ignore[attr-defined]
            raw = module.fc(torch.relu(module.conv((IMAGES / 255 - 0.5) / 0.5)).flatten(1))
        found = require_sound(classifier, IMAGES)
        torch.testing.assert_close(found.probabilities[:, 1:], raw.sigmoid())
        assert classifier.classes == names

    @pytest.mark.parametrize(
        ("code", "settings", "message"),
        [
            (other("x.softmax(1)"), {}, "look like those of a softmax.* set network.outputs to softmax"),
            (other("x.sigmoid()"), {}, "look like those of a sigmoid.* set network.outputs to sigmoid"),
            (other("x", 1, "['cat']"), {}, "set network.outputs to logit"),
            (other("x", 1, "['cat', 'dog']"), {}, "or set network.outputs to logit"),
            (other("x.sigmoid()", 1, "['cat']"), {"outputs": "logit"}, "set network.outputs to sigmoid"),
            (other("x"), {"outputs": "logit"}, "got 3 classes, and network.outputs is logit"),
            (other("x"), {"outputs": "softmax"}, r"outputs outside of \[0, 1\]"),
            (other("x"), {"outputs": "sigmoid"}, r"outputs outside of \[0, 1\]"),
            (other("(x - 9).sigmoid()"), {"outputs": "probabilities"}, "do not sum to 1"),
        ],
    )
    def test_that_are_something_else_are_refused(
        self, load: Load, code: str, settings: dict[str, str], message: str
    ) -> None:
        with pytest.raises(NetworkError, match=message):
            require_sound(load(code, **settings), IMAGES)

    @pytest.mark.parametrize("forward", ["x", "x.relu()", "x.log_softmax(1)", "x.tanh()", "100 * x", "0 * x"])
    def test_that_are_logits_are_not_taken_for_something_else(self, load: Load, forward: str) -> None:
        code = other(forward)
        assert load(code).fingerprint == load(code, outputs="logits").fingerprint

    def test_are_part_of_the_fingerprint(self, load: Load) -> None:
        code = other("x.sigmoid()")
        prints = {load(code, outputs=kind).fingerprint for kind in ("logits", "sigmoid")}
        assert len(prints) == 2


class TestImports:
    UTILS = "def outputs():\n    return {}\n"
    USES = (
        "\nfrom utils import outputs\ndef build():\n    from utils.late import x\n    return Net(outputs())\n"
    )

    def folder(self, path: Path, outputs: int) -> str:
        (path / "utils").mkdir(parents=True)
        (path / "utils/__init__.py").write_text(self.UTILS.format(outputs))
        (path / "utils/late.py").write_text("x = 1")
        classes = ", ".join(f"'{number}'" for number in range(outputs))
        (path / "net.py").write_text(
            NET.replace("['a', 'b', 'c']", f"[{classes}]").replace('["a", "b", "c"]', f"[{classes}]")
            + self.USES
        )
        return f"file:{path}/net.py:build"

    def test_find_what_lies_beside_a_file_whatever_it_is_called_elsewhere(self, tmp_path: Path) -> None:
        names = {outputs: self.folder(tmp_path / str(outputs), outputs) for outputs in (2, 3, 4)}
        before = [*sys.path], sys.argv
        for outputs in (2, 3, 4, 2):
            classifier = load_classifier(names[outputs], device=CPU)
            assert classifier.predict(IMAGES).logits.shape == (3, outputs)
        assert ([*sys.path], sys.argv) == before

    def test_leave_the_modules_of_others_alone(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A program that calls us, or an installed package, may have a module of that name."""
        (tmp_path / "installed/site-packages").mkdir(parents=True)
        (tmp_path / "installed/site-packages/utils.py").write_text("mine = True")
        monkeypatch.syspath_prepend(tmp_path / "installed/site-packages")
        load_classifier(self.folder(tmp_path / "a", 3), device=CPU)
        import utils  # type: ignore[import-not-found]

        assert utils.mine

    def test_let_folders_of_the_user_have_any_name(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import tests as ours

        for name in ("tests", "pipelines", "cluster", "report"):
            (tmp_path / name).mkdir()
            (tmp_path / name / "part.py").write_text(f"name = {name!r}")
        (tmp_path / "tests/nets.py").write_text(
            NET + "from pipelines import part\nfrom cluster.part import name\nfrom tests.part import name\n"
            "from report import part\n" + build("Net()")
        )
        monkeypatch.chdir(tmp_path)
        (tmp_path / "net.py").write_text("from tests.nets import build")
        for name in ("tests.nets:build", "file:net.py:build"):
            assert load_classifier(name, device=CPU).classes == ("a", "b", "c")
        assert sys.modules["tests"] is ours
