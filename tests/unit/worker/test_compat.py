"""Workarounds for torch's internals: what each does, a canary each, and the switch that turns all of them off.

What concerns imports is tried in processes that have imported nothing yet.
"""

import inspect
import os
import subprocess
import sys
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn
from torch._compile import _disable_dynamo
from torch.optim.sgd import sgd
from torch.utils import flop_counter

from bench.values import Component
from bench.worker import compat
from bench.worker.compat import SGD_OPTIONS, active, make_update, swap_class, unwrapped_step
from bench.worker.models.matmul_conv import MatmulConv2d, use_matmul_convs
from bench.worker.optim import build_optimizer

PRELOADED = (
    "import os; saved = os.dup(1), os.dup(2); import bench.worker.preload; os.dup2(saved[0], 1); os.dup2(saved[1], 2)\n"
)
"""The fork server's imports, which redirect its output."""

TRAIN_AND_MEASURE = """
import sys, torch
from bench.catalog.training import OPTIMIZERS, SCHEDULES, WARMUP, with_defaults
from bench.values import Mode
from bench.worker import measure, models, optim
from bench.worker.step import make_step
choice = with_defaults("{optimizer}", {{"lr": 0.1}}, OPTIMIZERS["{optimizer}"].options)
cosine = with_defaults("cosine", {{}}, {{**SCHEDULES["cosine"].options, **WARMUP}})
optim.learning_rates(cosine, lr=0.1, epochs=3, steps=2)
net = models.build("resnet18", stem="small", num_classes=10, input_size=32)
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


def output_of(script: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", PRELOADED + script], capture_output=True, text=True, check=False,
        env={**os.environ, **environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


class TestActive:
    @pytest.mark.parametrize(
        ("version", "expected"),
        [("2.10.2", False), ("2.11.0", True), ("2.15.0+cpu", True), ("2.16.0a0+git1234", False), ("3.0.0", False)],
    )
    def test_only_releases_of_torch_that_were_tried(
        self, version: str, expected: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("BENCH_COMPAT", raising=False)
        monkeypatch.setattr(torch, "__version__", version)
        assert active() is expected

    def test_the_installed_torch_is_one_of_them(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("BENCH_COMPAT", raising=False)
        assert active(), f"try the workarounds with torch {torch.__version__}, then raise compat.NEXT_TORCH"

    def test_bench_compat_0_switches_every_workaround_off(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("BENCH_COMPAT", "0")
        net = nn.Sequential(nn.Conv2d(3, 4, 1))
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        use_matmul_convs(net)
        assert type(net[0]) is nn.Conv2d
        assert make_update(optimizer) == optimizer.step
        before = vars(Wrapped.method.__wrapped__).copy()  # type: ignore[attr-defined]
        compat.unwrap_dynamo_disable(Wrapped)
        assert vars(Wrapped.method.__wrapped__) == before  # type: ignore[attr-defined]

    def test_bench_compat_0_imports_torchs_compiler_as_torch_does(self) -> None:
        assert output_of('import sys; print("torch._dynamo" in sys.modules)', BENCH_COMPAT="0") == "True\n"


class Wrapped:
    @_disable_dynamo
    def method(self) -> int:
        return 1


class TestDeferredDynamo:
    @pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
    def test_canary_training_and_measuring_import_no_compiler(self, optimizer: str) -> None:
        assert output_of(TRAIN_AND_MEASURE.format(optimizer=optimizer)) == "False False\n"

    def test_canary_torchvision_still_imports_the_compiler_by_itself(self) -> None:
        script = "import sys, torch; before = 'torch._dynamo' in sys.modules; import torchvision\n"
        script += "print(before, 'torch._dynamo' in sys.modules)"
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        assert done.stdout == "False True\n", "torchvision needs deferred_dynamo() no longer: delete it"

    def test_the_compiler_is_there_when_it_is_used(self) -> None:
        script = """
import torch, torchvision
print(torch.compile(lambda x: x + 1, backend="eager")(torch.ones(2)).tolist())
from torchvision.ops import roi_align
print(roi_align(torch.ones(1, 1, 8, 8), [torch.tensor([[0.0, 0.0, 4.0, 4.0]])], 1).tolist())
"""
        assert output_of(script).splitlines() == ["[2.0, 2.0]", "[[[[1.0]]]]"]

    def test_what_torchvision_imported_is_answered_by_the_compiler(self) -> None:
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

    def test_a_net_may_import_any_part_of_the_compiler_inside_the_block(self) -> None:
        script = """
import sys
sys.modules.pop("torchvision", None)
from bench.worker.compat import deferred_dynamo
with deferred_dynamo():
    from torch._dynamo.utils import counters
print(type(counters).__name__, sys.modules["torch._dynamo.utils"].counters is counters)
"""
        assert output_of(script) == "defaultdict True\n"


CACHED = "__dynamo_disable"
"""The attribute, as text: inside a class Python would put the class's name before it."""


def is_wrapper(method: object) -> bool:
    return getattr(method, "__globals__", {}).get("__name__") == "torch._compile"


def classes_of(module: ModuleType) -> list[type]:
    return [owner for _, owner in inspect.getmembers(module, inspect.isclass) if owner.__module__ == module.__name__]


class TestUnwrapDynamoDisable:
    @pytest.mark.parametrize("owners", [[torch.optim.Optimizer], classes_of(flop_counter)], ids=["optim", "flops"])
    def test_canary_torch_still_wraps_methods_in_this_way(self, owners: list[type]) -> None:
        wrappers = [method for owner in owners for method in vars(owner).values() if is_wrapper(method)]
        assert wrappers, "nothing is wrapped any more: delete unwrap_dynamo_disable() for these classes"
        assert all(inspect.isfunction(inspect.unwrap(method)) for method in wrappers)

    def test_canary_the_wrapper_reads_the_cached_answer(self) -> None:
        compat.unwrap_dynamo_disable(Wrapped)
        original = Wrapped.method.__wrapped__  # type: ignore[attr-defined]
        setattr(original, CACHED, lambda _: 2)
        assert Wrapped().method() == 2
        setattr(original, CACHED, original)
        assert Wrapped().method() == 1


class TestUnwrappedStep:
    @pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.AdamW])
    def test_canary_the_step_of_torch_is_under_wrappers_that_keep_it(self, kind: type[torch.optim.Optimizer]) -> None:
        optimizer = kind([nn.Parameter(torch.zeros(1))], lr=0.1)  # type: ignore[call-arg]
        step = inspect.unwrap(type(optimizer).step)
        assert step is not type(optimizer).step
        assert step.__module__.startswith("torch.optim.")
        assert list(inspect.signature(step).parameters) == ["self", "closure"]

    def test_the_update_records_no_gradient(self) -> None:
        weight = nn.Parameter(torch.ones(2))
        optimizer = torch.optim.AdamW([weight], lr=0.1, fused=True)
        weight.grad = torch.ones(2)
        unwrapped_step(optimizer)()
        assert weight.is_leaf
        assert not torch.equal(weight.detach(), torch.ones(2))


class TestMakeUpdate:
    def test_canary_sgd_takes_these_options_and_its_groups_have_them(self) -> None:
        assert set(SGD_OPTIONS) | {"fused"} <= inspect.signature(sgd).parameters.keys()
        [group] = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1).param_groups
        assert set(SGD_OPTIONS) <= group.keys()

    @pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format], ids=["last", "contiguous"])
    @pytest.mark.parametrize(
        "options",
        [
            {"lr": 0.1, "momentum": 0.9, "weight_decay": 5e-4, "nesterov": True},
            {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.0, "nesterov": False},
            {"lr": 0.1, "momentum": 0.0, "weight_decay": 5e-4, "nesterov": False},
        ],
        ids=["nesterov", "momentum", "plain"],
    )
    def test_an_update_by_sgd_gives_the_bits_of_torchs_own(
        self, layout: torch.memory_format, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        results = []
        for switch in ("1", "0"):
            monkeypatch.setenv("BENCH_COMPAT", switch)
            torch.manual_seed(0)
            net = Mixed().to(memory_format=layout)
            optimizer = build_optimizer(net.parameters(), Component.of("sgd", **options))
            update = make_update(optimizer)
            for rate in (0.1, 0.05, 0.02):
                optimizer.param_groups[0]["lr"] = rate
                optimizer.zero_grad()
                net(torch.randn(6, 3, 8, 8).contiguous(memory_format=layout)).square().sum().backward()
                update()
            results.append((net.state_dict(), optimizer.state_dict()["state"]))
        (weights, states), (expected_weights, expected_states) = results
        assert all(torch.equal(value, weights[name]) for name, value in expected_weights.items())
        assert states.keys() == expected_states.keys()
        for place, state in expected_states.items():
            momentum, expected_momentum = states[place]["momentum_buffer"], state["momentum_buffer"]
            assert torch.equal(momentum, expected_momentum)
            assert momentum.stride() == expected_momentum.stride()

    def test_canary_the_fused_kernel_takes_views_and_updates_the_weight_behind_them(self) -> None:
        weight = nn.Parameter(torch.ones(2, 3, 3, 3).contiguous(memory_format=torch.channels_last))
        weight.grad = torch.arange(54.0).view(2, 3, 3, 3).contiguous(memory_format=torch.channels_last)
        make_update(torch.optim.SGD([weight], lr=1.0, fused=True))()
        assert torch.equal(weight.detach(), 1 - torch.arange(54.0).view(2, 3, 3, 3))


class Mixed(nn.Module):
    """Weights in each of the layouts that convolutions have, and one that no gradient reaches."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Conv2d(3, 4, 3, padding=1)
        self.depthwise = nn.Conv2d(4, 4, 3, padding=1, groups=4, bias=False)
        self.pointwise = nn.Conv2d(4, 5, 1, bias=False)
        self.norm = nn.BatchNorm2d(5)
        self.head = nn.Linear(5, 2)
        self.unused = nn.Conv2d(2, 2, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.norm(self.pointwise(self.depthwise(self.dense(images)))).mean((2, 3)))  # type: ignore[no-any-return]


class TestSwapClass:
    def test_canary_a_convolution_takes_its_subclass_with_all_its_state(self) -> None:
        convolution = nn.Conv2d(3, 4, 3, padding=1)
        images, before = torch.randn(2, 3, 1, 1), dict(vars(convolution))
        expected = convolution(images)
        swap_class(convolution, MatmulConv2d)
        assert isinstance(convolution, MatmulConv2d)
        assert vars(convolution) == before
        assert torch.allclose(convolution(images), expected, atol=1e-6)

    def test_canary_hooks_of_the_module_stay(self) -> None:
        convolution, calls = nn.Conv2d(3, 4, 1), []
        convolution.register_forward_hook(lambda *_: calls.append(1))
        swap_class(convolution, MatmulConv2d)
        convolution(torch.randn(1, 3, 1, 1))
        assert calls == [1]
