"""Print how fast photos become batches: this project's pipeline against torchvision's ImageFolder and DataLoader.

    python tests/benchmarks/decoding.py FOLDER [WORKERS]

FOLDER has CLASS/FILE with some tens of photos or more. Both sides read, decode, crop a random part to 224x224, mirror
it half of the time, and yield batches of 64 as float32 from 0 to 1. torchvision's side is the usual recipe with its
defaults and persistent processes. This project's side has as many threads, and the main thread converts each batch to
float: into new memory each time, as torchvision's come, or into memory that it keeps, as a training loop may that is
done with a batch before the next. Files are read from the page cache. Each figure is the median of interleaved passes;
each pass takes every photo ten times.

Memory is the peak of a fresh process and its children during a pass, shared pages counted once.

The last table switches off single ideas of this side, on the same crops, in one thread and without the float32.
"""

import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import psutil
import torch
from torch import Tensor
from torch.utils.data import DataLoader, RandomSampler
from torchvision import transforms
from torchvision.datasets import ImageFolder

from bench.worker.data import crops, jpeg
from bench.worker.data.file_batches import TrainFiles

SIZE, BATCH, TIMES, REPEATS = 224, 64, 10, 9


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
    batches = _train_files(folder, workers)
    return lambda: (images.float().mul_(1 / 255) for images, _ in batches.epoch(0))


def own_batches_kept(folder: Path, workers: int) -> Callable[[], Iterator[Tensor]]:
    """This project's, every batch of a pass in the same memory."""
    batches = _train_files(folder, workers)
    kept = torch.empty(BATCH, SIZE, SIZE, 3).permute(0, 3, 1, 2)
    return lambda: (kept.copy_(images).mul_(1 / 255) for images, _ in batches.epoch(0))


def _train_files(folder: Path, workers: int) -> TrainFiles:
    files = [(Path(file), label) for file, label in ImageFolder(str(folder)).samples] * TIMES
    return TrainFiles(files, size=SIZE, batch_size=BATCH, seed=0, workers=workers)


SIDES = {"torchvision": torchvision_batches, "bench": own_batches, "bench, memory kept": own_batches_kept}


def images_per_s(start: Callable[[], Iterator[Tensor]]) -> float:
    """Speed of one pass, its first batches included."""
    began, count = time.perf_counter(), 0
    for images in start():
        assert images.dtype == torch.float32
        count += len(images)
    return count / (time.perf_counter() - began)


def compared(folder: Path, workers: int) -> None:
    """Print the speed of both sides and their ratio."""
    sides = {name: batches(folder, workers) for name, batches in SIDES.items()}
    speeds: dict[str, list[float]] = {name: [] for name in sides}
    for repeat in range(REPEATS + 1):
        for name, start in sides.items():
            speed = images_per_s(start)
            if repeat:  # the first pass starts processes and fills the page cache
                speeds[name].append(speed)
    for name, found in speeds.items():
        ratios = [own / usual for own, usual in zip(found, speeds["torchvision"], strict=True)]
        print(
            f"{name:<24}{statistics.median(found):>8.0f} images/s  ({min(found):.0f} to {max(found):.0f})"
            f"{statistics.median(ratios):>8.2f} times torchvision's  ({min(ratios):.2f} to {max(ratios):.2f})"
        )


def peak_mb(side: str, folder: Path, workers: int) -> float:
    """Most memory in MB during a pass of one side in this process, less what its imports hold."""
    torch.set_num_threads(1)
    own = psutil.Process()
    before, highest = own.memory_full_info().pss, 0
    for step, _ in enumerate(SIDES[side](folder, workers)()):
        if step % 3 == 0:
            family = [own, *own.children(recursive=True)]
            highest = max(highest, sum(process.memory_full_info().pss for process in family))
    return float(highest - before) / 1e6


def memory(folder: Path, workers: int) -> None:
    """Print the memory of both sides, each in a fresh process."""
    for name in SIDES:
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            print(f"{name:<24}{pool.submit(peak_mb, name, folder, workers).result():>8.0f} MB beside the imports")


def shares(folder: Path) -> None:
    """Print CPU time an image with single ideas left out."""
    batches = _train_files(folder, workers=1)
    frame, scales = jpeg.jpeg_frame, crops.SCALES

    def uncut(data: bytes | memoryview) -> jpeg.Frame | None:
        found = frame(data)
        return found and replace(found, cuttable=False)

    def unread(data: bytes | memoryview) -> None:
        pass

    variants: dict[str, tuple[Callable[[bytes | memoryview], jpeg.Frame | None], tuple[int, ...]]] = {
        "all ideas": (frame, scales),
        "no stop at the last row": (uncut, scales),
        "no lower scales": (frame, ()),
        "neither": (uncut, ()),
        "and decoded by Pillow": (unread, ()),
    }
    spent: dict[str, list[float]] = {name: [] for name in variants}
    for epoch in range(REPEATS):
        for name, (read, allowed) in variants.items():
            jpeg.jpeg_frame, crops.SCALES = read, allowed  # type: ignore[assignment]
            began, count = time.process_time(), 0
            for images, _ in batches.epoch(epoch):
                count += len(images)
            spent[name].append((time.process_time() - began) / count * 1000)
    jpeg.jpeg_frame, crops.SCALES = frame, scales
    for name, found in spent.items():
        print(
            f"{name:<24}{statistics.median(found):>8.2f} ms of a core an image  ({min(found):.2f} to {max(found):.2f})"
        )


def main() -> None:
    """Measure and print."""
    folder, workers = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 2
    torch.set_num_threads(1)  # the cores belong to the workers of either side
    print(f"torch {torch.__version__}, {workers} workers, batches of {BATCH} at {SIZE}x{SIZE}")
    compared(folder, workers)
    memory(folder, workers)
    shares(folder)


if __name__ == "__main__":
    main()
