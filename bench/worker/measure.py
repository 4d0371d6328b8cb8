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
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils import flop_counter

from bench.catalog.models import model_stems
from bench.model_names import file_of
from bench.values import Cost, Stem
from bench.worker import models
from bench.worker.check import check
from bench.worker.compat import unwrap_dynamo_disable
from bench.worker.failures import first_line
from bench.worker.models.own_code import kept_random_states, run_once
from bench.worker.models.scores import main_scores

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # fvcore scripts a loss that bench does not use; torch deprecates scripting
    from fvcore.nn import FlopCountAnalysis

    from bench.worker.flops import HANDLES

for _, counter in inspect.getmembers(flop_counter, inspect.isclass):
    unwrap_dynamo_disable(counter)

MATRIX_OPERATORS = set(
    """
    conv linear matmul addmm mm bmm baddbmm einsum attention tensordot multi_dot gru lstm rnn_tanh rnn_relu cell
    """.split()  # noqa: SIM905
)
"""fvcore's and bench's names of operators that multiply matrices, which are those that torch's counter counts."""

CHEAP_OPERATORS = set(
    """
    abs adaptive_avg_pool1d adaptive_max_pool1d adaptive_max_pool2d add add_ addcdiv addcmul all amax amin any argmax
    argmin avg_pool1d avg_pool2d bernoulli_ broadcast_to ceil celu channel_shuffle clamp clamp_ clamp_max clamp_min
    clone copy_ cos cumsum div div_ dropout dropout_ elu elu_ empty_like eq erf exp expand_as expm1 eye feature_dropout
    fill_ flatten flip floor floor_divide frac full full_like gather ge gelu gelu_ glu gt hardsigmoid hardsigmoid_
    hardswish hardswish_ hardtanh hardtanh_ im2col index_add index_put index_select isnan le leaky_relu leaky_relu_
    lift_fresh linalg_vector_norm linspace log log1p log_softmax logical_and logical_not logical_or logsumexp lt
    masked_fill masked_fill_ masked_select max max_pool1d max_pool2d maximum mean meshgrid min minimum mish mish_
    moveaxis movedim mul mul_ ne neg new_ones new_zeros norm normalize numel one_hot ones ones_like pad pixel_shuffle
    pixel_unshuffle pow prelu prod reciprocal relu relu6 relu6_ relu_ remainder repeat repeat_interleave reshape_as roll
    round rsqrt rsub scatter scatter_add select_scatter selu selu_ sigmoid sigmoid_ sign silu silu_ sin softmax softplus
    sqrt square stack std sub sub_ sum swapaxes take_along_dim tanh tanh_ tensor_split tile topk tril triu unflatten
    unfold unsqueeze_ upsample_bicubic2d upsample_bilinear2d upsample_nearest1d var view_as where zero_ zeros zeros_like
    """.split()  # noqa: SIM905 - one long list reads better as words
)
"""Operators of a few operations per element, which neither fvcore nor papers count. Others that fvcore skips are
reported as uncounted."""


def measure(model: str, *, stem: Stem, input_size: int, num_classes: int) -> Cost:
    """Count a net of a name on one image (1, 3, H, W), after a net of a file has been checked.

    Raises:
        ModelError: The net cannot be built, cannot take such images, or cannot be trained.
    """
    with kept_random_states():  # building a net draws its weights; a training that follows must not notice
        net = models.build(model, stem=stem, num_classes=num_classes, input_size=input_size)
        if file_of(model):
            check(model, net, input_size=input_size, num_classes=num_classes)
        net.eval()
        cost = count(net, torch.zeros(1, 3, input_size, input_size))
        if cost.flops is None:  # because the counters failed, or the net itself
            other = "input_size or stem" if len(model_stems(model)) > 1 else "input_size"
            with torch.no_grad():
                run_once(model, net, input_size, hint=f"; another {other} may work")
    return cost


def count(net: nn.Module, image: torch.Tensor) -> Cost:
    """Count a net in eval mode on one image (1, C, H, W) on its own device.

    ``flops`` is fvcore's total; ``conv_linear_macs`` is the part of it that torch's counter counts too, as
    ``torch_macs``: where the two differ, one of them is wrong. What a counter cannot count is None, with the reason.
    """
    fastpath = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # it fuses attention into an operator that neither counter counts
    try:
        with torch.no_grad(), _frozen(net):
            by_operator, skipped, reason = _fvcore(net, image)
            torch_macs = _torch_macs(net, image)
    finally:
        torch.backends.mha.set_fastpath_enabled(fastpath)
    counted = not reason
    return Cost(
        params=trainable(net),
        flops=int(sum(by_operator.values())) if counted else None,
        conv_linear_macs=int(sum(by_operator[name] for name in MATRIX_OPERATORS)) if counted else None,
        torch_macs=torch_macs,
        uncounted=_uncounted(skipped),
        unmeasured=reason,
    )


@contextmanager
def _frozen(net: nn.Module) -> Iterator[None]:
    """Without gradients of parameters: torch's counter hooks into those of every module's inputs.

    A net that hands a parameter to a module of its own (a class token, the query of a pooling) could not be counted.
    """
    trained = [parameter for parameter in net.parameters() if parameter.requires_grad]
    for parameter in trained:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)


class _Scores(nn.Module):
    """A net that returns its scores alone: tracing takes no dictionaries."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """The scores (N, K)."""
        return main_scores(self.net(images))


def trainable(net: nn.Module) -> int:
    """Number of trainable parameters."""
    return sum(parameter.numel() for parameter in net.parameters() if parameter.requires_grad)


def _fvcore(net: nn.Module, image: torch.Tensor) -> tuple[Counter[str], Counter[str], str]:
    """Multiply-adds by operator, how often each operator was skipped, and why nothing could be counted."""
    if isinstance(net, torch.jit.ScriptModule):
        return Counter(), Counter(), "FLOPs of a net of torch.jit.script cannot be counted"
    analysis = FlopCountAnalysis(_Scores(net), image)
    analysis.set_op_handle(**HANDLES)
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    logger = logging.getLogger("fvcore")
    level = logger.level
    logger.setLevel(logging.ERROR)  # it logs skipped operators, which are returned here
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # tracing warns of each shape that a net reads
            return analysis.by_operator(), analysis.unsupported_ops(), ""
    except Exception as error:  # a net that runs may still do what tracing does not allow
        return Counter(), Counter(), f"FLOPs cannot be counted: {type(error).__name__}: {first_line(error)}"
    finally:
        logger.setLevel(level)


def _torch_macs(net: nn.Module, image: torch.Tensor) -> int | None:
    """Multiply-adds by torch's counter, which reports two operations for each; None if it fails."""
    counter = flop_counter.FlopCounterMode(display=False)
    try:
        # the plain form of attention: torch counts its two products, but not every fused kernel
        with counter, sdpa_kernel(SDPBackend.MATH), _plain_lstm(net):
            net(image)
    except Exception:
        return None
    return int(counter.get_total_flops()) // 2


@contextmanager
def _plain_lstm(net: nn.Module) -> Iterator[None]:
    """For a net with an LSTM: its products one by one, because oneDNN's kernel of the whole layer is not counted."""
    if not any(isinstance(module, nn.LSTM) for module in net.modules()):
        yield
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of a setting for other devices, which it sets too
        with torch.backends.mkldnn.flags(enabled=False):
            yield


def _uncounted(skipped: Counter[str]) -> tuple[str, ...]:
    """What fvcore skipped and is not cheap, as ``NAME x TIMES``."""
    names = {name: times for name, times in skipped.items() if name.removeprefix("aten::") not in CHEAP_OPERATORS}
    return tuple(f"{name} x {times}" for name, times in sorted(names.items()))
