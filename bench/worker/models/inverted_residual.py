"""Nets of inverted residuals for 32-pixel images: MobileNetV2 and V3, MNASNet, EfficientNet."""

import torchvision
from torch import nn

UNSTRIDED = 2
"""How many of the five strided convolutions get stride 1 instead: 32 pixels end as 4x4 instead of 1x1."""


def small(name: str, num_classes: int) -> nn.Module:
    """Torchvision's net with stride 1 in its stem and in its first stage of stride 2; weights keep their shapes.

    For MobileNetV2 this is the net of chenyaofo/pytorch-cifar-models (2.24 M params, 87.98 M MACs); the other
    families follow the same rule.
    """
    net: nn.Module = getattr(torchvision.models, name)(num_classes=num_classes)
    strided = [layer for layer in net.modules() if isinstance(layer, nn.Conv2d) and layer.stride != (1, 1)]
    for layer in strided[:UNSTRIDED]:
        layer.stride = (1, 1)
    return net
