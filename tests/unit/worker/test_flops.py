"""Operators that fvcore does not count by itself, against their closed forms and torch's own counter."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from bench.worker.measure import count

IMAGE = torch.zeros(1, 3, 8, 8)


class Operator(nn.Module):
    """Applies a function to an image (1, 3, 8, 8)."""

    def __init__(self, function: Callable[[Tensor], Tensor], **layers: nn.Module) -> None:
        super().__init__()
        self.function = function
        self.layers = nn.ModuleDict(layers)

    def forward(self, images: Tensor) -> Tensor:
        return self.function(images)


def square(images: Tensor) -> Tensor:
    """(24, 8)"""
    return images.view(24, 8)


MATRIX = torch.ones(8, 5)
COUNTED: dict[str, tuple[Callable[[Tensor], Tensor], int]] = {
    "mm": (lambda images: torch.mm(square(images), MATRIX), 24 * 8 * 5),
    "tensordot": (lambda images: torch.tensordot(images, torch.ones(3, 8, 7), dims=([1, 2], [0, 1])), 8 * 24 * 7),
    "einsum": (
        lambda images: torch.einsum("ab,bc,cd->ad", square(images), MATRIX, torch.ones(5, 6)), 24 * 8 * 5 + 24 * 5 * 6,
    ),
    "baddbmm": (
        lambda images: torch.baddbmm(torch.ones(3, 8, 5), images[0], torch.ones(3, 8, 5)), 3 * 8 * 8 * 5,
    ),
    "multi_dot": (
        lambda images: torch.linalg.multi_dot([square(images), MATRIX, torch.ones(5, 1)]), 8 * 5 + 24 * 8,
    ),
}  # fmt: skip
VECTORS: dict[str, tuple[Callable[[Tensor], Tensor], int]] = {
    "mv": (lambda images: torch.mv(square(images), torch.ones(8)), 24 * 8),
    "dot": (lambda images: torch.dot(images.flatten(), torch.ones(192)), 192),
    "outer": (lambda images: torch.outer(images.flatten(), torch.ones(5)), 192 * 5),
    "addmv": (lambda images: torch.addmv(torch.ones(24), square(images), torch.ones(8)), 24 * 8),
}


@pytest.mark.parametrize("name", COUNTED)
def test_products_of_matrices_are_counted_as_torch_counts_them(name: str) -> None:
    function, expected = COUNTED[name]
    cost = count(Operator(function), IMAGE)
    assert (cost.flops, cost.torch_macs, cost.uncounted) == (expected, expected, ())


@pytest.mark.parametrize("name", VECTORS)
def test_products_with_vectors_are_counted_though_torch_does_not(name: str) -> None:
    function, expected = VECTORS[name]
    cost = count(Operator(function), IMAGE)
    assert (cost.flops, cost.uncounted) == (expected, ())


def test_a_convolution_that_pads_to_the_same_size_counts_as_one_that_is_told_how() -> None:
    def net(padding: str | int) -> nn.Module:
        return nn.Sequential(nn.Conv2d(3, 16, 3, padding=padding), nn.Conv2d(16, 4, 3, padding=padding, groups=4))

    same, told = count(net("same"), IMAGE), count(net(1), IMAGE)
    assert same.flops == told.flops == same.torch_macs == 64 * (27 * 16 + 9 * 4 * 4)
    assert same.uncounted == ()


@pytest.mark.parametrize("layer", [nn.GRU, nn.LSTM, nn.RNN])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_recurrent_layers_count_each_weight_per_step(layer: Callable[..., nn.RNNBase], bidirectional: bool) -> None:
    made = layer(8, 5, num_layers=2, batch_first=True, bidirectional=bidirectional)
    net = Operator(lambda images: made(images[:, 0])[0], made=made)
    matrices = sum(weight.numel() for weight in made.parameters() if weight.ndim == 2)
    cost = count(net, IMAGE)
    assert (cost.flops, cost.uncounted) == (8 * matrices, ())
    assert cost.agrees


@pytest.mark.parametrize(
    "function",
    [
        lambda images: images.expand_as(images).reshape_as(images).tile(2, 1, 1, 1),
        lambda images: images.repeat_interleave(2, 0) * torch.eye(8),
        lambda images: images.unfold(2, 2, 2),
        lambda images: nn.functional.unfold(images, 2),
        lambda images: nn.functional.adaptive_max_pool2d(images, 2).square(),
        lambda images: torch.addcmul(images, images, images),
    ],
)
def test_operators_that_compute_next_to_nothing_are_no_footnote(function: Callable[[Tensor], Tensor]) -> None:
    assert count(Operator(function), IMAGE).uncounted == ()


class TestCount:
    @pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")
    def test_a_scripted_net_has_params_and_a_reason_instead_of_flops(self) -> None:
        cost = count(torch.jit.script(nn.Sequential(nn.Flatten(), nn.Linear(192, 10))), IMAGE)
        assert (cost.params, cost.flops) == (1930, None)
        assert "torch.jit.script" in cost.unmeasured
        assert cost.agrees

    def test_a_net_that_cannot_be_traced_has_params_and_a_reason_instead_of_flops(self) -> None:
        def untraceable(images: Tensor) -> Tensor:
            if torch._C._get_tracing_state():
                raise RuntimeError("not while tracing")
            return images

        cost = count(Operator(untraceable, head=nn.Linear(2, 2)), IMAGE)
        assert (cost.params, cost.flops, cost.conv_linear_macs) == (6, None, None)
        assert "not while tracing" in cost.unmeasured

    def test_parameters_are_trainable_after_counting_as_before(self) -> None:
        net = nn.Linear(8, 2)
        net.bias.requires_grad_(False)
        count(net, IMAGE)
        assert (net.weight.requires_grad, net.bias.requires_grad) == (True, False)
