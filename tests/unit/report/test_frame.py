"""Results and curves as DataFrames."""

import json
import math
from collections.abc import Callable
from pathlib import Path

from helpers.outcomes import COST, complete

from bench.report.curves import METRIC_COLUMNS, curves
from bench.report.frame import curves_frame, results_frame
from bench.values import Cell, Outcome, Suite
from bench.workspace.paths import CellFolder

MakeCell = Callable[..., Cell]
MakeSuite = Callable[..., Suite]


class TestResultsFrame:
    def test_has_one_row_per_cell_in_the_suites_order(self, make_cell: MakeCell, make_suite: MakeSuite) -> None:
        cells = [make_cell("vgg11", seed=1), make_cell("alexnet"), make_cell("vgg11")]
        frame = results_frame((make_suite(*cells), {}))
        assert list(frame["cell"]) == [cell.id for cell in cells]
        assert list(frame["seed"]) == [1, 0, 0]
        assert set(frame["state"]) == {"missing"}

    def test_a_complete_cell_has_its_numbers_and_its_run(self, make_cell: MakeCell, make_suite: MakeSuite) -> None:
        cell = make_cell()
        (row,) = results_frame((make_suite(cell), {cell.id: complete(cell, 93.5)})).to_dict("records")
        assert (row["top1"], row["top5"], row["params"], row["flops"]) == (93.5, 99.0, COST.params, COST.flops)
        assert (row["state"], row["run_id"], row["device"]) == ("complete", "r" * 32, "a CPU")

    def test_numbers_that_do_not_exist_are_nan(self, make_cell: MakeCell, make_suite: MakeSuite) -> None:
        done, failed = make_cell(), make_cell(seed=1)
        outcomes = {done.id: complete(done, 90.0), failed.id: Outcome(cell_id=failed.id, state="failed", kind="oom")}
        frame = results_frame((make_suite(done, failed), outcomes))
        assert frame["top1"].dtype == float
        assert math.isnan(frame["top1"][1])
        assert frame["kind"][1] == "oom"
        assert frame.groupby("model")["top1"].mean().item() == 90.0

    def test_the_recipe_is_columns_named_like_the_params_of_runs(
        self, make_cell: MakeCell, make_suite: MakeSuite
    ) -> None:
        (row,) = results_frame((make_suite(make_cell(batch_size=32, lr=0.2, augment=())), {})).to_dict("records")
        assert (row["batch_size"], row["optimizer"], row["lr"], row["augment"]) == (32, "sgd", 0.2, "none")
        assert (row["decay"], row["decay_eta_min"]) == ("cosine", 0.0)
        assert (row["suite"], row["variant"]) == ("test", "")


class TestCurvesFrame:
    def test_without_journals_there_are_columns_and_no_rows(
        self, make_cell: MakeCell, make_suite: MakeSuite, tmp_path: Path
    ) -> None:
        frame = curves_frame([make_suite(make_cell())], tmp_path)
        assert len(frame) == 0
        assert set(METRIC_COLUMNS) < set(frame.columns)
        assert list(frame.columns) == curves(make_suite(), tmp_path).strip().split(",")

    def test_every_epoch_is_a_row_with_all_digits(
        self, make_cell: MakeCell, make_suite: MakeSuite, tmp_path: Path
    ) -> None:
        cell = make_cell()
        attempt = CellFolder.of(tmp_path, cell.id).attempt(1)
        attempt.root.mkdir(parents=True)
        metrics = dict.fromkeys(METRIC_COLUMNS, 0.1 + 0.2)
        event = {"event": "epoch", "time_ms": 0, "metrics": metrics, "epoch_s": 1.0, "images_per_s": 1.0}
        lines = [json.dumps({**event, "epoch": epoch}) for epoch in (1, 2)]
        attempt.journal.write_text("".join(f"{line}\n" for line in lines))
        frame = curves_frame([make_suite(cell)], tmp_path)
        assert list(frame["epoch"]) == [1, 2]
        assert list(frame["test/top1"]) == [0.1 + 0.2] * 2
        assert set(frame["cell"]) == {cell.id}
        assert list(frame["seconds"]) == [1.0, 1.0]
        assert set(frame["suite"]) == {"test"}
        names = {"variant", "epochs", "lr", "batch_size", "augment", "precision", "device", "decay"}
        assert names <= set(frame.columns)
