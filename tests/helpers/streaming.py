"""Streamed batches of small trees, for tests of what is indexed and streamed."""

from collections.abc import Iterator
from pathlib import Path

import torch
from helpers.tiny_imagenet import (
    WNIDS,
    Images,
    encoded,
    jpeg,
    photo,
)

from bench.catalog.training import AUGMENTATIONS, with_defaults
from bench.datasets.prepared import look
from bench.values import Component, DataKey, Recipe
from bench.worker.data.batches import Batch
from bench.worker.data.index import IndexedDataset, index
from bench.worker.data.stream import StreamedTrainBatches

CPU = torch.device("cpu")


def augmentation(name: str, **options: object) -> Component:
    return with_defaults(name, options, AUGMENTATIONS[name].options)  # type: ignore[arg-type]


RESIZED_CROP, FLIP = augmentation("random_resized_crop"), augmentation("horizontal_flip")


def indexed(home: Path, limit: int | None = None, name: str = "imagenet") -> IndexedDataset:
    return index(name, limit, home, workers=2)


def batch_bytes(batches: Iterator[Batch]) -> list[bytes]:
    return [images.numpy().tobytes() + labels.numpy().tobytes() for images, labels in batches]


def leftovers(home: Path) -> list[str]:
    return sorted(path.name for path in (home / "indexed").iterdir() if not path.name.endswith(".lock"))


def nonstandard_files() -> dict[str, bytes]:
    """Real photos as grey, CMYK, a PNG named .JPEG, and one that ends early."""
    return {
        "grey.JPEG": encoded(photo(1).convert("L")),
        "cmyk.JPEG": encoded(photo(2).convert("CMYK")),
        "png.JPEG": encoded(photo(3), "PNG"),
        "cut.JPEG": jpeg(4)[:-500],
    }


def with_nonstandard(images: Images, *names: str) -> Images:
    files = {name: nonstandard_files()[name] for name in names}
    return {**images, WNIDS[1]: {**images[WNIDS[1]], **files}}


def recipe_of(**recipe: object) -> Recipe:
    content = {"input_size": 32, "batch_size": 5, "augment": (RESIZED_CROP, FLIP), **recipe}
    return Recipe(
        epochs=1,
        optimizer=augmentation("horizontal_flip"),
        label_smoothing=0.0,
        precision="fp32",
        stem="standard",
        **content,  # type: ignore[arg-type]
    )


def streamed(data: IndexedDataset, workers: int = 2, **recipe: object) -> StreamedTrainBatches:
    return StreamedTrainBatches(data, recipe_of(**recipe), seed=0, device=CPU, workers=workers)


def digest_of(key: DataKey, home: Path) -> str:
    found = look(key, home)
    return found.digest if found else ""
