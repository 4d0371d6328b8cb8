"""ResNet, wide ResNet and ResNeXt for 32-pixel images."""

import torchvision
from torch import nn


def small(name: str, num_classes: int) -> nn.Module:
    """Torchvision's net with a 3x3 stem of stride 1 and no max pooling; 32 pixels end as 4x4.

    The net behind the CIFAR figures of kuangliu/pytorch-cifar and mmpretrain (ResNet-18: 11.17 M params, 555.4 M
    conv+linear MACs), after He et al. 2016, section 4.2.
    """
    net: nn.Module = getattr(torchvision.models, name)(num_classes=num_classes)
    net.conv1 = nn.Conv2d(3, 64, kernel_size=3, stride=1, padding=1, bias=False)
    nn.init.kaiming_normal_(net.conv1.weight, mode="fan_out", nonlinearity="relu")
    net.maxpool = nn.Identity()
    return net
