"""DenseNet for 32-pixel images."""

import torchvision
from torch import nn


def small(name: str, num_classes: int) -> nn.Module:
    """Torchvision's net with a 3x3 stem of stride 1 and no pooling after it; 32 pixels end as 4x4.

    The MACs of kuangliu/pytorch-cifar's and weiaicunzai/pytorch-cifar100's nets, with the 128 to 192 parameters of a
    batch norm more that torchvision has after its stem (DenseNet-121: 6.956 M params, 888.4 M MACs).
    huyvnphan/PyTorch_CIFAR10 keeps the pooling, which leaves a quarter of the MACs. Huang et al. 2017 used smaller nets
    (L=100, k=12) on CIFAR.
    """
    net: torchvision.models.DenseNet = getattr(torchvision.models, name)(num_classes=num_classes)
    channels = net.features.conv0.out_channels
    net.features.conv0 = nn.Conv2d(3, channels, kernel_size=3, stride=1, padding=1, bias=False)
    nn.init.kaiming_normal_(net.features.conv0.weight)
    net.features.pool0 = nn.Identity()
    made: nn.Module = net
    return made
