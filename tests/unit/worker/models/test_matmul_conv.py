"""Convolutions over few pixels are matrix products that equal torch's convolution; others are left to torch."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from bench.worker import models
from bench.worker.models.matmul_conv import MatmulConv2d, use_matmul_convs

CPU = torch.device("cpu")
MEMORY_FORMATS = pytest.mark.parametrize(
    "memory_format", [torch.channels_last, torch.contiguous_format], ids=["last", "first"]
)


def pair(
    convolution: nn.Conv2d, memory_format: torch.memory_format = torch.channels_last
) -> tuple[nn.Module, nn.Module]:
    """A convolution as torch computes it and as it is trained on a CPU, with equal weights."""
    plain = nn.Sequential(convolution).to(memory_format=memory_format)
    return plain, models.place(deepcopy(plain), CPU, memory_format)


def check_equal(convolution: nn.Conv2d, images: torch.Tensor, memory_format: torch.memory_format) -> None:
    """Outputs and gradients of both ways are equal, and the gradient of the weights lies as they do."""
    both = []
    for net in pair(convolution, memory_format):
        given_images = images.clone(memory_format=torch.preserve_format).requires_grad_()
        output = net(given_images)
        output.backward(torch.linspace(-1, 1, output.numel()).view(output.shape))
        both.append([output, given_images.grad, *(parameter.grad for parameter in net.parameters())])
        weight = next(net.parameters())
        assert weight.grad is not None
        assert weight.grad.is_contiguous(memory_format=memory_format)
    for plain, placed in zip(*both, strict=True):
        torch.testing.assert_close(placed, plain, rtol=1e-4, atol=1e-4)


@st.composite
def axes(draw: st.DrawFn, dilation: int) -> tuple[int, int, int, int]:
    """Kernel, stride, padding and size of an image along one axis, that go together."""
    kernel, stride = draw(st.integers(1, 5)), draw(st.integers(1, 3))
    padding = draw(st.integers(0, min(2, kernel - 1)))  # torch 2.14 crashes at some that are larger
    least = max(1, dilation * (kernel - 1) + 1 - 2 * padding)
    return kernel, stride, padding, draw(st.integers(least, least + 4))


@MEMORY_FORMATS
@given(
    data=st.data(),
    dilation=st.sampled_from([1, 1, 2]),
    channels=st.sampled_from([(4, 6, 1), (4, 6, 2), (4, 4, 4), (4, 8, 4)]),
    bias=st.booleans(),
)
def test_every_convolution_gives_what_torchs_gives(
    memory_format: torch.memory_format, data: st.DataObject, dilation: int, channels: tuple[int, int, int], bias: bool
) -> None:
    rows, columns = data.draw(axes(dilation)), data.draw(axes(dilation))
    kernel, stride, padding, size = zip(rows, columns, strict=True)
    inputs, outputs, groups = channels
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, groups, bias=bias)
    check_equal(convolution, torch.randn(3, inputs, *size).contiguous(memory_format=memory_format), memory_format)


def test_a_depthwise_kernel_that_leaves_pixels_out_gives_what_torchs_gives() -> None:
    check_equal(nn.Conv2d(4, 4, 1, stride=2, groups=4), torch.randn(3, 4, 1, 2), torch.channels_last)


FEW = pytest.mark.parametrize(
    ("convolution", "shape"),
    [
        (nn.Conv2d(8, 8, 3, padding=1), (4, 8, 1, 1)),
        (nn.Conv2d(8, 16, 3, stride=2, padding=1), (4, 8, 2, 2)),
        (nn.Conv2d(8, 16, 1), (4, 8, 4, 4)),
        (nn.Conv2d(8, 8, 3, padding=1, groups=8), (4, 8, 1, 1)),
    ],
    ids=["one pixel", "one window", "few pixels of 1x1", "depthwise over one pixel"],
)


@FEW
def test_matmul_conv_replaces_the_convolution_of_few_pixels(
    convolution: nn.Conv2d, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    images = torch.randn(shape).contiguous(memory_format=torch.channels_last)
    plain, placed = pair(convolution)
    expected = plain(images)
    monkeypatch.setattr(nn.Conv2d, "_conv_forward", None)
    torch.testing.assert_close(placed(images), expected, rtol=1e-4, atol=1e-4)


@FEW
def test_matmul_conv_computes_few_pixels_in_bf16_under_autocast(convolution: nn.Conv2d, shape: tuple[int, ...]) -> None:
    _, placed = pair(convolution)
    with torch.autocast("cpu", torch.bfloat16):
        scores = placed(torch.randn(shape).contiguous(memory_format=torch.channels_last))
    assert scores.dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("convolution", "shape"),
    [(nn.Conv2d(4, 4, 3, padding=1), (2, 4, 8, 8)), (nn.Conv2d(64, 64, 1), (64, 64, 16, 16))],
    ids=["many windows", "many pixels of 1x1"],
)
def test_matmul_conv_leaves_many_pixels_to_torch(
    convolution: nn.Conv2d, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    net = models.place(nn.Sequential(convolution), CPU, torch.channels_last)
    convolve: Callable[..., torch.Tensor] = convolution._conv_forward
    shapes = []

    def counted(_: nn.Conv2d, images: torch.Tensor, *weights: Any) -> torch.Tensor:
        shapes.append(tuple(images.shape))
        return convolve(images, *weights)

    monkeypatch.setattr(nn.Conv2d, "_conv_forward", counted)
    net(torch.randn(shape).contiguous(memory_format=torch.channels_last))
    assert shapes == [shape]


def test_use_matmul_convs_leaves_other_convolutions_alone() -> None:
    class Standardised(nn.Conv2d):
        pass

    net = nn.Sequential(
        Standardised(3, 3, 1),
        nn.Conv2d(3, 3, 1, padding="same"),
        nn.Conv2d(3, 3, 3, padding=1, padding_mode="circular"),
    )
    use_matmul_convs(net)
    assert not any(isinstance(layer, MatmulConv2d) for layer in net)


@pytest.mark.parametrize("model", ["resnet18", "shufflenet_v2_x0_5", "efficientnet_b0", "timm/resnet10t"])
def test_place_keeps_names_weights_and_scores_of_a_net_on_a_cpu(model: str) -> None:
    torch.manual_seed(0)
    net = models.build(model, stem="standard", num_classes=10, input_size=32).eval()
    images = torch.randn(4, 3, 32, 32)
    names, scores = list(net.state_dict()), net(images)
    placed = models.place(net, CPU, torch.channels_last)
    assert any(isinstance(layer, MatmulConv2d) for layer in placed.modules())
    assert list(placed.state_dict()) == names
    torch.testing.assert_close(
        placed(images.contiguous(memory_format=torch.channels_last)), scores, rtol=1e-3, atol=1e-4
    )
