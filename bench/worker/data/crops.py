"""Views: which part of an image a net sees, and how large; pure arithmetic on the image's size.

A view of an image of any size is a box of it, resized to ``rows`` x ``columns``; where that is larger than the input
size, its centre is what the net sees.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

TRIES = 10
"""Boxes that are drawn before the centre is taken, as torchvision does."""
SCALES = (8, 4, 2)
"""Divisors at which a JPEG can be decoded quickly: libjpeg-turbo has vector code for these, not for those between."""
NUMBERS = 2 * TRIES + 3
"""Uniform random numbers that one random view takes: area and shape of each try, the place (2), the mirror."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Crop:
    """A box of an image and what becomes of it. Lengths are pixels."""

    top: int
    left: int
    height: int
    width: int
    """The box; it lies inside the image."""
    rows: int
    columns: int
    """What the box is resized to."""
    mirrored: bool = False
    """Whether left and right are swapped."""

    @property
    def scale(self) -> int:
        """The largest of ``SCALES``, or 1, that leaves the box at least as large as it is resized to."""
        return next((s for s in SCALES if self.height >= s * self.rows and self.width >= s * self.columns), 1)


def random_resized_crop(
    height: int,
    width: int,
    *,
    size: int,
    numbers: Sequence[float],
    area: tuple[float, float] = (0.08, 1.0),
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
    mirror: float = 0.5,
) -> Crop:
    """A random part of an image, resized to a square (Szegedy et al. 2015), as torchvision draws it.

    A box that has at least 2, 4 or 8 times the pixels a side that it is resized to is rounded to multiples of that, so
    that it begins and ends with whole pixels also where the image is decoded at that fraction of its size.

    Args:
        height: Pixels of the whole image.
        width: Pixels of the whole image.
        size: Side of the square that the view is resized to.
        numbers: ``NUMBERS`` uniform random numbers in [0, 1); the view is a function of them.
        area: Least and greatest share of the image.
        ratio: Least and greatest width / height, drawn evenly on a logarithmic scale.
        mirror: Share of views that are mirrored.
    """
    place_y, place_x, chance = numbers[2 * TRIES : NUMBERS]
    low, high = math.log(ratio[0]), math.log(ratio[1])
    for number in range(TRIES):
        pixels = height * width * (area[0] + (area[1] - area[0]) * numbers[2 * number])
        shape = math.exp(low + (high - low) * numbers[2 * number + 1])
        box_height, box_width = round(math.sqrt(pixels / shape)), round(math.sqrt(pixels * shape))
        if 0 < box_height <= height and 0 < box_width <= width:
            break
    else:
        box_height = min(height, round(width / ratio[0]))
        box_width = min(width, round(height * ratio[1]))
        place_y = place_x = 0.5
    grain = next((s for s in SCALES if min(box_height, box_width) >= s * size), 1)
    box_height -= box_height % grain
    box_width -= box_width % grain
    return Crop(
        top=grain * int(place_y * ((height - box_height) // grain + 1)),
        left=grain * int(place_x * ((width - box_width) // grain + 1)),
        height=box_height,
        width=box_width,
        rows=size,
        columns=size,
        mirrored=chance < mirror,
    )


def centre_crop(height: int, width: int, *, size: int) -> Crop:
    """The whole image with its shorter side resized to size x 256 / 224, rounded down; its centre is what is tested on.

    At 224 pixels that is the usual 256. Rounded as timm does (0.875 of the side is kept) and as torchvision's Resize
    rounds the longer side.
    """
    shorter = size * 256 // 224
    longer = int(shorter * max(height, width) / min(height, width))
    rows, columns = (shorter, longer) if height <= width else (longer, shorter)
    return Crop(top=0, left=0, height=height, width=width, rows=rows, columns=columns)
