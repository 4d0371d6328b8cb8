"""Nets of files that no recipe could train are refused before anything is trained; all that train anywhere pass."""

from pathlib import Path

import pytest

from bench.errors import ModelError
from bench.worker.measure import measure

SMALL = """
import collections, torch
from torch import nn


class Small(nn.Module):
    def __init__(self, outputs):
        super().__init__()
        self.c, self.h = nn.Conv2d(3, 8, 3), nn.Linear(8 * 6 * 6, outputs)

    def forward(self, x):
        return self.h(self.c(x).flatten(1))


Pair = collections.namedtuple("Pair", "logits aux")


class Output(Small):
    kind = "tuple"

    def forward(self, x):
        y = super().forward(x)
        match self.kind:
            case "tuple": return y, x
            case "list": return [y, x]
            case "dict": return {"logits": y}
            case "other keys": return {"a": y}
            case "in training": return Pair(y, x) if self.training else y
            case "only in training": return {"a": y} if self.training else y
            case "map": return y[:, :, None, None]
            case "no gradient": return y.detach()
            case "a name error": return missing(y)
            case "in training a name error": return missing(y) if self.training else y
            case "in training a shape": return y.view(7, 7) if self.training else y


class Late(nn.Module):
    def __init__(self, outputs):
        super().__init__()
        self.outputs, self.c, self.h = outputs, nn.Conv2d(3, 8, 3), None

    def forward(self, x):
        y = self.c(x).flatten(1)
        if self.h is None:
            self.h = nn.Linear(y.shape[1], self.outputs)
        return self.h(y)


class Token(nn.Module):
    def __init__(self, outputs):
        super().__init__()
        self.token, self.h = nn.Parameter(torch.zeros(1, 192)), nn.Linear(192, outputs)
        self.inner = nn.Linear(192, 192)

    def forward(self, x):
        return self.h(self.inner(self.token.expand(len(x), -1)) + x.flatten(1))


class Sparse(nn.Module):
    def __init__(self, outputs):
        super().__init__()
        self.embed, self.h = nn.Embedding(4, 5, sparse=True), nn.Linear(5, outputs)

    def forward(self, x):
        return self.h(self.embed(x.new_zeros(len(x), dtype=torch.int64)))


def output(num_classes, kind):
    net = Output(num_classes)
    net.kind = kind
    return net


def wrong(num_classes): return Small(1000)
def few(num_classes): return Small(5)
def grey(num_classes): return nn.Sequential(nn.Conv2d(1, 8, 3), nn.Flatten(), nn.Linear(288, num_classes))
def double(num_classes): return Small(num_classes).double()
def frozen(num_classes): return Small(num_classes).requires_grad_(False)
def late(num_classes): return Late(num_classes)
def token(num_classes): return Token(num_classes)
def sparse(num_classes): return Sparse(num_classes)
def scripted(num_classes): return torch.jit.script(Small(num_classes))
def compiled(num_classes): return torch.compile(Small(num_classes))
"""


@pytest.fixture(autouse=True)
def nets(project: Path) -> None:
    (project / "nets.py").write_text(SMALL)


def measured(name: str) -> int | None:
    return measure(f"nets.py:{name}", stem="standard", input_size=8, num_classes=10).flops


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("wrong", "returns 1000 outputs, the data set has 10 classes"),
        ("few", "returns 5 outputs, the data set has 10 classes"),
        ("grey", "images have 3 channels here"),
        ("double", "images have 3 channels here: .* float32"),
        ("frozen", "has no trainable parameter"),
        ("sparse", "has sparse gradients"),
        ("output(kind='other keys')", "cannot be trained: it returns a dict with the keys 'a'"),
        ("output(kind='only in training')", "it returns a dict with the keys 'a'.* in training mode"),
        ("output(kind='map')", r"returns the shape \(2, 10, 1, 1\) .*; flatten its output"),
        ("output(kind='no gradient')", "returns scores without gradients"),
        ("output(kind='a name error')", r"could not be run on 8x8 images: NameError: .* \(nets.py, line 32\)"),
        ("output(kind='in training a name error')", r"could not be trained: NameError: .* \(nets.py, line 33\)"),
    ],
)
def test_a_net_that_cannot_be_trained_is_refused_in_a_sentence(name: str, sentence: str) -> None:
    with pytest.raises(ModelError, match=sentence):
        measured(name)


@pytest.mark.parametrize(
    "name",
    [
        *(f"output(kind={kind!r})" for kind in ("tuple", "list", "dict", "in training", "in training a shape")),
        "late",
        "token",
        "compiled",
    ],
)
def test_a_net_that_trains_anywhere_is_measured(name: str) -> None:
    assert measured(name)


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")
def test_a_scripted_net_can_be_trained_though_its_flops_are_unknown() -> None:
    assert measured("scripted") is None


def test_arguments_reach_the_function_and_a_wrong_one_is_named() -> None:
    with pytest.raises(ModelError, match="unexpected keyword argument 'widht'"):
        measured("output(widht=2)")
