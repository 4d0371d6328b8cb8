"""Code of users' nets: what it raises is a sentence with its line, and what it changes is put back."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from bench.errors import ModelError
from bench.worker import models
from bench.worker.models.own_code import kept_random_states, own_code

GOOD = "from torch import nn\ndef net(num_classes): return nn.Sequential(nn.Flatten(), nn.Linear(192, num_classes))\n"


def build(source: str) -> torch.nn.Module:
    Path("nets.py").write_text(source)
    return models.build("nets.py:net", stem="standard", num_classes=10, input_size=8)


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("import sys\nsys.exit(3)\n" + GOOD, r"could not be imported: it called sys.exit\(3\) \(nets.py, line 2\)"),
        ("raise KeyboardInterrupt\n" + GOOD, r"could not be imported: KeyboardInterrupt: .*nets.py, line 1"),
        ("import absent\n" + GOOD, r"could not be imported: ModuleNotFoundError: .*absent.*nets.py, line 1"),
        ("def net(num_classes):\n    return 1 / 0\n", r"could not be built: ZeroDivisionError: .*nets.py, line 2"),
        ("def net(): pass\n", "could not be built: TypeError: .*num_classes"),
        ("def net(num_classes)\n", "could not be imported: SyntaxError: "),
        (
            "from torch import nn\ndef net(num_classes): return nn.Conv2d(1, num_classes, 3)\n",
            "could not be run on 8x8 images: RuntimeError: .*; images have 3 channels here",
        ),
    ],
)
def test_whatever_a_net_raises_is_a_sentence_with_its_line(project: Path, source: str, sentence: str) -> None:
    with pytest.raises(ModelError, match=f"^nets.py:net {sentence}"):
        build(source)


@pytest.mark.parametrize(
    ("change", "look"),
    [
        ("import os; os.chdir('/')", os.getcwd),
        ("import torch; torch.set_default_dtype(torch.float64)", torch.get_default_dtype),
        ("import torch; torch.set_grad_enabled(False)", torch.is_grad_enabled),
        ("import torch; torch.set_num_threads(1 + torch.get_num_threads())", torch.get_num_threads),
        ("import sys; sys.argv = ['mine']", lambda: sys.argv),
        ("import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)", lambda: signal.getsignal(signal.SIGTERM)),
    ],
)
def test_what_a_net_changes_in_the_process_is_put_back(project: Path, change: str, look: Callable[[], object]) -> None:
    before = look()
    with own_code("nets.py:net", "built"):
        exec(change)
    assert look() == before


def test_a_file_that_parses_arguments_sees_those_of_a_program_of_its_own(project: Path) -> None:
    build("import argparse\nargparse.ArgumentParser().parse_args()\n" + GOOD)


def test_layers_that_get_their_shapes_from_the_first_images_have_weights_when_the_net_is_built(project: Path) -> None:
    lazy = (
        "from torch import nn\ndef net(num_classes): return nn.Sequential(nn.Flatten(), nn.LazyLinear(num_classes))\n"
    )
    weights = []
    for _ in range(2):
        torch.manual_seed(1)
        weights.append(build(lazy)[1].weight)  # type: ignore[index]
    assert weights[0].shape == (10, 192)
    assert torch.equal(weights[0], weights[1])


def test_a_net_of_a_file_has_the_bits_that_it_has_without_bench(project: Path) -> None:
    torch.manual_seed(1)
    net = build(GOOD)
    torch.manual_seed(1)
    assert torch.equal(net[1].weight, torch.nn.Linear(192, 10).weight)  # type: ignore[index]


def test_kept_random_states_hide_what_is_drawn() -> None:
    import random

    import numpy as np

    def draw() -> list[float]:
        return [random.random(), float(np.random.rand()), float(torch.rand(()))]

    with kept_random_states():
        first = draw()
    assert draw() == first
