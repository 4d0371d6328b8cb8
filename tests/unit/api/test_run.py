"""The steps of a run, without one."""

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest
from helpers.cells import MakeCell

from bench.api.job import Job, Needs
from bench.api.known import Known
from bench.api.options import DRAIN_S, WAIT_VARIABLE, Caller, RunOptions, make_options, store_wait_s
from bench.api.run import plan_suite
from bench.datasets.prepared import Prepared, data_key
from bench.errors import UsageError
from bench.scheduler.attempts import SilentObserver
from bench.scheduler.devices import Machine
from bench.values import Suite


def test_make_options_names_the_valid_ones() -> None:
    with pytest.raises(UsageError, match="unknown option slots; valid: filters, select, max_cells, device"):
        make_options({"slots": 2})


def test_run_options_refuse_a_store_while_offline() -> None:
    with pytest.raises(UsageError, match="--offline"):
        RunOptions(offline=True, tracking_uri="sqlite:///mlflow.db")


class TestStoreWait:
    def test_a_minute_unless_the_variable_says_another_number(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv(WAIT_VARIABLE, raising=False)
        assert store_wait_s() == DRAIN_S
        monkeypatch.setenv(WAIT_VARIABLE, "2.5")
        assert store_wait_s() == 2.5

    @pytest.mark.parametrize("text", ["soon", "-1", "nan", "inf"])
    def test_what_is_no_number_of_seconds_is_refused(self, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(WAIT_VARIABLE, text)
        with pytest.raises(UsageError, match=f"{WAIT_VARIABLE} must be a number of seconds, not '{text}'"):
            store_wait_s()


def test_plan_suite_says_once_how_batches_divide_a_set_that_they_do_not_fit(
    project: Path, make_cell: MakeCell, make_suite: Callable[..., Suite]
) -> None:
    suite = make_suite(*(make_cell(seed=seed, batch_size=size) for size in (64, 1000, 5000) for seed in range(2)))
    notes: list[str] = []
    job = Job(
        whole=suite,
        suite=suite,
        machine=Machine(gpus=(), cores=1),
        store=None,
        known=Known({}, {}),
        options=RunOptions(),
        caller=Caller(display=lambda _: nullcontext(SilentObserver()), note=notes.append),
    )
    plan_suite(job, Needs({data_key(suite.cells[0]): Prepared(project, "", 1437, 10)}, {}))
    assert [note[:60] for note in notes] == [
        "warning: digits: each epoch leaves out 437 of the 1437 train",
        "warning: digits: trains in batches of 1437 and not of 5000, ",
    ]
