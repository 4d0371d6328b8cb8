"""VGG for 32-pixel images (Simonyan and Zisserman 2015; the CIFAR head of chenyaofo/pytorch-cifar-models).

Shapes: N images, C channels, H and W pixels.
"""

import torchvision
from torch import Tensor, nn


class Halving(nn.MaxPool2d):
    """Max pooling that leaves a single pixel as it is: 28 pixels have become one before the last of five poolings."""

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, H/2, W/2)."""
        return images if min(images.shape[2:]) == 1 else super().forward(images)


class OnePixel(nn.Module):
    """The mean over pixels. One pixel is left as it is, so that the net for 32-pixel images is the published one."""

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, 1, 1)."""
        return images if images.shape[2:] == (1, 1) else images.mean((2, 3), keepdim=True)


def small(name: str, num_classes: int) -> nn.Module:
    """The published convolutions, which reduce 32 pixels to one, and a head of 512 instead of 4096 units.

    Torchvision's adaptive pooling to 7x7 would only repeat that one pixel 49 times before the head, which is where the
    128 M parameters in some "VGG on CIFAR" tables come from. The pixels that larger images leave are averaged.
    """
    net: torchvision.models.VGG = getattr(torchvision.models, name)(num_classes=num_classes)
    for index, layer in enumerate(net.features):
        if isinstance(layer, nn.MaxPool2d):
            net.features[index] = Halving(layer.kernel_size, layer.stride)
    net.avgpool = OnePixel()
    net.classifier = nn.Sequential(
        nn.Linear(512, 512),
        nn.ReLU(inplace=True),
        nn.Dropout(),
        nn.Linear(512, 512),
        nn.ReLU(inplace=True),
        nn.Dropout(),
        nn.Linear(512, num_classes),
    )
    for layer in net.classifier:
        if isinstance(layer, nn.Linear):  # as torchvision initialises its own head
            nn.init.normal_(layer.weight, 0, 0.01)
            nn.init.zeros_(layer.bias)
    made: nn.Module = net
    return made
