"""Image files to batches: views, decoding a part, and the stream, on photo-like images made here."""

import io
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from torch.nn.functional import interpolate
from torchvision import transforms

from bench.errors import DataError
from bench.worker.data import decode
from bench.worker.data.crops import UNIFORMS, Crop, centre_crop, random_resized_crop
from bench.worker.data.decode import CropFn, Decoder, Pixels
from bench.worker.data.decode_pool import AHEAD
from bench.worker.data.file_batches import TestFiles, TrainFiles
from bench.worker.data.jpeg import jpeg_frame

SUBSAMPLINGS = ["4:4:4", "4:2:2", "4:2:0"]
numbers = st.lists(st.floats(0, 1, exclude_max=True), min_size=UNIFORMS, max_size=UNIFORMS)
# a file or two is written anew for each example: the folder may be the same one
examples = partial(settings, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


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


def read(file: Path, choose: CropFn, size: int) -> Pixels:
    out = np.zeros((size, size, 3), dtype=np.uint8)
    Decoder().read(file, choose, out)
    return out


def plainly(file: Path, view: Crop) -> Pixels:
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


# --- Views -----------------------------------------------------------------------------------------------------------


@given(height=st.integers(1, 5000), width=st.integers(1, 5000), drawn=numbers)
def test_a_random_view_lies_inside_an_image_of_any_size(height: int, width: int, drawn: list[float]) -> None:
    view = random_resized_crop(height, width, size=224, numbers=drawn)
    assert 0 <= view.top <= view.top + view.height <= height
    assert 0 <= view.left <= view.left + view.width <= width
    assert view.height >= 1
    assert view.width >= 1


@given(drawn=numbers)
def test_a_random_view_has_an_area_and_a_shape_in_range(drawn: list[float]) -> None:
    view = random_resized_crop(1000, 1200, size=224, numbers=drawn)
    assert 0.079 < view.height * view.width / 1_200_000 <= 1
    assert 0.745 < view.width / view.height < 1.345


@given(height=st.integers(1, 3000), width=st.integers(1, 3000), size=st.integers(1, 300), drawn=numbers)
def test_a_view_that_can_be_decoded_smaller_begins_and_ends_at_whole_pixels_of_that_scale(
    height: int, width: int, size: int, drawn: list[float]
) -> None:
    view = random_resized_crop(height, width, size=size, numbers=drawn)
    assert [edge % view.scale for edge in (view.top, view.left, view.height, view.width)] == [0, 0, 0, 0]
    assert view.scale == 8 or min(view.height, view.width) < 2 * view.scale * size
    assert view.scale == 1 or min(view.height, view.width) >= view.scale * size


def test_a_long_thin_image_is_seen_at_its_centre() -> None:
    view = random_resized_crop(10, 1000, size=224, numbers=[0.5] * UNIFORMS)
    assert (view.top, view.left, view.height, view.width) == (0, 494, 10, 13)


def test_random_views_are_spread_as_those_of_torchvision() -> None:
    image = torch.empty(3, 400, 500)
    torch.manual_seed(0)
    theirs = torch.tensor(
        [transforms.RandomResizedCrop.get_params(image, (0.08, 1.0), (3 / 4, 4 / 3)) for _ in range(4000)]
    ).double()
    drawn = torch.rand(4000, UNIFORMS, dtype=torch.float64).tolist()
    views = [random_resized_crop(400, 500, size=224, numbers=each) for each in drawn]
    ours = torch.tensor([(view.top, view.left, view.height, view.width) for view in views]).double()
    assert torch.allclose(ours.mean(0), theirs.mean(0), rtol=0.06)
    assert torch.allclose(ours.std(0), theirs.std(0), rtol=0.06)
    assert 0.46 < sum(view.mirrored for view in views) / 4000 < 0.54


@pytest.mark.parametrize(("height", "width"), [(300, 400), (400, 300), (333, 500), (256, 256), (50, 31)])
def test_a_centre_view_is_what_torchvision_resizes_and_crops(height: int, width: int, tmp_path: Path) -> None:
    image = photo(height, width)
    usual = transforms.Compose([transforms.Resize(256), transforms.CenterCrop(224)])
    found = read(save(image, tmp_path / "a.png"), partial(centre_crop, size=224), 224)
    assert difference(found, np.asarray(usual(image))) < 0.5


# --- Decoding --------------------------------------------------------------------------------------------------------


@given(
    height=st.integers(1, 400),
    width=st.integers(1, 400),
    subsampling=st.sampled_from(SUBSAMPLINGS),
    size=st.integers(16, 96),
    drawn=numbers,
)
@examples(max_examples=40)
def test_pixels_are_close_to_those_of_the_plain_way(
    tmp_path: Path, height: int, width: int, subsampling: str, size: int, drawn: list[float]
) -> None:
    file = save(photo(height, width), tmp_path / "a.jpg", quality=90, subsampling=subsampling)
    choose = partial(random_resized_crop, size=size, numbers=drawn)
    view = choose(height, width)
    # at a lower scale some tens of pixels of the finest detail differ most; whole photos are tested below
    assert difference(read(file, choose, size), plainly(file, view)) < (0.5 if view.scale == 1 else 10)


@pytest.mark.parametrize("subsampling", SUBSAMPLINGS)
def test_a_large_photo_at_a_lower_scale_is_close_to_the_plain_way(tmp_path: Path, subsampling: str) -> None:
    file = save(photo(1100, 1500), tmp_path / "a.jpg", quality=90, subsampling=subsampling)
    view = Crop(top=52, left=32, height=1000, width=1204, rows=224, columns=224)
    assert difference(read(file, lambda *_: view, 224), plainly(file, view)) < 2


def test_without_a_lower_scale_pixels_are_those_of_the_plain_way(tmp_path: Path) -> None:
    file = save(photo(375, 500), tmp_path / "a.jpg", quality=90)
    view = Crop(top=20, left=30, height=300, width=401, rows=224, columns=224, mirrored=True)
    assert difference(read(file, lambda *_: view, 224), plainly(file, view)) < 0.1


@given(
    height=st.integers(1, 120),
    bottom=st.floats(0, 1),
    mode=st.sampled_from(["4:4:4", "4:2:2", "4:2:0", "L", "restarts"]),
)
@examples(max_examples=60)
def test_stopping_at_a_row_changes_no_pixel_above_it(tmp_path: Path, height: int, bottom: float, mode: str) -> None:
    image = photo(height, 50)
    options: dict[str, object] = {"subsampling": mode} if ":" in mode else {}
    if mode == "restarts":
        options = {"restart_marker_rows": 1}
    file = save(image.convert("L") if mode == "L" else image, tmp_path / "a.jpg", **options)
    rows = max(1, round(bottom * height))
    view = Crop(top=0, left=0, height=rows, width=50, rows=rows, columns=rows)
    frame = jpeg_frame(file.read_bytes())
    assert frame
    assert frame.cuttable
    assert rows <= frame.rows_to(rows) <= rows + 31
    assert np.array_equal(read(file, lambda *_: view, rows), plainly(file, view))


def test_a_progressive_file_is_not_cut(tmp_path: Path) -> None:
    file = save(photo(200, 100), tmp_path / "a.jpg", progressive=True)
    frame = jpeg_frame(file.read_bytes())
    assert frame
    assert not frame.cuttable
    view = Crop(top=0, left=0, height=20, width=20, rows=20, columns=20)
    assert np.array_equal(read(file, lambda *_: view, 20), plainly(file, view))


@pytest.mark.parametrize(
    ("name", "mode", "options"),
    [
        ("a.png", "RGB", {}),
        ("a.png", "RGBA", {}),
        ("a.png", "L", {}),
        ("a.png", "P", {}),
        ("a.png", "1", {}),
        ("a.bmp", "RGB", {}),
        ("a.webp", "RGB", {"lossless": True}),
        ("a.gif", "P", {}),
        ("a.jpg", "L", {}),
        ("a.jpg", "CMYK", {}),
        ("a.jpg", "RGB", {"progressive": True}),
        ("a.jpg", "RGB", {"keep_rgb": True}),
        ("misnamed.JPEG.png", "RGB", {"format": "jpeg"}),
    ],
)
def test_every_kind_of_image_gives_the_pixels_that_pillow_gives(
    tmp_path: Path, name: str, mode: str, options: dict[str, object]
) -> None:
    file = save(photo(61, 47).convert(mode), tmp_path / name, **options)
    view = Crop(top=3, left=2, height=50, width=40, rows=32, columns=32)
    assert difference(read(file, lambda *_: view, 32), plainly(file, view)) < 0.1


def test_grey_of_16_bits_keeps_its_upper_8(tmp_path: Path) -> None:
    grey = (np.arange(64 * 64).reshape(64, 64) * 16).astype(np.uint16)
    file = save(Image.fromarray(grey), tmp_path / "a.png")
    view = Crop(top=0, left=0, height=64, width=64, rows=64, columns=64)
    found = read(file, lambda *_: view, 64)
    assert np.array_equal(found, np.repeat((grey >> 8).astype(np.uint8)[:, :, None], 3, axis=2))


def test_a_buffer_that_held_a_larger_image_leaves_no_trace(tmp_path: Path) -> None:
    small, large = (save(photo(side, side, side), tmp_path / f"{side}.jpg") for side in (40, 300))
    used, out = Decoder(), np.zeros((32, 32, 3), dtype=np.uint8)
    choose = partial(centre_crop, size=32)
    used.read(large, choose, out)
    used.read(small, choose, out)
    assert np.array_equal(out, read(small, choose, 32))


@given(kept=st.floats(0, 1, exclude_max=True))
@examples(max_examples=40)
def test_a_photo_that_ends_early_is_an_error_that_names_it(tmp_path: Path, kept: float) -> None:
    whole = save(photo(90, 120), tmp_path / "whole.jpg").read_bytes()
    file = tmp_path / "cut.jpg"
    file.write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(DataError, match=r"cut\.jpg cannot be read as an image"):
        read(file, partial(centre_crop, size=32), 32)


@pytest.mark.parametrize(
    "content", [b"", b"no image at all", b"\xff\xd8\xff\xd9", b"\xff\xd8" + b"\xff\xc0\x00\x00" * 9]
)
def test_a_file_that_is_no_image_is_an_error_that_names_it(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "odd.jpg").write_bytes(content)
    with pytest.raises(DataError, match=r"odd\.jpg cannot be read as an image"):
        read(tmp_path / "odd.jpg", partial(centre_crop, size=32), 32)


def test_a_file_that_is_gone_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.jpg cannot be read"):
        read(tmp_path / "gone.jpg", partial(centre_crop, size=32), 32)


@given(kind=st.sampled_from(["jpeg", "png"]), damage=st.dictionaries(st.floats(0, 1), st.integers(0, 255), min_size=1))
@examples(max_examples=150)
def test_a_damaged_file_gives_pixels_or_an_error_that_names_it(
    tmp_path: Path, kind: str, damage: dict[float, int]
) -> None:
    data = bytearray(encoded(kind))
    for place, value in damage.items():
        data[int(place * (len(data) - 1))] = value
    file = tmp_path / "damaged.jpg"
    file.write_bytes(data)
    try:
        read(file, partial(centre_crop, size=32), 32)
    except DataError as error:
        assert "damaged.jpg" in str(error)  # noqa: PT017 - pixels are as good an answer


def encoded(kind: str) -> bytes:
    stream = io.BytesIO()
    photo(24, 32).save(stream, kind)
    return stream.getvalue()


# --- Batches ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Path, int]]:
    folder = tmp_path_factory.mktemp("photos")
    sizes = [(40 + 7 * number, 90 - 3 * number) for number in range(22)]
    return [
        (save(photo(height, width, number), folder / f"{number}.jpg"), number)
        for number, (height, width) in enumerate(sizes)
    ]


def train_files(files: list[tuple[Path, int]], workers: int = 2, seed: int = 0) -> TrainFiles:
    return TrainFiles(files, size=24, batch_size=4, seed=seed, workers=workers)


def collected(batches: Iterator[tuple[torch.Tensor, torch.Tensor]]) -> list[bytes]:
    return [images.numpy().tobytes() + labels.numpy().tobytes() for images, labels in batches]


def test_batches_are_bytes_of_the_asked_shape_and_the_last_smaller_one_is_dropped(
    files: list[tuple[Path, int]],
) -> None:
    batches = train_files(files)
    found = list(batches.epoch(0))
    assert len(found) == len(batches) == 5
    for images, labels in found:
        assert (images.shape, images.dtype) == ((4, 3, 24, 24), torch.uint8)
        assert images.is_contiguous(memory_format=torch.channels_last)
        assert (labels.shape, labels.dtype) == ((4,), torch.int64)
    seen = torch.cat([labels for _, labels in found]).tolist()
    assert len(set(seen)) == 20


def test_batches_are_the_same_whatever_the_number_of_workers(files: list[tuple[Path, int]]) -> None:
    one, two, three = (collected(train_files(files, workers=workers).epoch(1)) for workers in (1, 2, 3))
    assert one == two == three


def test_an_epoch_from_a_step_on_equals_the_undisturbed_one(files: list[tuple[Path, int]]) -> None:
    batches = train_files(files)
    whole = collected(batches.epoch(3))
    assert collected(batches.epoch(3, start_step=2)) == whole[2:]
    assert collected(batches.epoch(3, start_step=len(batches))) == []


def test_an_epoch_depends_on_seed_and_epoch_only(files: list[tuple[Path, int]]) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = collected(train_files(files).epoch(0))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert collected(train_files(files).epoch(0)) == first
    assert collected(train_files(files).epoch(1)) != first
    assert collected(train_files(files, seed=1).epoch(0)) != first


def test_an_image_has_its_own_label_and_its_own_view(tmp_path: Path) -> None:
    colours = [(10 * number, 0, 255 - 10 * number) for number in range(20)]
    files = [
        (save(Image.new("RGB", (30, 30), colour), tmp_path / f"{number}.png"), number)
        for number, colour in enumerate(colours)
    ]
    for images, labels in train_files(files).epoch(0):
        assert images[:, :, 5, 5].tolist() == [list(colours[label]) for label in labels.tolist()]


def test_test_batches_hold_every_image_in_order(files: list[tuple[Path, int]]) -> None:
    batches = TestFiles(files, size=24, batch_size=9, workers=2)
    found = list(batches)
    assert [len(labels) for _, labels in found] == [9, 9, 4]
    assert len(batches) == 3
    assert torch.cat([labels for _, labels in found]).tolist() == list(range(22))
    expected = read(files[11][0], partial(centre_crop, size=24), 24)
    assert np.array_equal(found[1][0][2].permute(1, 2, 0).numpy(), expected)
    assert collected(iter(batches)) == collected(iter(TestFiles(files, size=24, batch_size=9, workers=1)))


def test_a_broken_file_is_told_when_its_batch_is_due(files: list[tuple[Path, int]], tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(files[0][0].read_bytes()[:-200])
    batches = iter(TestFiles([*files[:8], (broken, 0)], size=24, batch_size=4, workers=2))
    assert len(next(batches)[1]) == len(next(batches)[1]) == 4
    with pytest.raises(DataError, match=r"broken\.jpg"):
        next(batches)


def test_only_a_few_batches_are_decoded_ahead(files: list[tuple[Path, int]], monkeypatch: pytest.MonkeyPatch) -> None:
    read_files, plain = [], Decoder.read

    def counted(self: Decoder, file: Path, choose: Callable[[int, int], Crop], out: Pixels) -> None:
        read_files.append(file)
        plain(self, file, choose, out)

    monkeypatch.setattr(decode.Decoder, "read", counted)
    batches = iter(TestFiles(files * 4, size=24, batch_size=2, workers=3))
    for step in range(1, 5):
        next(batches)
        assert 2 * step <= len(read_files) <= 2 * (step + AHEAD)
    batches.close()  # type: ignore[attr-defined]
    assert len(read_files) <= 2 * (4 + AHEAD)


def test_leaving_early_leaves_no_thread_behind(files: list[tuple[Path, int]]) -> None:
    before = threading.active_count()
    batches = train_files(files).epoch(0)
    next(batches)
    assert threading.active_count() > before
    batches.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before
