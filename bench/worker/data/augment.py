"""Augmentations of whole training batches: every image gets its own random values, without a Python loop over images.

Each augmentation is a frozen class with the options of the catalog and two methods. ``draw`` takes random values from a
CPU generator, (values per image, N). Calling the augmentation applies drawn values to ``images`` (N, C, H, W), uint8 or
float, and returns new images of the same shape and dtype.

Why not a library: torchvision's ``transforms.v2`` draws one value for the whole batch, and kornia draws from torch's
global generator. Neither can separate drawing from applying. Bench needs that separation twice:

- Resuming is exact to the bit, because the values of a step depend on (seed, epoch, step) alone.
- A CUDA graph can replay a step, because the values of a whole epoch are on the GPU before its first step, and applying
  them neither draws nor waits for the host.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Generator, Tensor
from torch.nn.functional import pad

ERASING_RATIO = (0.3, 1 / 0.3)
"""Range of height / width of an erased box, drawn evenly on a logarithmic scale (Zhong et al. 2017)."""


class Augmentation(Protocol):
    """The interface of every augmentation."""

    def draw(self, count: int, generator: Generator) -> Tensor:
        """Random values for ``count`` images, (values per image, ``count``)."""

    def __call__(self, images: Tensor, drawn: Tensor) -> Tensor:
        """Apply drawn values to images (N, C, H, W)."""


@dataclass(frozen=True, kw_only=True)
class RandomCrop:
    """Pad with black and crop back at a random position, each of the (2 padding + 1)^2 equally likely."""

    padding: int
    """Pixels on each side."""

    def draw(self, count: int, generator: Generator) -> Tensor:
        """Top and left of each crop, (2, count) int64."""
        return torch.randint(0, 2 * self.padding + 1, (2, count), generator=generator)

    def __call__(self, images: Tensor, drawn: Tensor) -> Tensor:
        """Crop."""
        count, _, height, width = images.shape
        top, left = drawn
        padded = pad(images, (self.padding,) * 4)
        # a view of all possible crops, from which one per image is copied: 2 to 5 times faster than gathering pixels
        windows = padded.unfold(2, height, 1).unfold(3, width, 1)
        return windows[torch.arange(count, device=images.device), :, top, left]


@dataclass(frozen=True, kw_only=True)
class HorizontalFlip:
    """Mirror each image left to right with probability ``p``."""

    p: float

    def draw(self, count: int, generator: Generator) -> Tensor:
        """Uniform in 0..1, (1, count); an image is mirrored if its value is below ``p``."""
        return torch.rand((1, count), generator=generator)

    def __call__(self, images: Tensor, drawn: Tensor) -> Tensor:
        """Mirror."""
        mirrored = drawn[0] < self.p
        # flips every image and keeps some of them: indexing by a mask would make the host wait for the number of hits
        return torch.where(mirrored[:, None, None, None], images.flip(3), images)


@dataclass(frozen=True, kw_only=True)
class RandomErasing:
    """Fill a random box of each image with one colour, with probability ``p`` (Zhong et al. 2017)."""

    p: float
    area: tuple[float, ...]
    """Minimum and maximum share of the image that a box covers, before its sides are rounded to pixels."""
    fill: tuple[float, ...] = (0.0,)
    """The colour, one value per channel or one for all, in the images' own scale."""

    def draw(self, count: int, generator: Generator) -> Tensor:
        """Uniform in 0..1, (5, count): whether to erase, area, aspect ratio, vertical and horizontal position."""
        return torch.rand((5, count), generator=generator)

    def __call__(self, images: Tensor, drawn: Tensor) -> Tensor:
        """Erase."""
        erased = self._boxes(drawn, *images.shape[2:]) & (drawn[0] < self.p)[:, None, None]
        planes = images.unbind(1)
        # colours stay Python numbers: a tensor would be copied to the device in every step
        colours = self.fill if len(self.fill) == len(planes) else self.fill * len(planes)
        return torch.stack(
            [plane.masked_fill(erased, colour) for plane, colour in zip(planes, colours, strict=True)], dim=1
        )

    def _boxes(self, drawn: Tensor, height: int, width: int) -> Tensor:
        """The box of each image as a mask, (N, H, W) bool."""
        _, share, shape, place_y, place_x = drawn
        pixels = (self.area[0] + (self.area[1] - self.area[0]) * share) * height * width
        # the paper redraws until a box fits; drawing only ratios that fit needs no loop
        lowest = torch.clamp(pixels / width**2, min=ERASING_RATIO[0]).log()
        highest = torch.clamp(height**2 / pixels.clamp(min=1e-6), max=ERASING_RATIO[1]).log()
        ratio = (lowest + (highest - lowest).clamp(min=0) * shape).exp()
        box_height = (pixels * ratio).sqrt().round().clamp(1, height)
        box_width = (pixels / ratio).sqrt().round().clamp(1, width)
        top = (place_y * (height - box_height + 1)).floor()
        left = (place_x * (width - box_width + 1)).floor()
        rows, columns = torch.arange(height, device=drawn.device), torch.arange(width, device=drawn.device)
        in_rows = (rows >= top[:, None]) & (rows < (top + box_height)[:, None])
        in_columns = (columns >= left[:, None]) & (columns < (left + box_width)[:, None])
        boxes: Tensor = in_rows[:, :, None] & in_columns[:, None, :]
        return boxes
