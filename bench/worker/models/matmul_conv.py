"""Convolutions over few pixels as matrix products, which is quicker on a CPU.

Nets that were made for large images leave few pixels of small ones: ResNet's last stage sees one pixel of 32x32. There
torch's convolution takes longer than its arithmetic: every call has to be prepared, and where a 3x3 kernel meets one
pixel and else only padding, all of it is read, multiplied, and given a gradient in a layout that has to be changed.
``tests/benchmarks/matmul_conv.py`` prints how much is gained.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from bench.worker.compat import swap_class

FEW_PIXELS = 512
"""Pixels of a batch up to which the product of a 1x1 convolution was quicker for all channels that were tried."""
FEW_MULTIPLICATIONS = 5_000_000
"""Pixels of a batch x channels in x channels out up to which it was quicker whatever the pixels."""


def use_matmul_convs(net: nn.Module) -> None:
    """Let a net's convolutions multiply matrices where that is quicker; parameters and their names stay as they are.

    Subclasses of torch's convolution do something of their own and are left alone.
    """
    for module in net.modules():
        if type(module) is nn.Conv2d and _is_plain(module):
            swap_class(module, MatmulConv2d)


def _is_plain(convolution: nn.Conv2d) -> bool:
    """Whether it pads with zeros, skips no pixel, and has all channels meet, or each one only itself."""
    padded = convolution.padding_mode == "zeros" and not isinstance(convolution.padding, str)
    depthwise = convolution.groups == convolution.in_channels == convolution.out_channels
    return padded and convolution.dilation == (1, 1) and (convolution.groups == 1 or depthwise)


class MatmulConv2d(nn.Conv2d):
    """A convolution that is a matrix product where few pixels are left, equal but for rounding."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name, by which nets may call it
        """(N, C, H, W) to (N, D, H', W')."""
        if input.dim() == 4:
            rows, columns = self._met(input.shape[2], 0), self._met(input.shape[3], 1)
            if rows and columns:
                if self.groups == 1:
                    return self._of_one_window(input, rows, columns)
                # of what autocast computes in bf16, scaling is not a part
                if input.shape[2:] == (1, 1) and not torch.is_autocast_enabled(input.device.type):
                    return self._of_one_pixel(input)
            elif self._is_little(input):
                return F.linear(input.permute(0, 2, 3, 1), self.weight.flatten(1), self.bias).permute(0, 3, 1, 2)
        return super().forward(input)

    def _met(self, size: int, axis: int) -> int:
        """How many of an axis' pixels the kernel meets where it has one place to be; 0 where it has more, or none."""
        kernel, padding = self.kernel_size[axis], int(self.padding[axis])
        one_place = kernel - 2 * padding <= size < kernel - 2 * padding + self.stride[axis]
        return max(0, min(size, kernel - padding)) if one_place else 0

    def _of_one_window(self, images: Tensor, rows: int, columns: int) -> Tensor:
        """The one output pixel: what the kernel meets, (N, rows x columns x C), by the weights that meet it."""
        window = images.permute(0, 2, 3, 1)[:, :rows, :columns]
        return F.linear(window.flatten(1), self._weights(rows, columns).flatten(1), self.bias)[:, :, None, None]

    def _of_one_pixel(self, images: Tensor) -> Tensor:
        """The same of a depthwise convolution over one pixel."""
        scaled = images * self._weights(1, 1).reshape(-1, 1, 1)
        return scaled if self.bias is None else scaled + self.bias[:, None, None]

    def _weights(self, rows: int, columns: int) -> Tensor:
        """Those that meet a pixel, (D, rows, columns, C): their gradient is then made in channels_last, as they are."""
        top, left = (int(each) for each in self.padding)
        return self.weight.permute(0, 2, 3, 1)[:, top : top + rows, left : left + columns]

    def _is_little(self, images: Tensor) -> bool:
        """Whether a 1x1 convolution is quicker as a product, which needs the channels of a pixel side by side."""
        if (self.kernel_size, self.stride, self.padding, self.groups) != ((1, 1), (1, 1), (0, 0), 1):
            return False
        pixels = images.shape[0] * images.shape[2] * images.shape[3]
        little = pixels <= FEW_PIXELS or pixels * self.in_channels * self.out_channels <= FEW_MULTIPLICATIONS
        return little and images.stride(1) == 1
