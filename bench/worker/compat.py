"""Leave torch's compiler unimported until something is compiled: it is a large part of what torch imports by itself.

Nothing of what is left out is needed to train: torchvision asks at its import for one function of the compiler's, which
only RoI Align of an MPS device calls, and an optimizer or a counter of FLOPs asks the compiler not to look into some of
its methods, which concerns only whoever compiles those: bench compiles nets and nothing else. With a torch or
torchvision that does this in another way, the compiler is imported as ever.
"""

import importlib
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import torch

ASKED_FOR = "torch._dynamo.utils"
"""The module of the compiler that torchvision imports from."""


@contextmanager
def compiler_left_out() -> Iterator[None]:
    """Import without torch's compiler what asks for it; what is really used of it is imported then."""
    if ASKED_FOR in sys.modules:
        yield
        return
    stand_in = ModuleType(ASKED_FOR)

    def imported() -> ModuleType:
        if sys.modules.get(ASKED_FOR) is stand_in:
            del sys.modules[ASKED_FOR]
        return importlib.import_module(ASKED_FOR)

    def is_compile_supported(device_type: str) -> bool:
        supported: bool = imported().is_compile_supported(device_type)
        return supported

    def __getattr__(name: str) -> Any:  # noqa: N807 - PEP 562
        if name.startswith("__"):
            raise AttributeError(name)  # inspect asks every module for its file
        return getattr(imported(), name)

    vars(stand_in).update(is_compile_supported=is_compile_supported, __getattr__=__getattr__)
    sys.modules[ASKED_FOR] = stand_in
    try:
        yield
    finally:
        if sys.modules.get(ASKED_FOR) is stand_in:
            del sys.modules[ASKED_FOR]


def unwrap_dynamo_disable(owner: type) -> None:
    """Call the methods that a class of torch hides from the compiler without asking it for help, see torch._compile."""
    for method in vars(owner).values():
        if getattr(method, "__globals__", {}).get("__name__") == "torch._compile":
            method.__wrapped__.__dynamo_disable = method.__wrapped__


def raw_step(optimizer: torch.optim.Optimizer) -> Callable[[], None]:
    """An optimizer's step without what torch wraps around it: a graph break for the compiler, hooks, a profiler's mark.

    Without gradients, as the wrapping has it for an optimizer that is not ``differentiable``.
    """
    step = inspect.unwrap(type(optimizer).step)

    @torch.no_grad()
    def update() -> None:
        step(optimizer)

    return update
