"""Multiply-adds of operators that fvcore does not count, or counts by another rule; see :mod:`bench.worker.measure`.

Each handle gets the inputs and outputs of an operator in a traced graph and returns its multiply-adds by name. The
names of what torch's counter counts too are in :data:`bench.worker.measure.MATRIX_OPERATORS`.

Shapes: N images, T time steps.
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from fvcore.nn.jit_handles import conv_flop_count, einsum_flop_jit, get_shape
from torch.utils.flop_counter import FlopCounterMode

if TYPE_CHECKING:
    from torch._C import Value

Values = Sequence["Value"]
Handle = Callable[[Values, Values], Counter[str]]


def _attention(inputs: Values, _outputs: Values) -> Counter[str]:
    """softmax(Q K^T) V for Q (..., L, E), K (..., S, E) and V (..., S, V)."""
    query, key, value = (get_shape(tensor) for tensor in inputs[:3])
    return Counter({"attention": math.prod(query[:-2]) * query[-2] * key[-2] * (query[-1] + value[-1])})


def _convolution_by_mode(inputs: Values, outputs: Values) -> Counter[str]:
    """A convolution with ``padding="same"`` or ``"valid"``."""
    images, weight = (get_shape(tensor) for tensor in inputs[:2])
    return Counter({"conv": conv_flop_count(images, weight, get_shape(outputs[0]), transposed=False)})


def _product(name: str) -> Handle:
    """A product of two tensors A (a, k) and B (k, b) with any number of dimensions in each: a*k*b.

    That is the square root of the product of the three sizes, a*k, k*b and a*b: of matrices, vectors and
    ``tensordot`` alike.
    """

    def handle(inputs: Values, outputs: Values) -> Counter[str]:
        sizes = [math.prod(get_shape(tensor)) for tensor in (*inputs[:2], outputs[0])]
        return Counter({name: math.isqrt(math.prod(sizes))})

    return handle


def _added_product(name: str, *, batched: bool) -> Handle:
    """The product of the second and third input, (N, a, k) and (N, k, b) if batched, which is added to the first."""

    def handle(inputs: Values, outputs: Values) -> Counter[str]:
        left, right = (get_shape(tensor) for tensor in inputs[1:3])
        batch = left[0] if batched else 1
        sizes = [math.prod(shape) for shape in (left, right, get_shape(outputs[0]))]
        return Counter({name: batch * math.isqrt(math.prod(size // batch for size in sizes))})

    return handle


def _einsum(inputs: Values, outputs: Values) -> Counter[str]:
    """Of two operands by fvcore; of more in the order in which torch multiplies them."""
    shapes = [get_shape(tensor) for tensor in inputs[1].node().inputs()]
    if len(shapes) < 3:
        return Counter({"einsum": int(einsum_flop_jit(list(inputs), list(outputs)))})
    with FlopCounterMode(display=False) as counter:
        torch.einsum(inputs[0].toIValue(), *(torch.empty(shape, device="meta") for shape in shapes))
    return Counter({"einsum": int(counter.get_total_flops()) // 2})


def _chain(inputs: Values, outputs: Values) -> Counter[str]:
    """``multi_dot``, which multiplies in the cheapest order."""
    del outputs
    shapes = [get_shape(tensor) for tensor in inputs[0].node().inputs()]
    with FlopCounterMode(display=False) as counter:
        torch.linalg.multi_dot([torch.empty(shape, device="meta") for shape in shapes])
    return Counter({"multi_dot": int(counter.get_total_flops()) // 2})


def _recurrent(name: str) -> Handle:
    """Layers of GRU, LSTM or RNN: each weight matrix once per image and time step, (N*T, features) in any order."""

    def handle(inputs: Values, outputs: Values) -> Counter[str]:
        del outputs
        steps = math.prod(get_shape(inputs[0])[:-1])
        weights = [value for value in inputs if value.node().kind() == "prim::ListConstruct"][-1]
        shapes = [get_shape(tensor) for tensor in weights.node().inputs()]
        return Counter({name: steps * sum(math.prod(shape) for shape in shapes if shape and len(shape) == 2)})

    return handle


def _recurrent_cell(name: str) -> Handle:
    """A cell of GRU, LSTM or RNN: both weight matrices once per image."""

    def handle(inputs: Values, outputs: Values) -> Counter[str]:
        del outputs
        return Counter({name: get_shape(inputs[0])[0] * sum(math.prod(get_shape(weight)) for weight in inputs[2:4])})

    return handle


HANDLES = {
    "aten::scaled_dot_product_attention": _attention,
    "aten::_convolution_mode": _convolution_by_mode,
    "aten::einsum": _einsum,
    "aten::tensordot": _product("tensordot"),
    "aten::mv": _product("mv"),
    "aten::dot": _product("dot"),
    "aten::outer": _product("outer"),
    "aten::ger": _product("outer"),
    "aten::inner": _product("inner"),
    "aten::addmv": _added_product("mv", batched=False),
    "aten::baddbmm": _added_product("baddbmm", batched=True),
    "aten::linalg_multi_dot": _chain,
    **{f"aten::{name}": _recurrent(name) for name in ("gru", "lstm", "rnn_tanh", "rnn_relu")},
    **{f"aten::{name}": _recurrent_cell("cell") for name in ("gru_cell", "rnn_tanh_cell", "rnn_relu_cell")},
}
