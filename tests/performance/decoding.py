"""Print how fast photos become batches: this project's pipeline against torchvision's ImageFolder and DataLoader.

Run ``python tests/performance/decoding.py FOLDER [WORKERS]``, FOLDER being CLASS/FILE with some tens of photos or more.
Both sides read, decode, cut out a random part at 224x224, mirror it half the time, and hand out batches of 64 as
float32 from 0 to 1. torchvision's is the usual recipe with its defaults and processes that stay; this project's has as
many threads, and the main thread turns each batch to float. Every file is read from the page cache. Each figure is
the median of interleaved passes; each pass takes every photo ten times.

The second table leaves out one idea of this project's at a time, or all, in one thread and without the float32.
"""

import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import DataLoader, RandomSampler
from torchvision import transforms
from torchvision.datasets import ImageFolder

from bench.worker.data import decode
from bench.worker.data.stream import TrainFiles

SIZE, BATCH, TIMES, REPEATS = 224, 64, 10, 7


def torchvision_batches(folder: Path, workers: int) -> Callable[[], Iterator[Tensor]]:
    """The usual recipe; the function starts a pass."""
    recipe = [transforms.RandomResizedCrop(SIZE), transforms.RandomHorizontalFlip(), transforms.ToTensor()]
    photos = ImageFolder(str(folder), transforms.Compose(recipe))
    loader = DataLoader(
        photos,
        batch_size=BATCH,
        sampler=RandomSampler(photos, replacement=True, num_samples=TIMES * len(photos)),
        num_workers=workers,
        persistent_workers=True,
        drop_last=True,
    )
    return lambda: (images for images, _ in loader)


def own_batches(folder: Path, workers: int) -> Callable[[], Iterator[Tensor]]:
    """This project's; the function starts a pass."""
    files = [(Path(file), label) for file, label in ImageFolder(str(folder)).samples] * TIMES
    batches = TrainFiles(files, size=SIZE, batch_size=BATCH, seed=0, workers=workers)
    return lambda: (images.float().mul_(1 / 255) for images, _ in batches.epoch(0))


def images_per_s(start: Callable[[], Iterator[Tensor]]) -> float:
    """Speed of one pass, its first batches included."""
    began, count = time.perf_counter(), 0
    for images in start():
        assert images.dtype == torch.float32
        count += len(images)
    return count / (time.perf_counter() - began)


def compared(folder: Path, workers: int) -> None:
    """Print the speed of both sides and their ratio."""
    sides = {"torchvision": torchvision_batches(folder, workers), "bench": own_batches(folder, workers)}
    speeds: dict[str, list[float]] = {name: [] for name in sides}
    for repeat in range(REPEATS + 1):
        for name, start in sides.items():
            speed = images_per_s(start)
            if repeat:  # the first pass starts processes and fills the page cache
                speeds[name].append(speed)
    for name, found in speeds.items():
        print(f"{name:<24}{statistics.median(found):>8.0f} images/s  ({min(found):.0f} to {max(found):.0f})")
    ratios = [own / usual for own, usual in zip(speeds["bench"], speeds["torchvision"], strict=True)]
    print(f"{'ratio':<24}{statistics.median(ratios):>8.2f}           ({min(ratios):.2f} to {max(ratios):.2f})")
    own, child = (resource.getrusage(who).ru_maxrss / 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(f"peak memory: {own:.0f} MB this process (bench's threads are in it), {child:.0f} MB the largest child so far")


def shares(folder: Path) -> None:
    """Print CPU time an image with single ideas left out."""
    files = [(Path(file), label) for file, label in ImageFolder(str(folder)).samples]
    batches = TrainFiles(files, size=SIZE, batch_size=len(files), seed=0, workers=1)
    frame, scales = decode.jpeg_frame, decode.SCALES

    def uncut(data: bytes | bytearray) -> decode.Frame | None:
        found = frame(data)
        return found and decode._with_scan(found, whole=False)

    variants: dict[str, tuple[Callable[[bytes | bytearray], decode.Frame | None], tuple[int, ...]]] = {
        "all ideas": (frame, scales),
        "no stop at the last row": (uncut, scales),
        "no lower scales": (frame, ()),
        "neither": (uncut, ()),
        "and decoded by Pillow": (lambda _: None, ()),
    }
    spent: dict[str, list[float]] = {name: [] for name in variants}
    for repeat in range(REPEATS):
        for name, (decode.jpeg_frame, decode.SCALES) in variants.items():  # type: ignore[assignment, misc]
            began = time.process_time()
            for _ in batches.epoch(repeat):
                pass
            spent[name].append((time.process_time() - began) / len(files) * 1000)
    decode.jpeg_frame, decode.SCALES = frame, scales  # type: ignore[assignment]
    for name, found in spent.items():
        print(f"{name:<24}{statistics.median(found):>8.2f} ms/image of one core, views drawn {REPEATS} times")


def main() -> None:
    """Measure and print."""
    folder, workers = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 2
    torch.set_num_threads(1)  # the cores belong to the workers of either side
    print(f"torch {torch.__version__}, {workers} workers, batches of {BATCH} at {SIZE}x{SIZE}")
    compared(folder, workers)
    shares(folder)


if __name__ == "__main__":
    main()
