"""Convolutions over few pixels as matrix multiplications, which is faster on a CPU.

Nets made for large images leave few pixels of small ones: ResNet's last stage sees one pixel of a 32x32 image. There
torch's convolution takes longer than its arithmetic. Every call has to be prepared, and where a 3x3 kernel covers one
pixel and otherwise only padding, the whole kernel is read and multiplied, and its gradient has to change its memory
format. ``python tests/benchmarks/matmul_conv.py`` prints what is gained.

Called by :func:`bench.worker.models.place` for every net that is trained on a CPU.

Shapes: N images, C input and D output channels, H and W input pixels, H' and W' output pixels.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from bench.worker.compat import swap_class

MAX_PIXELS = 512
"""Pixels of a batch up to which a 1x1 convolution was faster as a matrix product, for all channels that were tried."""
MAX_MULTIPLICATIONS = 5_000_000
"""Pixels of a batch x input channels x output channels up to which it was faster, for all pixels that were tried."""


def use_matmul_convs(net: nn.Module) -> None:
    """Make a net's convolutions multiply matrices where that is faster. Parameters and their names do not change.

    Subclasses of torch's convolution may compute something else and are left alone.
    """
    for module in net.modules():
        if type(module) is nn.Conv2d and _is_plain(module):
            # in place: replacing the module would lose hooks, and references that the net keeps to it
            swap_class(module, MatmulConv2d)


def _is_plain(convolution: nn.Conv2d) -> bool:
    """Whether it pads with zeros, is not dilated, and is either ungrouped or depthwise."""
    zero_padded = convolution.padding_mode == "zeros" and not isinstance(convolution.padding, str)
    depthwise = convolution.groups == convolution.in_channels == convolution.out_channels
    return zero_padded and convolution.dilation == (1, 1) and (convolution.groups == 1 or depthwise)


class MatmulConv2d(nn.Conv2d):
    """A convolution that is a matrix product where few pixels are left; equal but for rounding."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name, by which nets may call it
        """(N, C, H, W) to (N, D, H', W')."""
        if input.dim() == 4:
            rows, columns = self._covered(input.shape[2], 0), self._covered(input.shape[3], 1)
            if rows and columns:
                if self.groups == 1:
                    return self._one_window(input, rows, columns)
                # autocast would compute the convolution in bf16, but not the multiplication that replaces it
                if input.shape[2:] == (1, 1) and not torch.is_autocast_enabled(input.device.type):
                    return self._one_depthwise_pixel(input)
            elif self._is_small_pointwise(input):
                return F.linear(input.permute(0, 2, 3, 1), self.weight.flatten(1), self.bias).permute(0, 3, 1, 2)
        return super().forward(input)

    def _covered(self, size: int, axis: int) -> int:
        """Input pixels covered by the kernel along an axis if there is exactly one output position; else 0."""
        kernel, padding = self.kernel_size[axis], int(self.padding[axis])
        one_position = kernel - 2 * padding <= size < kernel - 2 * padding + self.stride[axis]
        return max(0, min(size, kernel - padding)) if one_position else 0

    def _one_window(self, images: Tensor, rows: int, columns: int) -> Tensor:
        """The one output pixel, (N, D, 1, 1): the covered input, (N, rows x columns x C), by the weights on it."""
        window = images.permute(0, 2, 3, 1)[:, :rows, :columns]
        return F.linear(window.flatten(1), self._weights(rows, columns).flatten(1), self.bias)[:, :, None, None]

    def _one_depthwise_pixel(self, images: Tensor) -> Tensor:
        """The same for a depthwise convolution over one pixel, (N, C, 1, 1): a multiplication per channel."""
        scaled = images * self._weights(1, 1).reshape(-1, 1, 1)
        return scaled if self.bias is None else scaled + self.bias[:, None, None]

    def _weights(self, rows: int, columns: int) -> Tensor:
        """The weights that cover a pixel, (D, rows, columns, C); their gradient is then channels_last, as they are."""
        top, left = (int(padding) for padding in self.padding)
        return self.weight.permute(0, 2, 3, 1)[:, top : top + rows, left : left + columns]

    def _is_small_pointwise(self, images: Tensor) -> bool:
        """Whether this is a 1x1 convolution that is faster as a matrix product, which needs channels_last images."""
        if (self.kernel_size, self.stride, self.padding, self.groups) != ((1, 1), (1, 1), (0, 0), 1):
            return False
        pixels = images.shape[0] * images.shape[2] * images.shape[3]
        small = pixels <= MAX_PIXELS or pixels * self.in_channels * self.out_channels <= MAX_MULTIPLICATIONS
        return small and images.stride(1) == 1
