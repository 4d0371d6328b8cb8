"""Batches of packed images, on the real digits."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bench.catalog.training import AUGMENTATIONS, with_defaults
from bench.worker.data.batches import PackedInputs, TestBatches, TrainBatches
from bench.worker.data.pack import PackedDataset, pack
from bench.worker.speed import random_dataset

CPU = torch.device("cpu")


ALL_AUGMENTATIONS = tuple(
    with_defaults(name, {}, spec.options) for name, spec in AUGMENTATIONS.items() if not spec.of_files
)


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> PackedDataset:
    return pack("digits", 8, tmp_path_factory.mktemp("home"))


def train_batches(packed: PackedDataset, seed: int = 0, batch_size: int = 128) -> TrainBatches:
    return TrainBatches(packed, batch_size=batch_size, augment=ALL_AUGMENTATIONS, seed=seed, device=CPU)


def collected(batches: TrainBatches, epoch: int, start_step: int = 0) -> list[bytes]:
    return [images.numpy().tobytes() + labels.numpy().tobytes() for images, labels in batches.epoch(epoch, start_step)]


def test_an_epoch_depends_on_seed_and_epoch_only(packed: PackedDataset) -> None:
    used = train_batches(packed)
    collected(used, 0)
    assert collected(used, 1) == collected(train_batches(packed), 1)
    assert collected(used, 1) != collected(used, 0)
    assert collected(used, 1) != collected(train_batches(packed, seed=1), 1)


def test_an_epoch_from_a_step_on_equals_the_undisturbed_one(packed: PackedDataset) -> None:
    batches = train_batches(packed)
    whole = collected(batches, 3)
    assert collected(batches, 3, start_step=5) == whole[5:]
    assert collected(batches, 3, start_step=len(batches)) == []


def test_the_global_generator_is_neither_read_nor_moved(packed: PackedDataset) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = collected(train_batches(packed), 0)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert collected(train_batches(packed), 0) == first


def test_the_last_smaller_batch_is_dropped(packed: PackedDataset) -> None:
    batches = train_batches(packed)
    shapes = [tuple(images.shape) for images, _ in batches.epoch(0)]
    assert shapes == [(128, 3, 8, 8)] * 11
    assert len(batches) == 11


@given(images=st.integers(2, 60), batch_size=st.integers(1, 70), start=st.integers(0, 70))
def test_kept_the_last_smaller_batch_has_what_is_left_and_changes_no_batch_before_it(
    images: int, batch_size: int, start: int
) -> None:
    data = random_dataset(images=images, size=4, classes=3)
    dropping, keeping = (
        TrainBatches(data, batch_size=batch_size, augment=ALL_AUGMENTATIONS, seed=0, device=CPU, drop_last=drop)
        for drop in (True, False)
    )
    whole = collected(keeping, 1)
    assert len(whole) == len(keeping)
    assert whole[: len(dropping)] == collected(dropping, 1)
    assert collected(keeping, 1, start_step=start) == whole[start:]
    rest = images % min(batch_size, images)
    assert keeping.images == images - (rest == 1), "batch norm cannot train on one image"
    assert sum(len(labels) for _, labels in keeping.epoch(1)) == keeping.images


def test_a_set_smaller_than_a_batch_is_one_batch(packed: PackedDataset) -> None:
    batches = train_batches(packed, batch_size=5000)
    [(images, labels)] = batches.epoch(0)
    assert (len(batches), batches.batch_size, len(images)) == (1, 1437, 1437)
    assert labels.dtype == torch.int64


def test_batches_without_augmentation_are_the_normalised_images(packed: PackedDataset) -> None:
    batches = TrainBatches(packed, batch_size=1437, augment=(), seed=0, device=CPU)
    [(images, labels)] = batches.epoch(0)
    assert images.dtype == torch.float32
    assert images.mean().item() == pytest.approx(0, abs=1e-5)
    assert images.std().item() == pytest.approx(1, abs=1e-3)
    assert torch.equal(images[:, 0], images[:, 2])
    assert sorted(labels.tolist()) == sorted(packed.train_labels.tolist())


def test_test_batches_hold_every_image_in_order(packed: PackedDataset) -> None:
    batches = TestBatches(packed, batch_size=100, device=CPU)
    found = list(batches)
    assert [len(images) for images in found] == [100, 100, 100, 60]
    assert len(batches) == 4
    assert batches.labels.tolist() == packed.test_labels.tolist()
    assert np.array_equal(torch.cat(found).numpy(), packed.test_images)
    restored = batches.normalise(found[0])[:, :1] * packed.std[0] + packed.mean[0]
    assert np.array_equal((restored * 255).round().byte().numpy(), packed.test_images[:100])


def test_batches_leave_the_pack_as_it_is(packed: PackedDataset) -> None:
    before = packed.train_images.copy()
    collected(train_batches(packed), 0)
    assert np.array_equal(packed.train_images, before)


def test_copy_from_overwrites_inputs_in_place() -> None:
    mine = PackedInputs(order=torch.zeros(2, dtype=torch.int64), values=(torch.zeros(1, 2),))
    other = PackedInputs(order=torch.tensor([3, 4]), values=(torch.tensor([[0.5, 0.25]]),))
    places = (mine.order.data_ptr(), mine.values[0].data_ptr())
    mine.copy_from(other)
    assert torch.equal(mine.order, other.order)
    assert torch.equal(mine.values[0], other.values[0])
    assert (mine.order.data_ptr(), mine.values[0].data_ptr()) == places
