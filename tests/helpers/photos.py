"""Photo-like images, files of them, and a crop decoded by bench and by plain Pillow and torch."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn.functional import interpolate

from bench.worker.data.crops import Crop
from bench.worker.data.decode import CropFn, Decoder, Pixels


def photo(height: int, width: int, seed: int = 0) -> Image.Image:
    """Detail at every scale, as photos have it, with a few hard edges."""
    random = np.random.default_rng(seed)
    pixels = np.zeros((height, width, 3))
    for octave in range(1, 9):
        cells = random.normal(size=(2**octave, 2**octave, 3)).clip(-2, 2)
        layer = np.asarray(Image.fromarray(((cells + 2) * 63).astype(np.uint8)).resize((width, height), 3), dtype=float)
        pixels += (layer - 126) * 0.75**octave
    pixels[height // 3 : height // 2, width // 4 :] += 60
    return Image.fromarray((pixels + 128).clip(0, 255).astype(np.uint8))


def save(image: Image.Image, file: Path, **options: object) -> Path:
    image.save(file, **options)  # type: ignore[arg-type]
    return file


def read_crop(file: Path, choose: CropFn, size: int) -> Pixels:
    out = np.zeros((size, size, 3), dtype=np.uint8)
    Decoder().read(file, choose, out)
    return out


def reference_crop(file: Path, view: Crop) -> Pixels:
    """The whole file decoded by Pillow, then the box resized by torch's public function."""
    with Image.open(file) as opened:
        whole = torch.from_numpy(np.array(opened.convert("RGB"))).permute(2, 0, 1)[None]
    box = whole[:, :, view.top : view.top + view.height, view.left : view.left + view.width]
    resized = interpolate(box.contiguous(), size=(view.rows, view.columns), mode="bilinear", antialias=True)[0]
    return (resized.flip(2) if view.mirrored else resized).permute(1, 2, 0).numpy()


def difference(one: Pixels, other: Pixels) -> float:
    """Mean absolute difference in grey levels."""
    assert one.shape == other.shape
    return float(np.abs(one.astype(int) - other.astype(int)).mean())
