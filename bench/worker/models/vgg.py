"""VGG for 32-pixel images (Simonyan and Zisserman 2015; the CIFAR head of chenyaofo/pytorch-cifar-models)."""

import torchvision
from torch import nn


def small(name: str, num_classes: int) -> nn.Module:
    """The published convolutions, which reduce 32 pixels to one, and a head of 512 instead of 4096 units.

    Torchvision's adaptive pooling to 7x7 would only repeat that one pixel 49 times before the head, which is where the
    128 M parameters in some "VGG on CIFAR" tables come from. Images need at least 32 pixels.
    """
    net: nn.Module = getattr(torchvision.models, name)(num_classes=num_classes)
    net.avgpool = nn.Identity()
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
    return net
