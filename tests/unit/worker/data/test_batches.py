"""Loaders, packs, batches and augmentations, on small archives in the published formats and on real digits."""

import gzip
import hashlib
import io
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from bench.catalog.datasets import DATASETS, Archive
from bench.catalog.training import AUGMENTATIONS, with_defaults
from bench.errors import DataError
from bench.worker.data import array_formats, image_folder, readers
from bench.worker.data.augment import Augmentation, HorizontalFlip, RandomCrop, RandomErasing
from bench.worker.data.batches import TestBatches, TrainBatches
from bench.worker.data.decode import BrokenImageError, open_rgb, pixels_of
from bench.worker.data.digits import digits
from bench.worker.data.pack import PackedDataset, channel_statistics, pack, resize
from bench.worker.data.raw import Images
from bench.worker.seeds import stream_seed

CPU = torch.device("cpu")
ALL_AUGMENTATIONS = tuple(
    with_defaults(name, {}, spec.options) for name, spec in AUGMENTATIONS.items() if not spec.of_files
)


def tar_of(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(f"cifar-binary/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def place(
    monkeypatch: pytest.MonkeyPatch,
    home: Path,
    name: str,
    contents: list[bytes],
    *,
    train_images: int,
    test_images: int,
) -> None:
    """Put archives at home and in the catalog under a data set's name."""
    (home / name).mkdir(parents=True)
    archives = []
    for old, content in zip(DATASETS[name].archives, contents, strict=True):
        (home / name / old.name).write_bytes(content)
        archives.append(
            Archive(name=old.name, urls=(), md5=hashlib.md5(content).hexdigest(), size=len(content)),
        )
    spec = replace(
        DATASETS[name],
        archives=tuple(archives),
        alternatives=(),
        train_images=train_images,
        test_images=test_images,
    )
    monkeypatch.setitem(DATASETS, name, spec)


def random_pixels(*shape: int) -> Images:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def labelled(images: Images, labels: object) -> list[tuple[int, bytes]]:
    """Images with their labels whatever their order, which is bench's own for the sets of several forms."""
    return sorted((int(label), image.tobytes()) for image, label in zip(images, np.asarray(labels), strict=True))


# --- Loaders ---------------------------------------------------------------------------------------------------------


def cifar10_files(images: Images, labels: list[int]) -> dict[str, bytes]:
    records = [bytes([label]) + image.tobytes() for image, label in zip(images, labels, strict=True)]
    files = {f"data_batch_{number + 1}.bin": records[number] for number in range(5)}
    names = "\n".join(DATASETS["cifar10"].classes) + "\n\n"
    return {"test_batch.bin": b"".join(records[5:]), "batches.meta.txt": names.encode(), "readme.html": b"", **files}


def test_cifar10_is_read_from_its_binary_archive(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    images, labels = random_pixels(7, 3, 32, 32), [3, 1, 4, 1, 5, 9, 2]
    archive = tar_of(cifar10_files(images, labels))
    place(monkeypatch, tmp_path, "cifar10", [archive], train_images=5, test_images=2)
    raw = readers.cifar10(tmp_path)
    assert labelled(raw.train_images, raw.train_labels) == labelled(images[:5], labels[:5])
    assert labelled(raw.test_images, raw.test_labels) == labelled(images[5:], labels[5:])
    assert raw.classes == DATASETS["cifar10"].classes


def test_cifar100_takes_the_fine_labels(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    images = random_pixels(3, 3, 32, 32)
    records = [bytes([7, 40 + number]) + image.tobytes() for number, image in enumerate(images)]
    names = DATASETS["cifar100"].classes
    files = {"train.bin": records[0] + records[1], "test.bin": records[2], "fine_label_names.txt": "\n".join(names)}
    archive = tar_of({name: each if isinstance(each, bytes) else each.encode() for name, each in files.items()})
    place(monkeypatch, tmp_path, "cifar100", [archive], train_images=2, test_images=1)
    raw = readers.cifar100(tmp_path)
    assert labelled(raw.train_images, raw.train_labels) == labelled(images[:2], [40, 41])
    assert labelled(raw.test_images, raw.test_labels) == labelled(images[2:], [42])
    assert raw.classes == names


def test_fashion_mnist_is_read_from_its_idx_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    images, labels = random_pixels(5, 28, 28), bytes([9, 0, 3, 4, 5])
    contents = []
    for part in (slice(0, 3), slice(3, 5)):
        count = len(images[part])
        heading = b"".join(number.to_bytes(4, "big") for number in (2051, count, 28, 28))
        contents.append(gzip.compress(heading + images[part].tobytes()))
        contents.append(gzip.compress((2049).to_bytes(4, "big") + count.to_bytes(4, "big") + labels[part]))
    place(monkeypatch, tmp_path, "fashion_mnist", contents, train_images=3, test_images=2)
    raw = readers.fashion_mnist(tmp_path)
    assert labelled(raw.train_images, raw.train_labels) == labelled(images[:3], list(labels[:3]))
    assert labelled(raw.test_images, raw.test_labels) == labelled(images[3:], list(labels[3:]))


@pytest.mark.parametrize("name", ["cifar10", "fashion_mnist"])
def test_an_archive_that_unpacks_to_too_much_is_refused_before_it_is_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    monkeypatch.setattr(readers, "MAX_BYTES", 1_000_000)
    monkeypatch.setattr(array_formats, "MAX_BYTES", 1_000_000)
    bomb = bytes(50_000_000)
    archives = [tar_of({"data_batch_1.bin": bomb})] if name == "cifar10" else [gzip.compress(bomb)] * 4
    place(monkeypatch, tmp_path, name, archives, train_images=5, test_images=2)
    with pytest.raises(DataError, match="unpacks to more than 1 MB"):
        getattr(readers, name)(tmp_path)


def test_names_inside_an_archive_never_become_paths(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    images, labels = random_pixels(7, 3, 32, 32), [3, 1, 4, 1, 5, 9, 2]
    files = {f"../../{name}": content for name, content in cifar10_files(images, labels).items()}
    place(monkeypatch, tmp_path / "home", "cifar10", [tar_of(files)], train_images=5, test_images=2)
    before = set(tmp_path.rglob("*"))
    raw = readers.cifar10(tmp_path / "home")
    assert labelled(raw.train_images, raw.train_labels) == labelled(images[:5], labels[:5])
    assert set(tmp_path.rglob("*")) == before


def test_an_archive_that_is_not_the_published_one_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    archive = tar_of(cifar10_files(random_pixels(7, 3, 32, 32), [0] * 7))
    place(monkeypatch, tmp_path, "cifar10", [archive], train_images=5, test_images=2)
    path = tmp_path / "cifar10" / "cifar-10-binary.tar.gz"
    path.write_bytes(archive[:-1] + b"?")
    with pytest.raises(DataError, match="bench data get cifar10"):
        pack("cifar10", 32, tmp_path)


def test_an_archive_with_too_few_images_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    archive = tar_of(cifar10_files(random_pixels(7, 3, 32, 32), [0] * 7))
    place(monkeypatch, tmp_path, "cifar10", [archive], train_images=6, test_images=2)
    with pytest.raises(DataError, match="cifar10 has"):
        readers.cifar10(tmp_path)


def test_digits_are_split_1437_to_360_without_overlap(tmp_path: Path) -> None:
    from sklearn.datasets import load_digits

    raw = digits(tmp_path)
    assert (raw.train_images.shape, raw.test_images.shape) == ((1437, 1, 8, 8), (360, 1, 8, 8))
    counts = np.bincount(raw.test_labels)
    assert (counts.min(), counts.max()) == (35, 37)
    together = sorted(image.tobytes() for part in (raw.train_images, raw.test_images) for image in part)
    shipped = np.rint(load_digits().images * 255 / 16).astype(np.uint8)
    assert together == sorted(image.tobytes() for image in shipped)
    assert raw.train_images.max() == 255


def picture(path: Path, size: tuple[int, int], colour: tuple[int, int, int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


def image_tree(root: Path) -> Path:
    for part in ("train", "val"):
        for label, name in enumerate(("ant", "bee")):
            for number in range(2):
                picture(root / part / name / f"{number}.png", (12, 8), (label, number, 9))
    return root


def test_a_folder_is_read_in_sorted_order_and_cropped_to_its_centre(tmp_path: Path) -> None:
    raw = image_folder.folder(image_tree(tmp_path), 8)
    assert raw.classes == ("ant", "bee")
    assert raw.train_images.shape == (4, 3, 8, 8)
    assert raw.train_images[:, :, 0, 0].tolist() == [[0, 0, 9], [0, 1, 9], [1, 0, 9], [1, 1, 9]]
    assert raw.test_labels.tolist() == [0, 0, 1, 1]


def test_an_image_of_the_right_size_keeps_its_pixels(tmp_path: Path) -> None:
    pixels = random_pixels(8, 8, 3)
    Image.fromarray(pixels).save(tmp_path / "image.png")
    assert np.array_equal(image_folder.decode_image(tmp_path / "image.png", 8), pixels.transpose(2, 0, 1))


@given(
    width=st.integers(1, 70),
    height=st.integers(1, 70),
    mode=st.sampled_from(["RGB", "L", "CMYK"]),
    options=st.fixed_dictionaries(
        {"quality": st.integers(1, 100), "subsampling": st.integers(0, 2), "progressive": st.booleans()}
    ),
)
@settings(max_examples=60, deadline=None)
def test_a_jpeg_is_decoded_to_the_pixels_that_pillow_decodes(
    tmp_path_factory: pytest.TempPathFactory, width: int, height: int, mode: str, options: dict[str, Any]
) -> None:
    path = tmp_path_factory.mktemp("image") / "image.jpg"
    Image.fromarray(random_pixels(height, width, 3)).convert(mode).save(path, **options)
    assert np.array_equal(pixels_of(path), np.asarray(open_rgb(path, path)))


@pytest.mark.parametrize("kept", [0.3, 0.8, 0.99])
def test_a_jpeg_that_ends_early_is_no_image(tmp_path: Path, kept: float) -> None:
    path = tmp_path / "image.jpg"
    Image.fromarray(random_pixels(32, 32, 3)).save(path)
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    with pytest.raises(BrokenImageError, match="cannot be read as an image"):
        pixels_of(path)


def test_a_jpeg_with_damage_inside_is_what_pillow_makes_of_it(tmp_path: Path) -> None:
    path = tmp_path / "image.jpg"
    Image.fromarray(random_pixels(64, 64, 3)).save(path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 40] = bytes(40)
    path.write_bytes(content)
    assert np.array_equal(pixels_of(path), np.asarray(open_rgb(path, path)))


@given(width=st.integers(1, 40), height=st.integers(1, 40), size=st.integers(1, 24))
@settings(max_examples=40, deadline=None)
def test_an_image_of_any_size_is_brought_to_the_input_size(
    tmp_path_factory: pytest.TempPathFactory, width: int, height: int, size: int
) -> None:
    path = tmp_path_factory.mktemp("image") / "image.png"
    picture(path, (width, height), (7, 8, 9))
    decoded = image_folder.decode_image(path, size)
    assert decoded.shape == (3, size, size)
    assert (decoded == np.array([7, 8, 9])[:, None, None]).all()


def test_an_unreadable_image_is_named(tmp_path: Path) -> None:
    (image_tree(tmp_path) / "train" / "bee" / "1.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"train/bee/1\.png cannot be read as an image"):
        image_folder.folder(tmp_path, 8)


# --- Packs -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def packed(home: Path) -> PackedDataset:
    return pack("digits", 8, home)


def test_a_pack_is_mapped_read_only_and_not_made_again(packed: PackedDataset, home: Path) -> None:
    [card] = (home / "packed").glob("digits-8-*/card.json")
    written = card.stat().st_mtime_ns
    again = pack("digits", 8, home)
    assert isinstance(again.train_images, np.memmap)
    assert not again.train_images.flags.writeable
    assert card.stat().st_mtime_ns == written
    assert again.digest == packed.digest


def test_mean_and_deviation_are_those_of_the_training_pixels(packed: PackedDataset) -> None:
    scaled = packed.train_images / 255
    assert packed.mean == pytest.approx([scaled.mean()])
    assert packed.std == pytest.approx([scaled.std()])


def test_published_mean_and_deviation_are_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    archive = tar_of(cifar10_files(random_pixels(7, 3, 32, 32), [0] * 7))
    place(monkeypatch, tmp_path, "cifar10", [archive], train_images=5, test_images=2)
    assert pack("cifar10", 32, tmp_path).mean == (0.4914, 0.4822, 0.4465)


def test_a_channel_of_one_colour_does_not_divide_by_zero() -> None:
    mean, std = channel_statistics(np.full((2, 1, 3, 3), 51, dtype=np.uint8))
    assert mean == pytest.approx((0.2,))
    assert std == (1.0,)


@pytest.mark.parametrize("damage", ["truncate", "no card", "torn card"])
def test_a_damaged_pack_is_made_anew(tmp_path: Path, damage: str) -> None:
    first = pack("digits", 8, tmp_path)
    [folder] = (tmp_path / "packed").glob("digits-8-*")
    array, card = folder / "train_images.npy", folder / "card.json"
    if damage == "truncate":
        array.write_bytes(array.read_bytes()[:-100])
    elif damage == "no card":
        card.unlink()
    else:
        card.write_text(card.read_text()[:50])
    (folder.parent / f".{folder.name}.1.tmp").mkdir()
    assert pack("digits", 8, tmp_path).digest == first.digest
    assert len(list((tmp_path / "packed").glob("digits-8-*"))) == 1
    assert not list((tmp_path / "packed").glob("*.tmp"))


def test_a_changed_folder_is_packed_anew(tmp_path: Path) -> None:
    root = image_tree(tmp_path / "insects")
    first = pack(f"folder:{root}", 8, tmp_path)
    picture(root / "train" / "ant" / "2.png", (8, 8), (1, 2, 3))
    second = pack(f"folder:{root}", 8, tmp_path)
    assert (len(first.train_labels), len(second.train_labels)) == (4, 5)
    assert first.digest != second.digest


def test_the_digest_is_the_same_wherever_the_images_lie(tmp_path: Path) -> None:
    roots = [image_tree(tmp_path / "here"), image_tree(tmp_path / "there")]
    assert len({pack(f"folder:{root}", 8, tmp_path).digest for root in roots}) == 1


def test_two_processes_pack_once(tmp_path: Path) -> None:
    code = (
        "import pathlib, sys; from bench.worker.data import pack\n"
        "write = pack._write\n"
        "def told(*arguments):\n    print('wrote'); write(*arguments)\n"
        "pack._write = told; print(pack.pack('digits', 8, pathlib.Path(sys.argv[1])).digest)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    lines = [line for process in processes for line in process.communicate(timeout=60)[0].split()]
    assert [process.returncode for process in processes] == [0, 0]
    assert lines.count("wrote") == 1
    assert len(set(lines) - {"wrote"}) == 1


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "packed").write_text("in the way")
    with pytest.raises(DataError, match="cannot be packed"):
        pack("digits", 8, tmp_path)


@given(value=st.integers(0, 255), channels=st.sampled_from([1, 3]), size=st.integers(1, 40))
@settings(max_examples=20, deadline=None)
def test_resizing_keeps_one_colour(value: int, channels: int, size: int) -> None:
    resized = resize(np.full((2, channels, 8, 8), value, dtype=np.uint8), size)
    assert resized.shape == (2, channels, size, size)
    assert (resized == value).all()


def test_another_input_size_is_resized_and_packed_apart(packed: PackedDataset, home: Path) -> None:
    larger = pack("digits", 16, home)
    assert larger.train_images.shape == (1437, 1, 16, 16)
    assert np.array_equal(larger.train_labels, packed.train_labels)


# --- Augmentations ---------------------------------------------------------------------------------------------------


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def changed(change: Augmentation, images: torch.Tensor, seed: int = 0) -> torch.Tensor:
    return change(images, change.draw(len(images), generator(seed)))


@given(padding=st.integers(1, 5), height=st.integers(1, 9), width=st.integers(1, 9), seed=st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_a_crop_is_a_window_of_the_padded_image(padding: int, height: int, width: int, seed: int) -> None:
    images = torch.randint(1, 256, (3, 2, height, width), dtype=torch.uint8, generator=generator(seed))
    cropped = changed(RandomCrop(padding=padding), images, seed)
    assert cropped.shape == images.shape
    assert cropped.dtype == images.dtype
    padded = torch.nn.functional.pad(images, (padding,) * 4)
    places = [(top, left) for top in range(2 * padding + 1) for left in range(2 * padding + 1)]
    for crop, image in zip(cropped, padded, strict=True):
        assert any(torch.equal(crop, image[:, top : top + height, left : left + width]) for top, left in places)


def test_each_image_is_cropped_at_its_own_place_and_all_places_occur() -> None:
    image = torch.arange(1, 10).float().view(1, 1, 3, 3).expand(500, 1, 3, 3)
    crops = changed(RandomCrop(padding=1), image)
    assert len({tuple(crop.flatten().tolist()) for crop in crops}) == 9


def test_a_flip_mirrors_about_the_asked_share() -> None:
    images = torch.rand(1000, 3, 4, 5, generator=generator())
    flipped = changed(HorizontalFlip(p=0.3), images)
    mirrored = [torch.equal(after, before.flip(2)) for before, after in zip(images, flipped, strict=True)]
    kept = [torch.equal(after, before) for before, after in zip(images, flipped, strict=True)]
    assert sum(mirrored) + sum(kept) == 1000
    assert 250 < sum(mirrored) < 350


def test_a_flip_of_probability_one_or_zero_is_certain() -> None:
    images = torch.rand(20, 1, 4, 4, generator=generator())
    assert torch.equal(changed(HorizontalFlip(p=1.0), images), images.flip(3))
    assert torch.equal(changed(HorizontalFlip(p=0.0), images), images)


@given(low=st.floats(0.02, 0.5), extra=st.floats(0, 0.5), side=st.integers(16, 40), seed=st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_an_erased_box_is_a_rectangle_with_an_area_in_range(low: float, extra: float, side: int, seed: int) -> None:
    images = torch.ones(16, 3, side, side)
    erased = changed(RandomErasing(p=1.0, area=(low, low + extra), fill=(5.0, 6.0, 7.0)), images, seed)
    for image in erased:
        box = image[0] == 5
        assert torch.equal(image[2] == 7, box)
        height, width = int(box.any(1).sum()), int(box.any(0).sum())
        assert int(box.sum()) == height * width
        least, most = (height - 0.51) * (width - 0.51), (height + 0.51) * (width + 0.51)
        assert most >= low * side**2
        assert least <= (low + extra) * side**2


def test_erasing_leaves_about_the_other_share_alone() -> None:
    images = torch.full((1000, 1, 8, 8), 200, dtype=torch.uint8)
    erased = changed(RandomErasing(p=0.25, area=(0.02, 0.33), fill=(10.0,)), images)
    assert erased.dtype == torch.uint8
    assert 200 < int((erased == 10).flatten(1).any(1).sum()) < 300


# --- Batches ---------------------------------------------------------------------------------------------------------


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


def test_streams_of_seeds_do_not_meet() -> None:
    seeds = {stream_seed(stream, 0, epoch) for stream in ("order", "augment") for epoch in range(1000)}
    assert len(seeds) == 2000
    assert stream_seed("order", 1, 23) != stream_seed("order", 12, 3)


def test_batches_leave_the_pack_as_it_is(packed: PackedDataset) -> None:
    before = packed.train_images.copy()
    collected(train_batches(packed), 0)
    assert np.array_equal(packed.train_images, before)
