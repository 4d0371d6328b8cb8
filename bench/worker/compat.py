"""Everything in bench that leans on internals of torch or torchvision: one file, one switch.

Each workaround saves time and changes no result beyond rounding. It is active with the releases of torch that it was
tried with (:data:`FIRST_TORCH` to :data:`NEXT_TORCH`) and while ``BENCH_COMPAT`` is not 0. Otherwise torch's own public
way is taken, which is slower and never fails for want of an internal. For each there is a canary in
``tests/unit/worker/test_compat.py``, which fails when torch changes what the workaround leans on.
``tests/benchmarks/compat.py`` prints what each one gains.

Called by :mod:`bench.worker.preload`, :mod:`bench.worker.optim`, :mod:`bench.worker.measure`,
:mod:`bench.worker.step` and :mod:`bench.worker.models.matmul_conv`. Two more places lean on the insides of a package
and cannot be here, because the control side may not import torch or timm: :mod:`bench.catalog.models` reads timm's
model names from its sources, and ``bench doctor`` reads torch's version from torch/version.py.
"""

import importlib
import inspect
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType

import torch
from torch import Tensor, nn

FIRST_TORCH, NEXT_TORCH = (2, 11), (2, 16)
"""First release of torch that the workarounds were tried with, and the first one that they were not tried with."""
DYNAMO_UTILS = "torch._dynamo.utils"
"""The module of torch's compiler that torchvision imports."""
SGD_OPTIONS = ("weight_decay", "momentum", "lr", "dampening", "nesterov", "maximize")
"""The keys of a parameter group that torch's functional SGD takes."""

Update = Callable[[], object]
"""Applies the gradients to the weights once."""


def active() -> bool:
    """Whether the workarounds may be used: this torch is one that they were tried with, and BENCH_COMPAT is not 0."""
    version = tuple(map(int, torch.__version__.split(".")[:2]))
    return os.environ.get("BENCH_COMPAT") != "0" and FIRST_TORCH <= version < NEXT_TORCH


# --- Start-up: torch's compiler is imported only when something is compiled -------------------------------------------


@contextmanager
def deferred_dynamo() -> Iterator[None]:
    """Let ``import torchvision`` succeed without ``torch._dynamo``, which is a large part of its import time.

    torchvision imports ``torch._dynamo.utils`` for one function, which only RoI Align on an MPS device calls. In the
    block a stand-in takes the place of that module and imports the real one as soon as anything of it is used.
    torch itself has stopped importing its compiler eagerly (https://github.com/pytorch/pytorch/pull/162595), and
    torchvision means not to (https://github.com/pytorch/vision/pull/8436).
    """
    if not active() or DYNAMO_UTILS in sys.modules:
        yield
        return
    stand_in = ModuleType(DYNAMO_UTILS)

    def real() -> ModuleType:
        if sys.modules.get(DYNAMO_UTILS) is stand_in:
            del sys.modules[DYNAMO_UTILS]  # or the import below would return the stand-in
        return importlib.import_module(DYNAMO_UTILS)

    def is_compile_supported(device_type: str) -> bool:
        supported: bool = real().is_compile_supported(device_type)
        return supported

    def __getattr__(name: str) -> object:  # noqa: N807 - PEP 562
        if name.startswith("__"):
            raise AttributeError(name)  # inspect asks every module in sys.modules for __file__: no reason to import
        return getattr(real(), name)

    vars(stand_in).update(is_compile_supported=is_compile_supported, __getattr__=__getattr__)
    sys.modules[DYNAMO_UTILS] = stand_in
    try:
        yield
    finally:
        # a net's own file may compile parts of itself: from here on it gets the real module
        if sys.modules.get(DYNAMO_UTILS) is stand_in:
            del sys.modules[DYNAMO_UTILS]


def unwrap_dynamo_disable(owner: type) -> None:
    """Call the methods of a torch class directly where torch hides them from its compiler; changes the class.

    torch wraps such methods by ``torch._compile._disable_dynamo``. At its first call the wrapper imports the compiler
    only to ask it to skip the method, and caches the answer as ``__dynamo_disable``. The method itself is a valid
    answer: bench compiles nets, never an optimizer or a FLOP counter.
    """
    if not active():
        return
    for method in vars(owner).values():
        if getattr(method, "__globals__", {}).get("__name__") == "torch._compile":
            method.__wrapped__.__dynamo_disable = method.__wrapped__


# --- Optimizer step: the same kernel, without what surrounds it -------------------------------------------------------


def make_update(optimizer: torch.optim.Optimizer) -> Update:
    """The fastest function that does what ``optimizer.step()`` does, with the same bits."""
    if not active():
        return optimizer.step
    on_cpu = all(parameter.is_cpu for group in optimizer.param_groups for parameter in group["params"])
    if isinstance(optimizer, torch.optim.SGD) and on_cpu:
        return _sgd_in_memory_order(optimizer)
    return unwrapped_step(optimizer)


def unwrapped_step(optimizer: torch.optim.Optimizer) -> Update:
    """An optimizer's step without torch's wrappers: hooks, a profiler mark, two graph breaks.

    The wrappers take a share of the step of a small net, and the graph breaks import the compiler
    (https://github.com/pytorch/pytorch/issues/104053 says what they are for). They also disable gradients, which is
    done here instead.
    """
    step = inspect.unwrap(type(optimizer).step)

    @torch.no_grad()
    def update() -> None:
        step(optimizer)

    return update


def _sgd_in_memory_order(optimizer: torch.optim.SGD) -> Update:
    """A step of SGD on the CPU that shows the fused kernel channels_last weights as contiguous memory.

    Given a weight in channels_last, the fused kernel (https://github.com/pytorch/pytorch/pull/123629) first copies it,
    its gradient and its momentum to the contiguous layout, which takes longer than the update. The update is
    elementwise, so the order of elements does not matter as long as all three have the same one. No issue about it is
    known upstream.
    """
    from torch.optim.sgd import sgd  # here, so that a torch that moved it fails no import of this module

    plain = unwrapped_step(optimizer)

    @torch.no_grad()
    def update() -> None:
        groups = [
            [
                (weight, weight.grad, optimizer.state.get(weight, {}).get("momentum_buffer"))
                for weight in group["params"]
                if weight.grad is not None
            ]
            for group in optimizer.param_groups
        ]
        for options, group in zip(optimizer.param_groups, groups, strict=True):
            if options["momentum"] and any(momentum is None for *_, momentum in group):
                plain()  # the first step, in which torch makes the momentum buffers
                return
        for options, group in zip(optimizer.param_groups, groups, strict=True):
            if group:
                weights, gradients, momenta = map(list, zip(*map(_in_memory_order, group), strict=True))
                sgd(weights, gradients, momenta, fused=True, **{name: options[name] for name in SGD_OPTIONS})

    return update


Trained = tuple[Tensor, Tensor, Tensor | None]
"""A weight, its gradient and its momentum if it has one; all of one shape."""


def _in_memory_order(trained: Trained) -> Trained:
    """Contiguous views (O, H, W, I) of tensors (O, I, H, W) that are all in channels_last; others unchanged."""
    weight, gradient, momentum = trained
    same_layout = all(tensor is None or tensor.is_contiguous(memory_format=torch.channels_last) for tensor in trained)
    # a weight with one pixel or one channel is contiguous in both layouts and needs no view
    if weight.is_contiguous() or not same_layout:
        return trained
    order = (0, 2, 3, 1)
    return weight.permute(order), gradient.permute(order), None if momentum is None else momentum.permute(order)


# --- Convolutions -----------------------------------------------------------------------------------------------------


def swap_class(module: nn.Module, subclass: type[nn.Module]) -> None:
    """Turn a module into one of a subclass in place, so that parameters, names, hooks and buffers stay as they are.

    A subclass of its own class that overrides ``forward`` alone has the same attributes, so Python allows it; a new
    module would have to be put wherever the net refers to the old one. Used for convolutions over few pixels, which
    oneDNN computes slower than a matrix product (https://github.com/pytorch/pytorch/issues/35937).
    """
    if active():
        module.__class__ = subclass
