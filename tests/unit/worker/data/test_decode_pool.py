"""The pool that decodes ahead: order, errors, substitutes, threads."""

import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.photos import photo, save
from helpers.tiny_imagenet import jpeg

from bench.errors import DataError
from bench.worker.data import decode
from bench.worker.data.crops import Crop
from bench.worker.data.decode import Decoder, Pixels
from bench.worker.data.decode_pool import AHEAD
from bench.worker.data.file_batches import TestFiles, TrainFiles


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


def test_a_broken_file_is_an_error_when_its_batch_is_due(files: list[tuple[Path, int]], tmp_path: Path) -> None:
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


def test_stopping_early_leaves_no_thread_behind(files: list[tuple[Path, int]]) -> None:
    before = threading.active_count()
    batches = train_files(files).epoch(0)
    next(batches)
    assert threading.active_count() > before
    batches.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


def test_a_broken_training_image_is_replaced_by_the_next_whole_one_and_counted(tmp_path: Path) -> None:
    files = []
    for number, content in enumerate([jpeg(0), b"broken", jpeg(1)[:-300], jpeg(2)]):
        (tmp_path / f"{number}.JPEG").write_bytes(content)
        files.append((tmp_path / f"{number}.JPEG", number))
    batches = TrainFiles(files, size=32, batch_size=4, seed=0, workers=2)
    ((_, labels),) = list(batches.epoch(0))
    assert Counter(labels.tolist()) == {0: 1, 3: 3}
    assert batches.nonstandard == {"broken": 2}


def test_many_consecutive_broken_images_are_an_error(tmp_path: Path) -> None:
    files = []
    for number in range(20):
        (tmp_path / f"{number}.JPEG").write_bytes(b"broken")
        files.append((tmp_path / f"{number}.JPEG", 0))
    with pytest.raises(DataError, match="and so are the 16 training images after it"):
        list(TrainFiles(files, size=32, batch_size=4, seed=0, workers=2).epoch(0))
