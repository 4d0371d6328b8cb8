"""Whether a data set is packed or streamed, and which augmentations that allows."""

from dataclasses import replace
from pathlib import Path

import pytest
from helpers.cells import MakeCell
from helpers.streaming import FLIP, RESIZED_CROP, augmentation, digest_of
from helpers.tiny_imagenet import train_images, val_images, write_folders

from bench.datasets.prepared import augmentation_problem, data_key, index_folder, is_streamed, look, pack_folder
from bench.errors import DataError
from bench.values import Cell, Component, DataKey
from bench.worker.data.dataset import load
from bench.worker.data.index import IndexedDataset
from bench.worker.data.pack import PackedDataset


def problem(cell: Cell, *augment: Component, dataset: str = "imagenet") -> str:
    return augmentation_problem(replace(cell, dataset=dataset, recipe=replace(cell.recipe, augment=augment))) or ""


@pytest.fixture
def folder(tmp_path: Path) -> str:
    """The name of a small folder of photos."""
    write_folders(tmp_path / "tree" / "train", train_images())
    write_folders(tmp_path / "tree" / "val", val_images())
    return f"folder:{tmp_path / 'tree'}"


class TestAugmentationProblem:
    def test_a_data_set_with_files_can_be_cropped_from_them(self, make_cell: MakeCell) -> None:
        for dataset in ("imagenet", "clothing1m", "folder:not/there"):
            assert problem(make_cell(), RESIZED_CROP, FLIP, dataset=dataset) == ""

    @pytest.mark.parametrize("dataset", ["digits", "cifar10"])
    def test_a_data_set_that_is_decoded_once_is_refused(self, make_cell: MakeCell, dataset: str) -> None:
        assert problem(make_cell(), FLIP, dataset=dataset) == ""
        assert f"the images of {dataset} are decoded once" in problem(make_cell(), RESIZED_CROP, dataset=dataset)

    def test_the_crop_must_come_first_and_once(self, make_cell: MakeCell) -> None:
        for augment in ((FLIP, RESIZED_CROP), (RESIZED_CROP, RESIZED_CROP)):
            assert "must be used once and come first" in problem(make_cell(), *augment)

    def test_a_range_must_ascend(self, make_cell: MakeCell) -> None:
        descending = augmentation("random_resized_crop", area=[1.0, 0.1])
        assert "two ascending numbers for area" in problem(make_cell(), descending)


class TestDataKey:
    def test_the_recipe_decides_whether_a_folder_is_streamed(self, make_cell: MakeCell) -> None:
        for augment, streamed in (((FLIP,), False), ((RESIZED_CROP, FLIP), True)):
            cell = make_cell(dataset="folder:not/there", augment=augment, input_size=16)
            assert data_key(cell) == DataKey("folder:not/there", 16, None, streamed)

    def test_a_manual_download_has_one_key_whatever_the_recipe(self, make_cell: MakeCell) -> None:
        keys = {data_key(make_cell(dataset="imagenet", augment=augment)) for augment in ((FLIP,), (RESIZED_CROP,))}
        assert [key.streamed for key in keys] == [True]

    def test_a_data_set_of_another_version_has_a_key(self, make_cell: MakeCell) -> None:
        assert data_key(make_cell(dataset="mnist", input_size=28)) == DataKey("mnist", 28)


def test_is_streamed_refuses_an_unknown_name() -> None:
    with pytest.raises(DataError, match="did you mean 'cifar10'"):
        is_streamed(DataKey("cifar_10", 32))


def test_one_folder_is_packed_for_one_recipe_and_streamed_for_another(
    tmp_path: Path, make_cell: MakeCell, folder: str
) -> None:
    cells = [make_cell(dataset=folder, augment=augment, input_size=16) for augment in ((FLIP,), (RESIZED_CROP, FLIP))]
    keys = [data_key(cell) for cell in cells]
    packed, indexed = (load(key, tmp_path, workers=2) for key in keys)
    assert isinstance(packed, PackedDataset)
    assert isinstance(indexed, IndexedDataset)
    assert packed.classes == indexed.classes
    assert packed.train_labels.tolist() == indexed.train_labels.tolist()
    assert [digest_of(key, tmp_path) for key in keys] == [packed.digest, indexed.digest]


class TestLook:
    def test_what_was_never_prepared_or_is_missing_is_none(self, tmp_path: Path, folder: str) -> None:
        for key in (DataKey(folder, 16), DataKey("imagenet", 32), DataKey("mnist", 28)):
            assert look(key, tmp_path) is None

    def test_a_changed_folder_is_none(self, tmp_path: Path, folder: str) -> None:
        for streamed in (False, True):
            key = DataKey(folder, 16, None, streamed)
            load(key, tmp_path, workers=2)
            assert look(key, tmp_path) is not None
        next((tmp_path / "tree" / "train").rglob("*.JPEG")).unlink()
        assert [look(DataKey(folder, 16, None, streamed), tmp_path) for streamed in (False, True)] == [None, None]


def test_pack_folder_and_index_folder_keep_the_names_that_exist(tmp_path: Path) -> None:
    """Packs and indexes made by earlier versions are found under these names."""
    assert pack_folder("digits", 8, tmp_path).name == "digits-8-c193706f3da0"
    with pytest.raises(DataError, match="has no image files"):
        index_folder("digits", None, tmp_path)
