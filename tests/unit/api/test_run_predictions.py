"""The predictions of finished runs, by id, as a frame."""

from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.cells import MakeCell
from helpers.finished import finish_suite, write_npz
from helpers.image_trees import image_tree

import bench
from bench.api.run_files import MissingFileError
from bench.errors import UsageError
from bench.values import Cell, Suite
from bench.workspace.paths import CellFolder

Finish = Callable[[Cell], CellFolder]


@pytest.fixture
def finish(project: Path, make_suite: Callable[..., Suite]) -> Finish:
    """A function that writes a complete cell to this machine."""

    def finish(cell: Cell) -> CellFolder:
        finish_suite(make_suite(cell), project / ".bench")
        return CellFolder.of(project / ".bench", cell.id)

    return finish


def test_a_frame_has_names_of_classes_and_what_was_right(make_cell: MakeCell, finish: Finish) -> None:
    cell = make_cell()
    write_npz(finish(cell), [3, 4], [3, 9], names=[*"0123456789"])
    frame = bench.predictions(cell.id[:6])
    assert list(frame["image"]) == [0, 1]
    assert list(frame["label_name"]) == ["3", "4"]
    assert list(frame["predicted"]) == [3, 9]
    assert list(frame["predicted_name_2"]) == ["4", "0"]
    assert list(frame["score"]) == pytest.approx([0.8, 0.8])
    assert list(frame["correct"]) == [True, False]
    assert list(frame["file"]) == ["", ""]


def test_images_of_a_folder_have_their_names(project: Path, make_cell: MakeCell, finish: Finish) -> None:
    tree = image_tree(project / "photos")
    test = next(folder for folder in (tree / "val", tree / "test") if folder.is_dir())
    names = sorted(path.name for path in test.iterdir())
    labels = [label for label, name in enumerate(names) for _ in (test / name).iterdir()]
    cell = make_cell(dataset=f"folder:{tree}")
    write_npz(finish(cell), labels, labels, names=names)
    frame = bench.predictions(cell.id)
    assert [Path(file).parent.name for file in frame["file"]] == list(frame["label_name"])
    assert all((test / file).is_file() for file in frame["file"])
    write_npz(CellFolder.of(project / ".bench", cell.id), [*labels, 0], [*labels, 0], names=names)
    assert set(bench.predictions(cell.id)["file"]) == {""}, "the folder has other images now"


def test_a_name_that_no_run_has_is_refused(project: Path) -> None:
    with pytest.raises(UsageError, match="no run's and no cell's id begins with 'abc'"):
        bench.predictions("abc")


def test_predictions_that_were_deleted_are_a_sentence(make_cell: MakeCell, finish: Finish) -> None:
    cell = make_cell()
    finish(cell)
    with pytest.raises(MissingFileError, match="has no predictions: they are missing on this machine"):
        bench.predictions(cell.id)
