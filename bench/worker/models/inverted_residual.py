"""Nets of inverted residuals for 32-pixel images: MobileNetV2 and V3, MNASNet, EfficientNet."""

import torchvision
from torch import nn

BATCH_NORM_MOMENTUM = 0.1
"""torch's default, which CIFAR implementations have.

Torchvision's MNASNet has 0.0003, its MobileNetV3 and EfficientNet-B5 to B7 have 0.01, for the many steps of ImageNet:
in a short recipe such running statistics keep their initial values.
"""
UNSTRIDED = 2
"""How many of the five strided convolutions get stride 1 instead: 32 pixels end as 4x4 instead of 1x1."""


def small(name: str, num_classes: int) -> nn.Module:
    """Torchvision's net with stride 1 in its stem and in its first stage of stride 2; weights keep their shapes.

    Batch norms have torch's default momentum. For MobileNetV2 this is the net of chenyaofo/pytorch-cifar-models (2.24 M
    params, 87.98 M MACs); the other families follow the same rule.
    """
    net: nn.Module = getattr(torchvision.models, name)(num_classes=num_classes)
    strided = [layer for layer in net.modules() if isinstance(layer, nn.Conv2d) and layer.stride != (1, 1)]
    for layer in strided[:UNSTRIDED]:
        layer.stride = (1, 1)
    for norm in net.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.momentum = BATCH_NORM_MOMENTUM
    return net
