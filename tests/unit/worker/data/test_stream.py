"""Streamed batches on the device: non-standard images, augmentations, resuming."""

from pathlib import Path

import pytest
import torch
from helpers.streaming import (
    CPU,
    RESIZED_CROP,
    augmentation,
    batch_bytes,
    indexed,
    nonstandard_files,
    recipe_of,
    streamed,
    with_nonstandard,
)
from helpers.tiny_imagenet import (
    TEST,
    TRAIN,
    WNIDS,
    shrink,
    train_images,
    val_images,
    write_imagenet,
)

from bench.errors import DataError
from bench.values import Component
from bench.worker.data.file_batches import TrainFiles
from bench.worker.data.stream import StreamedTestBatches, nonstandard_images


def test_nonstandard_images_of_training_are_decoded_and_counted_by_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shrink(monkeypatch, "imagenet", train=3 * TRAIN + 3, test=3 * TEST, classes=3)
    write_imagenet(tmp_path, "folders", with_nonstandard(train_images(), "grey.JPEG", "cmyk.JPEG", "png.JPEG"))
    batches = streamed(indexed(tmp_path), batch_size=27)
    assert len(list(batches.epoch(0))) == 1
    assert nonstandard_images(batches) == {"cmyk": 1, "grey": 1, "not_jpeg": 1}
    assert nonstandard_images(batches) == {}


def test_substitutes_do_not_depend_on_workers_or_on_where_an_epoch_resumes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shrink(monkeypatch, "imagenet", train=3 * TRAIN + 4, test=3 * TEST, classes=3)
    write_imagenet(tmp_path, "folders", with_nonstandard(train_images(), *nonstandard_files()))
    data = indexed(tmp_path)
    one, two, three = (batch_bytes(streamed(data, workers).epoch(1)) for workers in (1, 2, 3))
    assert one == two == three
    assert batch_bytes(streamed(data).epoch(1, start_step=2)) == one[2:]


def test_an_unreadable_training_file_is_never_replaced(imagenet_home: Path) -> None:
    data = indexed(imagenet_home)
    (imagenet_home / "imagenet" / "train" / WNIDS[0] / f"{WNIDS[0]}_7.JPEG").unlink()
    with pytest.raises(DataError, match=r"_7\.JPEG cannot be read"):
        list(streamed(data, batch_size=24).epoch(0))


def test_nonstandard_images_of_testing_are_decoded_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shrink(monkeypatch, "imagenet", train=3 * TRAIN, test=3 * TEST + 3, classes=3)
    write_imagenet(tmp_path, "folders", test=with_nonstandard(val_images(), "grey.JPEG", "cmyk.JPEG", "png.JPEG"))
    batches = StreamedTestBatches(indexed(tmp_path), recipe_of(), batch_size=4, device=CPU, workers=2)
    assert sum(len(images) for images in batches) == 3 * TEST + 3
    assert nonstandard_images(batches) == {"cmyk": 1, "grey": 1, "not_jpeg": 1}


def test_streamed_batches_are_normalised_floats_of_three_channels(imagenet_home: Path) -> None:
    data = indexed(imagenet_home)
    (batch, *_), bytes_ = (
        list(streamed(data, augment=()).epoch(0)),
        TrainFiles(data.train, size=32, batch_size=5, seed=0, workers=1),
    )
    images, labels = batch
    assert (images.shape, images.dtype, labels.dtype) == ((5, 3, 32, 32), torch.float32, torch.int64)
    assert len(bytes_) == 4
    tested = StreamedTestBatches(data, recipe_of(), batch_size=5, device=CPU, workers=1)
    whole = torch.cat([tested.normalise(images) for images in tested])
    assert len(tested.labels) == len(whole)
    assert whole.shape == (3 * TEST, 3, 32, 32)
    assert -2.2 < whole.min() < 0 < whole.max() < 2.7


def test_without_a_random_crop_an_image_is_always_seen_at_its_centre(imagenet_home: Path) -> None:
    data = indexed(imagenet_home)
    first, second = (
        {
            images[number].numpy().tobytes()
            for images, _ in streamed(data, augment=(), batch_size=4).epoch(epoch)
            for number in range(4)
        }
        for epoch in (0, 1)
    )
    assert first == second
    assert len(first) == 3 * TRAIN


def test_a_recipe_decides_on_crop_and_mirroring(imagenet_home: Path) -> None:
    data = indexed(imagenet_home)
    always, whole = (
        augmentation("horizontal_flip", p=1.0),
        augmentation("random_resized_crop", area=[1.0, 1.0], ratio=[1.0, 1.0]),
    )

    def seen(*augment: Component) -> torch.Tensor:
        return torch.cat([images for images, _ in streamed(data, augment=augment).epoch(0)])

    assert torch.equal(seen(always), seen().flip(3))
    assert torch.equal(seen(whole, always), seen(whole).flip(3))
    assert not torch.equal(seen(RESIZED_CROP), seen())
    assert not torch.equal(seen(RESIZED_CROP), seen(whole))
    erased = seen(augmentation("random_erasing", p=1.0))
    assert 0.01 < (erased != seen()).float().mean() < 0.35
