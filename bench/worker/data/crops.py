"""Crops: which box of an image a net sees, and at what size. Pure arithmetic on the image's size; touches no pixel.

A crop is a box of an image of any size, resized to ``rows`` x ``columns``. Where that is larger than the input size,
the net sees its centre.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

ATTEMPTS = 10
"""Boxes that are drawn before falling back to the centre, as in torchvision."""
SCALES = (8, 4, 2)
"""Divisors at which a JPEG decodes fast: libjpeg-turbo has vector code for these and not for those between."""
UNIFORMS = 2 * ATTEMPTS + 3
"""Uniform random numbers that one random crop takes: area and ratio per attempt, the position (2), the mirroring."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Crop:
    """A box of an image and what it is resized to, in pixels."""

    top: int
    left: int
    height: int
    width: int
    """The box; it lies inside the image."""
    rows: int
    columns: int
    """The size that the box is resized to."""
    mirrored: bool = False
    """Whether left and right are swapped."""
    exact: bool = False
    """Whether it is decoded at full size and resized by Pillow, as packed images are."""

    @property
    def scale(self) -> int:
        """The largest of ``SCALES``, or 1, at which the box still has at least the pixels that it is resized to."""
        if self.exact:
            return 1
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
    """A random box of an image, resized to a square (Szegedy et al. 2015), distributed as torchvision draws it.

    A box that could be decoded at 1/2, 1/4 or 1/8 of its size is rounded to multiples of 2, 4 or 8 pixels. It then
    starts and ends at whole pixels at that scale too.

    Args:
        height: Pixels of the whole image.
        width: Pixels of the whole image.
        size: Side of the square that the box is resized to.
        numbers: ``UNIFORMS`` uniform random numbers in [0, 1); the crop is a function of them.
        area: Minimum and maximum share of the image.
        ratio: Minimum and maximum width / height, drawn evenly on a logarithmic scale.
        mirror: Share of crops that are mirrored.
    """
    place_y, place_x, chance = numbers[2 * ATTEMPTS : UNIFORMS]
    box = _random_box(height, width, numbers, area, ratio)
    if box is None:  # no attempt fitted, as in a long thin image: the largest centred box with an allowed ratio
        box = min(height, round(width / ratio[0])), min(width, round(height * ratio[1]))
        place_y = place_x = 0.5
    step = next((s for s in SCALES if min(box) >= s * size), 1)
    box_height, box_width = (side - side % step for side in box)
    return Crop(
        top=step * int(place_y * ((height - box_height) // step + 1)),
        left=step * int(place_x * ((width - box_width) // step + 1)),
        height=box_height,
        width=box_width,
        rows=size,
        columns=size,
        mirrored=chance < mirror,
    )


def _random_box(
    height: int, width: int, numbers: Sequence[float], area: tuple[float, float], ratio: tuple[float, float]
) -> tuple[int, int] | None:
    """Height and width of the first of ``ATTEMPTS`` boxes that fits into the image, or None."""
    low, high = math.log(ratio[0]), math.log(ratio[1])
    for attempt in range(ATTEMPTS):
        pixels = height * width * (area[0] + (area[1] - area[0]) * numbers[2 * attempt])
        shape = math.exp(low + (high - low) * numbers[2 * attempt + 1])
        box_height, box_width = round(math.sqrt(pixels / shape)), round(math.sqrt(pixels * shape))
        if 0 < box_height <= height and 0 < box_width <= width:
            return box_height, box_width
    return None


def centre_crop(height: int, width: int, *, size: int, resize: int = 0, exact: bool = False) -> Crop:
    """The whole image with its shorter side resized; nets see its centre.

    Args:
        height: Pixels of the whole image.
        width: Pixels of the whole image.
        size: Side of the square that nets see.
        resize: The shorter side; 0 stands for size x 256 / 224. At 224 pixels that is the usual 256. It is rounded as
            in timm (0.875 of the side is kept), the longer side as in torchvision's Resize.
        exact: See :class:`Crop`; the longer side is then rounded to the nearest.
    """
    shorter = resize or size * 256 // 224
    longer = shorter * max(height, width) / min(height, width)
    rounded = max(shorter, round(longer)) if exact else int(longer)
    rows, columns = (shorter, rounded) if height <= width else (rounded, shorter)
    return Crop(top=0, left=0, height=height, width=width, rows=rows, columns=columns, exact=exact)
