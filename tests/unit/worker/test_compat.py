"""What is left unimported until it is needed, in processes that have imported nothing yet."""

import subprocess
import sys

import pytest

PRELOADED = (
    "import os; kept = os.dup(1), os.dup(2); import bench.worker.preload; os.dup2(kept[0], 1); os.dup2(kept[1], 2)\n"
)
"""The fork server's imports, which take its output away."""


def output_of(script: str) -> str:
    done = subprocess.run([sys.executable, "-c", PRELOADED + script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_torchs_compiler_is_not_imported_to_train_and_measure(optimizer: str) -> None:
    script = f"""
import sys, torch
from bench.catalog.training import OPTIMIZERS, SCHEDULES, WARMUP, with_defaults
from bench.values import Mode
from bench.worker import measure, models, optim
from bench.worker.step import make_step
choice = with_defaults({optimizer!r}, {{"lr": 0.1}}, OPTIMIZERS[{optimizer!r}].options)
optim.learning_rates(with_defaults("cosine", {{}}, {{**SCHEDULES["cosine"].options, **WARMUP}}), lr=0.1, epochs=3)
net = models.build("resnet18", stem="small", num_classes=10)
optimizer = optim.build_optimizer(net.parameters(), choice)
batch = torch.zeros(2, 3, 8, 8), torch.zeros(2, dtype=torch.int64)
step = make_step(
    net, optimizer, lambda _: batch, mode=Mode(threads=1), device=torch.device("cpu"), label_smoothing=0.0
)
step(None, 0)
optimizer.load_state_dict(optimizer.state_dict())
measure.count(net.eval(), batch[0][:1])
print("torch._dynamo" in sys.modules, "sympy" in sys.modules)
"""
    assert output_of(script) == "False False\n"


def test_torchs_compiler_is_there_when_it_is_asked_for() -> None:
    script = """
import torch, torchvision
print(torch.compile(lambda x: x + 1, backend="eager")(torch.ones(2)).tolist())
from torchvision.ops import roi_align
print(roi_align(torch.ones(1, 1, 8, 8), [torch.tensor([[0.0, 0.0, 4.0, 4.0]])], 1).tolist())
"""
    assert output_of(script).splitlines() == ["[2.0, 2.0]", "[[[[1.0]]]]"]


def test_what_torchvision_asks_of_the_compiler_is_answered_by_the_compiler() -> None:
    script = """
from torchvision.ops import roi_align
import importlib
module = importlib.import_module("torchvision.ops.roi_align")
import torch._dynamo.utils as real
print(module.is_compile_supported is not real.is_compile_supported)
print(module.is_compile_supported("cpu") == real.is_compile_supported("cpu"))
print(real.__file__.endswith("utils.py"))
"""
    assert output_of(script).splitlines() == ["True", "True", "True"]


def test_a_net_may_use_any_part_of_the_compiler_while_it_is_left_out() -> None:
    script = """
import sys
sys.modules.pop("torchvision", None)
from bench.worker.compat import compiler_left_out
with compiler_left_out():
    from torch._dynamo.utils import counters
print(type(counters).__name__, sys.modules["torch._dynamo.utils"].counters is counters)
"""
    assert output_of(script) == "defaultdict True\n"
