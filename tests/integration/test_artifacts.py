"""Files of runs in a real store, found by the ids that people have of runs."""

from pathlib import Path

import pytest
from helpers.finished import write_npz
from helpers.mlflow_db import fill, fill_suite_run, run_of
from helpers.outcomes import complete

import bench
from bench.api.run_files import MissingFileError
from bench.errors import UsageError
from bench.tracking import Store
from bench.tracking.artifacts import artifact
from bench.values import Suite
from bench.workspace.paths import CellFolder

SOURCE = "suite: stored\ngrid: {model: [shufflenet_v2_x0_5], dataset: digits, schedule: cosine, seed: [0, 1]}\n"
RUNS = ("ab" * 16, "ac" * 16)


@pytest.fixture
def suite(database: Path) -> Suite:
    """Two finished cells whose files lie in the store alone, the predictions of the first among them."""
    Path("stored.yaml").write_text(SOURCE)
    suite = bench.load_suite("stored.yaml")
    runs = [
        run_of(cell, complete(cell, 50.0), suite.name, run_id=run_id)
        for cell, run_id in zip(suite.cells, RUNS, strict=True)
    ]
    fill(database, suite.name, [*runs, fill_suite_run(database, suite)])
    folder = database.parent / "mlruns" / suite.name / RUNS[0] / "artifacts"
    folder.mkdir(parents=True)
    write_npz(CellFolder(folder), [1, 2], [1, 1])
    return suite


@pytest.mark.parametrize("direct", [True, False])
def test_a_file_of_a_run_is_read_with_and_without_mlflow(suite: Suite, database: Path, direct: bool) -> None:
    store = Store(f"sqlite:///{database}", direct=direct)
    with artifact(store, RUNS[0], "predictions.npz") as path:
        assert path is not None
        assert path.stat().st_size > 100
    for run_id, name in ((RUNS[0], "weights.safetensors"), (RUNS[1], "predictions.npz")):
        with artifact(store, run_id, name) as path:
            assert path is None


@pytest.mark.parametrize("name", [RUNS[0], "aba", "cell"])
def test_a_run_is_found_by_its_id_or_its_cells(suite: Suite, name: str) -> None:
    frame = bench.predictions(suite.cells[0].id if name == "cell" else name)
    assert list(frame["correct"]) == [True, False]


def test_several_runs_are_named_and_a_run_without_the_file_says_where_it_was_looked_for(suite: Suite) -> None:
    with pytest.raises(UsageError, match=rf"2 runs' ids begin with 'a'.*{RUNS[0]}, {RUNS[1]}"):
        bench.predictions("a")
    with pytest.raises(MissingFileError, match=rf"has no predictions: .*in the store \(run {RUNS[1]}\)"):
        bench.predictions("ac")


def test_the_folder_of_another_run_of_a_cell_is_not_taken_for_this_one(suite: Suite, project: Path) -> None:
    folder = CellFolder.of(project / ".bench", suite.cells[0].id)
    folder.root.mkdir(parents=True)
    folder.result.write_text("{}")
    write_npz(folder, [1, 2], [2, 2])  # of a rerun that the store does not have yet
    assert list(bench.predictions("ab")["correct"]) == [True, False]
    folder.tracking.write_text(f'{{"a store": {{"run_id": "{RUNS[0]}", "offsets": {{}}}}}}')
    assert list(bench.predictions("ab")["correct"]) == [False, True]
