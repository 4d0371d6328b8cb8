"""Params and FLOPs of a net: fvcore's count, cross-checked with torch's own counter.

One multiply-add counts as one flop, as in fvcore and in the papers' tables. Both count a real forward pass on the CPU:
fvcore traces, and tracing does not go with the ``meta`` device in torch 2.15.
"""

import inspect
import logging
import warnings
from collections import Counter
from typing import Any

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils import flop_counter

from bench.errors import ModelError
from bench.values import Cost, Stem
from bench.worker import models
from bench.worker.compat import unwrap_dynamo_disable

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # fvcore scripts a loss that bench does not use, which torch deprecates
    from fvcore.nn import FlopCountAnalysis
    from fvcore.nn.jit_handles import get_shape

for _, counter in inspect.getmembers(flop_counter, inspect.isclass):
    unwrap_dynamo_disable(counter)

MATRIX_OPERATORS = {"conv", "linear", "matmul", "addmm", "bmm", "einsum", "attention"}
"""fvcore's names of operators that multiply matrices; what torch's counter counts too."""

CHEAP_OPERATORS = set(
    """
    abs add add_ amax avg_pool2d bernoulli_ ceil channel_shuffle clamp clamp_ clamp_min clone copy_ cos cumsum div div_
    dropout dropout_ elu elu_ eq exp feature_dropout fill_ flatten floor floor_divide full ge gelu gelu_ gt hardsigmoid
    hardsigmoid_ hardswish hardswish_ hardtanh hardtanh_ le leaky_relu leaky_relu_ lift_fresh linalg_vector_norm log
    log_softmax lt masked_fill masked_fill_ max max_pool2d maximum mean meshgrid minimum mish mish_ mul mul_ ne neg
    new_zeros norm normalize ones ones_like pad pow prelu relu relu6 relu6_ relu_ remainder repeat roll round rsqrt rsub
    sigmoid sigmoid_ silu silu_ sin softmax softplus sqrt stack std sub sub_ sum tanh tanh_ unflatten upsample_bicubic2d
    upsample_bilinear2d var where zeros zeros_like
    """.split()  # noqa: SIM905 - one long list reads better as words
)
"""A few operations an element, which neither fvcore nor the papers count; what else fvcore skips is reported."""


def measure(model: str, *, stem: Stem, input_size: int, num_classes: int) -> Cost:
    """Count a net in eval mode on one image of (3, input_size, input_size).

    Raises:
        ModelError: The net cannot be built, or cannot take such images.
    """
    state = torch.get_rng_state()
    net = models.build(model, stem=stem, num_classes=num_classes).eval()
    torch.set_rng_state(state)  # measuring leaves no trace in the training that follows
    image = torch.zeros(1, 3, input_size, input_size)
    try:
        return count(net, image)
    except (RuntimeError, ValueError, AssertionError, TypeError, IndexError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[-1]
        raise ModelError(
            f"{model} with the {stem} stem cannot take {input_size}x{input_size} images: {reason}; "
            "another input_size or stem may do"
        ) from error


def count(net: nn.Module, image: torch.Tensor) -> Cost:
    """Count a net on one image (1, C, H, W) of its own device."""
    fastpath = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # it hides attention in one operator that nobody counts
    try:
        by_operator, skipped = _fvcore(net, image)
        torch_macs = _torch_macs(net, image)
    finally:
        torch.backends.mha.set_fastpath_enabled(fastpath)
    return Cost(
        params=trainable(net),
        flops=int(sum(by_operator.values())),
        conv_linear_macs=int(sum(by_operator[name] for name in MATRIX_OPERATORS)),
        torch_macs=torch_macs,
        uncounted=_uncounted(skipped),
    )


def trainable(net: nn.Module) -> int:
    """Number of trainable parameters."""
    return sum(parameter.numel() for parameter in net.parameters() if parameter.requires_grad)


def _fvcore(net: nn.Module, image: torch.Tensor) -> tuple[Counter[str], Counter[str]]:
    analysis = FlopCountAnalysis(net, image)
    analysis.set_op_handle("aten::scaled_dot_product_attention", _attention)
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    logger = logging.getLogger("fvcore")
    level = logger.level
    logger.setLevel(logging.ERROR)  # what it would say about skipped operators is read below
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # tracing warns of every shape that a net reads
            return analysis.by_operator(), analysis.unsupported_ops()
    finally:
        logger.setLevel(level)


def _attention(inputs: list[Any], _outputs: list[Any]) -> Counter[str]:
    """Multiply-adds of softmax(Q K^T) V for Q (..., L, E), K (..., S, E) and V (..., S, V)."""
    query, key, value = (get_shape(each) for each in inputs[:3])
    heads = 1
    for size in query[:-2]:
        heads *= size
    return Counter({"attention": heads * query[-2] * key[-2] * (query[-1] + value[-1])})


def _torch_macs(net: nn.Module, image: torch.Tensor) -> int:
    counter = flop_counter.FlopCounterMode(display=False)
    with counter, torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        net(image)
    return int(counter.get_total_flops()) // 2


def _uncounted(skipped: Counter[str]) -> tuple[str, ...]:
    names = {name: times for name, times in skipped.items() if name.removeprefix("aten::") not in CHEAP_OPERATORS}
    return tuple(f"{name} x {times}" for name, times in sorted(names.items()))
