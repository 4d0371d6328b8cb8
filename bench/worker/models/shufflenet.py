"""ShuffleNetV2: the net for 32-pixel images, and a channel shuffle for both stems that keeps the memory format.

Torchvision's shuffle always writes its output as contiguous. With channels_last, every block would copy its images to
that memory format and, for the next convolution, back.

Shapes: N images, C channels, H and W pixels.
"""

import torch
import torchvision
from torch import Tensor, nn
from torchvision.models.shufflenetv2 import InvertedResidual


def standard(name: str, num_classes: int) -> nn.Module:
    """Torchvision's net."""
    made: nn.Module = getattr(torchvision.models, name)(num_classes=num_classes, inverted_residual=Block)
    return made


def small(name: str, num_classes: int) -> nn.Module:
    """Torchvision's net with a stem of stride 1 and no max pooling; 32 pixels end as 4x4.

    The net of chenyaofo/pytorch-cifar-models (x1.0: 1.26 M params, 45.00 M MACs).
    """
    net: torchvision.models.ShuffleNetV2 = standard(name, num_classes)
    net.conv1[0].stride = (1, 1)
    net.maxpool = nn.Identity()
    made: nn.Module = net
    return made


class Block(InvertedResidual):  # type: ignore[misc] # torchvision has no types
    """Torchvision's block (Ma et al. 2018, figure 3 c and d) with :func:`shuffle`."""

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape; with stride 2 to twice the channels and half the pixels per side."""
        if self.stride == 1:
            identity, changed = images.chunk(2, dim=1)
            halves = identity, self.branch2(changed)
        else:
            halves = self.branch1(images), self.branch2(images)
        return shuffle(torch.cat(halves, dim=1))


def shuffle(images: Tensor) -> Tensor:
    """Interleave the two halves of the channels of (N, C, H, W), in the images' own memory format."""
    count, channels, height, width = images.shape
    if images.is_contiguous(memory_format=torch.channels_last):
        halves = images.permute(0, 2, 3, 1).reshape(count, height, width, 2, channels // 2)
        return halves.transpose(3, 4).reshape(count, height, width, channels).permute(0, 3, 1, 2)
    halves = images.reshape(count, 2, channels // 2, height, width)
    return halves.transpose(1, 2).reshape(images.shape)
