"""ResNeXt-29, the CIFAR net of Xie et al. 2017 (section 5.3), built from torchvision's bottleneck block.

The paper's net has a 3x3 stem. kuangliu/pytorch-cifar, whose tables are often quoted (4.774 M params, 779.6 M flops for
32x4d), has a 1x1 stem with 1,536 fewer parameters and 1.6 M fewer multiply-adds. This is the paper's net.
"""

import re

from torch import Tensor, nn
from torchvision.models.resnet import Bottleneck

STAGES = ((64, 1), (128, 2), (256, 2))
"""Output channels of each stage divided by four, and its stride."""
BLOCKS = 3
"""Per stage."""


class ResNeXt29(nn.Module):
    """Three stages of three bottleneck blocks with grouped convolutions; 32 pixels end as 8x8.

    Args:
        cardinality: Groups of the 3x3 convolutions, C in the paper.
        width: Channels per group in the first stage, d in the paper; doubled from stage to stage.
        num_classes: Outputs of the head.
    """

    def __init__(self, cardinality: int, width: int, num_classes: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True))
        blocks: list[nn.Module] = []
        channels = 64
        for planes, stride in STAGES:
            for index in range(BLOCKS):
                blocks.append(_block(channels, planes, stride if index == 0 else 1, cardinality, width))
                channels = planes * Bottleneck.expansion
        self.blocks = nn.Sequential(*blocks)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        """Scores (N, K) of images (N, 3, H, W)."""
        scores: Tensor = self.fc(self.pool(self.blocks(self.stem(images))).flatten(1))
        return scores


def _block(channels: int, planes: int, stride: int, cardinality: int, width: int) -> nn.Module:
    out = planes * Bottleneck.expansion
    shortcut = None
    if stride != 1 or channels != out:
        shortcut = nn.Sequential(nn.Conv2d(channels, out, 1, stride=stride, bias=False), nn.BatchNorm2d(out))
    block: nn.Module = Bottleneck(
        channels, planes, stride=stride, downsample=shortcut, groups=cardinality, base_width=width
    )
    return block


def small(name: str, num_classes: int) -> ResNeXt29:
    """``resnext29_CxDd``, e.g. ``resnext29_32x4d``: C groups of D channels."""
    matched = re.fullmatch(r"resnext29_(\d+)x(\d+)d", name)
    if matched is None:
        raise ValueError(name)
    return ResNeXt29(int(matched[1]), int(matched[2]), num_classes)
