"""Params and FLOPs of a net: fvcore's count, cross-checked with torch's own counter.

Called by :mod:`bench.worker.main` for requests, and by :mod:`bench.worker.state` for the net that is trained. Trains
nothing and draws no random number that a training would miss.

One multiply-add counts as one FLOP, as in fvcore and in the tables of papers; torch's counter counts two. Both count a
real forward pass of one image in eval mode. It runs on the CPU, because fvcore traces the net and torch 2.15 cannot
trace on the ``meta`` device.

Shapes: C channels, H = W = input size.
"""

import inspect
import logging
import math
import warnings
from collections import Counter

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils import flop_counter

from bench.errors import ModelError
from bench.values import Cost, Stem
from bench.worker import models
from bench.worker.compat import unwrap_dynamo_disable

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # fvcore scripts a loss that bench does not use; torch deprecates scripting
    from fvcore.nn import FlopCountAnalysis
    from fvcore.nn.jit_handles import get_shape

for _, counter in inspect.getmembers(flop_counter, inspect.isclass):
    unwrap_dynamo_disable(counter)

MATRIX_OPERATORS = {"conv", "linear", "matmul", "addmm", "bmm", "einsum", "attention"}
"""fvcore's names of operators that multiply matrices, which are those that torch's counter counts."""

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
"""Operators of a few operations per element, which neither fvcore nor papers count. Others that fvcore skips are
reported as uncounted."""


def measure(model: str, *, stem: Stem, input_size: int, num_classes: int) -> Cost:
    """Count a net of a name on one image (1, 3, H, W).

    Raises:
        ModelError: The net cannot be built, or cannot take such images.
    """
    state = torch.get_rng_state()
    net = models.build(model, stem=stem, num_classes=num_classes).eval()
    torch.set_rng_state(state)  # building a net draws its weights; a training that follows must not notice
    image = torch.zeros(1, 3, input_size, input_size)
    try:
        return count(net, image)
    except (RuntimeError, ValueError, AssertionError, TypeError, IndexError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[-1]
        raise ModelError(
            f"{model} with the {stem} stem cannot take {input_size}x{input_size} images: {reason}; "
            "another input_size or stem may work"
        ) from error


def count(net: nn.Module, image: torch.Tensor) -> Cost:
    """Count a net in eval mode on one image (1, C, H, W) on its own device.

    ``flops`` is fvcore's total; ``conv_linear_macs`` is the part of it that torch's counter counts too, as
    ``torch_macs``: where the two differ, one of them is wrong.
    """
    fastpath = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # it fuses attention into an operator that neither counter counts
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
    """Multiply-adds by operator, and how often each operator was skipped."""
    analysis = FlopCountAnalysis(net, image)
    analysis.set_op_handle("aten::scaled_dot_product_attention", _attention)
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    logger = logging.getLogger("fvcore")
    level = logger.level
    logger.setLevel(logging.ERROR)  # it logs skipped operators, which are returned here
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # tracing warns of each shape that a net reads
            return analysis.by_operator(), analysis.unsupported_ops()
    finally:
        logger.setLevel(level)


def _attention(inputs: list[object], _outputs: list[object]) -> Counter[str]:
    """Multiply-adds of softmax(Q K^T) V for Q (..., L, E), K (..., S, E) and V (..., S, V)."""
    query, key, value = (get_shape(tensor) for tensor in inputs[:3])
    return Counter({"attention": math.prod(query[:-2]) * query[-2] * key[-2] * (query[-1] + value[-1])})


def _torch_macs(net: nn.Module, image: torch.Tensor) -> int:
    """Multiply-adds by torch's counter, which reports two operations for each."""
    counter = flop_counter.FlopCounterMode(display=False)
    # the plain form of attention: torch counts its two products, but not every fused kernel
    with counter, torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        net(image)
    return int(counter.get_total_flops()) // 2


def _uncounted(skipped: Counter[str]) -> tuple[str, ...]:
    """What fvcore skipped and is not cheap, as ``NAME x TIMES``."""
    names = {name: times for name, times in skipped.items() if name.removeprefix("aten::") not in CHEAP_OPERATORS}
    return tuple(f"{name} x {times}" for name, times in sorted(names.items()))
